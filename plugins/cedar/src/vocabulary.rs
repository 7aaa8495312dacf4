//! What a policy can see of a call: the entities and the context of one Cedar request.
//!
//! People write these names, so they never change meaning. Values arrive as data and are only
//! ever turned into data: nothing an agent sends can become an entity reference.

use std::collections::{BTreeMap, HashSet};
use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::RestrictedExpression;
use cedar_policy_core::ast::{
    Context, Eid, Entity, EntityType, EntityUID, PartialValue, Value as CedarValue,
};
use cedar_policy_core::entities::{Entities, NoEntitiesSchema, TCComputation};
use cedar_policy_core::evaluator::RestrictedEvaluator;
use cedar_policy_core::extensions::Extensions;
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
    action: EntityType,
    agent: EntityType,
    group: EntityType,
    resource: EntityType,
}

/// One pair in Cedar's form. Values are built directly, because evaluating expressions for them
/// would cost more than the policies do.
pub(crate) struct Scope {
    pub(crate) principal: EntityUID,
    pub(crate) action: EntityUID,
    pub(crate) resource: EntityUID,
    /// Exactly these three.
    pub(crate) entities: Entities,
}

impl Types {
    pub(crate) fn new() -> Result<Self, String> {
        let name = |name| EntityType::from_str(name).map_err(|error| error.to_string());
        Ok(Self {
            action: name("Action")?,
            agent: name("Agent")?,
            group: name("Group")?,
            resource: name("Resource")?,
        })
    }

    /// Who acts, the same for all pairs of a call.
    pub(crate) fn principal(&self, facts: &Facts) -> Entity {
        let email = facts.email.as_deref().map(|email| ("email", email));
        let attributes = [
            ("subject", facts.subject.as_str()),
            ("issuer", &facts.issuer),
            ("session", &facts.session),
            ("role", &facts.role),
        ];
        let groups = facts.groups.iter().map(|group| uid(&self.group, group));
        entity(
            uid(&self.agent, &facts.principal),
            attributes.into_iter().chain(email),
            groups.collect(),
        )
    }

    /// One request's principal, action and resource.
    ///
    /// # Errors
    /// Cedar's, which cannot happen for three entities of different types.
    pub(crate) fn scope(&self, principal: &Entity, pair: &Pair) -> Result<Scope, String> {
        let action = uid(&self.action, &pair.action);
        let resource = uid(&self.resource, &pair.resource);
        let groups = action_groups(pair).map(|group| uid(&self.action, &group));
        let arn = Arn::parse(&pair.resource);
        let attributes = [
            ("arn", pair.resource.as_str()),
            ("service", arn.service),
            ("region", arn.region),
            ("account", arn.account),
            ("type", arn.kind),
            ("name", arn.name),
        ];
        let entities = [
            principal.clone(),
            entity(action.clone(), [], groups.collect()),
            entity(resource.clone(), attributes, HashSet::new()),
        ];
        // Groups have no groups, so the parents given are all ancestors there are.
        let entities = Entities::from_entities(
            entities,
            None::<&NoEntitiesSchema>,
            TCComputation::AssumeAlreadyComputed,
            Extensions::all_available(),
        );
        Ok(Scope {
            principal: principal.uid().clone(),
            action,
            resource,
            entities: entities.map_err(|error| error.to_string())?,
        })
    }
}

/// The context shared by all requests of one call.
///
/// # Errors
/// For a fact that is not what it should be, such as a malformed address.
pub(crate) fn context(facts: &Facts) -> Result<Context, String> {
    let mut context = BTreeMap::new();
    let mut put = |name: &str, value: CedarValue| context.insert(name.into(), value);
    put("service", text(&facts.service));
    put("operation", text(&facts.operation));
    put("region", text(&facts.region));
    put("account", text(&facts.account));
    put("access", text(facts.access));
    if let Some(params) = &facts.params {
        let params: Value = serde_json::from_str(params).map_err(|error| error.to_string())?;
        put("params", value(params)?);
    }
    if let Some(time) = &facts.time {
        put(
            "time",
            extension(&RestrictedExpression::new_datetime(time))?,
        );
    }
    if let Some(ip) = &facts.source_ip {
        put("source_ip", extension(&RestrictedExpression::new_ip(ip))?);
    }
    if let Some(agent) = &facts.user_agent {
        put("user_agent", text(agent));
    }
    Ok(Context::Value(Arc::new(context)))
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
fn value(json: Value) -> Result<CedarValue, String> {
    Ok(match json {
        Value::Null => CedarValue::empty_record(None),
        Value::Bool(value) => value.into(),
        Value::Number(number) => self::number(&number)?,
        Value::String(text) => text.into(),
        Value::Array(items) => {
            let items: Result<Vec<_>, String> = items.into_iter().map(value).collect();
            CedarValue::set(items?, None)
        }
        Value::Object(members) => {
            let members: Result<BTreeMap<_, _>, String> = members
                .into_iter()
                .filter(|(_, member)| !member.is_null())
                .map(|(key, member)| Ok((key.into(), value(member)?)))
                .collect();
            CedarValue::record_arc(Arc::new(members?), None)
        }
    })
}

fn number(number: &serde_json::Number) -> Result<CedarValue, String> {
    if let Some(integer) = number.as_i64() {
        return Ok(integer.into());
    }
    let text = number.to_string();
    let digits = |text: &str, most: usize| {
        (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    match text.split_once('.') {
        Some((whole, fraction))
            if digits(whole.trim_start_matches('-'), 14) && digits(fraction, 4) =>
        {
            extension(&RestrictedExpression::new_decimal(&text))
        }
        Some(_) | None => Ok(text.into()),
    }
}

/// Cedar's own reading of an address, a time or a decimal.
fn extension(expression: &RestrictedExpression) -> Result<CedarValue, String> {
    RestrictedEvaluator::new(Extensions::all_available())
        .interpret(expression.as_ref().as_borrowed())
        .map_err(|error| error.to_string())
}

fn entity<'a>(
    uid: EntityUID,
    attributes: impl IntoIterator<Item = (&'a str, &'a str)>,
    parents: HashSet<EntityUID>,
) -> Entity {
    let attributes = attributes
        .into_iter()
        .map(|(name, value)| (name.into(), PartialValue::Value(text(value))));
    Entity::new_with_attr_partial_value(uid, attributes, HashSet::new(), parents, [])
}

fn text(text: &str) -> CedarValue {
    text.into()
}

fn uid(kind: &EntityType, id: &str) -> EntityUID {
    EntityUID::from_components(kind.clone(), Eid::new(id), None)
}

#[cfg(test)]
mod tests;
