//! HTTP/2 is read as strictly as HTTP/1.1.

use std::sync::Arc;

use bytes::Bytes;
use h2::Reason;
use h2::client::SendRequest;
use http::{Method, Request};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use crate::fixture::sign::{Call, Session, Signed};
use crate::fixture::{recorded_role, stage, wire};

fn session() -> Session {
    let stage = stage();
    stage
        .gateway
        .session(&recorded_role("http2"), &stage.idp.token("agent-ci"))
}

fn call(session: &Session, limit: u32) -> Signed {
    Call::dynamodb(
        &stage().gateway.host(),
        "ListTables",
        &format!("{{\"Limit\":{limit}}}"),
    )
    .sign(session)
}

/// Sends one call on a connection of its own; a status, or none where the stream was reset.
fn send(authority: &str, call: &Signed) -> Option<u16> {
    block_on(exchange(authority, call))
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(work)
}

/// A connection, and what its end was.
async fn connect() -> (SendRequest<Bytes>, JoinHandle<Result<(), h2::Error>>) {
    let gateway = &stage().gateway;
    let mut trust = wire::trust(&gateway.ca());
    trust.alpn_protocols = vec![b"h2".to_vec()];
    let socket = TcpStream::connect(gateway.address()).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let tls = TlsConnector::from(Arc::new(trust))
        .connect(name, socket)
        .await
        .unwrap();
    assert_eq!(tls.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    let (client, connection) = h2::client::handshake(tls).await.unwrap();
    (client, tokio::spawn(connection))
}

async fn exchange(authority: &str, call: &Signed) -> Option<u16> {
    let (mut client, driver) = connect().await;
    let mut request = Request::builder()
        .method(Method::from_bytes(call.method.as_bytes()).unwrap())
        .uri(format!("https://{authority}{}", call.target));
    for (name, value) in &call.headers {
        request = request.header(name, value);
    }
    let (answer, mut body) = client
        .send_request(request.body(()).unwrap(), false)
        .unwrap();
    body.send_data(call.body.clone().into(), true).ok()?;
    let status = answer.await.ok().map(|answer| answer.status().as_u16());
    drop(client);
    driver.abort();
    status
}

fn arrived(limit: u32) -> usize {
    let requests = stage().recorder("http2").requests();
    let body = format!("{{\"Limit\":{limit}}}");
    requests
        .iter()
        .filter(|request| request.body == body.as_bytes())
        .count()
}

#[test]
fn a_signed_call_works_over_http2() {
    let host = stage().gateway.host();
    let call = call(&session(), 201).without("host");
    assert_eq!(send(&host, &call), Some(200));
    assert_eq!(arrived(201), 1);
}

#[test]
fn an_authority_beside_another_host_is_refused() {
    let host = stage().gateway.host();
    let session = session();
    // Signed for the one name, addressed to the other, either way round.
    assert_ne!(send("evil.example", &call(&session, 202)), Some(200));
    let mut other = call(&session, 203);
    *other.header("host") = "evil.example".to_owned();
    assert_ne!(send(&host, &other), Some(200));
    assert_eq!(arrived(202) + arrived(203), 0);
}

#[test]
fn a_bent_signature_is_refused_over_http2() {
    let host = stage().gateway.host();
    let mut call = call(&session(), 204).without("host");
    call.header("authorization").push('0');
    assert!(matches!(send(&host, &call), Some(400 | 403)));
    assert_eq!(arrived(204), 0);
}

#[test]
fn methods_without_meaning_are_refused_over_http2() {
    let host = stage().gateway.host();
    for method in ["TRACE", "PROPFIND", "post"] {
        let mut call = call(&session(), 205).without("host");
        call.method = method.to_owned();
        assert!(
            matches!(send(&host, &call), None | Some(400..=499 | 501)),
            "{method}"
        );
    }
    assert_eq!(arrived(205), 0);
}

/// CVE-2023-44487: requests that are cancelled as soon as they are sent cost the sender nothing.
#[test]
fn a_connection_that_cancels_all_its_requests_is_ended() {
    let host = stage().gateway.host();
    let end = block_on(async {
        let (client, driver) = connect().await;
        cancel(client, &host).await;
        driver.await.unwrap()
    });
    // What is still being written may meet the closed socket before the reason is read.
    let end = end.unwrap_err();
    assert!(
        end.is_io() || end.reason() == Some(Reason::ENHANCE_YOUR_CALM),
        "{end:?}"
    );
    let call = call(&session(), 206).without("host");
    assert_eq!(send(&host, &call), Some(200));
}

/// Opens streams and resets them for as long as the other side lets it.
async fn cancel(mut client: SendRequest<Bytes>, host: &str) {
    for _ in 0..2000 {
        let Ok(mut ready) = client.ready().await else {
            return;
        };
        let request = Request::get(format!("https://{host}/bucket/key"));
        let Ok((_, mut stream)) = ready.send_request(request.body(()).unwrap(), false) else {
            return;
        };
        // The head must be on its way, or the two frames cancel out before they are sent.
        tokio::task::yield_now().await;
        stream.send_reset(Reason::CANCEL);
        client = ready;
    }
}
