//! `portcullis serve`: from a checked configuration to a gateway that serves, and back to nothing
//! in good order.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use http::StatusCode;
use metrics_exporter_prometheus::PrometheusHandle;
use portcullis_core::catalog::Catalog;
use portcullis_core::record::{Decision, End, Event, Intent, Outcome};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::audit::{self, Audit};
use crate::body::Bodies;
use crate::clock;
use crate::config::{self, Config, Listen, Tls};
use crate::credentials::Credentials;
use crate::identity::Identity;
use crate::key_ring::{self, KeyRingFile};
use crate::listener::{Listener, Peer};
use crate::pipeline::Gateway;
use crate::places::Places;
use crate::plugins::{LoadReport, Plugins, Report, Settings};
use crate::proxy::Proxy;
use crate::reserved::Front;
use crate::sign_in::SignIn;
use crate::sts::Sts;
use crate::telemetry::{self, StepTimes, count_call};
use crate::tls::{Certificates, HostCertificates};
use crate::upstream::Upstream;

/// Runs the gateway until SIGTERM or SIGINT.
///
/// # Errors
/// When something it needs cannot be had: a port, a plugin, the audit log.
pub fn run(config: Config) -> anyhow::Result<()> {
    let metrics = start_telemetry()?;
    runtime()?.block_on(async { Running::start(config, metrics).await?.until_stopped().await })
}

/// Logging and metrics, once a process.
///
/// # Errors
/// When a metrics recorder is installed already.
pub fn start_telemetry() -> anyhow::Result<PrometheusHandle> {
    telemetry::start_logging(config::log_filter().as_deref());
    telemetry::start_metrics()
}

/// The runtime everything runs on.
///
/// # Errors
/// When threads cannot be started.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
}

/// Loads the configured plugins. Blocks while they compile.
///
/// # Errors
/// Everything wrong with them.
pub fn load_plugins(config: &Config) -> Result<Arc<Plugins>, LoadReport> {
    Plugins::load(Settings {
        plugins_dir: config.plugins_dir.clone(),
        policies_dir: config.policies_dir.clone(),
        grants: config
            .plugin_grants
            .iter()
            .map(|grant| (grant.plugin.clone(), grant.capabilities.clone()))
            .collect(),
        cache_dir: Some(config.state_dir.join("compiled")),
    })
}

/// Everything that would keep this configuration from serving, short of binding its ports.
pub fn problems(config: &Config) -> Vec<String> {
    let mut problems = Vec::new();
    if let Err(report) = load_plugins(config) {
        problems.extend(report.problems.iter().map(ToString::to_string));
    }
    if let Tls::Files { .. } = &config.listen.tls
        && let Err(error) = Certificates::load(&config.listen, &config.state_dir, clock::now())
    {
        problems.push(format!("listen.tls: {error:#}"));
    }
    if let Some(proxy) = &config.proxy
        && proxy.ca.is_some()
        && let Err(error) = HostCertificates::open(proxy, &config.state_dir, clock::now())
    {
        problems.push(format!("listen.proxy.ca: {error:#}"));
    }
    if let Err(error) = Credentials::new(&config.connections) {
        problems.push(format!("connections: {error:#}"));
    }
    if let Err(error) = Identity::new(&config.issuers) {
        problems.push(format!("oidc: {error:#}"));
    }
    problems
}

/// A gateway that serves.
#[derive(Debug)]
pub struct Running {
    gateway: Arc<Gateway>,
    shutdown: CancellationToken,
    tasks: TaskTracker,
}

impl Running {
    /// Opens everything and starts to serve.
    ///
    /// # Errors
    /// When something it needs cannot be had.
    pub async fn start(config: Config, metrics: PrometheusHandle) -> anyhow::Result<Self> {
        let config = Arc::new(config);
        let now = clock::now();
        std::fs::create_dir_all(&config.state_dir)
            .with_context(|| format!("making `{}`", config.state_dir.display()))?;
        let audit = Audit::open(&config.audit_dir(), audit::Settings::default())?;
        let gateway = Arc::new(build(&config, Arc::new(audit))?);
        let started = Event::Started {
            version: env!("CARGO_PKG_VERSION"),
            config_sha256: &config.digest,
        };
        gateway
            .audit
            .event(now, &started)
            .await
            .map_err(|refusal| anyhow!("{refusal}"))?;

        let shutdown = CancellationToken::new();
        let tasks = TaskTracker::new();
        let tls = server_tls(&config, &shutdown, &tasks)?;
        let recording = gateway.clone();
        let agents = Listener::bind(&config.listen, tls.clone())
            .with_context(|| format!("binding {}", config.listen.address))?
            .reporting(move |peer, why| {
                record_unreadable(&recording, peer, (StatusCode::BAD_REQUEST, why));
            });
        if let Some(proxy) = &config.proxy {
            let proxy = open_proxy(&config, proxy, tls.as_deref(), &gateway)?;
            let (proxy, listener) = proxy;
            tracing::info!(proxy = %listener.address()?, "serving");
            let inside = gateway.clone();
            let handler = move |request, peer| {
                let inside = inside.clone();
                async move { inside.handle(request, peer).await }
            };
            tasks.spawn(proxy.serve(listener, handler, shutdown.clone()));
        }
        let people = Listener::bind(&console(&config), None)
            .with_context(|| format!("binding {}", config.console.address))?;
        tracing::info!(
            agents = %agents.address()?,
            console = %people.address()?,
            generation = gateway.plugins.current().id(),
            "serving"
        );
        let front = Front::new(gateway.clone(), metrics);
        let console_front = front.clone();
        tasks.spawn(agents.serve(
            move |request, peer| front.clone().handle(request, peer),
            shutdown.clone(),
        ));
        tasks.spawn(people.serve(
            move |request, peer| console_front.clone().console(request, peer),
            shutdown.clone(),
        ));
        let (reports, reported) = mpsc::unbounded_channel();
        tasks.spawn(gateway.plugins.clone().watch(reports, shutdown.clone()));
        tasks.spawn(record_reloads(gateway.clone(), reported));
        tasks.spawn(refresh_keys(gateway.keys.clone(), shutdown.clone()));
        Ok(Self {
            gateway,
            shutdown,
            tasks,
        })
    }

