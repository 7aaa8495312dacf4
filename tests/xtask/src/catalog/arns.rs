//! Binds the variables of an IAM resource type's ARN to the members of an operation's input.
//!
//! A wrong binding would let a policy judge another resource than the call touches, so a variable
//! is bound only by name, and a template with an unbound variable is dropped.

use std::collections::BTreeSet;

use portcullis_core::catalog::{ArnSegment, ArnTemplate, When};

use super::model::{Model, Operation, Reference, Shape};

/// The members of an operation's input that can name a resource.
#[derive(Debug)]
pub(crate) struct Input {
    members: Vec<Member>,
    /// The operation's name without its verb, normalised.
    noun: String,
    service: String,
}

#[derive(Debug)]
struct Member {
    name: String,
    /// `name`, normalised.
    key: String,
    list: bool,
    /// The service may read an ARN here as well as a name.
    takes_arn: bool,
    required: bool,
}

/// A template together with the members that it uses.
#[derive(Clone, Debug)]
struct Bound {
    template: ArnTemplate,
    members: BTreeSet<usize>,
}

impl Input {
    pub(crate) fn of(service: &str, model: &Model, name: &str, operation: &Operation) -> Self {
        let shape = operation.input.as_ref();
        let shape = shape.and_then(|input| model.shapes.get(&input.shape));
        let members = shape.into_iter().flat_map(|shape| {
            let members = shape.members.iter();
            members.filter_map(|(name, reference)| member(service, model, shape, name, reference))
        });
        let verb = name
            .char_indices()
            .skip(1)
            .find(|(_, letter)| letter.is_uppercase());
        let noun = verb
            .and_then(|(start, _)| name.get(start..))
            .unwrap_or_default();
        Self {
            members: members.collect(),
            noun: normalised(noun),
            service: service.to_owned(),
        }
    }

    /// Groups of candidate resources. Types that share members are alternatives, the most specific
    /// first; types with other members are further resources of the same call, each needed when its
    /// member is present.
    pub(crate) fn bind(&self, types: &[(&str, &str)]) -> Vec<(When, Vec<ArnTemplate>)> {
        let mut groups: Vec<Vec<Bound>> = Vec::new();
        for bound in self.bound(types) {
            let related = |group: &&mut Vec<Bound>| {
                group.iter().any(|other| {
                    bound.members.is_subset(&other.members)
                        || other.members.is_subset(&bound.members)
                })
            };
            match groups.iter_mut().find(related) {
                Some(group) => group.push(bound),
                None => groups.push(vec![bound]),
            }
        }
        let always = groups
            .iter()
            .position(|group| self.is_required(group))
            .unwrap_or(0);
        if always < groups.len() {
            groups.swap(0, always);
        }
        let group = |(position, group): (usize, Vec<Bound>)| {
            let when = self.when(position, &group);
            (
                when,
                group.into_iter().map(|bound| bound.template).collect(),
            )
        };
        groups.into_iter().enumerate().map(group).collect()
    }

    fn is_required(&self, group: &[Bound]) -> bool {
        let required = |index: &usize| self.members.get(*index).is_some_and(|m| m.required);
        group
            .last()
            .is_some_and(|bound| bound.members.iter().all(required))
    }

    fn when(&self, position: usize, group: &[Bound]) -> When {
        let members = group.iter().map(|bound| &bound.members);
        let least = members.min_by_key(|members| members.len());
        let first = least.and_then(|members| members.first());
        let first = first.and_then(|index| self.members.get(*index));
        match first {
            Some(member) if position > 0 => When::Present(vec![member.name.clone()]),
            Some(_) | None => When::Always,
        }
    }

    fn bound(&self, types: &[(&str, &str)]) -> Vec<Bound> {
        let mut found: Vec<Bound> = Vec::new();
        for (name, arn) in types {
            for bound in [self.whole(name), self.filled(name, arn)]
                .into_iter()
                .flatten()
            {
                if !found
                    .iter()
                    .any(|known| known.template.segments == bound.template.segments)
                {
                    found.push(bound);
                }
            }
        }
        found.sort_by_key(|bound| std::cmp::Reverse(bound.members.len()));
        found
    }

    /// A member that is the ARN of such a resource.
    fn whole(&self, resource_type: &str) -> Option<Bound> {
        let resource_type = normalised(resource_type);
        let named = |member: &Member| {
            let key = singular(&member.key);
            let Some(of) = key.strip_suffix("arn") else {
                return false;
            };
            match of {
                "resource" => true,
                "" => self.noun_is(&resource_type),
                of => of == resource_type || (of.len() > 3 && resource_type.starts_with(of)),
            }
        };
        let index = self.members.iter().position(named)?;
        let path = vec![self.members.get(index)?.name.clone()];
        Some(bound(vec![ArnSegment::Arn(path)], BTreeSet::from([index])))
    }

