//! What is minted for a permitted and recorded order. It is signed here, because the real
//! credential never leaves this module; what leaves is good for the one thing that was ordered.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningParams,
    SigningSettings, UriPathNormalizationMode,
};
use aws_sigv4::sign::v4;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use portcullis_core::access::Permit;
use portcullis_core::catalog::Catalog;
use portcullis_core::destination::{Addressing, Destination, Target, Variant};
use portcullis_core::head::Head;
use portcullis_core::mint::{Order, PresignedUrl};
use portcullis_core::refusal::Refusal;
use portcullis_core::s3_name;
use portcullis_core::sigv4::PayloadMode;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::prepare::destination;
use super::request::internal;
use super::{Bucket, Outgoing, OutgoingBody, Route, Upstream, Versions};
use crate::audit::Recorded;
use crate::config::Connection;

/// EKS accepts a token for a quarter of an hour after its signing, whatever its URL says.
/// <https://github.com/kubernetes-sigs/aws-iam-authenticator>
const EKS_LIFE: Duration = Duration::from_secs(14 * 60);
const EKS_URL_LIFE: Duration = Duration::from_secs(60);
/// RDS accepts no more.
const RDS_LIFE: Duration = Duration::from_secs(15 * 60);
/// Nobody can use what ends sooner.
const SHORTEST: Duration = Duration::from_secs(5);
const ECR_ANSWER_BYTES: usize = 64 * 1024;
/// What S3 leaves unescaped in a path, beside the slash.
const KEY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'/')
    .remove(b'_')
    .remove(b'~');

/// What an order may be minted with.
#[derive(Clone, Copy, Debug)]
pub struct Means<'a> {
    /// The role's credential.
    pub credentials: &'a Credentials,
    /// The call's time.
    pub now: OffsetDateTime,
    /// The operator's limit.
    pub longest: Duration,
}

impl Upstream {
    /// Mints what a permitted order asks for, as the JSON that the agent is answered. The permit
    /// is used up; `_recorded` is the proof that the intent is durable.
    ///
    /// # Errors
    /// [`Refusal::Unsupported`] when AWS has no such endpoint or bucket,
    /// [`Refusal::CredentialsUnavailable`] when the credential is about to end, and for an ECR
    /// login those of [`Self::send`].
    pub async fn mint(
        &self,
        permit: Permit,
        _recorded: &Recorded,
        order: &Order,
        means: Means<'_>,
    ) -> Result<Value, Refusal> {
        let connection = self
            .connections
            .get(&permit.session().connection)
            .ok_or(Refusal::Internal)?;
        match order {
            Order::EcrLogin => self.ecr(&permit, connection, means).await,
            Order::EksToken { cluster } => eks(&permit, connection, cluster, means),
            Order::PresignedUrl(url) => presigned_url(&permit, connection, url, means),
            Order::RdsToken { host, port, user } => {
                let life = means.life(RDS_LIFE, &permit)?;
                let query = format!("Action=connect&DBUser={}", escaped(user));
                let url = format!("https://{host}:{port}/?{query}");
                let scope = (region(&permit)?, "rds-db");
                let signed = Presigning::new(scope, life).apply(Method::GET, &url, means)?;
                let token = signed.strip_prefix("https://").unwrap_or(&signed);
                Ok(json!({"token": token, "expires": means.end(life)}))
            }
        }
    }

    /// ECR makes the password itself, and lets it live for twelve hours whoever asks.
    async fn ecr(
        &self,
        permit: &Permit,
        connection: &Connection,
        means: Means<'_>,
    ) -> Result<Value, Refusal> {
        let route = route(permit, connection, "ecr", "GetAuthorizationToken")?;
        let mut headers = HeaderMap::new();
        let media = HeaderValue::from_static("application/x-amz-json-1.1");
        headers.insert(CONTENT_TYPE, media);
        let target = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken";
        let name = HeaderName::from_static("x-amz-target");
        headers.insert(name, HeaderValue::from_static(target));
        let outgoing = Outgoing {
            head: Head {
                method: Method::POST,
                path: "/".to_owned(),
                query: None,
                authority: route.host().to_owned(),
                headers,
                tls: true,
                proxied: false,
            },
            bucket: None,
            route,
            payload_mode: PayloadMode::Absent,
            embedded: None,
            versions: Versions::One,
            body: OutgoingBody::Whole(Bytes::from_static(b"{}")),
        };
        let session = permit.session();
        let sending = self.exchange(session, outgoing, means.credentials, means.now);
        let (head, body) = sending.await?.into_parts();
        let body = Limited::new(body, ECR_ANSWER_BYTES).collect().await;
        let body = body.map_err(|_| Refusal::AnswerLost)?.to_bytes();
        if head.status != StatusCode::OK {
            return Err(Refusal::Unsupported(format!(
                "ECR answered {} and gave no login; check that the role behind yours may call ecr:GetAuthorizationToken",
                head.status.as_u16()
            )));
        }
        ecr_login(&body).ok_or(Refusal::AnswerLost)
    }
}

/// `AWS:<password>` in base64, and where it is for.
fn ecr_login(body: &[u8]) -> Option<Value> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let entry = answer.pointer("/authorizationData/0")?;
    let token = entry.get("authorizationToken")?.as_str()?;
    let pair = String::from_utf8(STANDARD.decode(token).ok()?).ok()?;
    let (user, password) = pair.split_once(':')?;
    Some(json!({
        "username": user,
        "password": password,
        "registry": entry.get("proxyEndpoint"),
        "expires": entry.get("expiresAt"),
    }))
}

