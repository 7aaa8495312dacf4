//! What `credentials` promises, as tests.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use ::http::{Request, Response, StatusCode};
use aws_credential_types::provider::ProvideCredentials as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use portcullis_core::access::Principal;
use portcullis_core::destination::Variant;
use portcullis_core::reach::RegionSet;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;
use crate::config::{CredentialSource, Endpoint};

const ARN: &str = "arn:aws:iam::123456789012:role/AgentReadOnly";

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap()
}

/// STS on loopback: numbers its answers, and remembers what it was asked and by whom.
struct Sts {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<(String, String)>>>,
    _tasks: JoinSet<()>,
}

impl Sts {
    fn asked(&self) -> Vec<(String, String)> {
        self.asked.lock().unwrap().clone()
    }
}

fn sts(status: StatusCode) -> Sts {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let address = socket.local_addr().unwrap();
    let asked: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
    let log = asked.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let log = log.clone();
        async move {
            let authorization = request.headers()["authorization"]
                .to_str()
                .unwrap()
                .to_owned();
            let body = request.into_body().collect().await?.to_bytes();
            let mut log = log.lock().unwrap();
            log.push((authorization, String::from_utf8(body.to_vec()).unwrap()));
            let xml = format!(
                "<AssumeRoleResponse><AssumeRoleResult><Credentials>\
                 <AccessKeyId>ASIA{}</AccessKeyId><SecretAccessKey>s3cr3t</SecretAccessKey>\
                 <SessionToken>t0k3n</SessionToken><Expiration>2023-11-14T23:13:20Z</Expiration>\
                 </Credentials></AssumeRoleResult></AssumeRoleResponse>",
                log.len()
            );
            let mut answer = Response::new(Full::new(Bytes::from(xml)));
            *answer.status_mut() = status;
            Ok::<_, hyper::Error>(answer)
        }
    });
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let socket = TcpListener::from_std(socket).unwrap();
        let mut serving = JoinSet::new();
        loop {
            let (stream, _) = socket.accept().await.unwrap();
            let service = service.clone();
            serving.spawn(async move {
                let builder = hyper::server::conn::http1::Builder::new();
                drop(
                    builder
                        .serve_connection(TokioIo::new(stream), service)
                        .await,
                );
            });
        }
    });
    Sts {
        address,
        asked,
        _tasks: tasks,
    }
}

fn connection(dir: &Path, sts: SocketAddr) -> Connection {
    let file = dir.join("credentials");
    let text = "[default]\naws_access_key_id = AKIABASE\naws_secret_access_key = basesecret\n";
    std::fs::write(&file, text).unwrap();
    let role = |name: &str, assume: Option<&str>| Role {
        name: name.to_owned(),
        assume: assume.map(str::to_owned),
        groups: vec!["agents".to_owned()],
        duration: Duration::from_secs(12 * 60 * 60),
    };
    Connection {
        name: "dev".to_owned(),
        account: "123456789012".to_owned(),
        partition: "aws".to_owned(),
        regions: None,
        credentials: CredentialSource::StaticFile(file),
        endpoint: Some(Endpoint {
            https: false,
            host: sts.ip().to_string(),
            port: sts.port(),
            ca: None,
        }),
        variant: Variant::Plain,
        unknown_members: Vec::new(),
        roles: vec![role("reader", Some(ARN)), role("own", None)],
    }
}

fn session(subject: &str, role: &str) -> Session {
    Session {
        principal: Principal {
            issuer: "https://idp.example".to_owned(),
            subject: subject.to_owned(),
            email: Some("alice@example.com".to_owned()),
            groups: Vec::new(),
        },
        name: "my agent".to_owned(),
        access_key_id: format!("PCAK{subject}"),
        connection: "dev".to_owned(),
        role: role.to_owned(),
        parent: None,
        confined_to: None,
        issued_at: now(),
        expires_at: now() + time::Duration::hours(1),
    }
}

async fn mint(credentials: &Credentials, session: &Session) -> Result<AwsCredentials, Refusal> {
    credentials
        .for_session(session, &"eu-west-1".into(), now())
        .await
}

#[tokio::test]
async fn a_role_is_assumed_in_the_principals_name_and_for_an_hour_at_most() {
    let dir = tempfile::tempdir().unwrap();
    let sts = sts(StatusCode::OK);
    let credentials = Credentials::new(&[connection(dir.path(), sts.address)]).unwrap();
    let minted = mint(&credentials, &session("alice", "reader"))
        .await
        .unwrap();
    assert_eq!(minted.access_key_id(), "ASIA1");
    assert_eq!(minted.session_token(), Some("t0k3n"));
    let (authorization, body) = sts.asked().pop().unwrap();
    assert!(
        authorization.contains("Credential=AKIABASE/"),
        "{authorization}"
    );
    assert!(
        authorization.contains("/eu-west-1/sts/aws4_request"),
        "{authorization}"
    );
    for expected in [
        "Action=AssumeRole",
        "RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2FAgentReadOnly",
        "RoleSessionName=alice%40example.com-",
        "SourceIdentity=alice-",
        "DurationSeconds=3600",
        "Tags.member.1.Key=portcullis%3Aissuer&Tags.member.1.Value=https%3A%2F%2Fidp.example",
        "portcullis%3Asession-name&Tags.member.4.Value=my%20agent",
        "portcullis%3Asubject&Tags.member.5.Value=alice",
    ] {
        assert!(body.contains(expected), "{expected} in {body}");
    }
    assert!(!body.contains("TransitiveTagKeys"), "{body}");
}

