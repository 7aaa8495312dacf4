//! The proxies, the upstream and the tools of the benchmark, started and pinned.

use std::fs::{self, File};
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::gateway::target_dir;
use crate::setup;

/// The core that the measured proxy has to itself.
const PROXY_CORE: &str = "0";
/// The core of everything else.
pub(super) const LOAD_CORE: &str = "1";

const ACCOUNT: &str = "123456789012";
const POLICY: &str = r#"
@id("describe") permit (principal in Group::"agents", action == Action::"dynamodb:DescribeTable", resource);
@id("objects") permit (principal in Group::"agents", action in [Action::"s3:GetObject", Action::"s3:PutObject"], resource);
@id("no-new-users") forbid (principal, action == Action::"iam:CreateUser", resource);
"#;

/// Where the benchmark happens.
#[derive(Debug)]
pub(super) struct Ground {
    root: PathBuf,
    pub(super) dir: PathBuf,
    portcullis: PathBuf,
    filter: PathBuf,
    issuer: String,
    _idp: Running,
}

/// One proxy under load.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) name: &'static str,
    pub(super) port: u16,
    /// The authority that issued its certificate.
    pub(super) ca: PathBuf,
    /// Whether its calls need the gateway's credentials.
    pub(super) gateway: Option<String>,
    process: Running,
}

