//! The one place that knows how AWS services write errors, in every protocol.
//!
//! Codes and statuses are the ones AWS's own front ends use for the same failure, so that SDKs map
//! them to their typed exceptions, correct their clocks, refresh credentials, and retry only what
//! may succeed. Sources: AWS "Common errors" pages of STS (query), EC2, DynamoDB (JSON) and S3,
//! and Smithy's protocol specifications for where code and message go.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Response, StatusCode};

use super::{Delivery, Fault, Refusal};
use crate::catalog::Protocol;

/// How the caller reads errors.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Dialect {
    /// Smithy RPC v2 with CBOR.
    Cbor,
    /// ec2Query's own envelope.
    Ec2,
    /// awsJson 1.0.
    Json10,
    /// awsJson 1.1.
    Json11,
    /// awsQuery.
    Query,
    /// restJson1.
    RestJson,
    /// restXml, apart from S3.
    RestXml,
    /// S3's bare `<Error>`.
    S3,
}

impl From<Protocol> for Dialect {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Ec2Query => Self::Ec2,
            Protocol::Json10 => Self::Json10,
            Protocol::Json11 => Self::Json11,
            Protocol::Query => Self::Query,
            Protocol::RestJson => Self::RestJson,
            Protocol::RestXml => Self::RestXml,
            Protocol::RpcV2Cbor => Self::Cbor,
        }
    }
}

/// Who reads an error: what it must look like.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Caller {
    /// The protocol it speaks.
    pub dialect: Dialect,
    /// Decides whether there may be a body: an answer to `HEAD` says it in headers.
    pub method: Method,
    /// It came from awsQuery and still knows errors by their codes there: `x-amzn-query-mode`
    /// (Smithy's `awsQueryCompatible` trait).
    pub query_mode: bool,
}

impl Caller {
    /// The caller of a request whose protocol is not known yet.
    pub fn of(method: &Method, headers: &HeaderMap) -> Self {
        let mode = headers.get("x-amzn-query-mode");
        Self {
            dialect: Dialect::RestJson,
            method: method.clone(),
            query_mode: mode.is_some_and(|mode| mode == "true"),
        }
    }
}

/// The answer an agent gets.
pub fn render(refusal: &Refusal, caller: &Caller, request_id: &str) -> Response<Bytes> {
    let dialect = caller.dialect;
    let code = refusal.code(dialect);
    let message = refusal.to_string();
    let body = match dialect {
        Dialect::Cbor => cbor_body(code, &message),
        Dialect::Ec2 => format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>{code}</Code><Message>{}</Message></Error></Errors><RequestID>{request_id}</RequestID></Response>",
            escape(&message)
        )
        .into(),
        Dialect::Json10 | Dialect::Json11 => {
            serde_json::json!({ "__type": code, "message": message }).to_string().into()
        }
        Dialect::Query | Dialect::RestXml => format!(
            "<ErrorResponse><Error><Type>{}</Type><Code>{code}</Code><Message>{}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>",
            sender_or_receiver(refusal),
            escape(&message)
        )
        .into(),
        Dialect::RestJson => {
            serde_json::json!({ "code": code, "message": message }).to_string().into()
        }
        Dialect::S3 => format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{}</Message><RequestId>{request_id}</RequestId><HostId>portcullis</HostId></Error>",
            escape(&message)
        )
        .into(),
    };
    respond(refusal, caller, request_id, body)
}

/// The answer to a request that nothing is known of, not even an id.
pub fn unidentified(refusal: &Refusal) -> Response<Bytes> {
    render(refusal, &Caller::of(&Method::GET, &HeaderMap::new()), "")
}

fn respond(refusal: &Refusal, caller: &Caller, request_id: &str, body: Bytes) -> Response<Bytes> {
    let dialect = caller.dialect;
    let code = refusal.code(dialect);
    let body = if caller.method == Method::HEAD {
        Bytes::new()
    } else {
        body
    };
    let length = body.len();
    let mut response = Response::new(body);
    *response.status_mut() = refusal.status(dialect);
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static(content_type(dialect)),
    );
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    let id_header = match dialect {
        Dialect::S3 => "x-amz-request-id",
        Dialect::Cbor
        | Dialect::Ec2
        | Dialect::Json10
        | Dialect::Json11
        | Dialect::Query
        | Dialect::RestJson
        | Dialect::RestXml => "x-amzn-requestid",
    };
    headers.insert(id_header, header_text(request_id));
    headers.insert("x-amzn-errortype", HeaderValue::from_static(code));
    if dialect == Dialect::Cbor {
        headers.insert("smithy-protocol", HeaderValue::from_static("rpc-v2-cbor"));
    }
    if caller.query_mode {
        let fault = sender_or_receiver(refusal);
        let query_error = format!("{};{fault}", refusal.code(Dialect::Query));
        headers.insert("x-amzn-query-error", header_text(&query_error));
    }
    if caller.method == Method::HEAD {
        headers.insert("x-amz-error-code", HeaderValue::from_static(code));
        headers.insert("x-amz-error-message", header_text(&refusal.to_string()));
    }
    response
}

