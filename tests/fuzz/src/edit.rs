//! What may happen to bytes on their way, as a fuzzer chooses it: the last `4 × n` bytes of an input
//! are a position of two bytes, a byte and what is done with it there; `n` is the very last byte.

/// Position, byte, kind.
pub(crate) type Edit = (usize, u8, u8);

/// An input without its edits, and those.
pub(crate) fn split(input: &[u8]) -> Option<(&[u8], Vec<Edit>)> {
    let Some(&last) = input.last() else {
        return Some((input, Vec::new()));
    };
    let count = usize::from(last % 4);
    let at = input.len().checked_sub(4 * count)?;
    let (rest, tail) = input.split_at(at);
    let edits = tail.chunks_exact(4).map(|edit| {
        let at = usize::from(u16::from_be_bytes([edit[0], edit[1]]));
        (at, edit[2], edit[3] / 4)
    });
    Some((rest, edits.collect()))
}

/// Bytes after their edits.
pub(crate) fn apply(bytes: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for &(at, byte, kind) in edits {
        let at = at.checked_rem(bytes.len()).unwrap_or_default();
        let end = (at + usize::from(byte)).min(bytes.len());
        match kind % 6 {
            0 if at < bytes.len() => bytes[at] = byte,
            0 | 1 => bytes.insert(at, byte),
            2 => drop(bytes.drain(at..end)),
            3 => bytes.truncate(at),
            4 => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
            _ => bytes.rotate_left(at),
        }
    }
    bytes
}
