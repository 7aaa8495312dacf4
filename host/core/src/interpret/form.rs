//! `name=value&…`, as bodies of the query protocols and query strings of REST requests carry it:
//! percent-decoded strictly, in order, nothing normalised.

use percent_encoding::percent_decode_str;

use super::text::quote;
use crate::refusal::Refusal;

/// CloudWatch's largest calls come near ten thousand parameters.
const MAX_PARAMETERS: usize = 20_000;

/// One decoded parameter.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Parameter {
    pub(super) name: String,
    /// Absent when there was no `=` (`?acl`).
    pub(super) value: Option<String>,
}

/// Reads a form body, where `+` is a space and every parameter has its `=`.
///
/// # Errors
/// [`Refusal::Malformed`] or [`Refusal::Ambiguous`].
pub(super) fn body(bytes: &[u8]) -> Result<Vec<(String, String)>, Refusal> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Refusal::Malformed("the form body is not UTF-8".to_owned()))?;
    pairs(split(&text.replace('+', " "))?)
}

/// Parameters that all have their `=`.
///
/// # Errors
/// [`Refusal::Malformed`].
pub(super) fn pairs(parameters: Vec<Parameter>) -> Result<Vec<(String, String)>, Refusal> {
    let pair = |Parameter { name, value }| match value {
        Some(value) => Ok((name, value)),
        None => Err(Refusal::Malformed(format!(
            "form parameter `{}` has no `=`",
            quote(&name)
        ))),
    };
    parameters.into_iter().map(pair).collect()
}

/// Reads a query string.
///
/// # Errors
/// [`Refusal::Malformed`] or [`Refusal::Ambiguous`]; a bare `+` is one of the latter, because it
/// is a plus sign in a URI and a space in a form.
pub(super) fn query(text: Option<&str>) -> Result<Vec<Parameter>, Refusal> {
    let text = text.unwrap_or_default();
    if text.contains('+') {
        return Err(Refusal::Ambiguous(
            "`+` in a query string: send `%2B` or `%20`".to_owned(),
        ));
    }
    split(text)
}

fn split(text: &str) -> Result<Vec<Parameter>, Refusal> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let mut parameters = Vec::new();
    for part in text.split('&') {
        if parameters.len() == MAX_PARAMETERS {
            return Err(Refusal::InvalidInput("too many parameters".to_owned()));
        }
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => (name, Some(decode(value)?)),
            None => (part, None),
        };
        if name.is_empty() {
            return Err(Refusal::Malformed("a parameter without a name".to_owned()));
        }
        let name = decode(name)?;
        parameters.push(Parameter { name, value });
    }
    Ok(parameters)
}

/// Percent-decodes once: every `%` must start two hex digits and the result must be UTF-8.
pub(super) fn decode(text: &str) -> Result<String, Refusal> {
    if !text.contains('%') {
        return Ok(text.to_owned());
    }
    let complete = text.split('%').skip(1).all(|rest| {
        let mut digits = rest.bytes();
        let mut hex = || digits.next().is_some_and(|byte| byte.is_ascii_hexdigit());
        hex() && hex()
    });
    let decoded = percent_decode_str(text).decode_utf8();
    match decoded {
        Ok(decoded) if complete => Ok(decoded.into_owned()),
        Ok(_) | Err(_) => Err(Refusal::Malformed(format!(
            "`{}` is not percent-encoded UTF-8",
            quote(text)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_bodies_decode_plus_as_space() {
        assert_eq!(
            body(b"Action=Do&Key=a+b%2B%C3%A9&Empty="),
            Ok(vec![
                ("Action".to_owned(), "Do".to_owned()),
                ("Key".to_owned(), "a b+é".to_owned()),
                ("Empty".to_owned(), String::new()),
            ])
        );
    }

    #[test]
    fn broken_forms_are_refused() {
        for text in [
            "a", "a=1&&b=2", "=1", "a=%", "a=%4", "a=%zz", "a=%ff", "a=1&",
        ] {
            assert!(body(text.as_bytes()).is_err(), "{text}");
        }
        assert!(body(b"a=\xff").is_err());
    }

    #[test]
    fn plus_in_a_query_string_is_ambiguous() {
        assert!(matches!(query(Some("a=b+c")), Err(Refusal::Ambiguous(_))));
        let parameters = query(Some("acl&b=")).unwrap();
        assert_eq!(parameters[0].value, None);
        assert_eq!(parameters[1].value.as_deref(), Some(""));
    }
}
