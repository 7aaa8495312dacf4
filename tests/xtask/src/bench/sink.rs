//! The upstream of large objects: reads every body to its end, and answers every GET with 64 MiB, or
//! with what a key called `gibibyte` promises.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use anyhow::{Context, Result};

const OBJECT: usize = 64 * 1024 * 1024;
const PIECE: usize = 256 * 1024;

/// Starts it on a port of its own; it ends with the process.
///
/// # Errors
/// If no port is free.
pub(super) fn start() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(&stream));
        }
    });
    Ok(port)
}

/// Serves one connection; its end, for whatever reason, is not news.
fn serve(stream: &TcpStream) -> Result<()> {
    let mut reader = BufReader::with_capacity(PIECE, stream);
    let piece = vec![b'x'; PIECE];
    loop {
        let head = head(&mut reader)?;
        let lower = head.to_ascii_lowercase();
        if lower.contains("\r\ntransfer-encoding: chunked") {
            drain_chunks(&mut reader)?;
        } else {
            let length = lower
                .split("\r\ncontent-length:")
                .nth(1)
                .and_then(|rest| rest.lines().next());
            let length = length.map_or(Ok(0), |length| length.trim().parse())?;
            drain(&mut reader, length)?;
        }
        let mut writer = stream;
        if head.starts_with("GET") {
            let object = match head.lines().next() {
                Some(line) if line.contains("/gibibyte") => 1 << 30,
                Some(_) | None => OBJECT,
            };
            write!(
                writer,
                "HTTP/1.1 200 OK\r\netag: \"x\"\r\ncontent-length: {object}\r\n\r\n"
            )?;
            for _ in 0..object / PIECE {
                writer.write_all(&piece)?;
            }
        } else {
            writer.write_all(b"HTTP/1.1 200 OK\r\netag: \"x\"\r\ncontent-length: 0\r\n\r\n")?;
        }
    }
}

fn head(reader: &mut impl BufRead) -> Result<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let read = reader.read_line(&mut head)?;
        (read > 0).then_some(()).context("closed")?;
    }
    Ok(head)
}

fn drain(reader: &mut impl Read, length: u64) -> Result<()> {
    let drained = std::io::copy(&mut reader.take(length), &mut std::io::sink())?;
    (drained == length).then_some(()).context("cut short")
}

fn drain_chunks(reader: &mut impl BufRead) -> Result<()> {
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = u64::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16)?;
        // The chunk's own line end, and behind the last chunk the empty trailer.
        drain(reader, size + 2)?;
        if size == 0 {
            return Ok(());
        }
    }
}
