//! What a policy can see of a call: the entities and the context of one Cedar request.
//!
//! People write these names, so they never change meaning. Values arrive as data and are only
//! ever turned into data: nothing an agent sends can become an entity reference.

use std::collections::{HashMap, HashSet};
use std::str::FromStr;

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression,
};
use serde_json::Value;

/// The entity types policies may name.
pub(crate) const TYPES: &[&str] = &["Action", "Agent", "Group", "Resource"];

const LEVELS: &[&str] = &["list", "read", "tagging", "write", "permissions"];
const SERVICE_GROUP: &str = "service/";
const LEVEL_GROUP: &str = "level/";

/// What the host knows of a call; the optional facts only if a policy looks at them.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// `<issuer>#<subject>`.
    pub principal: String,
    /// The token's issuer.
    pub issuer: String,
    /// The token's subject.
    pub subject: String,
    /// The token's email.
    pub email: Option<String>,
    /// The principal's groups.
    pub groups: Vec<String>,
    /// The session's name.
    pub session: String,
    /// The gateway's role.
    pub role: String,
    /// botocore's service name.
    pub service: String,
    /// The API operation.
    pub operation: String,
    /// The AWS region.
    pub region: String,
    /// The AWS account.
    pub account: String,
    /// The strongest access level of the call.
    pub access: &'static str,
    /// The decoded input as JSON.
    pub params: Option<String>,
    /// RFC 3339.
    pub time: Option<String>,
    /// The agent's address.
    pub source_ip: Option<String>,
    /// The client software.
    pub user_agent: Option<String>,
    /// What IAM would evaluate.
    pub pairs: Vec<Pair>,
}

/// One IAM action on one resource.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Pair {
    /// e.g. `s3:GetObject`.
    pub action: String,
    /// An ARN, or `*`.
    pub resource: String,
    /// The access-level word.
    pub access: &'static str,
}

/// The vocabulary's types, parsed once.
#[derive(Debug)]
pub(crate) struct Types {
    action: EntityTypeName,
    agent: EntityTypeName,
    group: EntityTypeName,
    resource: EntityTypeName,
}

/// Who asks, in Cedar's form.
pub(crate) struct Principal {
    pub(crate) uid: EntityUid,
    entity: Entity,
}

impl Types {
    pub(crate) fn new() -> Result<Self, String> {
        let name = |name| EntityTypeName::from_str(name).map_err(|error| error.to_string());
        Ok(Self {
            action: name("Action")?,
            agent: name("Agent")?,
            group: name("Group")?,
            resource: name("Resource")?,
        })
    }

    pub(crate) fn principal(&self, facts: &Facts) -> Result<Principal, String> {
        let uid = uid(&self.agent, &facts.principal);
        let mut attributes = HashMap::from([
            attribute("subject", &facts.subject),
            attribute("issuer", &facts.issuer),
            attribute("session", &facts.session),
            attribute("role", &facts.role),
        ]);
        attributes.extend(facts.email.iter().map(|email| attribute("email", email)));
        let groups: HashSet<EntityUid> = facts
            .groups
            .iter()
            .map(|group| self::uid(&self.group, group))
            .collect();
        let entity = Entity::new(uid.clone(), attributes, groups).map_err(|e| e.to_string())?;
        Ok(Principal { uid, entity })
    }

    pub(crate) fn action(&self, pair: &Pair) -> EntityUid {
        uid(&self.action, &pair.action)
    }

    pub(crate) fn resource(&self, pair: &Pair) -> EntityUid {
        uid(&self.resource, &pair.resource)
    }

    /// The entities of one request: exactly the three in its scope.
    pub(crate) fn entities(&self, principal: &Principal, pair: &Pair) -> Result<Entities, String> {
        let groups: HashSet<EntityUid> = action_groups(pair)
            .map(|group| uid(&self.action, &group))
            .collect();
        let action = Entity::new_no_attrs(self.action(pair), groups);
        let arn = Arn::parse(&pair.resource);
        let attributes = HashMap::from([
            attribute("arn", &pair.resource),
            attribute("service", arn.service),
            attribute("region", arn.region),
            attribute("account", arn.account),
            attribute("type", arn.kind),
            attribute("name", arn.name),
        ]);
        let resource = Entity::new(self.resource(pair), attributes, HashSet::new())
            .map_err(|error| error.to_string())?;
        Entities::from_entities([principal.entity.clone(), action, resource], None)
            .map_err(|error| error.to_string())
    }
}

/// The context shared by all requests of one call.
pub(crate) fn context(facts: &Facts) -> Result<Context, String> {
    let mut pairs = vec![
        attribute("service", &facts.service),
        attribute("operation", &facts.operation),
        attribute("region", &facts.region),
        attribute("account", &facts.account),
        attribute("access", facts.access),
    ];
    if let Some(params) = &facts.params {
        let params: Value = serde_json::from_str(params).map_err(|error| error.to_string())?;
        pairs.push(("params".to_owned(), expression(params)?));
    }
    if let Some(time) = &facts.time {
        pairs.push(("time".to_owned(), RestrictedExpression::new_datetime(time)));
    }
    if let Some(ip) = &facts.source_ip {
        pairs.push(("source_ip".to_owned(), RestrictedExpression::new_ip(ip)));
    }
    if let Some(agent) = &facts.user_agent {
        pairs.push(attribute("user_agent", agent));
    }
    Context::from_pairs(pairs).map_err(|error| error.to_string())
}

