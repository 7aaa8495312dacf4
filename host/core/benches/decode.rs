//! What decoding costs: microseconds from a verified request to its `Call` for a small call of each
//! protocol, and what the catalog takes in bytes, milliseconds and resident memory.
//!
//! It judges nothing: it prints what it saw. Run by `cargo xtask bench`, or `cargo bench --package
//! portcullis-core`.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark measures real time and prints"
)]

use std::fs;
use std::hint::black_box;
use std::time::{Duration, Instant, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method};
use portcullis_core::catalog::Catalog;
use portcullis_core::head::Head;
use portcullis_core::interpret::{Place, Witness, interpret};
use portcullis_core::sigv4::{Payload, SignedRequest, SigningSecret, VerifiedRequest};
use time::OffsetDateTime;

const SECRET: &str = "not-a-real-secret";
const NOW: i64 = 1_767_323_045;
const HOST: &str = "gw.example";
const CALLS: u32 = 50_000;
const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// A call before it is signed.
struct Small {
    name: &'static str,
    service: &'static str,
    method: Method,
    path: &'static str,
    query: Option<&'static str>,
    headers: &'static [(&'static str, &'static str)],
    body: &'static [u8],
}

fn smalls() -> [Small; 5] {
    let post = |name, service, headers, body| Small {
        name,
        service,
        method: Method::POST,
        path: "/",
        query: None,
        headers,
        body,
    };
    [
        post(
            "json",
            "dynamodb",
            &[
                ("content-type", "application/x-amz-json-1.0"),
                ("x-amz-target", "DynamoDB_20120810.DescribeTable"),
            ],
            br#"{"TableName":"tabl"}"#,
        ),
        post(
            "query",
            "iam",
            &[("content-type", FORM)],
            b"Action=GetRole&Version=2010-05-08&RoleName=role",
        ),
        Small {
            path: "/service/GraniteServiceVersion20100801/operation/ListDashboards",
            ..post(
                "cbor",
                "monitoring",
                &[
                    ("smithy-protocol", "rpc-v2-cbor"),
                    ("content-type", "application/cbor"),
                ],
                b"\xa1\x73DashboardNamePrefix\x61a",
            )
        },
        Small {
            method: Method::PUT,
            path: "/bucket",
            query: Some("versioning"),
            ..post(
                "rest-xml",
                "s3",
                &[],
                b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
            )
        },
        Small {
            method: Method::PUT,
            path: "/2017-10-31/functions/f/concurrency",
            ..post(
                "rest-json",
                "lambda",
                &[("content-type", "application/json")],
                br#"{"ReservedConcurrentExecutions":7}"#,
            )
        },
    ]
}

impl Small {
    fn verified(&self) -> VerifiedRequest {
        let mut headers: Vec<(String, String)> = vec![("host".to_owned(), HOST.to_owned())];
        headers.extend(
            self.headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let query = self
            .query
            .map(|query| format!("?{query}"))
            .unwrap_or_default();
        let uri = format!("https://{HOST}{}{query}", self.path);
        let pairs = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let request = SignableRequest::new(
            self.method.as_str(),
            uri,
            pairs,
            SignableBody::Bytes(self.body),
        );
        let mut settings = SigningSettings::default();
        if self.service == "s3" {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        let identity = Credentials::new("PCAKEXAMPLE0000000", SECRET, None, None, "bench").into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name(self.service)
            .time(UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs()))
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let (instructions, _) = sign(request.unwrap(), &params).unwrap().into_parts();
        let added = instructions.headers();
        headers.extend(added.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        let head = Head {
            method: self.method.clone(),
            path: self.path.to_owned(),
            query: self.query.map(str::to_owned),
            authority: HOST.to_owned(),
            headers: map,
            tls: true,
            proxied: false,
        };
        let secret = SigningSecret::new(SECRET.to_owned());
        let now = OffsetDateTime::from_unix_timestamp(NOW).unwrap();
        let payload = Payload::Whole(Bytes::from_static(self.body));
        SignedRequest::parse(head)
            .unwrap()
            .verify(&secret, payload, now)
            .unwrap()
    }
}

fn main() {
    let place = Place {
        partition: "aws".to_owned(),
        account: "123456789012".to_owned(),
        hostnames: vec![HOST.to_owned()],
        unknown_members: Vec::new(),
    };
    let secret = SigningSecret::new(SECRET.to_owned());
    let witness = Witness {
        secret: &secret,
        now: OffsetDateTime::from_unix_timestamp(NOW).unwrap(),
    };
    let before = resident();
    let start = Instant::now();
    let catalog = Catalog::embedded();
    let opened = start.elapsed();
    println!(
        "catalog: {} services, index open in {opened:.1?}",
        catalog.index().services.len()
    );
    println!("resident: {} kB for the index", resident() - before);
    println!("\n{:<12}{:>14}{:>14}", "small call", "µs/call", "first, µs");
    for small in smalls() {
        let verified = small.verified();
        let read = || interpret(catalog, black_box(&verified), &place, witness).unwrap();
        let start = Instant::now();
        black_box(read());
        let first = start.elapsed();
        let start = Instant::now();
        for _ in 0..CALLS {
            black_box(read());
        }
        let micros = start.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS);
        println!(
            "{:<12}{micros:>14.2}{:>14.0}",
            small.name,
            first.as_secs_f64() * 1e6
        );
    }
    let start = Instant::now();
    let services = &catalog.index().services;
    let all = services
        .iter()
        .filter(|entry| catalog.service(&entry.name).is_some())
        .count();
    println!("\nall {all} services open in {:.1?}", start.elapsed());
    println!("resident: {} kB for all of them", resident() - before);
}

/// Resident memory in kB.
fn resident() -> i64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let word = line.and_then(|line| line.split_whitespace().nth(1));
    word.and_then(|word| word.parse().ok())
        .expect("Linux says how much is resident")
}
