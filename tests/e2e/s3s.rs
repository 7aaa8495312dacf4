//! An S3 of another making behind the gateway: s3s-fs checks every signature and every chunk's, so
//! what it stores was signed right and came whole.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::json;

use crate::fixture::child::{self, Running};
use crate::fixture::client::Agent;
use crate::fixture::gateway::{Gateway, Setting};
use crate::fixture::sign::{Call, Payload, Session, Signed};
use crate::fixture::{idp, issuer, place, wire};

const PLAIN: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
const TRAILER: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
const CRC32: &str = "x-amz-checksum-crc32";
const CHUNKS: [&[u8]; 2] = [b"hello ", b"world"];
const ROLE: &str = "arn:aws:iam::500000000001:role/agent";
/// The gateway's own key there.
const KEY: (&str, &str) = ("AKIDOFTHEGATEWAY0000", "only/the+gateway=knows");

struct Ground {
    gateway: Gateway,
    address: SocketAddr,
    objects: PathBuf,
    _s3s: Running,
}

fn ground() -> &'static Ground {
    static GROUND: OnceLock<Ground> = OnceLock::new();
    GROUND.get_or_init(|| {
        let objects = place::directory("s3s");
        fs::create_dir(objects.join("bucket")).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], child::free_port()));
        let mut command = child::command(place::tool("s3s-fs"));
        command
            .args(["--host", "127.0.0.1", "--port"])
            .arg(address.port().to_string())
            .args(["--access-key", KEY.0, "--secret-key", KEY.1])
            .arg(&objects);
        let s3s = child::start("s3s-fs", command);
        child::until("s3s-fs", Duration::from_secs(60), || {
            TcpStream::connect(address).ok()
        });
        let connection = json!({
            "name": "s3s",
            "account": "500000000001",
            "credentials": "environment",
            "endpoint": format!("http://{address}"),
            "roles": [{"name": "agent", "groups": ["agents"]}],
        });
        let policy = "permit (principal in Group::\"agents\", action, resource);";
        let gateway = Gateway::start(Setting {
            name: "s3s",
            connections: vec![connection],
            issuers: vec![issuer(idp().certified())],
            policies: vec![("all.cedar", policy.to_owned())],
            environment: [
                ("AWS_ACCESS_KEY_ID", KEY.0),
                ("AWS_SECRET_ACCESS_KEY", KEY.1),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
            ..Setting::default()
        });
        Ground {
            gateway,
            address,
            objects,
            _s3s: s3s,
        }
    })
}

fn session() -> Session {
    ground().gateway.session(ROLE, &idp().token("agent-power"))
}

fn upload(host: &str, target: &str, word: &'static str) -> Call {
    Call {
        payload: Payload::SignedChunks(word),
        ..Call::s3(host, "PUT", target, b"")
    }
    .with("x-amz-decoded-content-length", "11")
    .with("content-encoding", "aws-chunked")
}

fn chunked(host: &str, session: &Session, name: &str, word: &'static str) -> Signed {
    let call = upload(host, &format!("/bucket/{name}"), word);
    match word {
        TRAILER => {
            let trailer = Some((CRC32, "DUoRhQ=="));
            let call = call.with("x-amz-trailer", CRC32);
            call.sign_chunks(session, &CHUNKS, trailer)
        }
        _ => call.sign_chunks(session, &CHUNKS, None),
    }
}

fn stored(name: &str) -> Option<Vec<u8>> {
    fs::read(ground().objects.join("bucket").join(name)).ok()
}

#[test]
fn chunks_signed_anew_are_taken_by_another_s3() {
    let gateway = &ground().gateway;
    for (name, word) in [("chunks", PLAIN), ("chunks-and-trailer", TRAILER)] {
        let signed = chunked(&gateway.host(), &session(), name, word);
        let answer = gateway.send(&signed.bytes());
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        assert_eq!(stored(name).as_deref(), Some(&b"hello world"[..]), "{name}");
    }
}

/// Or the test above would show nothing.
#[test]
fn the_other_s3_refuses_a_broken_chain() {
    let address = ground().address;
    let own = Session {
        access_key_id: KEY.0.to_owned(),
        secret: KEY.1.to_owned(),
        token: "none".to_owned(),
    };
    let send = |name: &str, bend: &dyn Fn(&str) -> String| {
        let mut signed = chunked(&address.to_string(), &own, name, PLAIN);
        signed.body = bend(std::str::from_utf8(&signed.body).unwrap()).into_bytes();
        wire::plain(address, &signed.bytes()).unwrap()
    };
    let right = send("direct", &str::to_owned);
    assert_eq!(right.status, 200, "{}", right.text());
    let bent = send("direct-bent", &|body| body.replace("world", "World"));
    // What breaks in mid body is an error of its own to it.
    assert_ne!(bent.status, 200, "{}", bent.text());
    assert_eq!(stored("direct-bent"), None);
}

#[test]
fn the_clis_parts_and_trailers_are_taken_by_another_s3() {
    let directory = place::directory("s3s-files");
    let (up, down) = (directory.join("up"), directory.join("down"));
    let body: Vec<u8> = (0..20_u32 << 20).map(|at| (at >> 3) as u8).collect();
    fs::write(&up, &body).unwrap();
    let agent = Agent::new(&ground().gateway, ROLE, &idp().token("agent-power"));
    agent.cli_json(&["s3", "cp", up.to_str().unwrap(), "s3://bucket/parts"]);
    agent.cli_json(&["s3", "cp", "s3://bucket/parts", down.to_str().unwrap()]);
    assert!(fs::read(&down).unwrap() == body);
    assert!(stored("parts").unwrap() == body);
}