fn presigned_url(
    permit: &Permit,
    connection: &Connection,
    url: &PresignedUrl,
    means: Means<'_>,
) -> Result<Value, Refusal> {
    let life = means.life(Duration::from_secs(url.expires.into()), permit)?;
    let bucket = Bucket {
        name: url.bucket.clone(),
        written: Addressing::Path,
    };
    let target = target(permit, connection, "s3", url.method.operation())?;
    // An endpoint of the connection's own is not asked which buckets there can be.
    Destination::s3(Catalog::embedded(), &target, &url.bucket)
        .map_err(|error| Refusal::Unsupported(error.to_string()))?;
    let route = destination(connection, &target, (None, "s3"), Some(&bucket))?;
    let key = utf8_percent_encode(&url.key, KEY);
    let path = route.path(&format!("/{}/{key}", url.bucket), Some(&bucket))?;
    let method = Method::from_bytes(url.method.as_str().as_bytes()).unwrap_or(Method::GET);
    let mut presigning = Presigning::new((route.signing_region()?, route.signing_name()), life);
    presigning.body = SignableBody::UnsignedPayload;
    let signed = presigning.apply(method, &route.uri(&path, None), means)?;
    Ok(json!({"url": signed, "method": url.method.as_str(), "expires": means.end(life)}))
}

/// A presigned `GetCallerIdentity` that names the cluster, as `aws eks get-token` makes it.
fn eks(
    permit: &Permit,
    connection: &Connection,
    cluster: &str,
    means: Means<'_>,
) -> Result<Value, Refusal> {
    let life = means.life(EKS_LIFE, permit)?;
    let route = route(permit, connection, "sts", "GetCallerIdentity")?;
    let url = route.uri("/", Some("Action=GetCallerIdentity&Version=2011-06-15"));
    let scope = (route.signing_region()?, route.signing_name());
    let mut presigning = Presigning::new(scope, EKS_URL_LIFE.min(life));
    presigning.header = Some(("x-k8s-aws-id", cluster));
    let signed = presigning.apply(Method::GET, &url, means)?;
    Ok(json!({
        "kind": "ExecCredential",
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "spec": {},
        "status": {
            "expirationTimestamp": means.end(life),
            "token": format!("k8s-aws-v1.{}", URL_SAFE_NO_PAD.encode(signed)),
        },
    }))
}

fn route(
    permit: &Permit,
    connection: &Connection,
    service: &str,
    operation: &str,
) -> Result<Route, Refusal> {
    let target = target(permit, connection, service, operation)?;
    destination(connection, &target, (None, service), None)
}

fn target<'a>(
    permit: &'a Permit,
    connection: &'a Connection,
    service: &'a str,
    operation: &'a str,
) -> Result<Target<'a>, Refusal> {
    let call = permit.call();
    Ok(Target {
        service,
        operation,
        partition: call.partition(),
        region: region(permit)?,
        variant: match connection.endpoint {
            None => connection.variant,
            Some(_) => Variant::Plain,
        },
    })
}

/// An order is for one region.
fn region(permit: &Permit) -> Result<&str, Refusal> {
    permit.call().reach().region().ok_or(Refusal::Internal)
}

impl Means<'_> {
    /// No longer than asked for, than the operator lets anything live, than the credential.
    fn life(&self, asked: Duration, permit: &Permit) -> Result<Duration, Refusal> {
        let left = self.credentials.expiry().map_or(asked, |end| {
            end.duration_since(self.time()).unwrap_or_default()
        });
        let life = asked.min(self.longest).min(left);
        if life < SHORTEST.min(asked) {
            let role = permit.session().role.clone();
            return Err(Refusal::CredentialsUnavailable { role });
        }
        Ok(Duration::from_secs(life.as_secs()))
    }

    fn time(&self) -> SystemTime {
        let seconds = u64::try_from(self.now.unix_timestamp()).unwrap_or(0);
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn end(&self, life: Duration) -> String {
        let end = self.now.truncate_to_second() + life;
        end.format(&Rfc3339).unwrap_or_default()
    }
}

/// A signature in a query string.
struct Presigning<'a> {
    /// Region and service.
    scope: (&'a str, &'a str),
    life: Duration,
    header: Option<(&'a str, &'a str)>,
    body: SignableBody<'a>,
}

impl<'a> Presigning<'a> {
    fn new(scope: (&'a str, &'a str), life: Duration) -> Self {
        Self {
            scope,
            life,
            header: None,
            body: SignableBody::Bytes(b""),
        }
    }

    fn apply(self, method: Method, url: &str, means: Means<'_>) -> Result<String, Refusal> {
        let (region, service) = self.scope;
        let mut settings = SigningSettings::default();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(self.life);
        if s3_name::is_signing_name(service) {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        let signable =
            SignableRequest::new(method.as_str(), url, self.header.into_iter(), self.body)
                .map_err(|error| internal("reading what to presign", &error))?;
        let identity = means.credentials.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(service)
            .time(means.time())
            .settings(settings)
            .build()
            .map_err(|error| internal("preparing the signature", &error))?;
        let parameters = SigningParams::V4(parameters);
        let signed = aws_sigv4::http_request::sign(signable, &parameters)
            .map_err(|error| internal("presigning", &error))?;
        let (instructions, _) = signed.into_parts();
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            .body(())
            .map_err(|error| internal("building what to presign", &error))?;
        instructions.apply_to_request_http1x(&mut request);
        Ok(request.uri().to_string())
    }
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, KEY).to_string()
}
