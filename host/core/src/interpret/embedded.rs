//! Calls inside calls: for copies between regions SDKs presign the same call for the region of the
//! source, and send its URL as a parameter.
//!
//! The inner call is verified and decoded as the outer one is, must be the same but for its
//! region, and is judged with it. The gateway sends one of its own in its place: the only bytes of
//! a request that are not the agent's.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Uri};

use super::{Place, Request, Witness, form, read};
use crate::call::{Call, Value};
use crate::catalog::Catalog;
use crate::destination::{Destination, Target, Variant};
use crate::head::Head;
use crate::refusal::Refusal;
use crate::sigv4::{Payload, SignedRequest, VerifiedRequest};

/// The names under which EC2 and the RDS family take such a URL.
const MEMBERS: [&str; 2] = ["PreSignedUrl", "PresignedUrl"];
const DESTINATION: &str = "DestinationRegion";
const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// A call that was presigned inside another, for the region of the source.
#[derive(Clone, Debug)]
pub struct Embedded {
    /// The member that held it.
    member: &'static str,
    /// The parameters, without the signature.
    query: String,
    call: Box<Call>,
}

impl Embedded {
    /// The inner call; its region is the source's.
    #[must_use]
    pub fn call(&self) -> &Call {
        &self.call
    }

    /// The query of the inner call, without the agent's signature.
    #[must_use]
    pub fn query(&self) -> &str {
        &self.query
    }

    /// The form `body` of the outer call with `url` in the place of the agent's.
    ///
    /// # Errors
    /// [`Refusal::Internal`] when the form does not hold the member exactly once.
    pub fn replace(&self, body: &Bytes, url: &str) -> Result<Bytes, Refusal> {
        let text = std::str::from_utf8(body).map_err(|_| Refusal::Internal)?;
        let mut replaced = 0;
        let mut pairs = Vec::new();
        for pair in text.split('&') {
            let own = form::body(pair.as_bytes())?;
            if own.iter().any(|(name, _)| *name == self.member) {
                let url = percent_encoding::utf8_percent_encode(url, crate::sigv4::COMPONENT);
                pairs.push(format!("{}={url}", self.member));
                replaced += 1;
            } else {
                pairs.push(pair.to_owned());
            }
        }
        match replaced {
            1 => Ok(pairs.join("&").into()),
            _ => Err(Refusal::Internal),
        }
    }
}

/// Reads the call inside `call`, if there is one, and lets `call` be judged with it.
///
/// # Errors
/// What verifying and decoding it refuses; [`Refusal::Ambiguous`] when it is another call.
pub(super) fn unfold(
    catalog: &Catalog,
    mut call: Call,
    request: &VerifiedRequest,
    place: &Place,
    witness: Witness<'_>,
) -> Result<Call, Refusal> {
    let Some((member, url)) = find(&call) else {
        return Ok(call);
    };
    let outer = request.head();
    if outer.method != Method::POST {
        return Err(Refusal::Unsupported(format!(
            "`{member}` is only taken in a body"
        )));
    }
    let headers = &outer.headers;
    if ["content-encoding", "content-md5"]
        .iter()
        .any(|name| headers.contains_key(*name))
    {
        return Err(Refusal::Unsupported(format!(
            "`{member}` is not taken in a compressed body, nor with `Content-MD5`"
        )));
    }
    let signed = SignedRequest::parse(head(&url)?)?;
    if !request.is_by(&signed) {
        return Err(Refusal::SessionInvalid);
    }
    let nothing = Payload::Whole(Bytes::new());
    let inner = signed.verify(witness.secret, nothing, witness.now)?;
    let query = inner.head().query.clone().unwrap_or_default();
    let form = without_destination(&call, &query)?;
    let reread = Request {
        head: &form_head(outer, head(&url)?.authority),
        scope: inner.scope(),
        payload: &Payload::Whole(form.into()),
    };
    let inner = read(catalog, &reread, place)?;
    let host = host(catalog, &inner)?;
    check_same(&call, &inner)?;
    for (name, value) in members(&mut call.params) {
        if name == member {
            *value = Value::String(format!("https://{host}/?{query}"));
        }
    }
    call.actions.extend(inner.actions.iter().cloned());
    call.actions
        .sort_by(|a, b| (&a.name, &a.resource).cmp(&(&b.name, &b.resource)));
    call.actions.dedup();
    call.embedded = Some(Embedded {
        member,
        query,
        call: Box::new(inner),
    });
    Ok(call)
}

