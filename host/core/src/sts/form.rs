//! The parameters of a query-protocol form, each of which must be read exactly once.

use std::collections::BTreeMap;

use percent_encoding::percent_decode;

use super::MAX_FORM;
use crate::refusal::Refusal;

/// The operation has eight parameters; lists of policies add some before they are refused.
const MAX_PARAMETERS: usize = 32;

#[derive(Debug)]
pub(super) struct Form(BTreeMap<String, String>);

impl Form {
    /// `application/x-www-form-urlencoded`, strictly: names once, well-formed escapes, UTF-8.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > MAX_FORM {
            return Err(Refusal::PayloadTooLarge {
                limit: MAX_FORM as u64,
            });
        }
        let mut parameters = BTreeMap::new();
        for pair in bytes.split(|byte| *byte == b'&') {
            if parameters.len() == MAX_PARAMETERS {
                return Err(malformed("it has too many parameters"));
            }
            let equals = pair.iter().position(|byte| *byte == b'=');
            let (name, value) = equals
                .and_then(|at| pair.split_at_checked(at))
                .ok_or_else(|| malformed("a parameter has no value"))?;
            let name = decode(name)?;
            let value = decode(value.strip_prefix(b"=").unwrap_or(value))?;
            if let Some(_first) = parameters.insert(name, value) {
                return Err(Refusal::Ambiguous(
                    "a parameter appears more than once".to_owned(),
                ));
            }
        }
        Ok(Self(parameters))
    }

    pub(super) fn required(&mut self, name: &str) -> Result<String, Refusal> {
        self.optional(name)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| Refusal::InvalidInput(format!("parameter `{name}` is missing")))
    }

    pub(super) fn optional(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// What the operation has in AWS and this gateway does not take. Ignoring a session policy
    /// would give the agent more than it asked for.
    pub(super) fn refuse_policies(&self) -> Result<(), Refusal> {
        let refused = self.0.keys().find(|name| {
            let member = |list: &str| {
                name.strip_prefix(list)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            member("Policy") || member("PolicyArns") || member("ProviderId")
        });
        match refused {
            None => Ok(()),
            Some(name) if name.starts_with("ProviderId") => Err(Refusal::InvalidInput(
                "`ProviderId` is for OAuth providers; this gateway takes OIDC tokens only, so leave it out"
                    .to_owned(),
            )),
            Some(_) => Err(Refusal::InvalidInput(
                "session policies are not taken here: the gateway's own policies decide every call; leave `Policy` and `PolicyArns` out"
                    .to_owned(),
            )),
        }
    }

    /// Everything must have been read by now.
    pub(super) fn finish(self) -> Result<(), Refusal> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => {
                let name: String = name
                    .chars()
                    .take(64)
                    .flat_map(char::escape_default)
                    .collect();
                Err(Refusal::InvalidInput(format!(
                    "AssumeRoleWithWebIdentity has no parameter `{name}`"
                )))
            }
        }
    }
}

fn decode(text: &[u8]) -> Result<String, Refusal> {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        let escape = rest.split_at(at).1;
        let [_, high, low, tail @ ..] = escape else {
            return Err(malformed("a percent escape is cut off"));
        };
        if !(high.is_ascii_hexdigit() && low.is_ascii_hexdigit()) {
            return Err(malformed("a percent escape is not hexadecimal"));
        }
        rest = tail;
    }
    let spaced: Vec<u8> = text
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    String::from_utf8(percent_decode(&spaced).collect())
        .map_err(|_| malformed("a parameter is not UTF-8"))
}

fn malformed(what: &str) -> Refusal {
    Refusal::Malformed(format!("the form cannot be read: {what}"))
}
