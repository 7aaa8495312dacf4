//! Which name a request was addressed to, and what stands before it: an S3 bucket, a host prefix of
//! the model, or the name of a service. A name is one of the gateway's own, or one of AWS's if the
//! request came by way of the proxy. Every other host is refused; nothing of any becomes a
//! destination.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::text::quote;
use super::{Place, Request};
use crate::aws_host::Endpoint;
use crate::catalog::{Catalog, Entry};
use crate::destination::Variant;
use crate::directory_bucket::SIGNING_NAME;
use crate::head::Head;
use crate::reach::Reach;
use crate::refusal::Refusal;
use crate::s3_name::{AccessPoint, Kind};

/// The port of every AWS endpoint.
const HTTPS: &str = ":443";

/// A name that was read.
#[derive(Debug)]
pub(super) enum Addressed<'h> {
    /// AWS's, and the endpoints there that the signature can be for; never empty.
    Aws(Vec<Endpoint<'h>>),
    /// The gateway's, and what stands before it, with its dot if it has one.
    Own(Option<&'h str>),
}

impl<'h> Addressed<'h> {
    /// Reads the name; `entries` are the services that sign as the request does.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] or [`Refusal::Unsupported`] for other names, [`Refusal::Ambiguous`]
    /// where name and signature disagree about the service or the region.
    pub(super) fn read(
        catalog: &Catalog,
        request: &Request<'h>,
        place: &Place,
        entries: &[&Entry],
    ) -> Result<Self, Refusal> {
        let authority = &request.head.authority;
        if !request.head.proxied {
            return prefix(authority, place).map(Self::Own);
        }
        let name = aws_name(request.head);
        let endpoints = catalog.hosts().read(name).map_err(|error| {
            Refusal::Unsupported(format!("host `{}` is not served: {error}", quote(name)))
        })?;
        agreeing(endpoints, request, place, entries).map(Self::Aws)
    }

    /// What stands before the name, if the entry is served there at all.
    pub(super) fn prefix(&self, entry: &Entry) -> Option<Option<&'h str>> {
        match self {
            Self::Own(prefix) => Some(*prefix),
            Self::Aws(_) => self.endpoint(entry).map(|endpoint| {
                let prefix = endpoint.prefix();
                Some(prefix).filter(|prefix| !prefix.is_empty())
            }),
        }
    }

    /// Which of the entry's endpoints was asked for.
    pub(super) fn variant(&self, entry: &Entry) -> Variant {
        self.endpoint(entry)
            .map_or(Variant::Plain, Endpoint::variant)
    }

    /// The bucket before the name, or the ARN of the access point there.
    pub(super) fn bucket(&self, request: &Request<'_>, place: &Place) -> Option<String> {
        match self {
            Self::Own(prefix) => {
                let prefix = (*prefix)?;
                // No bucket is called like that.
                if let Some(point) = AccessPoint::in_host(Kind::MultiRegion, prefix) {
                    return Some(point.owned(&place.partition, &place.account).to_string());
                }
                match Kind::signed_as(&request.scope.service) {
                    // SDKs write no other access points before an endpoint of their own that
                    // could be told from a bucket.
                    Some(kind) => {
                        let region = request.scope.reach.region()?;
                        let point = AccessPoint::in_host(kind, prefix)?;
                        Some(point.located(&place.partition, region).to_string())
                    }
                    None => prefix.strip_suffix('.').map(str::to_owned),
                }
            }
            Self::Aws(endpoints) => endpoints.iter().find_map(|endpoint| {
                let point = endpoint.access_point(&place.account);
                let point = point.map(|point| point.to_string());
                point.or_else(|| endpoint.bucket().map(str::to_owned))
            }),
        }
    }

    fn endpoint(&self, entry: &Entry) -> Option<&Endpoint<'h>> {
        match self {
            Self::Own(_) => None,
            Self::Aws(endpoints) => endpoints
                .iter()
                .find(|endpoint| endpoint.service() == entry.name),
        }
    }
}

/// Whether the request came by way of the proxy to a host of `service`.
pub(super) fn names(catalog: &Catalog, head: &Head, service: &str) -> bool {
    let endpoints = catalog.hosts().read(aws_name(head)).unwrap_or_default();
    endpoints
        .iter()
        .any(|endpoint| endpoint.service() == service)
}

fn aws_name(head: &Head) -> &str {
    head.authority
        .strip_suffix(HTTPS)
        .unwrap_or(&head.authority)
}

