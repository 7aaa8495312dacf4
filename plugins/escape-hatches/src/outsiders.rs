//! Whether a name in a call is one of the own account.

use serde_json::Value;

/// Where a name stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place {
    /// Among the principals of a policy document.
    Principal,
    /// In a parameter, which may also name a resource or a service.
    Parameter,
}

/// The first text below `value` that is not of the own account; `None` also where there is none.
pub fn outsider(value: &Value, account: &str) -> Option<String> {
    match value {
        Value::String(text) => (!is_own(text, account, Place::Parameter)).then(|| text.to_owned()),
        Value::Array(elements) => elements.iter().find_map(|value| outsider(value, account)),
        Value::Object(members) => members.values().find_map(|value| outsider(value, account)),
        Value::Number(number) => (number.to_string() != account).then(|| number.to_string()),
        Value::Bool(_) | Value::Null => None,
    }
}

/// Whether a text names the own account, something in it, or, in a parameter, a service or a
/// bucket, whose ARN has no account.
pub fn is_own(text: &str, account: &str, place: Place) -> bool {
    if text == account {
        return true;
    }
    let parameter = place == Place::Parameter;
    let mut parts = text.splitn(6, ':');
    if parts.next() == Some("arn") {
        let (_partition, service) = (parts.next(), parts.next());
        let owner = parts.nth(1);
        let bucket = parameter && service == Some("s3") && owner == Some("");
        return owner == Some(account) || bucket;
    }
    parameter && text.ends_with(".amazonaws.com")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OWN: &str = "123456789012";

    #[test]
    fn names_of_the_own_account_are_own() {
        for value in [
            json!("123456789012"),
            json!(["123456789012"]),
            json!([{"UserId": "123456789012"}]),
            json!("arn:aws:iam::123456789012:role/a"),
            json!("arn:aws:s3:::bucket"),
            json!("s3.amazonaws.com"),
            json!(null),
            json!([]),
        ] {
            assert_eq!(outsider(&value, OWN), None, "{value}");
        }
    }

    #[test]
    fn all_other_names_are_not() {
        for value in [
            json!("*"),
            json!("all"),
            json!(""),
            json!("999999999999"),
            json!(["123456789012", "999999999999"]),
            json!([{"UserId": "123456789012"}, {"Group": "all"}]),
            json!("arn:aws:iam::999999999999:role/a"),
            json!("arn:aws:iam:::role/123456789012"),
            json!("arn:aws:organizations::999999999999:organization/o-1"),
            json!("arn:aws:iam::*:role/a"),
        ] {
            assert!(outsider(&value, OWN).is_some(), "{value}");
        }
    }
}
