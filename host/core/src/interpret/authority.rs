//! Which of the gateway's own names a request was addressed to, and what stands before it: an S3
//! bucket, a host prefix of the model, or the name of a service. Every other host is refused;
//! nothing of it ever becomes a destination.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Place;
use super::text::quote;
use crate::refusal::Refusal;

/// Reads the authority; the result is the text before the gateway's name, with its dot if it has
/// one, or nothing.
///
/// # Errors
/// [`Refusal::Malformed`] for anything that is not a name of the gateway.
pub(super) fn prefix<'h>(authority: &'h str, place: &Place) -> Result<Option<&'h str>, Refusal> {
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
