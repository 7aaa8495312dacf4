//! Clients that know no endpoint come by way of the proxy: they work, they are judged, and the
//! tunnel leads nowhere but to the pipeline.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use rustls::{ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;
use serde_json::Value;
use tokio_rustls::TlsConnector;

use crate::fixture::client::{Agent, assert_all_ok, value};
use crate::fixture::sign::Call;
use crate::fixture::wire::{self, Response, Tls};
use crate::fixture::{POWER, READ_ONLY, child, recorded_role, stage};

const HOST: &str = "dynamodb.us-east-1.amazonaws.com";

fn agent(client: &str, role: &str) -> Agent {
    let stage = stage();
    Agent::proxied(&stage.gateway, role, &stage.idp.token(client))
}

fn power() -> Agent {
    agent("agent-power", POWER)
}

/// Sends a head to the proxy; the socket and its answer's head.
fn connect(head: &str) -> (TcpStream, String) {
    let mut socket = TcpStream::connect(stage().gateway.proxy()).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    // A refused flood may be cut off while it is still written.
    socket.write_all(head.as_bytes()).unwrap_or_default();
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") && socket.read(&mut byte).unwrap_or(0) == 1 {
        answer.push(byte[0]);
    }
    (socket, String::from_utf8(answer).unwrap())
}

fn tunnel(host: &str) -> TcpStream {
    let (socket, answer) = connect(&format!(
        "CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n"
    ));
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    socket
}

/// TLS inside a tunnel to `host`, asking for `name`.
fn inside(host: &str, name: &str) -> io::Result<Tls> {
    let mut socket = tunnel(host);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let trust = wire::trust(&stage().gateway.ca());
    let mut connection = ClientConnection::new(Arc::new(trust), name).map_err(io::Error::other)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut socket)?;
    }
    Ok(StreamOwned::new(connection, socket))
}

fn list_tables(host: &str) -> Vec<u8> {
    let stage = stage();
    let session = stage
        .gateway
        .session(&recorded_role("proxy"), &stage.idp.token("agent-ci"));
    Call::dynamodb(host, "ListTables", "{}")
        .sign(&session)
        .bytes()
}

fn refused(tunnel: &str, request: &[u8]) -> Response {
    let answer = wire::exchange(&mut inside(tunnel, tunnel).unwrap(), request).unwrap();
    assert_eq!(stage().recorder("proxy").bytes(), 0);
    answer
}

#[test]
fn boto3_needs_no_endpoint() {
    let lines = power().boto("services", "proxied");
    assert_all_ok(&lines);
    assert_eq!(value(&lines, "dynamodb.get_item"), "é日本");
}

#[test]
fn boto3_addresses_buckets_as_hosts_of_s3() {
    assert_all_ok(&power().boto("objects", "proxied-objects"));
}

#[test]
fn the_cli_reaches_what_it_has_no_endpoint_for() {
    let agent = power();
    let queue = agent.cli_json(&["sqs", "create-queue", "--queue-name", "proxied-cli"]);
    assert!(
        queue["QueueUrl"]
            .as_str()
            .unwrap()
            .ends_with("/proxied-cli"),
        "{queue}"
    );
    let databases = agent.cli_json(&["rds", "describe-db-instances"]);
    assert_eq!(databases["DBInstances"], Value::Array(Vec::new()));
    agent.cli_json(&["s3api", "create-bucket", "--bucket", "proxied-cli"]);
    agent.cli_json(&[
        "s3api",
        "put-object",
        "--bucket",
        "proxied-cli",
        "--key",
        "a b/é",
    ]);
    let listed = agent.cli_json(&["s3api", "list-objects-v2", "--bucket", "proxied-cli"]);
    assert_eq!(listed["Contents"][0]["Key"], "a b/é");
    let me = agent.cli_json(&["sts", "get-caller-identity"]);
    assert_eq!(me["Account"], "123456789012");
    let users = agent.cli_json(&["iam", "list-users"]);
    assert!(users["Users"].is_array(), "{users}");
}

