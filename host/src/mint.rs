//! `portcullis mint`: asks a gateway for something that works outside it, with the credentials
//! and the endpoint that an SDK would find in the environment.
//!
//! What is printed is a bearer artefact: whoever has it can use it until it ends.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SigningParams, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use clap::{Args, Subcommand, ValueEnum};
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use portcullis_core::mint::{PATH, SERVICE};
use serde_json::{Value, json};

use crate::clock;
use crate::config;
use crate::serve;
use crate::terminal;
use crate::upstream::{Connector, Versions};

const ANSWER_BYTES: usize = 1024 * 1024;

/// Mint something that works outside the gateway, where policies permit it: a presigned URL, an
/// EKS or RDS token, an ECR password.
#[derive(Args, Debug)]
pub struct MintArgs {
    #[command(subcommand)]
    what: What,
    /// The region. Default: $AWS_REGION, else $AWS_DEFAULT_REGION.
    #[arg(long, global = true)]
    region: Option<String>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// A password for `docker login --username AWS --password-stdin`.
    Ecr,
    /// A credential for kubectl, as `aws eks get-token` prints it.
    Eks {
        /// The cluster's name.
        cluster: String,
    },
    /// A URL for one object.
    Presign {
        /// `s3://bucket/key`.
        object: String,
        /// What the URL is good for.
        #[arg(long, value_enum, default_value = "GET", ignore_case = true)]
        method: UrlMethod,
        /// How long, e.g. `10m`. The gateway may make it shorter.
        #[arg(long, default_value = "15m", value_parser = humantime::parse_duration)]
        expires: Duration,
    },
    /// A password for one database user.
    Rds {
        /// The database's host name.
        #[arg(long)]
        host: String,
        /// Its port.
        #[arg(long)]
        port: u16,
        /// The database user.
        #[arg(long)]
        user: String,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "UPPER")]
enum UrlMethod {
    Get,
    Put,
}

/// Prints what was minted.
///
/// # Errors
/// When the environment names no gateway or credential, or the gateway refuses.
pub fn run(args: &MintArgs) -> anyhow::Result<()> {
    let (kind, order) = order(&args.what)?;
    let agent = Agent::of_environment(args.region.as_deref())?;
    let answer = serve::runtime()?.block_on(agent.ask(kind, &order))?;
    let member = match args.what {
        What::Ecr => "password",
        What::Eks { .. } => {
            terminal::line(format_args!("{answer}"));
            return Ok(());
        }
        What::Presign { .. } => "url",
        What::Rds { .. } => "token",
    };
    let text = answer.get(member).and_then(Value::as_str);
    let text = text.context("the gateway's answer lacks what was asked for")?;
    terminal::line(format_args!("{text}"));
    Ok(())
}

fn order(what: &What) -> anyhow::Result<(&'static str, Value)> {
    Ok(match what {
        What::Ecr => ("ecr", json!({})),
        What::Eks { cluster } => ("eks", json!({"cluster": cluster})),
        What::Presign {
            object,
            method,
            expires,
        } => {
            let path = object.strip_prefix("s3://");
            let named = path.and_then(|path| path.split_once('/'));
            let (bucket, key) = named.context("an object is named as s3://bucket/key")?;
            let method = match method {
                UrlMethod::Get => "GET",
                UrlMethod::Put => "PUT",
            };
            let expires = expires.as_secs();
            let order = json!({"bucket": bucket, "key": key, "method": method, "expires": expires});
            ("presign", order)
        }
        What::Rds { host, port, user } => {
            ("rds", json!({"host": host, "port": port, "user": user}))
        }
    })
}

/// What the environment says of the gateway and of whoever asks.
struct Agent {
    endpoint: String,
    region: String,
    client: Client<Connector, Full<Bytes>>,
}