impl Refusal {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::AuditUnavailable
            | Self::Internal
            | Self::Overloaded(_)
            | Self::PluginOverloaded => Fault::Internal,
            Self::AnswerLost
            | Self::CredentialsUnavailable { .. }
            | Self::IdentityProviderUnavailable
            | Self::UpstreamUnreachable { .. } => Fault::Upstream,
            Self::Ambiguous(_)
            | Self::ApprovalRequired { .. }
            | Self::BodyTimeout
            | Self::ChecksumMismatch(_)
            | Self::ClockSkew { .. }
            | Self::Denied { .. }
            | Self::IdentityExpired
            | Self::IdentityInvalid(_)
            | Self::InvalidInput(_)
            | Self::Malformed(_)
            | Self::MethodNotAllowed(_)
            | Self::PayloadMismatch
            | Self::PayloadTooLarge { .. }
            | Self::RegionNotAllowed { .. }
            | Self::RoleNotPermitted { .. }
            | Self::SessionExpired
            | Self::SessionInvalid
            | Self::SignatureMismatch
            | Self::UnknownAccessKey
            | Self::UnknownOperation(_)
            | Self::UnknownService(_)
            | Self::UnsignedHeader(_)
            | Self::Unsigned
            | Self::Unsupported(_)
            | Self::UrlExpired { .. } => Fault::Downstream,
        }
    }

    /// Whether the same request may succeed later, which is what makes SDKs try again.
    pub fn retryable(&self) -> bool {
        match self.fault() {
            Fault::Internal | Fault::Upstream => true,
            Fault::Downstream => matches!(self, Self::BodyTimeout),
        }
    }

    /// The HTTP status in that dialect. awsJson puts every client fault into 400.
    pub fn status(&self, dialect: Dialect) -> StatusCode {
        let status = self.shape().status;
        let json = matches!(dialect, Dialect::Cbor | Dialect::Json10 | Dialect::Json11);
        if json && status.is_client_error() && status != StatusCode::PAYLOAD_TOO_LARGE {
            StatusCode::BAD_REQUEST
        } else {
            status
        }
    }

    /// The error code in that dialect.
    pub fn code(&self, dialect: Dialect) -> &'static str {
        let shape = self.shape();
        match dialect {
            Dialect::Ec2 => shape.ec2,
            Dialect::Query | Dialect::RestXml => shape.query,
            Dialect::S3 => shape.s3,
            Dialect::Cbor | Dialect::Json10 | Dialect::Json11 | Dialect::RestJson => shape.json,
        }
    }

    #[expect(clippy::too_many_lines, reason = "a flat table: one line a refusal")]
    fn shape(&self) -> Shape {
        let client = StatusCode::BAD_REQUEST;
        let forbidden = StatusCode::FORBIDDEN;
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        let denied = Shape::new(
            [
                "AccessDenied",
                "UnauthorizedOperation",
                "AccessDeniedException",
                "AccessDenied",
            ],
            forbidden,
        );
        let invalid = Shape::new(
            [
                "ValidationError",
                "InvalidParameterValue",
                "ValidationException",
                "InvalidRequest",
            ],
            client,
        );
        let mismatch = Shape::new(
            [
                "SignatureDoesNotMatch",
                "AuthFailure",
                "InvalidSignatureException",
                "SignatureDoesNotMatch",
            ],
            forbidden,
        );
        let busy = Shape::new(
            [
                "ServiceUnavailable",
                "Unavailable",
                "ServiceUnavailableException",
                "ServiceUnavailable",
            ],
            unavailable,
        );
        match self {
            Self::ApprovalRequired { .. }
            | Self::Denied { .. }
            | Self::RegionNotAllowed { .. }
            | Self::RoleNotPermitted { .. } => denied,
            Self::Ambiguous(_) | Self::InvalidInput(_) | Self::Malformed(_) => invalid,
            Self::AuditUnavailable
            | Self::CredentialsUnavailable { .. }
            | Self::PluginOverloaded => busy,
            Self::BodyTimeout => Shape::new(
                [
                    "RequestTimeout",
                    "RequestTimeout",
                    "RequestTimeoutException",
                    "RequestTimeout",
                ],
                client,
            ),
            Self::ChecksumMismatch(_) => Shape {
                s3: "BadDigest",
                ..invalid
            },
            Self::ClockSkew { .. } => Shape {
                ec2: "RequestExpired",
                s3: "RequestTimeTooSkewed",
                ..mismatch
            },
            Self::IdentityExpired => Shape::same("ExpiredTokenException", client),
            Self::IdentityInvalid(_) => Shape::same("InvalidIdentityToken", client),
            Self::IdentityProviderUnavailable => Shape::same("IDPCommunicationError", client),
            Self::Internal => Shape::new(
                [
                    "InternalFailure",
                    "InternalError",
                    "InternalServerException",
                    "InternalError",
                ],
                StatusCode::INTERNAL_SERVER_ERROR,
            ),
            Self::MethodNotAllowed(_) => {
                Shape::same("MethodNotAllowed", StatusCode::METHOD_NOT_ALLOWED)
            }
            Self::Overloaded(_) => Shape {
                s3: "SlowDown",
                ..busy
            },
            Self::PayloadMismatch => Shape {
                s3: "XAmzContentSHA256Mismatch",
                status: client,
                ..mismatch
            },
            Self::PayloadTooLarge { .. } => Shape::new(
                [
                    "RequestEntityTooLarge",
                    "RequestEntityTooLarge",
                    "RequestEntityTooLargeException",
                    "EntityTooLarge",
                ],
                StatusCode::PAYLOAD_TOO_LARGE,
            ),
            Self::SessionExpired => Shape::new(
                [
                    "ExpiredToken",
                    "RequestExpired",
                    "ExpiredTokenException",
                    "ExpiredToken",
                ],
                forbidden,
            ),
            Self::SessionInvalid => Shape::new(
                [
                    "InvalidClientTokenId",
                    "AuthFailure",
                    "UnrecognizedClientException",
                    "InvalidToken",
                ],
                forbidden,
            ),
            Self::SignatureMismatch => mismatch,
            Self::UnknownAccessKey => Shape::new(
                [
                    "InvalidClientTokenId",
                    "AuthFailure",
                    "UnrecognizedClientException",
                    "InvalidAccessKeyId",
                ],
                forbidden,
            ),
            Self::UnknownOperation(_) | Self::UnknownService(_) => Shape::new(
                [
                    "InvalidAction",
                    "InvalidAction",
                    "UnknownOperationException",
                    "InvalidRequest",
                ],
                client,
            ),
            Self::UnsignedHeader(_) => Shape {
                s3: "AccessDenied",
                ..mismatch
            },
            Self::Unsigned => Shape::new(
                [
                    "MissingAuthenticationToken",
                    "AuthFailure",
                    "MissingAuthenticationTokenException",
                    "AccessDenied",
                ],
                forbidden,
            ),
            Self::Unsupported(_) => Shape::new(
                [
                    "UnsupportedOperation",
                    "UnsupportedOperation",
                    "UnsupportedOperationException",
                    "NotImplemented",
                ],
                client,
            ),
            Self::UrlExpired { .. } => Shape {
                ec2: "RequestExpired",
                s3: "AccessDenied",
                ..mismatch
            },
            Self::UpstreamUnreachable {
                state: Delivery::NotSent,
                ..
            } => busy,
            Self::AnswerLost
            | Self::UpstreamUnreachable {
                state: Delivery::Unknown,
                ..
            } => Shape {
                status: StatusCode::BAD_GATEWAY,
                ..busy
            },
        }
    }
}

