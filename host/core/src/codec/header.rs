//! Values that HTTP headers carry in more than one piece.

/// The elements of a comma-separated list; one with a comma or a quotation mark is quoted (RFC 9110
/// §5.6.4). `None` where a quotation mark is out of place.
pub(crate) fn split(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let (part, after) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (part, after) = rest.split_at_checked(end)?;
                (part.trim().to_owned(), after)
            }
        };
        if part.contains('"') && !rest.starts_with('"') {
            return None;
        }
        parts.push(part);
        match after.strip_prefix(',') {
            Some(next) => rest = next.trim_start(),
            None if after.is_empty() => return Some(parts),
            None => return None,
        }
    }
}

fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((text, quoted.get(at + 1..)?)),
            '\\' => text.push(characters.next()?.1),
            other => text.push(other),
        }
    }
    None
}

/// What follows a prefix in a header's name, if the name starts with it and goes on.
pub(crate) fn suffix<'n>(name: &'n str, prefix: &str) -> Option<&'n str> {
    let (start, key) = name.split_at_checked(prefix.len())?;
    (start.eq_ignore_ascii_case(prefix) && !key.is_empty()).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_lists_split_at_unquoted_commas() {
        for (text, expected) in [
            ("a", Some(vec!["a"])),
            ("a,b", Some(vec!["a", "b"])),
            ("a, b", Some(vec!["a", "b"])),
            (r#""a,b",c"#, Some(vec!["a,b", "c"])),
            (r#""a\"b""#, Some(vec!["a\"b"])),
            (r#""a"#, None),
            (r#""a"b"#, None),
            (r#"a"b"#, None),
        ] {
            let expected = expected.map(|parts| parts.into_iter().map(str::to_owned).collect());
            assert_eq!(split(text), expected, "{text}");
        }
    }
}