impl Agent {
    fn of_environment(region: Option<&str>) -> anyhow::Result<Self> {
        let endpoint = config::variable("AWS_ENDPOINT_URL")
            .context("AWS_ENDPOINT_URL is not set; `portcullis env` prints it")?;
        let region = region
            .map(str::to_owned)
            .or_else(|| config::variable("AWS_REGION"))
            .or_else(|| config::variable("AWS_DEFAULT_REGION"))
            .context("no region; set AWS_REGION or say --region")?;
        let ca = config::variable("AWS_CA_BUNDLE").map(PathBuf::from);
        let connector = Connector::new(ca.as_deref(), Versions::One)?;
        Ok(Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            region,
            client: Client::builder(TokioExecutor::new()).build(connector),
        })
    }

    async fn ask(&self, kind: &str, order: &Value) -> anyhow::Result<Value> {
        let credentials = self.credentials().await?;
        let body = order.to_string();
        let mut request = self.request(&format!("{PATH}{kind}"), "application/json", ())?;
        self.sign(&mut request, &body, &credentials)?;
        let (status, text) = self.send(request.map(|()| body)).await?;
        if status != StatusCode::OK {
            bail!("the gateway refused: {}", message(&text));
        }
        serde_json::from_str(&text).context("reading the gateway's answer")
    }

    /// The access key of the environment, or one for the environment's web identity token.
    async fn credentials(&self) -> anyhow::Result<Credentials> {
        let key = config::variable("AWS_ACCESS_KEY_ID");
        let secret = config::variable("AWS_SECRET_ACCESS_KEY");
        if let (Some(key), Some(secret)) = (key, secret) {
            let token = config::variable("AWS_SESSION_TOKEN");
            return Ok(Credentials::new(key, secret, token, None, SERVICE));
        }
        let file = config::variable("AWS_WEB_IDENTITY_TOKEN_FILE");
        let role = config::variable("AWS_ROLE_ARN");
        let (Some(file), Some(role)) = (file, role) else {
            bail!(
                "no credentials; set AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE, or \
                 AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN"
            );
        };
        let token = std::fs::read_to_string(&file).with_context(|| format!("reading `{file}`"))?;
        self.sign_in(&role, token.trim()).await
    }

    async fn sign_in(&self, role: &str, token: &str) -> anyhow::Result<Credentials> {
        let name = config::variable("AWS_ROLE_SESSION_NAME");
        let escaped = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let form = format!(
            "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn={}&RoleSessionName={}&WebIdentityToken={}",
            escaped(role),
            escaped(name.as_deref().unwrap_or("portcullis-mint")),
            escaped(token)
        );
        let request = self.request("/", "application/x-www-form-urlencoded", form)?;
        let (status, text) = self.send(request).await?;
        if status != StatusCode::OK {
            let why = element(&text, "Message").unwrap_or_default();
            bail!("the gateway did not accept the web identity token: {why}");
        }
        let part = |name| {
            element(&text, name).ok_or_else(|| anyhow!("the gateway's answer has no {name}"))
        };
        let (key, secret) = (part("AccessKeyId")?, part("SecretAccessKey")?);
        let token = part("SessionToken")?;
        Ok(Credentials::new(
            key,
            secret,
            Some(token.to_owned()),
            None,
            SERVICE,
        ))
    }

    fn request<B>(&self, path: &str, media: &str, body: B) -> anyhow::Result<Request<B>> {
        let uri: Uri = format!("{}{path}", self.endpoint).parse()?;
        let authority = uri.authority().context("AWS_ENDPOINT_URL names no host")?;
        let authority = authority.to_string();
        let request = Request::builder()
            .method(Method::POST)
            .uri(uri)
            .header(HOST, authority)
            .header(CONTENT_TYPE, media);
        Ok(request.body(body)?)
    }

    fn sign(
        &self,
        request: &mut Request<()>,
        body: &str,
        credentials: &Credentials,
    ) -> anyhow::Result<()> {
        let identity = credentials.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(SERVICE)
            .time(clock::now().into())
            .settings(SigningSettings::default())
            .build()?;
        let uri = request.uri().to_string();
        let headers = request.headers().iter();
        let headers: Vec<(&str, &str)> = headers
            .map(|(name, value)| Ok((name.as_str(), value.to_str()?)))
            .collect::<anyhow::Result<_>>()?;
        let body = SignableBody::Bytes(body.as_bytes());
        let signable = SignableRequest::new("POST", uri, headers.into_iter(), body)?;
        let signed = sign(signable, &SigningParams::V4(parameters))?;
        signed.into_parts().0.apply_to_request_http1x(request);
        Ok(())
    }

    async fn send(&self, request: Request<String>) -> anyhow::Result<(StatusCode, String)> {
        let request = request.map(|body| Full::new(Bytes::from(body)));
        let answer = self.client.request(request).await;
        let answer = answer.with_context(|| format!("asking {}", self.endpoint))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| anyhow!("reading the gateway's answer: {error}"))?;
        let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
        Ok((head.status, text))
    }
}

/// The text of an element that holds no markup.
fn element<'t>(xml: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once('<').map(|(text, _)| text)
}

fn message(json: &str) -> String {
    let answer: Value = serde_json::from_str(json).unwrap_or_default();
    let text = answer.get("message").or_else(|| answer.get("Message"));
    text.and_then(Value::as_str).unwrap_or(json).to_owned()
}