    fn filled(&self, resource_type: &str, arn: &str) -> Option<Bound> {
        let mut segments = Vec::new();
        let mut members = BTreeSet::new();
        let mut rest = arn;
        while let Some((literal, tail)) = rest.split_once("${") {
            let (variable, tail) = tail.split_once('}')?;
            push_literal(&mut segments, literal);
            segments.push(match variable {
                "Account" => ArnSegment::Account,
                "Partition" => ArnSegment::Partition,
                "Region" => ArnSegment::Region,
                variable => match self.member(variable, resource_type) {
                    Some(index) if members.insert(index) => self.segment(self.members.get(index)?),
                    Some(_) | None if tail.is_empty() && is_random(variable, &members) => {
                        ArnSegment::Literal("*".to_owned())
                    }
                    Some(_) | None => return None,
                },
            });
            rest = tail;
        }
        push_literal(&mut segments, rest);
        let is_list = |index: &&usize| self.members.get(**index).is_some_and(|member| member.list);
        if members.iter().filter(is_list).count() > 1 {
            return None;
        }
        Some(bound(queue(segments), members))
    }

    fn segment(&self, member: &Member) -> ArnSegment {
        let path = vec![member.name.clone()];
        match (self.service.as_str(), member.key.as_str()) {
            ("lambda", "functionname") => ArnSegment::Function(path),
            ("sqs", "queueurl") => ArnSegment::QueueUrl(path),
            _ if member.takes_arn => ArnSegment::NameOrArn(path),
            _ => ArnSegment::Member(path),
        }
    }

    /// The member that a variable means: the same name, or the same name with another of the
    /// suffixes that AWS uses alike, or a bare `Name` where the operation is about just that type.
    fn member(&self, variable: &str, resource_type: &str) -> Option<usize> {
        let variable = normalised(variable);
        let variable = variable.strip_suffix("withpath").unwrap_or(&variable);
        let resource_type = normalised(resource_type);
        let wanted = match base(variable) {
            "" | "resource" => resource_type.as_str(),
            base => base,
        };
        let rank = |member: &Member| {
            let key = if member.list {
                singular(&member.key)
            } else {
                &member.key
            };
            let named = base(key);
            match key {
                _ if member.key.ends_with("arn") || member.key.ends_with("arns") => None,
                _ if self.alias(variable) == Some(key) => Some(0),
                _ if key == variable => Some(0),
                _ if !named.is_empty() && named == wanted => Some(1),
                _ if named.is_empty() && self.noun_is(wanted) => Some(2),
                _ => None,
            }
        };
        let ranked = self.members.iter().enumerate();
        let ranked = ranked.filter_map(|(index, member)| Some((rank(member)?, index)));
        ranked.min().map(|(_, index)| index)
    }

    fn alias(&self, variable: &str) -> Option<&'static str> {
        match (self.service.as_str(), variable) {
            ("s3", "objectname") => Some("key"),
            ("sqs", "queuename") => Some("queueurl"),
            _ => None,
        }
    }

    fn noun_is(&self, wanted: &str) -> bool {
        !wanted.is_empty() && (self.noun == wanted || singular(&self.noun) == wanted)
    }
}

/// AWS ends some ARNs with an id of its own making behind the name that callers know.
fn is_random(variable: &str, bound: &BTreeSet<usize>) -> bool {
    !bound.is_empty() && matches!(variable, "Id" | "UUID")
}

fn bound(segments: Vec<ArnSegment>, members: BTreeSet<usize>) -> Bound {
    Bound {
        template: ArnTemplate { segments },
        members,
    }
}

fn push_literal(segments: &mut Vec<ArnSegment>, literal: &str) {
    if !literal.is_empty() {
        segments.push(ArnSegment::Literal(literal.to_owned()));
    }
}

/// A queue URL carries the account too, so it takes the place of both.
fn queue(mut segments: Vec<ArnSegment>) -> Vec<ArnSegment> {
    let is_url = matches!(segments.last(), Some(ArnSegment::QueueUrl(_)));
    if is_url && segments.len() > 3 {
        let account = segments.len() - 3;
        segments.drain(account..account + 2);
    }
    segments
}