    /// Waits for SIGTERM or SIGINT, lets calls in flight finish, and closes the audit log.
    ///
    /// # Errors
    /// When signals cannot be received.
    pub async fn until_stopped(self) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let reason = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(reason, "draining");
        self.shutdown.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        let stopped = Event::Stopped { reason };
        if self
            .gateway
            .audit
            .event(clock::now(), &stopped)
            .await
            .is_err()
        {
            tracing::warn!("the stop could not be recorded");
        }
        self.gateway.audit.close();
        Ok(())
    }
}

fn build(config: &Arc<Config>, audit: Arc<Audit>) -> anyhow::Result<Gateway> {
    let plugins = load_plugins(config).map_err(|report| anyhow!("{report}"))?;
    let keys = Arc::new(KeyRingFile::open(&config.state_dir, clock::now())?);
    let identity = Arc::new(Identity::new(&config.issuers)?);
    let sts = Sts::new(identity, keys.clone(), config.clone());
    Ok(Gateway {
        catalog: Catalog::embedded(),
        keys,
        sign_in: SignIn::new(sts, audit.clone()),
        bodies: Bodies::new(&config.listen.limits),
        places: Places::new(config.clone()),
        plugins,
        audit,
        credentials: Credentials::new(&config.connections)?,
        upstream: Upstream::new(config)?,
        mint_longest: config.mint_longest,
        times: StepTimes::new(),
    })
}

fn server_tls(
    config: &Config,
    shutdown: &CancellationToken,
    tasks: &TaskTracker,
) -> anyhow::Result<Option<Arc<rustls::ServerConfig>>> {
    let certificates = Certificates::load(&config.listen, &config.state_dir, clock::now())?;
    let Some(certificates) = certificates else {
        return Ok(None);
    };
    let server = certificates.server_config()?;
    tasks.spawn(certificates.keep_current(clock::now, shutdown.clone()));
    Ok(Some(server))
}

fn open_proxy(
    config: &Config,
    proxy: &config::Proxy,
    tls: Option<&rustls::ServerConfig>,
    gateway: &Arc<Gateway>,
) -> anyhow::Result<(Proxy, Listener)> {
    let certificates = HostCertificates::open(proxy, &config.state_dir, clock::now())
        .context("opening `listen.proxy.ca`")?;
    // Every model is read once for this; not while the first client waits.
    Catalog::embedded().hosts();
    let recording = gateway.clone();
    let refused = move |peer: Peer, status: StatusCode, why: &str| {
        record_unreadable(&recording, peer, (status, why));
    };
    let unreadable = gateway.clone();
    let listen = Listen {
        address: proxy.address,
        tls: Tls::Off,
        hostname: None,
        limits: config.listen.limits,
    };
    let listener = Listener::bind(&listen, None)
        .with_context(|| format!("binding {}", proxy.address))?
        .reporting(move |peer, why| {
            record_unreadable(&unreadable, peer, (StatusCode::BAD_REQUEST, why));
        });
    let proxy = Proxy::new(certificates, &proxy.tunnel, config.listen.limits, refused);
    Ok((proxy.with_tls(tls), listener))
}

/// Records what was refused before it was a request: its framing or its head could not be read, or
/// the tunnel it wanted was not opened.
fn record_unreadable(gateway: &Gateway, peer: Peer, (status, why): (StatusCode, &str)) {
    let now = clock::now();
    let Ok(id) = audit::request_id(now) else {
        return;
    };
    let intent = Intent {
        source_ip: Some(peer.address.ip()),
        decision: Decision::Unauthenticated,
        reason: Some(why),
        ..Intent::new(id, now)
    };
    let outcome = Outcome {
        status: Some(status.as_u16()),
        error_message: Some(why),
        ..Outcome::new(End::NotSent, now)
    };
    gateway.audit.unauthenticated(&intent, &outcome);
    count_call("unknown", intent.decision.as_str());
}

/// The people's listener has the agents' limits.
fn console(config: &Config) -> Listen {
    Listen {
        address: config.console.address,
        tls: Tls::Off,
        hostname: None,
        limits: config.listen.limits,
    }
}

/// Ends when the watch does.
async fn record_reloads(gateway: Arc<Gateway>, mut reported: mpsc::UnboundedReceiver<Report>) {
    while let Some(report) = reported.recv().await {
        let generation = gateway.plugins.current();
        let digests: Vec<(String, String)> = generation
            .digests()
            .iter()
            .map(|(name, digests)| ((*name).to_owned(), digests.component.to_string()))
            .collect();
        let problems: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
        let reason = problems.join("; ");
        let event = if problems.is_empty() {
            Event::Reloaded {
                generation: report.generation,
                plugins: &digests,
            }
        } else {
            Event::ReloadRefused { reason: &reason }
        };
        if gateway.audit.event(clock::now(), &event).await.is_err() {
            tracing::error!("a reload could not be recorded");
        }
    }
}

async fn refresh_keys(keys: Arc<KeyRingFile>, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(key_ring::REFRESH) => {}
        }
        let keys = keys.clone();
        let refreshed = tokio::task::spawn_blocking(move || keys.refresh(clock::now())).await;
        if let Ok(Err(error)) = refreshed {
            let error = format!("{error:#}");
            tracing::error!(error, "the key ring could not be read again");
        }
    }
}
