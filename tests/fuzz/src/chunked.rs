//! aws-chunked bodies: the same outcome in whatever pieces they arrive, and what is accepted is
//! what a reader that holds everything at once reads, with the length and checksum it announced.
//!
//! Input: `<decoded length> <piece size> <trailer name or ->`, a line feed, the body. `$crc$` in
//! the body stands for the right CRC-32.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use portcullis_core::aws_chunked::Decoder;
use portcullis_core::refusal::Refusal;

use crate::bounded;

pub(crate) fn check(input: &[u8]) {
    let Some(case) = Case::parse(input) else {
        return;
    };
    let whole = bounded(case.body.len(), || case.decode(case.body.len().max(1)));
    assert_eq!(whole.is_ok(), case.decode(case.size).is_ok(), "pieces");
    if let Ok(forwarded) = whole {
        assert_eq!(
            forwarded, case.body,
            "the bytes that were read are the bytes that are sent"
        );
        let data = data(&case.body).expect("accepted, but not framed");
        assert_eq!(data.len() as u64, case.length, "length");
        if case.trailer.as_deref() == Some("x-amz-checksum-crc32") {
            let line = format!("x-amz-checksum-crc32:{}\r\n\r\n", crc(&data));
            assert!(case.body.ends_with(line.as_bytes()), "checksum");
        }
    }
}

struct Case {
    length: u64,
    size: usize,
    trailer: Option<String>,
    body: Vec<u8>,
}

impl Case {
    fn parse(input: &[u8]) -> Option<Self> {
        let end = input.iter().position(|&byte| byte == b'\n')?;
        let line = std::str::from_utf8(&input[..end]).ok()?;
        let mut words = line.split(' ');
        let length = words.next()?.parse().ok()?;
        let size = words.next()?.parse::<usize>().ok()?.clamp(1, 1 << 20);
        let trailer = words.next().filter(|name| *name != "-");
        let mut body = input[end + 1..].to_vec();
        if let Some(at) = body.windows(5).position(|window| window == b"$crc$") {
            let right = data(&body).map_or_else(String::new, |data| crc(&data));
            body.splice(at..at + 5, right.into_bytes());
        }
        Some(Self {
            length,
            size,
            trailer: trailer.map(str::to_owned),
            body,
        })
    }

    fn decode(&self, size: usize) -> Result<Vec<u8>, Refusal> {
        let mut decoder = Decoder::new(self.length, self.trailer.as_deref())?;
        let mut forwarded = Vec::new();
        for piece in self.body.chunks(size) {
            forwarded.extend(decoder.push(Bytes::copy_from_slice(piece))?);
        }
        forwarded.extend(decoder.finish()?);
        Ok(forwarded)
    }
}

fn crc(data: &[u8]) -> String {
    STANDARD.encode(crc32fast::hash(data).to_be_bytes())
}

/// The data in a body, to its last chunk.
fn data(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut data = Vec::new();
    loop {
        let end = body.windows(2).position(|window| window == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&body[..end]).ok()?, 16).ok()?;
        body = &body[end + 2..];
        if size == 0 {
            return Some(data);
        }
        data.extend_from_slice(body.get(..size)?);
        body = body.get(size..)?.strip_prefix(b"\r\n")?;
    }
}