/// The endpoints behind a name that belong to the session's partition, and to a service and a
/// region that the signature is for.
fn agreeing<'h>(
    mut endpoints: Vec<Endpoint<'h>>,
    request: &Request<'_>,
    place: &Place,
    entries: &[&Entry],
) -> Result<Vec<Endpoint<'h>>, Refusal> {
    let scope = request.scope;
    let name = quote(&request.head.authority);
    endpoints.retain(|endpoint| endpoint.partition() == place.partition);
    if endpoints.is_empty() {
        return Err(Refusal::InvalidInput(format!(
            "host `{name}` is not in partition `{}`, where the session's account is",
            place.partition
        )));
    }
    let own_name = aws_name(request.head);
    let express = |endpoint: &Endpoint<'_>| {
        let name = own_name.strip_prefix(endpoint.prefix());
        name.is_some_and(|name| name.starts_with("s3express-"))
    };
    let known = |endpoint: &Endpoint<'_>| {
        express(endpoint) == (scope.service == SIGNING_NAME)
            && entries.iter().any(|entry| entry.name == endpoint.service())
    };
    endpoints.retain(known);
    if endpoints.is_empty() {
        return Err(Refusal::Ambiguous(format!(
            "no service at host `{name}` signs as `{}`",
            quote(&scope.service)
        )));
    }
    let fits = |endpoint: &Endpoint<'_>| match &scope.reach {
        Reach::Region(region) => endpoint.region().is_none_or(|own| own == region),
        Reach::Set(_) => endpoint.region().is_none(),
    };
    endpoints.retain(fits);
    if endpoints.is_empty() {
        return Err(Refusal::Ambiguous(format!(
            "requests to host `{name}` are not signed for region `{}`",
            quote(scope.reach.as_str())
        )));
    }
    Ok(endpoints)
}

/// The text before the gateway's own name, with its dot if it has one, or nothing.
///
/// # Errors
/// [`Refusal::Malformed`] for anything that is not a name of the gateway.
fn prefix<'h>(authority: &'h str, place: &Place) -> Result<Option<&'h str>, Refusal> {
    let host = host(authority).ok_or_else(|| foreign(authority))?;
    if host.starts_with('[') || host.parse::<Ipv4Addr>().is_ok() {
        return Ok(None);
    }
    let names = place.hostnames.iter().map(String::as_str);
    let own = names
        .chain(["localhost"])
        .filter_map(|name| host.strip_suffix(name).filter(|_| !name.is_empty()))
        .min_by_key(|before| before.len())
        .ok_or_else(|| foreign(authority))?;
    match own {
        "" => Ok(None),
        before if before.starts_with('.') || before.contains("..") => Err(foreign(authority)),
        before => Ok(Some(before)),
    }
}

/// The host of `host[:port]`, in the only spelling that is accepted: lower case, no user
/// information, no trailing dot, IPv6 in brackets.
fn host(authority: &str) -> Option<&str> {
    let plain = authority
        .bytes()
        .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b':' | b'[' | b']'));
    if !plain {
        return None;
    }
    if let Some(rest) = authority.strip_prefix('[') {
        let (address, after) = rest.split_once(']')?;
        address.parse::<Ipv6Addr>().ok()?;
        port(after)?;
        return Some(authority);
    }
    let (host, after) = match authority.find(':') {
        Some(colon) => authority.split_at_checked(colon)?,
        None => (authority, ""),
    };
    port(after)?;
    let named = !host.is_empty() && !host.ends_with('.') && !host.contains(['[', ']']);
    named.then_some(host)
}

fn port(after: &str) -> Option<()> {
    if after.is_empty() {
        return Some(());
    }
    let digits = after.strip_prefix(':')?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    (plain && digits.parse::<u16>().is_ok()).then_some(())
}

fn foreign(authority: &str) -> Refusal {
    Refusal::Malformed(format!(
        "host `{}` is not a name of this gateway",
        quote(authority)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place {
            partition: "aws".to_owned(),
            account: "123456789012".to_owned(),
            hostnames: vec!["gw.example".to_owned(), "a.gw.example".to_owned()],
            unknown_members: Vec::new(),
        }
    }

    #[test]
    fn own_names_are_accepted() {
        for (authority, expected) in [
            ("gw.example", None),
            ("gw.example:8443", None),
            ("127.0.0.1:8443", None),
            ("[::1]:8443", None),
            ("localhost", None),
            ("bucket.localhost:4566", Some("bucket.")),
            ("my.bucket.gw.example", Some("my.bucket.")),
            ("b.a.gw.example", Some("b.")),
            ("data-gw.example", Some("data-")),
        ] {
            assert_eq!(prefix(authority, &place()), Ok(expected), "{authority}");
        }
    }

    #[test]
    fn other_hosts_are_refused() {
        for authority in [
            "",
            "s3.amazonaws.com",
            "gw.example.evil.com",
            "gw.example.",
            ".gw.example",
            "b..gw.example",
            "user@gw.example",
            "GW.example",
            "gw.example:",
            "gw.example:99999",
            "gw.example:80:80",
            "gw.example:+80",
            "[::1",
            "[::1]x",
            "[gw.example]",
            "::1",
            "127.1",
            "gẅ.example",
            "gw.example/x",
            "gw.example?x",
        ] {
            assert!(prefix(authority, &place()).is_err(), "{authority}");
        }
    }
}
