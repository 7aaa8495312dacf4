//! Who a policy document lets in: read as strictly as AWS reads it at its laxest. Element names
//! count in any case, a name given twice is not read, and who cannot be told is an outsider.
//!
//! Conditions are not weighed: a document that names everybody and narrows that by a condition
//! counts as naming everybody.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::outsiders::{Place, is_own};

/// The first principal a document allows that is not of the own account.
///
/// # Errors
/// When the text is not a policy document, or could be read in two ways.
pub fn outsider(text: &str, account: &str) -> Result<Option<String>, String> {
    let document: Node = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let statements = document
        .get("Statement")
        .ok_or("it has no `Statement`".to_owned())?;
    Ok(statements
        .elements()
        .iter()
        .find_map(|statement| stranger(statement, account)))
}

/// JSON whose objects have each name once.
#[derive(Debug)]
enum Node {
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
    Other,
    Text(String),
}

fn stranger(statement: &Node, account: &str) -> Option<String> {
    let denies = matches!(statement.get("Effect"), Some(Node::Text(effect)) if effect == "Deny");
    if denies {
        return None;
    }
    if statement.get("NotPrincipal").is_some() {
        return Some("everybody but some".to_owned());
    }
    match statement.get("Principal")? {
        Node::Object(kinds) => kinds.iter().find_map(|(kind, who)| {
            let mut names = who.elements().iter();
            names.find_map(|name| named(kind, name, account))
        }),
        other => other
            .elements()
            .iter()
            .find_map(|name| named("AWS", name, account)),
    }
}

/// The principal, if it is not of the own account.
fn named(kind: &str, name: &Node, account: &str) -> Option<String> {
    let Node::Text(name) = name else {
        return Some("somebody who cannot be read".to_owned());
    };
    // A service acts for the account that set it up, here by a call that is judged too.
    let own = match kind.to_ascii_lowercase().as_str() {
        "service" => name.ends_with(".amazonaws.com") || name.ends_with(".amazonaws.com.cn"),
        "aws" | "federated" => is_own(name, account, Place::Principal),
        _ => false,
    };
    (!own).then(|| name.clone())
}

impl Node {
    fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members
                .iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value),
            Self::List(_) | Self::Other | Self::Text(_) => None,
        }
    }

    /// AWS takes one element for a list of one.
    fn elements(&self) -> &[Self] {
        match self {
            Self::List(elements) => elements,
            Self::Object(_) | Self::Other | Self::Text(_) => std::slice::from_ref(self),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_u64<E>(self, number: u64) -> Result<Node, E> {
        // An account may be written as a number.
        Ok(Node::Text(format!("{number:012}")))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element()? {
            list.push(element);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut members: Vec<(String, Node)> = Vec::new();
        while let Some((name, value)) = entries.next_entry::<String, Node>()? {
            if members
                .iter()
                .any(|(known, _)| known.eq_ignore_ascii_case(&name))
            {
                return Err(Error::custom("a name appears twice"));
            }
            members.push((name, value));
        }
        Ok(Node::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "123456789012";

    fn allow(principal: &str) -> String {
        format!(r#"{{"Statement":[{{"Effect":"Allow","Principal":{principal},"Action":"*"}}]}}"#)
    }

    #[test]
    fn the_own_account_and_its_services_are_no_outsiders() {
        for principal in [
            r#"{"AWS":"123456789012"}"#,
            r#"{"AWS":123456789012}"#,
            r#"{"AWS":["arn:aws:iam::123456789012:root","arn:aws:sts::123456789012:assumed-role/a/b"]}"#,
            r#"{"Service":"lambda.amazonaws.com"}"#,
            r#"{"Federated":"arn:aws:iam::123456789012:oidc-provider/idp.example"}"#,
        ] {
            assert_eq!(outsider(&allow(principal), OWN), Ok(None), "{principal}");
        }
        let one = r#"{"Statement":{"Effect":"Deny","Principal":"*","Action":"*"}}"#;
        assert_eq!(outsider(one, OWN), Ok(None));
    }

    #[test]
    fn everybody_else_is() {
        for principal in [
            r#""*""#,
            r#"["*"]"#,
            r#"{"AWS":"*"}"#,
            r#"{"aws":["123456789012","*"]}"#,
            r#"{"AWS":"999999999999"}"#,
            r#"{"AWS":999999999999}"#,
            r#"{"AWS":"arn:aws:iam::999999999999:root"}"#,
            r#"{"AWS":"arn:aws:iam::*:root"}"#,
            r#"{"AWS":"arn:aws:iam::1234*:root"}"#,
            r#"{"AWS":"AIDAEXAMPLE"}"#,
            r#"{"AWS":{"x":"y"}}"#,
            r#"{"Federated":"accounts.google.com"}"#,
            r#"{"Federated":"arn:aws:iam::999999999999:saml-provider/x"}"#,
            r#"{"CanonicalUser":"123456789012"}"#,
            r#"{"Service":"*"}"#,
            r#"{"Nobody":"123456789012"}"#,
        ] {
            assert!(
                matches!(outsider(&allow(principal), OWN), Ok(Some(_))),
                "{principal}"
            );
        }
    }

    #[test]
    fn no_spelling_of_an_element_hides_it() {
        for document in [
            r#"{"statement":{"effect":"allow","PRINCIPAL":"*"}}"#,
            r#"{"Statement":{"Principal":"*"}}"#,
            r#"{"Statement":{"Effect":"deny ","Principal":"*"}}"#,
            r#"{"Statement":[{"Effect":"Deny","Principal":"*"},{"Effect":"Allow","Principal":"*"}]}"#,
            r#"{"Statement":{"Effect":"Allow","NotPrincipal":{"AWS":"123456789012"}}}"#,
            r#"{"St\u0061tement":{"Effect":"Allow","Princip\u0061l":"*"}}"#,
        ] {
            assert!(matches!(outsider(document, OWN), Ok(Some(_))), "{document}");
        }
    }

    #[test]
    fn what_has_two_readings_is_not_read() {
        for document in [
            "",
            "*",
            "{}",
            r#"{"Statement":[],"Statement":[]}"#,
            r#"{"Statement":{"Effect":"Allow","Principal":{"AWS":"123456789012"},"principal":"*"}}"#,
            r#"{"Statement":[]} {"Statement":[]}"#,
        ] {
            assert!(outsider(document, OWN).is_err(), "{document}");
        }
    }
}
