//! HTTP/1.1 framing against another parser: where the gateway sees a request begin and end,
//! `httparse` and a plain reading of RFC 9112 see the same, in whatever pieces the bytes arrive.

use crate::listener_framing::Framing;

pub(crate) fn check(bytes: &[u8]) {
    let Some((&pieces, stream)) = bytes.split_first() else {
        return;
    };
    let whole = advance(stream, stream.len().max(1));
    assert_eq!(whole, advance(stream, usize::from(pieces).max(1)), "pieces");
    let taken = whole.err().unwrap_or(stream.len());
    boundaries(&stream[..taken]);
}

/// How far a stream is taken, fed by so many bytes at once.
fn advance(stream: &[u8], size: usize) -> Result<(), usize> {
    let mut framing = Framing::default();
    let mut offset = 0;
    for piece in stream.chunks(size) {
        framing.advance(piece).map_err(|at| offset + at)?;
        offset += piece.len();
    }
    Ok(())
}

/// Every request that the other parser finds whole in what was taken ends where the gateway is
/// ready for the next one, and never in the middle of what the gateway takes for a body.
fn boundaries(taken: &[u8]) {
    let mut start = 0;
    while let Some(length) = request(&taken[start..]) {
        start += length;
        assert!(
            idle(&taken[..start]),
            "a request ends at {start} for one reader only"
        );
    }
}

/// Whether the next byte would begin a request.
fn idle(stream: &[u8]) -> bool {
    let mut framing = Framing::default();
    let before = framing.advance(stream).is_ok() && !framing.in_head();
    before && framing.advance(b"G").is_ok() && framing.in_head()
}

/// The length of the first request, if it is whole and this reader takes it.
fn request(bytes: &[u8]) -> Option<usize> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let Ok(httparse::Status::Complete(head)) = request.parse(bytes) else {
        return None;
    };
    // Some readers skip empty lines before a request; the gateway refuses them.
    let field = |name: &str| {
        let own = request.headers.iter();
        own.filter(|header| header.name.eq_ignore_ascii_case(name))
            .map(|header| header.value)
            .collect::<Vec<_>>()
    };
    let body = match (
        field("content-length").as_slice(),
        field("transfer-encoding").as_slice(),
    ) {
        ([], []) => 0,
        ([length], []) => std::str::from_utf8(length).ok()?.parse().ok()?,
        ([], [_]) => chunked(&bytes[head..])?,
        _ => panic!("a body with two lengths was taken"),
    };
    let end = head.checked_add(body)?;
    (end <= bytes.len()).then_some(end)
}

fn chunked(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let Ok(httparse::Status::Complete((line, size))) = httparse::parse_chunk_size(&bytes[at..])
        else {
            return None;
        };
        at += line;
        if size == 0 {
            return trailers(&bytes[at..]).map(|length| at + length);
        }
        at = at
            .checked_add(usize::try_from(size).ok()?)?
            .checked_add(2)?;
        if at > bytes.len() {
            return None;
        }
    }
}

fn trailers(bytes: &[u8]) -> Option<usize> {
    if bytes.starts_with(b"\r\n") {
        return Some(2);
    }
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some(end + 4)
}
