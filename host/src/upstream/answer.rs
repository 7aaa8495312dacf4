//! AWS's answer on its way to the agent: hop-by-hop headers end here, and so do errors that are
//! about the gateway's own signature, because they repeat what it signed with.

use bytes::{Bytes, BytesMut};
use http::header::CONNECTION;
use http::{HeaderMap, HeaderName, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use portcullis_core::access::Session;
use portcullis_core::refusal::{Delivery, Refusal};

use crate::body::{Idle, ResponseBody};

/// RFC 9110 §7.6.1, and what would move the agent to another endpoint or give it a state there.
const DROPPED: [&str; 10] = [
    "alt-svc",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "set-cookie",
    "te",
    "transfer-encoding",
    "upgrade",
    "www-authenticate",
];

/// Errors that say AWS did not believe the gateway's signature. `SignatureDoesNotMatch` repeats
/// the string to sign, `ExpiredToken` the session token.
const OUR_FAULT: [&str; 16] = [
    "AccessDeniedInvalidSignature",
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "InvalidToken",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];

/// How much of an error is read to find its code.
const ERROR_BYTES: usize = 64 * 1024;

/// The answer as the agent may have it.
pub(super) async fn checked(
    response: Response<Idle<Incoming>>,
    session: &Session,
) -> Result<Response<ResponseBody>, Refusal> {
    let (mut head, mut body) = response.into_parts();
    if head.status.is_informational() {
        tracing::error!(status = %head.status, "AWS switched protocols unasked");
        return Err(Refusal::UpstreamUnreachable {
            host: "AWS".to_owned(),
            state: Delivery::Unknown,
        });
    }
    let mut ahead = Bytes::new();
    if may_be_our_fault(head.status) {
        ahead = read_ahead(&mut body).await;
        if let Some(code) = our_fault(&head.headers, &ahead) {
            tracing::error!(
                code,
                connection = session.connection,
                role = session.role,
                "AWS did not accept the gateway's own signature"
            );
            return Err(Refusal::CredentialsUnavailable {
                role: session.role.clone(),
            });
        }
    }
    strip(&mut head.headers);
    Ok(Response::from_parts(
        head,
        ResponseBody::read_ahead(ahead, body),
    ))
}

fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in DROPPED {
        headers.remove(name);
    }
}

fn may_be_our_fault(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
    )
}

/// The beginning of an error. A body that breaks off here breaks off for the agent, too: the HTTP
/// library reports it again.
async fn read_ahead(body: &mut Idle<Incoming>) -> Bytes {
    let mut ahead = BytesMut::new();
    while ahead.len() < ERROR_BYTES {
        match body.frame().await.and_then(Result::ok) {
            Some(frame) => {
                if let Some(data) = frame.data_ref() {
                    ahead.extend_from_slice(data);
                }
            }
            None => break,
        }
    }
    ahead.freeze()
}

/// The code of an error that is about the gateway's signature.
fn our_fault(headers: &HeaderMap, body: &[u8]) -> Option<&'static str> {
    let kind = headers
        .get("x-amzn-errortype")
        .map(|kind| kind.as_bytes())
        .unwrap_or_default();
    OUR_FAULT
        .into_iter()
        .find(|code| names_code(kind, code) || is_code_in(body, code))
}

/// `Code`, `Code:http://…` or `namespace#Code`.
fn names_code(kind: &[u8], code: &str) -> bool {
    let kind = kind.split(|&byte| byte == b':').next().unwrap_or_default();
    let name = kind.rsplit(|&byte| byte == b'#').next().unwrap_or_default();
    name.trim_ascii() == code.as_bytes()
}

/// The code stands alone as an XML element or a JSON string, with its namespace perhaps.
fn is_code_in(body: &[u8], code: &str) -> bool {
    let code = code.as_bytes();
    body.windows(code.len() + 2).any(|window| {
        let (Some((first, rest)), true) = (window.split_first(), window.len() > 2) else {
            return false;
        };
        let Some((last, middle)) = rest.split_last() else {
            return false;
        };
        middle == code && matches!((first, last), (b'>', b'<') | (b'"' | b'#', b'"'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_about_our_signature_are_recognised_in_every_shape() {
        let check = |kind: &str, body: &str, expected: Option<&str>| {
            let mut headers = HeaderMap::new();
            if !kind.is_empty() {
                headers.insert("x-amzn-errortype", kind.parse().unwrap());
            }
            assert_eq!(
                our_fault(&headers, body.as_bytes()),
                expected,
                "{kind}{body}"
            );
        };
        check(
            "",
            "<Error><Code>SignatureDoesNotMatch</Code></Error>",
            Some("SignatureDoesNotMatch"),
        );
        check(
            "",
            r#"{"__type":"com.amazon.coral.service#UnrecognizedClientException"}"#,
            Some("UnrecognizedClientException"),
        );
        check(
            "",
            r#"{"code":"ExpiredTokenException"}"#,
            Some("ExpiredTokenException"),
        );
        check(
            "InvalidSignatureException:http://internal.amazon.com/x",
            "",
            Some("InvalidSignatureException"),
        );
        check(
            "",
            "<Error><Code>AccessDenied</Code><Message>SignatureDoesNotMatch is not it</Message></Error>",
            None,
        );
        check("ValidationException", r#"{"message":"no"}"#, None);
        check("", "", None);
    }
}