fn find(call: &Call) -> Option<(&'static str, String)> {
    MEMBERS.iter().find_map(|member| {
        let url = call.params.get(member)?.as_str()?;
        Some((*member, url.to_owned()))
    })
}

/// The head that somebody who fetches the URL would send.
fn head(url: &str) -> Result<Head, Refusal> {
    let uri: Uri = url.parse().map_err(|_| bad_url())?;
    let (Some("https"), Some(authority), "/") = (uri.scheme_str(), uri.authority(), uri.path())
    else {
        return Err(bad_url());
    };
    let authority = authority.as_str().to_ascii_lowercase();
    let mut headers = HeaderMap::new();
    let host = HeaderValue::from_str(&authority).map_err(|_| bad_url())?;
    headers.insert(http::header::HOST, host);
    Ok(Head {
        method: Method::GET,
        path: "/".to_owned(),
        query: uri.query().map(str::to_owned),
        authority,
        headers,
        tls: true,
        proxied: false,
    })
}

/// The same call as a form, which is how its protocol is read. A host that is not the outer one's
/// must be AWS's own name for the service in the region of the source, or it will not be read.
fn form_head(outer: &Head, authority: String) -> Head {
    let mut headers = HeaderMap::new();
    let media = HeaderValue::from_static(FORM);
    headers.insert(http::header::CONTENT_TYPE, media);
    Head {
        method: Method::POST,
        path: "/".to_owned(),
        query: None,
        proxied: outer.proxied || authority != outer.authority,
        authority,
        headers,
        tls: true,
    }
}

/// Takes out the region of the copy, which must be the outer call's. RDS's model does not have it;
/// EC2's does, and there it is compared like every other member of the outer call.
fn without_destination(outer: &Call, query: &str) -> Result<String, Refusal> {
    let mut kept = Vec::new();
    let mut found = 0;
    for pair in query.split('&') {
        let parameter = form::body(pair.as_bytes())?;
        match parameter.as_slice() {
            [(name, region)] if name == DESTINATION && region == outer.reach.as_str() => found += 1,
            [(name, _)] if name == DESTINATION => return Err(another(DESTINATION)),
            _ => kept.push(pair),
        }
    }
    match found {
        1 => Ok(kept.join("&")),
        _ => Err(another(DESTINATION)),
    }
}

/// AWS's host for the inner call.
fn host(catalog: &Catalog, inner: &Call) -> Result<String, Refusal> {
    let target = Target {
        service: &inner.service,
        operation: &inner.operation,
        partition: &inner.partition,
        region: inner.reach.region().ok_or_else(|| another("region"))?,
        variant: Variant::Plain,
    };
    Destination::build(catalog, &target, inner.host_prefix.as_deref())
        .map(|destination| destination.host().to_owned())
        .map_err(|error| Refusal::Unsupported(error.to_string()))
}

fn check_same(outer: &Call, inner: &Call) -> Result<(), Refusal> {
    if (&outer.service, &outer.operation) != (&inner.service, &inner.operation) {
        return Err(another("operation"));
    }
    let source = outer.params.get("SourceRegion").and_then(Value::as_str);
    if source.is_some_and(|source| source != inner.reach.as_str()) {
        return Err(another("SourceRegion"));
    }
    if outer.reach == inner.reach {
        return Err(another("region"));
    }
    let destination = outer.params.get(DESTINATION).and_then(Value::as_str);
    if destination.is_some_and(|region| region != outer.reach.as_str()) {
        return Err(another(DESTINATION));
    }
    if common(&outer.params) == common(&inner.params) {
        Ok(())
    } else {
        Err(another("parameters"))
    }
}

/// The members that both must have alike.
fn common(params: &Value) -> Vec<&(String, Value)> {
    let Value::Structure(members) = params else {
        return Vec::new();
    };
    let own = |name: &str| name == DESTINATION || MEMBERS.contains(&name);
    let mut members: Vec<_> = members.iter().filter(|(name, _)| !own(name)).collect();
    members.sort_by(|a, b| a.0.cmp(&b.0));
    members
}

fn members(params: &mut Value) -> &mut [(String, Value)] {
    if let Value::Structure(members) = params {
        members
    } else {
        &mut []
    }
}

fn bad_url() -> Refusal {
    Refusal::Malformed("the presigned call inside this one is no `https://host/?…` URL".to_owned())
}

fn another(what: &str) -> Refusal {
    Refusal::Ambiguous(format!(
        "the call presigned inside this one has another {what}"
    ))
}

#[cfg(test)]
mod tests;
