//! What single values must look like, whatever key they stand at. Errors are sentences for the
//! operator.

use std::net::IpAddr;
use std::path::PathBuf;

use crate::config::Endpoint;

/// An issuer's URL.
pub(super) fn issuer(issuer: &str) -> Result<(), String> {
    let uri: http::Uri = issuer
        .parse()
        .map_err(|_| format!("`{issuer}` is not a URL"))?;
    let host = uri.host().unwrap_or_default();
    match uri.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if is_loopback(host) => Ok(()),
        Some(_) | None => Err("must be an `https` URL; `http` is accepted on loopback only".into()),
    }
}

/// An endpoint that replaces AWS's.
pub(super) fn endpoint(
    text: &str,
    ca: Option<PathBuf>,
    plain_http: bool,
) -> Result<Endpoint, String> {
    let uri: http::Uri = text
        .parse()
        .map_err(|_| format!("`{text}` is not a URL like `http://127.0.0.1:5000`"))?;
    let host = uri.host().unwrap_or_default().to_owned();
    let https = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        Some(_) | None => return Err(format!("`{text}` must start with `http://` or `https://`")),
    };
    if host.is_empty() || !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err(format!("`{text}` must be a host and port without a path"));
    }
    if !https && !plain_http && !is_loopback(&host) {
        return Err(
            "plain `http` is accepted on loopback only; `danger_plain_http_endpoint: true` overrules this"
                .into(),
        );
    }
    let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
    Ok(Endpoint {
        https,
        host,
        port,
        ca,
    })
}

/// The ARN of a role.
pub(super) fn role_arn(arn: &str) -> Result<(), String> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", partition, "iam", "", account, resource]
            if partition.starts_with("aws")
                && account.len() == 12
                && account.bytes().all(|byte| byte.is_ascii_digit())
                && resource.len() > "role/".len()
                && resource.starts_with("role/") =>
        {
            Ok(())
        }
        _ => Err(format!(
            "`{arn}` is not a role ARN like `arn:aws:iam::123456789012:role/AgentReadOnly`"
        )),
    }
}

/// `localhost` or an address of this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// A host name (RFC 1123 §2.1), not an address.
pub(super) fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label) && name.parse::<IpAddr>().is_err()
}
