//! Turns what the HTTP library read into the core's [`Head`], and refuses every head that another
//! HTTP reader could take differently.
//!
//! Path and query keep the client's bytes: nothing is decoded or normalised here.

use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version};
use portcullis_core::head::Head;
use portcullis_core::refusal::Refusal;

use super::{Peer, Tunnel};

/// Every method an AWS model uses.
const METHODS: [Method; 6] = [
    Method::DELETE,
    Method::GET,
    Method::HEAD,
    Method::PATCH,
    Method::POST,
    Method::PUT,
];

/// Fields that ask for another protocol, another method or another reading of the connection.
const REFUSED: [&str; 7] = [
    "http2-settings",
    "proxy-connection",
    "trailer",
    "upgrade",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
];

/// Reads the head of a request, whatever its body type.
///
/// # Errors
/// [`Refusal::MethodNotAllowed`], or [`Refusal::Malformed`] and [`Refusal::Ambiguous`] for a head
/// with no or with two readings.
pub fn head<B>(request: &Request<B>, peer: &Peer) -> Result<Head, Refusal> {
    check_method(request.method())?;
    let headers = request.headers();
    for (name, value) in headers {
        check_field(name.as_str(), value)?;
    }
    check_connection(headers)?;
    check_framing(headers, request.version())?;
    let authority = authority(request)?;
    let proxied = match request.extensions().get::<Tunnel>() {
        None => false,
        Some(tunnel) if tunnel.leads_to(&authority) => true,
        Some(_) => return Err(ambiguous("`Host` is not the host that CONNECT named")),
    };
    let uri = request.uri();
    check_target(uri, request.version())?;
    Ok(Head {
        method: request.method().clone(),
        path: uri.path().to_owned(),
        query: uri.query().map(str::to_owned),
        authority,
        headers: headers.clone(),
        tls: peer.tls,
        proxied,
    })
}

fn check_target(uri: &Uri, version: Version) -> Result<(), Refusal> {
    // Only a proxy is sent the absolute form (RFC 9112 §3.2.2); HTTP/2 always carries a scheme.
    if version < Version::HTTP_2 && uri.scheme().is_some() || !uri.path().starts_with('/') {
        return Err(malformed("the request target is not a path"));
    }
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    match target.chars().find(|char| !char.is_ascii_graphic()) {
        None => Ok(()),
        Some(odd) => Err(malformed(&format!(
            "the request target holds {odd:?}; percent-encode it"
        ))),
    }
}

fn check_method(method: &Method) -> Result<(), Refusal> {
    if METHODS.contains(method) {
        Ok(())
    } else {
        // The name is the client's; a short one is enough to recognise it.
        let name = method.as_str().chars().take(20).collect();
        Err(Refusal::MethodNotAllowed(name))
    }
}

fn check_field(name: &str, value: &HeaderValue) -> Result<(), Refusal> {
    if name.contains('_') {
        return Err(ambiguous(&format!("header name `{name}` holds `_`")));
    }
    if REFUSED.contains(&name) {
        return Err(Refusal::Unsupported(format!(
            "header `{name}` is not taken by this gateway"
        )));
    }
    // Obsolete text has no agreed character set (RFC 9110 §5.5).
    if value
        .as_bytes()
        .iter()
        .all(|byte| matches!(byte, b'\t' | b' '..=b'~'))
    {
        Ok(())
    } else {
        Err(malformed(&format!("header `{name}` is not visible ASCII")))
    }
}

/// `Connection` may only keep or close the connection: naming a field there would take it away
/// from whoever reads next.
fn check_connection(headers: &HeaderMap) -> Result<(), Refusal> {
    for value in headers.get_all(CONNECTION) {
        let tokens = value.to_str().unwrap_or("?").split(',').map(str::trim);
        for token in tokens {
            let known = |known: &&str| token.eq_ignore_ascii_case(known);
            if !["close", "keep-alive", "te"].iter().any(known) {
                return Err(ambiguous(
                    "`Connection` names something other than `close` or `keep-alive`",
                ));
            }
        }
    }
    let mut expectations = headers.get_all(EXPECT).iter();
    match (expectations.next(), expectations.next()) {
        (None, _) => Ok(()),
        (Some(value), None) if value.as_bytes().eq_ignore_ascii_case(b"100-continue") => Ok(()),
        (Some(_), _) => Err(malformed("`Expect` is something other than `100-continue`")),
    }
}

/// What [`super::framing`] checks on the wire is checked again where the library shows it, which
/// covers HTTP/2 as well.
fn check_framing(headers: &HeaderMap, version: Version) -> Result<(), Refusal> {
    let lengths: Vec<_> = headers.get_all(CONTENT_LENGTH).iter().collect();
    let encodings: Vec<_> = headers.get_all(TRANSFER_ENCODING).iter().collect();
    let plain =
        |value: &HeaderValue| !value.is_empty() && value.as_bytes().iter().all(u8::is_ascii_digit);
    match (lengths.as_slice(), encodings.as_slice()) {
        ([], []) => Ok(()),
        ([length], []) if plain(length) => Ok(()),
        ([], [encoding]) if *encoding == "chunked" && version == Version::HTTP_11 => Ok(()),
        _ => Err(ambiguous("the body's length is given twice or not plainly")),
    }
}

/// The one authority the client addressed, lower-case.
fn authority<B>(request: &Request<B>) -> Result<String, Refusal> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next().map(HeaderValue::as_bytes);
    if hosts.next().is_some() {
        return Err(ambiguous("there are two `Host` headers"));
    }
    let target = request.uri().authority().map(Authority::as_str);
    let addressed = match (target, host) {
        (Some(target), Some(host)) if !host.eq_ignore_ascii_case(target.as_bytes()) => {
            return Err(ambiguous("`Host` and the request target name two hosts"));
        }
        (Some(target), _) => target.as_bytes(),
        (None, Some(host)) => host,
        (None, None) => return Err(malformed("there is no `Host` header")),
    };
    let authority = Authority::try_from(addressed).ok().filter(is_plain);
    authority
        .map(|authority| authority.as_str().to_ascii_lowercase())
        .ok_or_else(|| malformed("`Host` is not a plain host name or address"))
}

/// A name or address with at most a port: no user information, no percent-encoding.
fn is_plain(authority: &Authority) -> bool {
    let text = authority.as_str();
    let host = authority.host();
    let port = text.strip_prefix(host).unwrap_or("@");
    let host_is_plain = host
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte));
    let port_is_plain = port.is_empty() || authority.port_u16().is_some();
    !host.is_empty() && host_is_plain && port_is_plain
}

fn ambiguous(what: &str) -> Refusal {
    Refusal::Ambiguous(what.to_owned())
}

fn malformed(what: &str) -> Refusal {
    Refusal::Malformed(what.to_owned())
}