/// A refusal's error codes and HTTP status.
struct Shape {
    query: &'static str,
    ec2: &'static str,
    json: &'static str,
    s3: &'static str,
    status: StatusCode,
}

impl Shape {
    const fn new(codes: [&'static str; 4], status: StatusCode) -> Self {
        let [query, ec2, json, s3] = codes;
        Self {
            query,
            ec2,
            json,
            s3,
            status,
        }
    }

    const fn same(code: &'static str, status: StatusCode) -> Self {
        Self::new([code; 4], status)
    }
}

fn content_type(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Cbor => "application/cbor",
        Dialect::Ec2 | Dialect::Query | Dialect::RestXml => "text/xml",
        Dialect::Json10 => "application/x-amz-json-1.0",
        Dialect::Json11 => "application/x-amz-json-1.1",
        Dialect::RestJson => "application/json",
        Dialect::S3 => "application/xml",
    }
}

fn sender_or_receiver(refusal: &Refusal) -> &'static str {
    match refusal.fault() {
        Fault::Downstream => "Sender",
        Fault::Internal | Fault::Upstream => "Receiver",
    }
}

fn escape(text: &str) -> String {
    let printable: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    quick_xml::escape::escape(printable).into_owned()
}

/// Header values carry visible ASCII only (RFC 9110 §5.5); the rest becomes `?`.
fn header_text(text: &str) -> HeaderValue {
    let visible: String = text
        .chars()
        .map(|c| {
            if c == ' ' || c.is_ascii_graphic() {
                c
            } else {
                '?'
            }
        })
        .collect();
    HeaderValue::from_str(&visible).unwrap_or(HeaderValue::from_static("?"))
}