/// A process that ends with this one.
#[derive(Debug)]
pub(super) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // An error means that it has ended already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Ground {
    pub(super) fn prepare(root: &Path) -> Result<Self> {
        debian_tools()?;
        let cache = setup::cache()?;
        setup::virtual_environment(
            &cache.join("bench"),
            &root.join("tests/bench/requirements.txt"),
        )?;
        let filter = header_check(root, &cache)?;
        let portcullis = target_dir(root).join("release/portcullis");
        let dir = cache.join("bench-run");
        if dir.exists() {
            fs::remove_dir_all(&dir).context("clearing the last run")?;
        }
        fs::create_dir_all(&dir)?;
        certificate(&dir)?;
        let (idp, issuer) = identity_provider(root, &dir)?;
        Ok(Self {
            root: root.to_owned(),
            dir,
            portcullis,
            filter,
            issuer,
            _idp: idp,
        })
    }

    /// nginx answering every small call alike.
    pub(super) fn static_upstream(&self) -> Result<Proxy> {
        let port = free_port()?;
        let server = self.filled("nginx-static.conf", &[("port", &port.to_string())])?;
        let process = self.nginx("static", LOAD_CORE, &server)?;
        self.proxy("upstream", port, process)
    }

    /// nginx terminating TLS and streaming.
    pub(super) fn nginx_proxy(&self, upstream: u16) -> Result<Proxy> {
        let port = free_port()?;
        let values = [
            ("port", port.to_string()),
            ("upstream", upstream.to_string()),
        ];
        let values = values
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        let server = self.filled("nginx-proxy.conf", &values)?;
        let process = self.nginx("proxy", PROXY_CORE, &server)?;
        self.proxy("nginx", port, process)
    }

    /// Envoy with a Wasm filter and AWS signing.
    pub(super) fn envoy(&self, upstream: u16) -> Result<Proxy> {
        let port = free_port()?;
        let filter = self.filter.display().to_string();
        let values = [
            ("port", port.to_string()),
            ("upstream", upstream.to_string()),
            ("wasm", filter),
        ];
        let values = values
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        let config = self.dir.join("envoy.yaml");
        fs::write(&config, self.filled("envoy.yaml", &values)?)?;
        let mut command = Command::new(setup::cache()?.join("bench/bin/envoy"));
        command
            .args(["--concurrency", "1", "--log-level", "warning", "-c"])
            .arg(config);
        let process = self.start("envoy", PROXY_CORE, &command)?;
        self.proxy("Envoy", port, process)
    }

    /// The gateway, with the bundled plugins and a few policies.
    pub(super) fn portcullis(&self, name: &str, upstream: u16) -> Result<Proxy> {
        let dir = self.dir.join(name);
        let (port, console) = (free_port()?, free_port()?);
        for part in ["plugins", "policies", "state"] {
            fs::create_dir_all(dir.join(part))?;
        }
        let built = self.root.join("plugins/dist");
        for file in fs::read_dir(&built).context("the plugins are not built")? {
            let file = file?;
            fs::copy(file.path(), dir.join("plugins").join(file.file_name()))?;
        }
        fs::write(dir.join("policies/bench.cedar"), POLICY)?;
        let config = dir.join("portcullis.yaml");
        fs::write(
            &config,
            self.config(&dir, [port, console, upstream]).to_string(),
        )?;
        let mut command = Command::new(&self.portcullis);
        command
            .args(["serve", "--config"])
            .arg(config)
            .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
            .env(
                "AWS_SECRET_ACCESS_KEY",
                "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            );
        let process = self.start(name, PROXY_CORE, &command)?;
        let mut proxy = self.proxy("Portcullis", port, process)?;
        proxy.ca = dir.join("state/ca.pem");
        proxy.gateway = Some(self.issuer.clone());
        Ok(proxy)
    }

    /// JSON is YAML.
    fn config(&self, dir: &Path, [port, console, upstream]: [u16; 3]) -> Value {
        json!({
            "listen": {"address": format!("127.0.0.1:{port}")},
            "console": {"address": format!("127.0.0.1:{console}")},
            "state": {"dir": dir.join("state")},
            "plugins": {"dir": dir.join("plugins")},
            "policies": {"dir": dir.join("policies")},
            "oidc": [{"issuer": self.issuer, "audience": ["portcullis"], "use": ["agents"]}],
            "connections": [{
                "name": "bench",
                "account": ACCOUNT,
                "credentials": "environment",
                "endpoint": format!("http://127.0.0.1:{upstream}"),
                "roles": [{"name": "agent", "groups": ["agents"]}],
            }],
        })
    }

    fn nginx(&self, role: &str, core: &str, server: &str) -> Result<Running> {
        let config = self.dir.join(format!("nginx-{role}.conf"));
        fs::write(
            &config,
            self.filled("nginx.conf", &[("role", role), ("server", server)])?,
        )?;
        let mut command = Command::new("nginx");
        command
            .arg("-e")
            .arg(self.dir.join("nginx.log"))
            .arg("-c")
            .arg(config);
        self.start(role, core, &command)
    }

    fn filled(&self, template: &str, values: &[(&str, &str)]) -> Result<String> {
        let path = self.root.join("tests/bench").join(template);
        let mut text = fs::read_to_string(path)?;
        for (name, value) in values {
            text = text.replace(&format!("{{{name}}}"), value);
        }
        Ok(text.replace("{dir}", &self.dir.display().to_string()))
    }

    fn proxy(&self, name: &'static str, port: u16, process: Running) -> Result<Proxy> {
        wait_for(port).with_context(|| format!("{name}: see {}", self.dir.display()))?;
        let ca = self.dir.join("tls.crt");
        Ok(Proxy {
            name,
            port,
            ca,
            gateway: None,
            process,
        })
    }

    fn start(&self, name: &str, core: &str, command: &Command) -> Result<Running> {
        start(&self.dir, name, core, command)
    }

    /// A script of the benchmark.
    pub(super) fn script(&self, name: &str) -> PathBuf {
        self.root.join("tests/bench").join(name)
    }
}

impl Proxy {
    /// Clock ticks (10 ms) of processor time, of the process and its children.
    pub(super) fn ticks(&self) -> Result<u64> {
        self.family().iter().map(|id| ticks(*id)).sum()
    }

    /// Bytes resident.
    pub(super) fn resident(&self) -> Result<u64> {
        self.memory("VmRSS:")
    }

    /// The largest resident size since [`Proxy::forget_peak`].
    pub(super) fn peak(&self) -> Result<u64> {
        self.memory("VmHWM:")
    }

