//! Whole requests against the embedded catalog, without signatures.

mod calls;
mod compression;
mod differential;
mod express;
mod forms;
mod multi_region;
mod pairs;
mod proxied;
mod refusals;
mod unknown;

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::*;
use crate::reach::RegionSet;

/// A request to be read; every test starts from one that is right.
#[derive(Clone, Debug)]
struct Sent {
    service: &'static str,
    authority: String,
    proxied: bool,
    region: &'static str,
    method: &'static str,
    path: String,
    query: Option<String>,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Sent {
    fn new(service: &'static str, method: &'static str, url: &str) -> Self {
        let (path, query) = match url.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (url, None),
        };
        Self {
            service,
            authority: "gw.example:8443".to_owned(),
            proxied: false,
            region: "us-east-1",
            method,
            path: path.to_owned(),
            query,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn body(mut self, body: &str) -> Self {
        self.body = body.as_bytes().to_vec();
        self
    }

    fn at(mut self, authority: &str) -> Self {
        self.authority = authority.to_owned();
        self
    }

    /// A list or a pattern is a set.
    fn reach(&self) -> Reach {
        if self.region.contains(['*', ',']) {
            Reach::Set(RegionSet::parse(self.region).unwrap())
        } else {
            self.region.into()
        }
    }

    fn head(&self) -> Head {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        Head {
            method: Method::from_bytes(self.method.as_bytes()).unwrap(),
            path: self.path.clone(),
            query: self.query.clone(),
            authority: self.authority.clone(),
            headers,
            tls: true,
            proxied: self.proxied,
        }
    }

    fn read_as(&self, payload: &Payload) -> Result<Call, Refusal> {
        self.read_at(payload, &place())
    }

    fn read_at(&self, payload: &Payload, place: &Place) -> Result<Call, Refusal> {
        let head = self.head();
        let scope = Scope {
            date: "20260102".to_owned(),
            reach: self.reach(),
            service: self.service.to_owned(),
        };
        let request = Request {
            head: &head,
            scope: &scope,
            payload,
        };
        read(Catalog::embedded(), &request, place)
    }

    fn read(&self) -> Result<Call, Refusal> {
        self.read_as(&Payload::Whole(self.body.clone().into()))
    }
}

fn place() -> Place {
    Place {
        partition: "aws".to_owned(),
        account: "123456789012".to_owned(),
        hostnames: vec!["gw.example".to_owned()],
        unknown_members: Vec::new(),
    }
}

fn dynamodb(operation: &str, body: &str) -> Sent {
    Sent::new("dynamodb", "POST", "/")
        .header("x-amz-target", &format!("DynamoDB_20120810.{operation}"))
        .header("content-type", "application/x-amz-json-1.0")
        .body(body)
}

fn query(service: &'static str, body: &str) -> Sent {
    Sent::new(service, "POST", "/")
        .header(
            "content-type",
            "application/x-www-form-urlencoded; charset=utf-8",
        )
        .body(body)
}

fn s3(method: &'static str, url: &str) -> Sent {
    Sent::new("s3", method, url)
}
