//! What is evaluated is what is sent: the request on its way to AWS, read again as AWS would read
//! it, is the call that was decided. The inputs are botocore's own, of every kind of operation.

use std::time::SystemTime;

use aws_sigv4::http_request::{
    self, PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode,
};
use aws_sigv4::sign::v4;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_core::access::{self, Advice, Effect};
use portcullis_core::call::Call;
use portcullis_core::catalog::Catalog;
use portcullis_core::interpret::{Place, Witness, interpret};
use portcullis_core::sigv4::VerifiedRequest;
use serde_json::Value as Json;

use super::*;

/// Every so many of the generated inputs: some of each service, in seconds.
const STRIDE: usize = 5;

#[test]
fn what_is_evaluated_is_what_is_sent() {
    let path = std::env::var("PORTCULLIS_INPUTS")
        .expect("`cargo xtask test` generates the inputs and sets PORTCULLIS_INPUTS");
    let text = std::fs::read_to_string(path).unwrap();
    let upstream = Upstream::new(&config(None)).unwrap();
    let mut compared = 0;
    for (at, line) in text.lines().enumerate() {
        // S3 is the one whose paths and headers are rewritten.
        if at % STRIDE != 0 && !line.contains(r#""service": "s3""#) {
            continue;
        }
        let case: Json = serde_json::from_str(line).unwrap();
        compared += usize::from(comes_out_the_same(&upstream, &case));
    }
    assert!(compared > 4000, "{compared} compared");
}

/// Whether the case could be compared: some operations have no endpoint at AWS in this region, and
/// some random names are none that S3 signs.
fn comes_out_the_same(upstream: &Upstream, case: &Json) -> bool {
    let body = STANDARD.decode(case["body"].as_str().unwrap()).unwrap();
    let Ok(verified) = as_agent(case, &body) else {
        return false;
    };
    let scope = verified.scope().clone();
    let agents = place(None);
    let Ok(call) = read(&verified, &agents) else {
        return false;
    };
    let digest = call.digest();
    let label = format!("{}:{} {case}", call.service(), call.operation());
    let prefix = call.host_prefix().map(str::to_owned);
    let permit = access::decide(session("a"), call, &[allow()], now()).unwrap();
    let Ok(outgoing) = upstream.prepare(&permit, verified, None) else {
        return false;
    };
    let bucket = outgoing
        .bucket
        .as_ref()
        .map(|bucket| format!("{}.", bucket.name));
    let request = sign(outgoing);
    let sent = received(&request);
    let host = sent.authority.clone();
    let own = [prefix, bucket]
        .iter()
        .flatten()
        .find_map(|before| host.strip_prefix(before.as_str()))
        .unwrap_or(&host);
    let aws = place(Some(own));
    let verified = verify(sent, &body).unwrap_or_else(|refusal| panic!("{refusal}: {label}"));
    // Global services are signed for a region of their own, and a few under another name.
    if *verified.scope() != scope {
        return false;
    }
    let read = read(&verified, &aws).unwrap_or_else(|refusal| panic!("{refusal}: {label}"));
    assert_eq!(read.digest(), digest, "{label}");
    true
}

fn read(verified: &VerifiedRequest, place: &Place) -> Result<Call, Refusal> {
    let secret = SigningSecret::new(SECRET.to_owned());
    let witness = Witness {
        secret: &secret,
        now: now(),
    };
    interpret(Catalog::embedded(), verified, place, witness)
}

/// The case as an agent signs it for the gateway, by AWS's own library.
fn as_agent(case: &Json, body: &[u8]) -> Result<VerifiedRequest, Refusal> {
    let text = |name: &str| case[name].as_str().unwrap();
    let query = case["query"].as_str();
    let query = query.map_or_else(String::new, |query| format!("?{query}"));
    let uri = format!("https://{}{}{query}", text("authority"), text("path"));
    let mut request = Request::builder().method(text("method")).uri(&uri);
    for pair in case["headers"].as_array().unwrap() {
        let (name, value) = (pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
        // The generator makes lengths up, and the gateway asks AWS for plain answers.
        if !["Content-Length", "Accept-Encoding"].contains(&name) {
            request = request.header(name, value);
        }
    }
    let mut request = request
        .header("host", text("authority"))
        .header("accept-encoding", "identity")
        .body(())
        .unwrap();
    if !body.is_empty() || ["PUT", "POST", "PATCH"].contains(&text("method")) {
        let headers = request.headers_mut();
        headers.insert("content-length", body.len().into());
    }
    let identity = credentials().into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name(text("signing_name"))
        .time(SystemTime::from(now()))
        .settings(settings(text("signing_name")))
        .build()
        .unwrap();
    let signed: Vec<(&str, &str)> = request
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect();
    let signable = SignableRequest::new(
        text("method"),
        &uri,
        signed.into_iter(),
        SignableBody::Bytes(body),
    );
    let (instructions, _) = http_request::sign(signable.unwrap(), &parameters.into())
        .unwrap()
        .into_parts();
    instructions.apply_to_request_http1x(&mut request);
    let uri = request.uri();
    let head = Head {
        method: request.method().clone(),
        path: uri.path().to_owned(),
        query: uri.query().map(str::to_owned),
        authority: text("authority").to_owned(),
        headers: request.headers().clone(),
        tls: true,
        proxied: false,
    };
    verify(head, body)
}

fn settings(signing_name: &str) -> SigningSettings {
    let mut settings = SigningSettings::default();
    if signing_name == "s3" {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    }
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings
}

fn verify(head: Head, body: &[u8]) -> Result<VerifiedRequest, Refusal> {
    let secret = SigningSecret::new(SECRET.to_owned());
    let payload = Payload::Whole(Bytes::copy_from_slice(body));
    SignedRequest::parse(head)?.verify(&secret, payload, now())
}

fn allow() -> Advice {
    Advice {
        plugin: "test".to_owned(),
        effect: Effect::Allow,
        rule: "all".to_owned(),
        reason: String::new(),
        obligations: Vec::new(),
        failure: None,
    }
}

fn place(host: Option<&str>) -> Place {
    Place {
        partition: "aws".to_owned(),
        account: "123456789012".to_owned(),
        hostnames: vec!["gw.example".to_owned(), host.unwrap_or_default().to_owned()],
        unknown_members: Vec::new(),
    }
}