/// The groups an action is a member of. An unknown access level belongs to no level group.
pub(crate) fn action_groups(pair: &Pair) -> impl Iterator<Item = String> {
    let service = pair
        .action
        .split_once(':')
        .map(|(prefix, _)| format!("{SERVICE_GROUP}{prefix}"));
    let level = LEVELS
        .contains(&pair.access)
        .then(|| format!("{LEVEL_GROUP}{}", pair.access));
    service.into_iter().chain(level)
}

/// Whether an `Action` id names a group.
pub(crate) fn is_action_group(id: &str) -> bool {
    id.starts_with(SERVICE_GROUP) || id.starts_with(LEVEL_GROUP)
}

/// Why no action can ever have this id.
pub(crate) fn action_problem(id: &str) -> Option<String> {
    if let Some(level) = id.strip_prefix(LEVEL_GROUP) {
        return (!LEVELS.contains(&level)).then(|| {
            format!(
                "there is no access level `{level}`; known: {}",
                LEVELS.join(", ")
            )
        });
    }
    let is_word = |text: &str| {
        !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    if let Some(service) = id.strip_prefix(SERVICE_GROUP) {
        return (!is_word(service)).then(|| format!("`{service}` is no IAM service prefix"));
    }
    let known = id
        .split_once(':')
        .is_some_and(|(prefix, action)| is_word(prefix) && is_word(action));
    (!known).then(|| {
        format!(
            "`Action::\"{id}\"` matches nothing: write `<iam prefix>:<IAM action>` in full, \
             `service/<prefix>` or `level/<level>`"
        )
    })
}

/// The attributes of a variable; `None` for one without a fixed list.
pub(crate) fn attributes(variable: &str) -> Option<&'static [&'static str]> {
    match variable {
        "principal" => Some(&["email", "issuer", "role", "session", "subject"]),
        "action" => Some(&[]),
        "resource" => Some(&["account", "arn", "name", "region", "service", "type"]),
        "context" => Some(&[
            "access",
            "account",
            "operation",
            "params",
            "region",
            "service",
            "source_ip",
            "time",
            "user_agent",
        ]),
        _ => None,
    }
}

/// The parts of an ARN; all empty for `*`.
#[derive(Debug, Default, Eq, PartialEq)]
struct Arn<'a> {
    service: &'a str,
    region: &'a str,
    account: &'a str,
    kind: &'a str,
    name: &'a str,
}

impl<'a> Arn<'a> {
    fn parse(arn: &'a str) -> Self {
        let mut parts = arn.splitn(6, ':');
        let (Some("arn"), Some(_), Some(service), Some(region), Some(account), Some(rest)) = (
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
        ) else {
            return Self::default();
        };
        let (kind, name) = match (service, rest.split_once(['/', ':'])) {
            // S3's ARNs carry no type: a slash is what tells an object from a bucket.
            ("s3", Some(_)) if account.is_empty() => ("object", rest),
            ("s3", None) => ("bucket", rest),
            (_, Some((kind, name))) => (kind, name),
            (_, None) => ("", rest),
        };
        Self {
            service,
            region,
            account,
            kind,
            name,
        }
    }
}

/// JSON → Cedar. Cedar has no null: a null member is absent, a null list element is `{}`. A float
/// is a `decimal` where four digits hold it exactly, else its text, so that comparing it as a
/// number is an error and hence a deny. An integer beyond 64 bits signed is its text.
fn expression(value: Value) -> Result<RestrictedExpression, String> {
    Ok(match value {
        Value::Null => RestrictedExpression::new_record([]).map_err(|e| e.to_string())?,
        Value::Bool(value) => RestrictedExpression::new_bool(value),
        Value::Number(number) => self::number(&number),
        Value::String(text) => RestrictedExpression::new_string(text),
        Value::Array(items) => {
            let items: Result<Vec<_>, String> = items.into_iter().map(expression).collect();
            RestrictedExpression::new_set(items?)
        }
        Value::Object(members) => {
            let members: Result<Vec<_>, String> = members
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| Ok((key, expression(value)?)))
                .collect();
            RestrictedExpression::new_record(members?).map_err(|e| e.to_string())?
        }
    })
}

fn number(number: &serde_json::Number) -> RestrictedExpression {
    if let Some(integer) = number.as_i64() {
        return RestrictedExpression::new_long(integer);
    }
    let text = number.to_string();
    let Some((whole, fraction)) = text.split_once('.') else {
        return RestrictedExpression::new_string(text);
    };
    let digits = |text: &str, most: usize| {
        (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    if digits(whole.trim_start_matches('-'), 14) && digits(fraction, 4) {
        RestrictedExpression::new_decimal(&text)
    } else {
        RestrictedExpression::new_string(text)
    }
}

fn attribute(name: &str, value: &str) -> (String, RestrictedExpression) {
    (
        name.to_owned(),
        RestrictedExpression::new_string(value.to_owned()),
    )
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

#[cfg(test)]
mod tests;