    /// Begins a new peak.
    pub(super) fn forget_peak(&self) -> Result<()> {
        for id in self.family() {
            fs::write(format!("/proc/{id}/clear_refs"), "5")?;
        }
        Ok(())
    }

    fn memory(&self, field: &str) -> Result<u64> {
        self.family().iter().map(|id| memory(*id, field)).sum()
    }

    fn family(&self) -> Vec<u32> {
        let id = self.process.0.id();
        let children =
            fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|id| id.parse().ok());
        std::iter::once(id).chain(children).collect()
    }
}

fn ticks(id: u32) -> Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("no process name")?;
    // utime and stime are fields 14 and 15 of proc(5); the state behind the name is field 3.
    let times = fields.split_whitespace().skip(11).take(2);
    times.map(|ticks| Ok(ticks.parse::<u64>()?)).sum()
}

fn memory(id: u32, field: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kilobytes = line
        .and_then(|rest| rest.split_whitespace().next())
        .context("no such field")?;
    Ok(kilobytes.parse::<u64>()? * 1024)
}

fn start(dir: &Path, name: &str, core: &str, command: &Command) -> Result<Running> {
    let log = File::create(dir.join(format!("{name}.out")))?;
    let mut pinned = Command::new("setpriv");
    pinned
        .args(["--pdeathsig", "KILL", "taskset", "-c", core])
        .arg(command.get_program());
    pinned
        .args(command.get_args())
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            pinned.env(name, value);
        }
    }
    Ok(Running(
        pinned.spawn().with_context(|| format!("starting {name}"))?,
    ))
}

fn wait_for(port: u16) -> Result<()> {
    let start = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        ensure!(
            start.elapsed() < Duration::from_secs(120),
            "nothing listens on {port}"
        );
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn debian_tools() -> Result<()> {
    let missing = |tool: &&str| {
        !Path::new("/usr/sbin").join(tool).exists() && !Path::new("/usr/bin").join(tool).exists()
    };
    let tools: Vec<_> = ["nginx", "wrk"].into_iter().filter(missing).collect();
    if tools.is_empty() {
        return Ok(());
    }
    setup::call(Command::new("apt-get").arg("update"))?;
    setup::call(
        Command::new("apt-get")
            .args(["install", "--yes", "--no-install-recommends"])
            .args(tools),
    )
}

fn header_check(root: &Path, cache: &Path) -> Result<PathBuf> {
    let target = cache.join("header-check");
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet", "--release", "--locked"]);
    setup::wasm_build(&mut cargo)?;
    cargo
        .current_dir(root.join("tests/bench/header-check"))
        .env("CARGO_TARGET_DIR", &target);
    setup::call(&mut cargo)?;
    Ok(target
        .join(setup::WASM_TARGET)
        .join("release/header_check.wasm"))
}

fn certificate(dir: &Path) -> Result<()> {
    setup::call(
        Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
            ])
            .args([
                "-days",
                "2",
                "-subj",
                "/CN=bench",
                "-addext",
                "subjectAltName=IP:127.0.0.1",
            ])
            .arg("-keyout")
            .arg(dir.join("tls.key"))
            .arg("-out")
            .arg(dir.join("tls.crt"))
            .stderr(Stdio::null()),
    )
}

fn identity_provider(root: &Path, dir: &Path) -> Result<(Running, String)> {
    let mut command = Command::new("node");
    command.arg(root.join("tests/e2e/clients/idp.mjs"));
    let running = start(dir, "idp", LOAD_CORE, &command)?;
    let start = Instant::now();
    loop {
        let mut text = String::new();
        File::open(dir.join("idp.out"))?.read_to_string(&mut text)?;
        let issuers = text
            .lines()
            .find_map(|line| serde_json::from_str::<Value>(line).ok());
        if let Some(issuer) = issuers
            .as_ref()
            .and_then(|all| all.get("certified")?.as_str())
        {
            return Ok((running, issuer.to_owned()));
        }
        ensure!(
            start.elapsed() < Duration::from_secs(60),
            "the identity provider does not start"
        );
        thread::sleep(Duration::from_millis(50));
    }
}
