//! Answers against the embedded catalog.

mod differential;
mod errors;
mod outputs;

use http::{HeaderName, HeaderValue};

use super::*;

/// An answer to an operation, to be read.
#[derive(Clone, Debug)]
struct Given {
    expected: Expected,
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Given {
    fn new(service: &str, operation: &str, protocol: Protocol) -> Self {
        let expected = Expected::new(Catalog::embedded(), service, operation, protocol);
        Self {
            expected: expected.unwrap(),
            status: 200,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    fn header(mut self, name: &str, value: &[u8]) -> Self {
        self.headers.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_bytes(value).unwrap(),
        );
        self
    }

    fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = Bytes::copy_from_slice(body.as_ref());
        self
    }

    fn received(&self) -> Received<'_> {
        Received {
            status: StatusCode::from_u16(self.status).unwrap(),
            headers: &self.headers,
            body: Body::Whole(&self.body),
        }
    }

    fn read(&self) -> Result<Answer, Unreadable> {
        self.expected.decode(&self.received())
    }

    /// The output of an answer that can be read.
    fn output(&self) -> Value {
        self.read().unwrap().result.unwrap()
    }

    /// The error of an answer that can be read.
    fn error(&self) -> ServiceError {
        self.read().unwrap().result.unwrap_err()
    }
}

fn dynamodb(operation: &str) -> Given {
    Given::new("dynamodb", operation, Protocol::Json10)
}

fn s3(operation: &str) -> Given {
    Given::new("s3", operation, Protocol::RestXml)
}