/// `{"__type": code, "message": message}` in CBOR (RFC 8949): a map of two text pairs.
fn cbor_body(code: &str, message: &str) -> Bytes {
    let mut body = vec![0xa2];
    for text in ["__type", code, "message", message] {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        body.push(0x7a);
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(text.as_bytes());
    }
    body.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied() -> Refusal {
        Refusal::Denied {
            rule: "cedar/no-<deletes>".into(),
            reason: "No deletes\r\nhere & now.".into(),
        }
    }

    fn caller(dialect: Dialect, method: Method) -> Caller {
        Caller {
            dialect,
            method,
            query_mode: false,
        }
    }

    fn body(refusal: &Refusal, dialect: Dialect) -> String {
        let response = render(refusal, &caller(dialect, Method::POST), "id-1");
        String::from_utf8_lossy(response.body()).into_owned()
    }

    #[test]
    fn xml_errors_escape_what_policies_say() {
        let text = body(&denied(), Dialect::S3);
        assert!(text.contains("No deletes  here &amp; now."), "{text}");
        assert!(text.contains("no-&lt;deletes&gt;"), "{text}");
        assert!(body(&denied(), Dialect::Ec2).contains("<Code>UnauthorizedOperation</Code>"));
        assert!(body(&denied(), Dialect::Query).contains("<Type>Sender</Type>"));
    }

    #[test]
    fn json_errors_name_their_type_in_body_and_header() {
        let response = render(&denied(), &caller(Dialect::Json10, Method::POST), "id-1");
        assert_eq!(response.status(), 400);
        assert_eq!(
            response.headers()["x-amzn-errortype"],
            "AccessDeniedException"
        );
        let value: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(value["__type"], "AccessDeniedException");
    }

    #[test]
    fn head_answers_have_no_body_and_say_why_in_headers() {
        let response = render(&denied(), &caller(Dialect::S3, Method::HEAD), "id-1");
        assert_eq!(response.status(), 403);
        assert!(response.body().is_empty());
        assert_eq!(response.headers()["x-amz-error-code"], "AccessDenied");
        assert!(
            response.headers()["x-amz-error-message"]
                .to_str()
                .unwrap()
                .contains("No deletes")
        );
    }

    #[test]
    fn denials_are_never_retryable_and_outages_always_are() {
        assert!(!denied().retryable());
        assert!(Refusal::AuditUnavailable.retryable());
        for dialect in [
            Dialect::Query,
            Dialect::Json10,
            Dialect::S3,
            Dialect::RestJson,
        ] {
            assert!(denied().status(dialect).is_client_error());
            assert_eq!(Refusal::AuditUnavailable.status(dialect), 503);
        }
    }

    #[test]
    fn cbor_errors_are_a_map_of_type_and_message() {
        let response = render(&denied(), &caller(Dialect::Cbor, Method::POST), "id-1");
        assert_eq!(response.body()[0], 0xa2);
        assert_eq!(response.headers()["smithy-protocol"], "rpc-v2-cbor");
    }

    #[test]
    fn a_caller_that_came_from_awsquery_gets_its_code_too() {
        let mut headers = HeaderMap::new();
        headers.insert("x-amzn-query-mode", HeaderValue::from_static("true"));
        let old = Caller {
            dialect: Dialect::Json10,
            ..Caller::of(&Method::POST, &headers)
        };
        let response = render(&denied(), &old, "id-1");
        assert_eq!(
            response.headers()["x-amzn-query-error"],
            "AccessDenied;Sender"
        );
        let outage = render(&Refusal::AuditUnavailable, &old, "id-1");
        assert_eq!(
            outage.headers()["x-amzn-query-error"],
            "ServiceUnavailable;Receiver"
        );
        let new = caller(Dialect::Json10, Method::POST);
        let response = render(&denied(), &new, "id-1");
        assert!(!response.headers().contains_key("x-amzn-query-error"));
    }
}
