//! Where a call goes and what it is signed for. There is no way to make one from a client's words:
//! hosts come from the service model or from the configuration.

use portcullis_core::destination::Addressing;
use portcullis_core::directory_bucket::DirectoryBucket;
use portcullis_core::reach::Reach;
use portcullis_core::refusal::Refusal;
use portcullis_core::s3_name;

use crate::config::Endpoint;

/// One destination of one call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Route {
    scheme: &'static str,
    host: String,
    /// `host`, or `host:port` where the port is not the scheme's own.
    authority: String,
    addressing: Addressing,
    signing_name: String,
    reach: Reach,
}

/// S3's bucket, as the agent addressed it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bucket {
    /// Letters, digits, `.`, `-` and `_` only, or the ARN of an access point.
    pub name: String,
    /// Where the agent wrote it.
    pub written: Addressing,
}

impl Bucket {
    /// Whether AWS has it elsewhere than S3's own buckets: an access point by its ARN, or a
    /// directory bucket.
    #[must_use]
    pub fn has_own_host(&self) -> bool {
        self.name.starts_with("arn:") || DirectoryBucket::parse(&self.name).is_some()
    }

    /// As one segment of a path.
    fn segment(&self) -> String {
        self.name.replace(':', "%3A").replace('/', "%2F")
    }
}

impl Route {
    /// AWS itself, over https. `host` must have been built from the service model.
    #[must_use]
    pub fn aws(
        host: &str,
        addressing: Addressing,
        signing_name: &str,
        reach: impl Into<Reach>,
    ) -> Self {
        Self {
            scheme: "https",
            host: host.to_owned(),
            authority: host.to_owned(),
            addressing,
            signing_name: signing_name.to_owned(),
            reach: reach.into(),
        }
    }

    /// A connection's own endpoint, which is addressed by path only.
    #[must_use]
    pub fn endpoint(endpoint: &Endpoint, signing_name: &str, reach: impl Into<Reach>) -> Self {
        let (scheme, own_port) = if endpoint.https {
            ("https", 443)
        } else {
            ("http", 80)
        };
        let host = if endpoint.host.contains(':') && !endpoint.host.starts_with('[') {
            format!("[{}]", endpoint.host)
        } else {
            endpoint.host.clone()
        };
        let authority = if endpoint.port == own_port {
            host.clone()
        } else {
            format!("{host}:{}", endpoint.port)
        };
        Self {
            scheme,
            host,
            authority,
            addressing: Addressing::Path,
            signing_name: signing_name.to_owned(),
            reach: reach.into(),
        }
    }

    /// The host name, for messages.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    pub(super) fn signing_name(&self) -> &str {
        &self.signing_name
    }

    /// The region to sign for, or the set of them.
    pub(super) fn reach(&self) -> &Reach {
        &self.reach
    }

    /// The region to sign for.
    ///
    /// # Errors
    /// [`Refusal::Internal`] where there is none: whatever needs one never goes to a set of them.
    pub(super) fn signing_region(&self) -> Result<&str, Refusal> {
        self.reach.region().ok_or(Refusal::Internal)
    }

    /// Whether the service signs its path as sent, encoded once (S3), or normalised and encoded
    /// again (everything else).
    pub(super) fn signs_path_as_sent(&self) -> bool {
        s3_name::is_signing_name(&self.signing_name)
    }

    /// The absolute URI, path and query being the agent's bytes.
    pub(crate) fn uri(&self, path: &str, query: Option<&str>) -> String {
        let mut uri = format!("{}://{}{path}", self.scheme, self.authority);
        if let Some(query) = query {
            uri.push('?');
            uri.push_str(query);
        }
        uri
    }

    /// The path to send when the agent may have written the bucket elsewhere than this route
    /// wants it.
    pub(super) fn path(&self, path: &str, bucket: Option<&Bucket>) -> Result<String, Refusal> {
        let Some(bucket) = bucket else {
            return Ok(path.to_owned());
        };
        match (bucket.written, self.addressing) {
            (Addressing::Path, Addressing::Path)
            | (Addressing::VirtualHost, Addressing::VirtualHost) => Ok(path.to_owned()),
            (Addressing::VirtualHost, Addressing::Path) => {
                Ok(format!("/{}{path}", bucket.segment()))
            }
            (Addressing::Path, Addressing::VirtualHost) => {
                // The bucket was read from this very path, so anything else is a defect here.
                let path = path.strip_prefix('/').ok_or(Refusal::Internal)?;
                let (segment, rest) = match path.find('/') {
                    Some(end) => path.split_at(end),
                    None => (path, "/"),
                };
                let decoded = percent_encoding::percent_decode_str(segment).decode_utf8();
                let same = decoded.is_ok_and(|decoded| *decoded == *bucket.name);
                same.then(|| rest.to_owned()).ok_or(Refusal::Internal)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_moves_between_host_and_path() {
        use Addressing::{Path, VirtualHost};
        let check = |path: &str, written, wanted, expected: Option<&str>| {
            let route = Route::aws("host", wanted, "s3", "us-east-1");
            let bucket = Bucket {
                name: "b.1".to_owned(),
                written,
            };
            let found = route.path(path, Some(&bucket));
            assert_eq!(found.ok().as_deref(), expected, "{path}");
        };
        check("/b.1/k//..%2Fx", Path, Path, Some("/b.1/k//..%2Fx"));
        check("/b.1/k//..%2Fx", Path, VirtualHost, Some("/k//..%2Fx"));
        check("/b.1//k", Path, VirtualHost, Some("//k"));
        check("/b.1", Path, VirtualHost, Some("/"));
        check("/b.1/", Path, VirtualHost, Some("/"));
        check("/b.11/k", Path, VirtualHost, None);
        check("/other/k", Path, VirtualHost, None);
        check("/k//x", VirtualHost, Path, Some("/b.1/k//x"));
        check("/", VirtualHost, Path, Some("/b.1/"));
        check("/b.1/k", VirtualHost, VirtualHost, Some("/b.1/k"));
        check("/b%2E1/k%2E", Path, VirtualHost, Some("/k%2E"));
    }

    #[test]
    fn an_access_point_is_one_segment() {
        use Addressing::{Path, VirtualHost};
        let arn = "arn:aws:s3:us-east-1:123456789012:accesspoint/point";
        let segment = "arn%3Aaws%3As3%3Aus-east-1%3A123456789012%3Aaccesspoint%2Fpoint";
        let moved = |path: &str, written, wanted| {
            let route = Route::aws("host", wanted, "s3", "us-east-1");
            let bucket = Bucket {
                name: arn.to_owned(),
                written,
            };
            route.path(path, Some(&bucket)).unwrap()
        };
        assert_eq!(moved("/k/x", VirtualHost, Path), format!("/{segment}/k/x"));
        assert_eq!(moved(&format!("/{segment}/k/x"), Path, VirtualHost), "/k/x");
    }

    #[test]
    fn an_endpoint_names_its_port_only_where_it_must() {
        let check = |https, host: &str, port, expected: &str| {
            let endpoint = Endpoint {
                https,
                host: host.to_owned(),
                port,
                ca: None,
            };
            let route = Route::endpoint(&endpoint, "s3", "us-east-1");
            assert_eq!(route.uri("/", Some("a=b")), format!("{expected}/?a=b"));
        };
        check(true, "e.example", 443, "https://e.example");
        check(true, "e.example", 80, "https://e.example:80");
        check(false, "127.0.0.1", 5000, "http://127.0.0.1:5000");
        check(false, "::1", 5000, "http://[::1]:5000");
    }
}
