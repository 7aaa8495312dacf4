//! The head of a `CONNECT` request and the gateway's answer to it (RFC 9110 §9.3.6), read strictly:
//! what has two readings opens no tunnel.

use std::fmt;
use std::time::Duration;

use http::StatusCode;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::config::Limits;

/// No client's `CONNECT` comes near.
const MAX_HEAD: usize = 8 * 1024;
const MAX_FIELDS: usize = 64;
const END: &[u8] = b"\r\n\r\n";
/// Read and dropped after a refusal, so that the client finds the answer rather than a reset.
const LINGER: u64 = 64 * 1024;
const LINGER_TIME: Duration = Duration::from_secs(1);

/// The host and port a client wants to be connected to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Wanted {
    pub(super) host: String,
    pub(super) port: u16,
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// A tunnel that is not opened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    pub(super) why: String,
}

impl Refused {
    pub(super) fn forbidden(why: String) -> Self {
        let status = StatusCode::FORBIDDEN;
        Self { status, why }
    }

    fn malformed(why: &str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            why: format!("this proxy cannot read the request: {why}"),
        }
    }
}

/// Reads a head, in time and within bounds.
pub(super) async fn read<S>(stream: &mut S, limits: &Limits) -> Result<Wanted, Refused>
where
    S: AsyncRead + Unpin,
{
    let mut head = Vec::new();
    let reading = tokio::time::timeout(limits.head_timeout, read_head(stream, &mut head));
    match reading.await {
        Ok(outcome) => outcome?,
        Err(_) => {
            return Err(Refused {
                status: StatusCode::REQUEST_TIMEOUT,
                why: "the request did not arrive in time".to_owned(),
            });
        }
    }
    parse(&head)
}

async fn read_head<S: AsyncRead + Unpin>(
    stream: &mut S,
    head: &mut Vec<u8>,
) -> Result<(), Refused> {
    let mut buffer = [0; 1024];
    while !head.ends_with(END) {
        let read = stream.read(&mut buffer).await.unwrap_or(0);
        if read == 0 {
            return Err(Refused::malformed("it ends in its head"));
        }
        head.extend_from_slice(buffer.get(..read).unwrap_or_default());
        if head.len() > MAX_HEAD {
            return Err(Refused {
                status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                why: format!("the head is larger than {MAX_HEAD} bytes"),
            });
        }
        // A method that is no CONNECT is told so before its body is waited for.
        if head.len() > 8 && !head.starts_with(b"CONNECT ") {
            return Err(not_connect());
        }
        let early = head.windows(END.len()).position(|window| window == END);
        if early.is_some_and(|at| at + END.len() != head.len()) {
            return Err(Refused::malformed(
                "bytes follow its head before it was answered",
            ));
        }
    }
    Ok(())
}

fn not_connect() -> Refused {
    Refused {
        status: StatusCode::METHOD_NOT_ALLOWED,
        why: "this proxy takes `CONNECT` to an https host only; plain http is not passed on"
            .to_owned(),
    }
}

fn parse(head: &[u8]) -> Result<Wanted, Refused> {
    let plain = |byte: &u8| matches!(byte, b'\t' | b'\r' | b'\n' | b' '..=b'~');
    let text = std::str::from_utf8(head)
        .ok()
        .filter(|_| head.iter().all(plain));
    let text = text.ok_or_else(|| Refused::malformed("it is not visible ASCII"))?;
    // The library takes a bare line feed for the end of a line.
    if text.replace("\r\n", "").contains(['\r', '\n']) {
        return Err(Refused::malformed("a line does not end in CR LF"));
    }
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) | Err(_) => {
            return Err(Refused::malformed("it is not HTTP/1"));
        }
    }
    if request.method != Some("CONNECT") {
        return Err(not_connect());
    }
    let target = request.path.unwrap_or_default();
    for field in request.headers.iter() {
        check_field(field.name, field.value, target)?;
    }
    wanted(target)
}

fn check_field(name: &str, value: &[u8], target: &str) -> Result<(), Refused> {
    let is = |known: &str| name.eq_ignore_ascii_case(known);
    if is("content-length") && value != b"0" || is("transfer-encoding") {
        return Err(Refused::malformed("a `CONNECT` has no body"));
    }
    if is("host") {
        let bare = target.strip_suffix(":443").unwrap_or(target);
        if value != target.as_bytes() && value != bare.as_bytes() {
            return Err(Refused::malformed(
                "`Host` is not the host of the `CONNECT`",
            ));
        }
    }
    Ok(())
}

/// `host:port`, both plain: the host is looked up as it stands or not at all.
fn wanted(target: &str) -> Result<Wanted, Refused> {
    let read = target.rsplit_once(':').and_then(|(host, port)| {
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|_| digits)?;
        Some(Wanted {
            host: host.to_owned(),
            port,
        })
    });
    read.filter(|wanted| !wanted.host.is_empty())
        .ok_or_else(|| Refused::malformed(&format!("`{}` is not a host and port", shown(target))))
}