/// Only a region's own STS gives tokens that are good in every region.
#[tokio::test]
async fn a_call_for_a_set_of_regions_uses_the_sts_of_one_region() {
    let dir = tempfile::tempdir().unwrap();
    let sts = sts(StatusCode::OK);
    let mut connection = connection(dir.path(), sts.address);
    for (regions, expected) in [(None, "us-east-1"), (Some(vec!["eu-west-1"]), "eu-west-1")] {
        connection.regions = regions.map(|all| all.into_iter().map(str::to_owned).collect());
        let credentials = Credentials::new(std::slice::from_ref(&connection)).unwrap();
        let every = Reach::Set(RegionSet::parse("*").unwrap());
        let session = session("alice", "reader");
        credentials
            .for_session(&session, &every, now())
            .await
            .unwrap();
        let (authorization, _) = sts.asked().pop().unwrap();
        let scope = format!("/{expected}/sts/aws4_request");
        assert!(authorization.contains(&scope), "{authorization}");
    }
}

#[tokio::test]
async fn no_principal_role_or_session_gets_anothers_credential() {
    let dir = tempfile::tempdir().unwrap();
    let sts = sts(StatusCode::OK);
    let credentials = Credentials::new(&[connection(dir.path(), sts.address)]).unwrap();
    let mut seen = HashMap::new();
    for round in 0..2 {
        for subject in 0..50 {
            let session = session(&format!("agent-{subject}"), "reader");
            let minted = mint(&credentials, &session).await.unwrap();
            let first = seen
                .entry(subject)
                .or_insert_with(|| minted.access_key_id().to_owned());
            assert_eq!(first, minted.access_key_id(), "round {round}");
        }
    }
    let distinct: HashSet<_> = seen.values().collect();
    assert_eq!(distinct.len(), 50);
    assert_eq!(sts.asked().len(), 50);
    let mut again = session("agent-1", "reader");
    again.access_key_id = "PCAKOTHER".to_owned();
    mint(&credentials, &again).await.unwrap();
    assert_eq!(sts.asked().len(), 51);
}

#[tokio::test]
async fn a_role_that_assumes_nothing_gets_the_connections_own_credential() {
    let dir = tempfile::tempdir().unwrap();
    let sts = sts(StatusCode::OK);
    let credentials = Credentials::new(&[connection(dir.path(), sts.address)]).unwrap();
    let minted = mint(&credentials, &session("alice", "own")).await.unwrap();
    assert_eq!(minted.access_key_id(), "AKIABASE");
    assert!(sts.asked().is_empty());
}

#[tokio::test]
async fn failure_is_a_refusal_that_tells_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let sts = sts(StatusCode::FORBIDDEN);
    let connection = connection(dir.path(), sts.address);
    let unavailable = |role: &str| Refusal::CredentialsUnavailable {
        role: role.to_owned(),
    };
    let credentials = Credentials::new(std::slice::from_ref(&connection)).unwrap();
    for role in ["reader", "no-such-role"] {
        let refusal = mint(&credentials, &session("alice", role))
            .await
            .unwrap_err();
        assert_eq!(refusal, unavailable(role));
    }
    let mut elsewhere = session("alice", "own");
    elsewhere.connection = "prod".to_owned();
    let refusal = mint(&credentials, &elsewhere).await.unwrap_err();
    assert_eq!(refusal, unavailable("own"));

    std::fs::remove_file(dir.path().join("credentials")).unwrap();
    let fresh = Credentials::new(&[connection]).unwrap();
    let refusal = mint(&fresh, &session("alice", "own")).await.unwrap_err();
    assert_eq!(refusal, unavailable("own"));
}

#[tokio::test]
async fn secrets_are_not_in_debug_output() {
    let dir = tempfile::tempdir().unwrap();
    let sts = sts(StatusCode::OK);
    let credentials = Credentials::new(&[connection(dir.path(), sts.address)]).unwrap();
    let minted = mint(&credentials, &session("alice", "reader"))
        .await
        .unwrap();
    let provided = minted.provide_credentials().await.unwrap();
    let shown = format!("{credentials:?} {minted:?} {provided:?}");
    for secret in ["s3cr3t", "t0k3n", "basesecret"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