#[test]
fn a_denial_inside_a_tunnel_is_typed() {
    let lines = agent("agent-ci", READ_ONLY).boto("denied", "proxied-denied");
    assert!(!lines.is_empty());
    for line in &lines {
        assert_eq!(line["ok"], false, "{line}");
        assert_eq!(line["attempts"], 1, "{line}");
        let message = line["message"].as_str().unwrap_or_default();
        assert!(message.contains("rule"), "{line}");
    }
}

#[test]
fn connect_tls_and_host_must_name_one_host() {
    assert!(inside(HOST, "sqs.us-east-1.amazonaws.com").is_err(), "SNI");
    assert!(inside(HOST, "127.0.0.1").is_err(), "no SNI");
    let other = refused(HOST, &list_tables("dynamodb.eu-west-1.amazonaws.com"));
    assert_eq!(other.status, 400, "{}", other.text());
    let own = refused(HOST, &list_tables(&stage().gateway.host()));
    assert_eq!(own.status, 400, "{}", own.text());
    // The signature is for another service, or another region, than the host's.
    let sqs = "sqs.us-east-1.amazonaws.com";
    let answer = refused(sqs, &list_tables(sqs));
    assert!(
        answer.text().contains("signs as `dynamodb`"),
        "{}",
        answer.text()
    );
    let ireland = "dynamodb.eu-west-1.amazonaws.com";
    let answer = refused(ireland, &list_tables(ireland));
    assert!(
        answer.text().contains("not signed for region"),
        "{}",
        answer.text()
    );
    // AWS's host at the endpoint is nobody's.
    let answer = stage().gateway.send(&list_tables(HOST));
    assert_eq!(answer.status, 400, "{}", answer.text());
    // And a reserved path is S3's there.
    let path = b"GET /_portcullis/metrics HTTP/1.1\r\nhost: s3.us-east-1.amazonaws.com\r\n\r\n";
    let answer = refused("s3.us-east-1.amazonaws.com", path);
    assert_eq!(answer.status, 403, "{}", answer.text());
}

#[test]
fn only_hosts_of_aws_are_answered() {
    for (target, status, word) in [
        ("api.anthropic.com:443", 403, "not a host of AWS"),
        (
            "s3.us-east-1.amazonaws.com.evil.com:443",
            403,
            "not a host of AWS",
        ),
        ("S3.us-east-1.amazonaws.com:443", 403, "not a host of AWS"),
        ("s3.us-east-1.amazonaws.com.:443", 403, "not a host of AWS"),
        ("169.254.169.254:443", 403, "not a host of AWS"),
        ("127.0.0.1:443", 403, "not a host of AWS"),
        // Listed, and still not public.
        ("localhost:443", 403, "public internet"),
        ("s3.us-east-1.amazonaws.com:80", 403, "only port 443"),
        ("169.254.169.254:80", 403, "only port 443"),
        (
            "abc.execute-api.us-east-1.amazonaws.com:443",
            403,
            "API Gateway",
        ),
        (
            "vpce-1.s3.us-east-1.vpce.amazonaws.com:443",
            403,
            "VPC endpoint",
        ),
        (
            "user@s3.us-east-1.amazonaws.com:443",
            403,
            "not a host of AWS",
        ),
    ] {
        let (mut socket, answer) = connect(&format!("CONNECT {target} HTTP/1.1\r\n\r\n"));
        let mut why = String::new();
        socket.read_to_string(&mut why).unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{target}: {answer}"
        );
        assert!(why.contains(word), "{target}: {why}");
    }
}

