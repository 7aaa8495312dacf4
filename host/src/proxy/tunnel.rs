//! Connections that are passed on blindly: to hosts the operator lists, by addresses of the public
//! internet only. A name is resolved once, and what was looked at is what is connected to.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use portcullis_core::catalog::Catalog;
use portcullis_core::public_address::is_public;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::HTTPS;
use super::connect::{Refused, shown};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const BUFFER: usize = 16 * 1024;

/// The hosts that may be passed on to.
#[derive(Clone, Debug)]
pub(super) struct Tunnels {
    suffixes: Vec<String>,
}

impl Tunnels {
    pub(super) fn new(suffixes: &[String]) -> Self {
        let suffixes = suffixes.to_vec();
        Self { suffixes }
    }

    /// Connects to a listed host.
    pub(super) async fn open(&self, host: &str) -> Result<TcpStream, Refused> {
        if !self.lists(host) {
            return Err(Refused::forbidden(format!(
                "`{}` is not a host of AWS; this proxy does not pass it on (the operator's `listen.proxy.tunnel` lists what it does)",
                shown(host)
            )));
        }
        let looked_up = tokio::net::lookup_host((host, HTTPS));
        let addresses: Vec<SocketAddr> =
            match tokio::time::timeout(CONNECT_TIMEOUT, looked_up).await {
                Ok(Ok(addresses)) => addresses.collect(),
                Ok(Err(_)) | Err(_) => return Err(unreachable(host)),
            };
        let address = reachable(&addresses).ok_or_else(|| {
            Refused::forbidden(format!(
                "`{host}` leads to an address that is not on the public internet"
            ))
        })?;
        let connecting = TcpStream::connect(address);
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(_)) | Err(_) => Err(unreachable(host)),
        }
    }

    /// Whether a name is a listed one or below one. AWS's own never are, and addresses are no
    /// names.
    fn lists(&self, host: &str) -> bool {
        let under = |suffix: &String| {
            let before = host.strip_suffix(suffix.as_str());
            before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
        };
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
        host.bytes().all(plain)
            && !host.starts_with('.')
            && !host.contains("..")
            && host.parse::<IpAddr>().is_err()
            && self.suffixes.iter().any(under)
            && !Catalog::embedded().hosts().is_aws(host)
    }
}

/// The first address, if all are public: a name with one that is not is not what it seems.
fn reachable(addresses: &[SocketAddr]) -> Option<SocketAddr> {
    let public = addresses.iter().all(|address| is_public(address.ip()));
    addresses.first().copied().filter(|_| public)
}

fn unreachable(host: &str) -> Refused {
    Refused {
        status: http::StatusCode::BAD_GATEWAY,
        why: format!("`{host}` cannot be reached"),
    }
}

/// Passes bytes on both ways until both ends are done, or nothing moved for `idle`.
pub(super) async fn relay<S>(client: S, upstream: TcpStream, idle: Duration)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (client_reads, client_writes) = tokio::io::split(client);
    let (upstream_reads, upstream_writes) = upstream.into_split();
    tokio::join!(
        pump(client_reads, upstream_writes, idle),
        pump(upstream_reads, client_writes, idle),
    );
}

async fn pump<R, W>(mut from: R, mut to: W, idle: Duration)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut buffer = vec![0; BUFFER];
    while let Ok(Ok(read @ 1..)) = tokio::time::timeout(idle, from.read(&mut buffer)).await {
        let bytes = buffer.get(..read).unwrap_or_default();
        let written = tokio::time::timeout(idle, to.write_all(bytes)).await;
        if !matches!(written, Ok(Ok(()))) {
            break;
        }
    }
    // The other end may be gone already.
    drop(to.shutdown().await);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_names_are_passed_on() {
        let listed = ["pypi.org", "amazonaws.com", "127.0.0.1", "localhost"].map(str::to_owned);
        let tunnels = Tunnels::new(&listed);
        for host in ["pypi.org", "files.pypi.org", "localhost"] {
            assert!(tunnels.lists(host), "{host}");
        }
        for host in [
            "evilpypi.org",
            "pypi.org.evil.com",
            "pypi.org.",
            ".pypi.org",
            "a..pypi.org",
            "PYPI.org",
            "user@pypi.org",
            "api.anthropic.com",
            "127.0.0.1",
            "[::1]",
            "sts.amazonaws.com",
            "abc.execute-api.us-east-1.amazonaws.com",
            "amazonaws.com",
            "",
        ] {
            assert!(!tunnels.lists(host), "{host}");
        }
    }

    #[test]
    fn one_address_that_is_not_public_spoils_a_name() {
        let addresses = |texts: &[&str]| -> Vec<SocketAddr> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        let public = addresses(&["8.8.8.8:443", "1.1.1.1:443"]);
        assert_eq!(reachable(&public), public.first().copied());
        assert_eq!(
            reachable(&addresses(&["8.8.8.8:443", "169.254.169.254:443"])),
            None
        );
        assert_eq!(reachable(&addresses(&["127.0.0.1:443"])), None);
        assert_eq!(reachable(&[]), None);
    }

    #[tokio::test]
    async fn bytes_pass_both_ways_and_a_close_does_too() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        let (mut client, inside) = tokio::io::duplex(64);
        let ends = async {
            client.write_all(b"ping").await.unwrap();
            client.shutdown().await.unwrap();
            let mut seen = Vec::new();
            server.read_to_end(&mut seen).await.unwrap();
            assert_eq!(seen, b"ping");
            server.write_all(b"pong").await.unwrap();
            drop(server);
            let mut seen = Vec::new();
            client.read_to_end(&mut seen).await.unwrap();
            assert_eq!(seen, b"pong");
        };
        tokio::join!(relay(inside, upstream, Duration::from_secs(10)), ends);
    }

    #[tokio::test]
    async fn an_idle_tunnel_is_closed() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (_client, inside) = tokio::io::duplex(64);
        let relaying = relay(inside, upstream, Duration::from_millis(20));
        tokio::time::timeout(Duration::from_secs(10), relaying)
            .await
            .unwrap();
    }
}