fn member(
    service: &str,
    model: &Model,
    structure: &Shape,
    name: &str,
    reference: &Reference,
) -> Option<Member> {
    let shape = model.shapes.get(&reference.shape)?;
    let element = shape
        .member
        .as_ref()
        .and_then(|element| model.shapes.get(&element.shape));
    let text = element.unwrap_or(shape);
    (text.kind == "string").then(|| Member {
        name: name.to_owned(),
        key: normalised(name),
        list: shape.kind == "list",
        // An S3 key may begin with `arn:` and still be a key.
        takes_arn: service != "s3" && takes_arn(text, reference),
        required: structure.required.iter().any(|required| required == name),
    })
}

/// A pattern without a colon lets no ARN through, whatever the documentation says.
fn takes_arn(shape: &Shape, reference: &Reference) -> bool {
    let pattern = shape.pattern.as_deref().unwrap_or("arn:");
    let documented = [&shape.documentation, &reference.documentation]
        .into_iter()
        .flatten();
    let says = |text: &String| text.contains("ARN") || text.contains("Amazon Resource Name");
    pattern.contains("arn") || (pattern.contains(':') && documented.into_iter().any(says))
}

pub(crate) fn normalised(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    letters.map(|letter| letter.to_ascii_lowercase()).collect()
}

fn singular(key: &str) -> &str {
    key.strip_suffix('s').unwrap_or(key)
}

fn base(key: &str) -> &str {
    let suffixes = ["identifier", "name", "id"];
    let stripped = suffixes.iter().find_map(|suffix| key.strip_suffix(suffix));
    stripped.unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(operation: &str, members: &[&str]) -> Input {
        let members = members.iter().map(|name| Member {
            name: (*name).to_owned(),
            key: normalised(name),
            list: name.ends_with('s'),
            takes_arn: false,
            required: true,
        });
        Input {
            members: members.collect(),
            noun: normalised(operation),
            service: "test".to_owned(),
        }
    }

    fn check(operation: &str, members: &[&str], kind: (&str, &str), expected: &[&str]) {
        let bound = input(operation, members).bind(&[kind]);
        let templates = bound.iter().flat_map(|(_, templates)| templates);
        let last = templates.map(|template| match template.segments.last() {
            Some(ArnSegment::Member(path) | ArnSegment::Arn(path)) => path.join("."),
            other => panic!("{other:?}"),
        });
        assert_eq!(
            last.collect::<Vec<_>>(),
            expected,
            "{operation} {members:?}"
        );
    }

    #[test]
    fn variables_find_members_by_name_only() {
        let table = ("table", "arn:${Partition}:x:table/${TableName}");
        check("Table", &["TableName"], table, &["TableName"]);
        check("Table", &["Table"], table, &["Table"]);
        check("Table", &["TableArn"], table, &["TableArn"]);
        check("Table", &["Name"], table, &["Name"]);
        check("Index", &["Name"], table, &[]);
        check("Table", &["IndexName"], table, &[]);
        check(
            "Instances",
            &["InstanceIds"],
            ("instance", "i/${InstanceId}"),
            &["InstanceIds"],
        );
        check(
            "Role",
            &["RoleName"],
            ("role", "role/${RoleNameWithPath}"),
            &["RoleName"],
        );
    }

    #[test]
    fn one_unbound_variable_drops_the_template() {
        check(
            "Index",
            &["TableName"],
            ("index", "${TableName}/${IndexName}"),
            &[],
        );
    }

    #[test]
    fn a_random_tail_is_a_star_and_no_member_is_used_twice() {
        let kind = ("stack", "stack/${StackName}/${Id}");
        let bound = input("Stack", &["StackName"]).bind(&[kind]);
        let segments = &bound[0].1[0].segments;
        assert_eq!(segments.last(), Some(&ArnSegment::Literal("*".to_owned())));
        check(
            "Stack",
            &["StackName"],
            ("stack", "${StackName}/${StackId}"),
            &[],
        );
    }

    #[test]
    fn types_with_other_members_are_further_resources() {
        let types = [("volume", "v/${VolumeId}"), ("instance", "i/${InstanceId}")];
        let bound = input("Volume", &["InstanceId", "VolumeId"]).bind(&types);
        let whens: Vec<_> = bound.into_iter().map(|(when, _)| when).collect();
        assert_eq!(
            whens,
            [When::Always, When::Present(vec!["InstanceId".to_owned()])]
        );
    }

    #[test]
    fn types_with_shared_members_are_alternatives() {
        let types = [
            ("table", "t/${TableName}"),
            ("index", "${TableName}/${IndexName}"),
        ];
        let bound = input("Item", &["TableName", "IndexName"]).bind(&types);
        let counts: Vec<_> = bound.iter().map(|(_, group)| group.len()).collect();
        assert_eq!(counts, [2]);
    }
}