/// Enough of a client's text to recognise it.
pub(super) fn shown(text: &str) -> String {
    text.chars()
        .take(100)
        .flat_map(char::escape_default)
        .collect()
}

/// Says that the tunnel stands.
pub(super) async fn accept<S: AsyncWrite + Unpin>(stream: &mut S) -> std::io::Result<()> {
    stream
        .write_all(b"HTTP/1.1 200 Connection Established\r\n\r\n")
        .await?;
    stream.flush().await
}

/// Says why not, and closes.
pub(super) async fn refuse<S>(mut stream: S, refused: &Refused)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Refused { status, why } = refused;
    let body = format!("{why}\n");
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    if stream.write_all(answer.as_bytes()).await.is_err() || stream.shutdown().await.is_err() {
        return;
    }
    let mut rest = stream.take(LINGER);
    let mut sink = tokio::io::sink();
    let drained = tokio::io::copy(&mut rest, &mut sink);
    // Whether or not the client closes in time, the connection ends here.
    drop(tokio::time::timeout(LINGER_TIME, drained).await);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(head: &str, expected: Result<&str, u16>) {
        let read = parse(head.as_bytes());
        let read = read.map(|wanted| wanted.to_string());
        let read = read.as_deref().map_err(|refused| refused.status.as_u16());
        assert_eq!(read, expected, "{head:?}");
    }

    #[test]
    fn heads_of_real_clients_are_read() {
        let s3 = "s3.us-east-1.amazonaws.com:443";
        for head in [
            "CONNECT s3.us-east-1.amazonaws.com:443 HTTP/1.0\r\n\r\n",
            "CONNECT s3.us-east-1.amazonaws.com:443 HTTP/1.1\r\nHost: s3.us-east-1.amazonaws.com:443\r\nUser-Agent: x\r\nProxy-Connection: Keep-Alive\r\n\r\n",
            "CONNECT s3.us-east-1.amazonaws.com:443 HTTP/1.1\r\nHost: s3.us-east-1.amazonaws.com\r\n\r\n",
        ] {
            check(head, Ok(s3));
        }
    }

    #[test]
    fn other_heads_are_refused() {
        for (head, status) in [
            (
                "GET http://169.254.169.254/ HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n",
                405,
            ),
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
            ("connect a:443 HTTP/1.1\r\n\r\n", 405),
            ("CONNECT a:443 HTTP/1.1\nHost: a:443\n\r\n\r\n", 400),
            ("CONNECT a:443 HTTP/1.1\r\nHost: b:443\r\n\r\n", 400),
            (
                "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nHost: b:443\r\n\r\n",
                400,
            ),
            ("CONNECT a:443 HTTP/1.1\r\nContent-Length: 5\r\n\r\n", 400),
            (
                "CONNECT a:443 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
                400,
            ),
            ("CONNECT a:443 HTTP/1.1\r\nX : 1\r\n\r\n", 400),
            ("CONNECT a:443 HTTP/1.1\r\n folded: 1\r\n\r\n", 400),
            ("CONNECT a:443\r\n\r\n", 400),
            ("CONNECT a:443 HTTP/9.9\r\n\r\n", 400),
            ("CONNECT a HTTP/1.1\r\n\r\n", 400),
            ("CONNECT :443 HTTP/1.1\r\n\r\n", 400),
            ("CONNECT a:+443 HTTP/1.1\r\n\r\n", 400),
            ("CONNECT a:99999 HTTP/1.1\r\n\r\n", 400),
            ("CONNECT a: HTTP/1.1\r\n\r\n", 400),
            ("CONNECT caf\u{e9}:443 HTTP/1.1\r\n\r\n", 400),
            ("\r\n\r\n", 400),
        ] {
            check(head, Err(status));
        }
    }

    #[tokio::test]
    async fn a_head_without_end_is_bounded_and_timed() {
        let limits = Limits {
            head_timeout: Duration::from_millis(50),
            ..Limits::default()
        };
        let flood = [b"CONNECT a:443 HTTP/1.1\r\nx: ".as_slice(), &[b'x'; 20_000]].concat();
        let refused = read(&mut flood.as_slice(), &limits).await.unwrap_err();
        assert_eq!(refused.status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        let (mut slow, _other) = tokio::io::duplex(64);
        let refused = read(&mut slow, &limits).await.unwrap_err();
        assert_eq!(refused.status, StatusCode::REQUEST_TIMEOUT);
        for early in ["\x16\x03\x01", "CONNECT b:443 HTTP/1.1\r\n\r\n"] {
            let early = format!("CONNECT a:443 HTTP/1.1\r\n\r\n{early}");
            let refused = read(&mut early.as_bytes(), &limits).await.unwrap_err();
            assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        }
    }
}