#[test]
fn a_refused_tunnel_is_recorded() {
    let asked = || connect("CONNECT recorded.example:443 HTTP/1.1\r\n\r\n");
    // Strangers' records are few at a time, and other tests are strangers too.
    let record = child::until("a record", Duration::from_secs(60), || {
        drop(asked());
        let found = |record: &Value| {
            record["reason"]
                .as_str()
                .is_some_and(|why| why.contains("recorded.example"))
        };
        stage().gateway.audit().into_iter().find(found)
    });
    assert_eq!(record["decision"], "unauthenticated", "{record}");
    assert_eq!(record["status"], 403, "{record}");
}

#[test]
fn what_is_no_connect_is_refused() {
    let flood = format!(
        "CONNECT {HOST}:443 HTTP/1.1\r\nx: {}\r\n\r\n",
        "x".repeat(20_000)
    );
    for (head, status) in [
        (
            "GET http://169.254.169.254/latest/meta-data/ HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n",
            405,
        ),
        (
            "POST http://s3.amazonaws.com/ HTTP/1.1\r\nHost: s3.amazonaws.com\r\n\r\n",
            405,
        ),
        (
            "GET /_portcullis/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
            405,
        ),
        (
            "CONNECT dynamodb.us-east-1.amazonaws.com:443 HTTP/1.1\r\nHost: evil.com\r\n\r\n",
            400,
        ),
        (
            "CONNECT dynamodb.us-east-1.amazonaws.com:443 HTTP/1.1\r\nContent-Length: 1\r\n\r\n",
            400,
        ),
        (flood.as_str(), 431),
    ] {
        let (_, answer) = connect(head);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{head:.60}: {answer}"
        );
    }
}

#[test]
fn http2_is_served_inside_a_tunnel() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let status = runtime.block_on(async {
        let mut trust = wire::trust(&stage().gateway.ca());
        trust.alpn_protocols = vec![b"h2".to_vec()];
        let socket = tunnel(HOST);
        socket.set_nonblocking(true).unwrap();
        let socket = tokio::net::TcpStream::from_std(socket).unwrap();
        let name = ServerName::try_from(HOST).unwrap();
        let tls = TlsConnector::from(Arc::new(trust))
            .connect(name, socket)
            .await
            .unwrap();
        assert_eq!(tls.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
        let (client, connection) = h2::client::handshake(tls).await.unwrap();
        tokio::spawn(connection);
        let mut client = client.ready().await.unwrap();
        let request = http::Request::builder()
            .method(Method::GET)
            .uri(format!("https://{HOST}/"))
            .body(())
            .unwrap();
        let (answer, _) = client.send_request(request, true).unwrap();
        answer.await.unwrap().status().as_u16()
    });
    // Read, and refused for want of a signature.
    assert_eq!(status, 403);
}

#[test]
fn one_command_alone_is_run_by_way_of_the_proxy() {
    let stage = stage();
    let token = stage.gateway.dir().join("run-token");
    std::fs::write(&token, stage.idp.token("agent-power")).unwrap();
    let script = "env; exit 7";
    let mut command =
        stage
            .gateway
            .command(&["run", "--connection", "dev", "--role", "agent-power"]);
    command.arg("--proxy").arg("--token-file").arg(&token);
    command.args(["--", "sh", "-c", script]);
    command.env("AWS_ENDPOINT_URL", "https://elsewhere.example");
    command.env("AWS_ACCESS_KEY_ID", "left over");
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(7), "{text}");
    let has = |line: &str| text.lines().any(|own| own == line);
    assert!(
        has(&format!("HTTPS_PROXY=http://{}", stage.gateway.proxy())),
        "{text}"
    );
    assert!(
        has(&format!("AWS_CA_BUNDLE={}", stage.gateway.ca().display())),
        "{text}"
    );
    assert!(
        has("AWS_ROLE_ARN=arn:aws:iam::123456789012:role/agent-power"),
        "{text}"
    );
    assert!(
        !text.contains("AWS_ENDPOINT_URL=") && !text.contains("AWS_ACCESS_KEY_ID="),
        "{text}"
    );
}
