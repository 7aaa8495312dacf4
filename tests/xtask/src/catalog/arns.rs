//! Binds the variables of an IAM resource type's ARN to the members of an operation's input.
//!
//! A wrong binding would let a policy judge another resource than the call touches, so a variable
//! is bound only by name, and a template with an unbound variable is dropped.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_core::catalog::{ArnSegment, ArnTemplate, When};

use super::model::{Model, Operation, Reference, Shape};

/// Where the reference says id and means the name that the caller chose.
const IDS_ARE_NAMES: [&str; 5] = [
    "databrew",
    "iotfleetwise",
    "personalize",
    "route53-recovery-readiness",
    "secretsmanager",
];

/// The members of an operation's input that can name a resource.
#[derive(Debug)]
pub(crate) struct Input {
    members: Vec<Member>,
    /// The operation's name without its verb, normalised.
    noun: String,
    /// A name in the input may be the new one.
    renames: bool,
    service: String,
    /// Which member a variable means where the names do not tell: `Variable` or `type/Variable`.
    aliases: BTreeMap<String, String>,
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
    pub(crate) fn of(
        service: &str,
        model: &Model,
        (name, operation): (&str, &Operation),
        aliases: BTreeMap<String, String>,
    ) -> Self {
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
            renames: ["Modify", "Rename", "Update"]
                .iter()
                .any(|verb| name.starts_with(verb)),
            service: service.to_owned(),
            aliases,
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
        let mut bases = BTreeSet::new();
        while let Some((literal, tail)) = rest.split_once("${") {
            let (variable, tail) = tail.split_once('}')?;
            push_literal(&mut segments, literal);
            let known = format!("{resource_type}/{variable}");
            segments.push(match variable {
                "Account" => ArnSegment::Account,
                "AccountId" if is_account(arn, tail) => ArnSegment::Account,
                "Partition" => ArnSegment::Partition,
                "Region" => ArnSegment::Region,
                _ if self.is_arn(&known, variable) => return self.aliased_arn(&known, variable),
                variable => match self.member(variable, resource_type) {
                    Some(index) if members.insert(index) => {
                        bases.insert(base(&normalised(variable)).to_owned());
                        self.segment(variable, self.members.get(index)?)
                    }
                    Some(_) | None if tail.is_empty() && is_random(variable, &bases) => {
                        ArnSegment::Literal("*".to_owned())
                    }
                    None if self.service == "autoscaling" && variable == "GroupId" => {
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

    /// A member that is the resource's ARN although the variable is only a part of it.
    fn is_arn(&self, known: &str, variable: &str) -> bool {
        self.aliased_arn(known, variable).is_some()
    }

    fn aliased_arn(&self, known: &str, variable: &str) -> Option<Bound> {
        let alias = self.aliases.get(known).or(self.aliases.get(variable))?;
        let alias = alias.to_ascii_lowercase();
        let named = |member: &Member| member.key == alias && alias.ends_with("arn");
        let index = self.members.iter().position(named)?;
        let path = vec![self.members.get(index)?.name.clone()];
        Some(bound(vec![ArnSegment::Arn(path)], BTreeSet::from([index])))
    }

    fn segment(&self, variable: &str, member: &Member) -> ArnSegment {
        let path = vec![member.name.clone()];
        if variable == "ParameterNameWithoutLeadingSlash" {
            return ArnSegment::Parameter(path);
        }
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
        let alias = self.alias(variable, resource_type);
        let variable = normalised(variable);
        let variable = variable.strip_suffix("withpath").unwrap_or(&variable);
        let resource_type = normalised(resource_type);
        let wanted = match base(variable) {
            "" | "resource" | "resourcepath" => resource_type.as_str(),
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
                _ if alias.as_deref() == Some(key) => Some(0),
                _ if key == variable && !self.is_new_name(member) => Some(0),
                // A name is not the id that AWS made for it.
                _ if key.ends_with("name") && variable.ends_with("id") && !self.ids_are_names() => {
                    None
                }
                _ if self.is_new_name(member) => None,
                _ if !named.is_empty() && named == wanted => Some(1),
                _ if named.is_empty() && self.noun_is(wanted) => Some(2),
                _ => None,
            }
        };
        let ranked = self.members.iter().enumerate();
        let ranked = ranked.filter_map(|(index, member)| Some((rank(member)?, index)));
        ranked.min().map(|(_, index)| index)
    }

    /// A name that an update may give to what an id or ARN already names.
    fn is_new_name(&self, member: &Member) -> bool {
        if !self.renames || !member.key.ends_with("name") {
            return false;
        }
        let own = base(&member.key);
        let by_id = |other: &Member| {
            let key = other
                .key
                .strip_suffix("arn")
                .unwrap_or_else(|| base(&other.key));
            let same = key.is_empty() || key == own || key == self.noun;
            other.required && same && !other.key.ends_with("name") && key != other.key
        };
        !member.required || self.members.iter().any(by_id)
    }

    fn alias(&self, variable: &str, resource_type: &str) -> Option<String> {
        let known = format!("{resource_type}/{variable}");
        let alias = self.aliases.get(&known).or(self.aliases.get(variable));
        alias.map(|alias| singular(&normalised(alias)).to_owned())
    }

    /// Services that put the name that a caller chose where the reference has an id.
    fn ids_are_names(&self) -> bool {
        let service = self.service.as_str();
        IDS_ARE_NAMES.contains(&service)
    }

    fn noun_is(&self, wanted: &str) -> bool {
        !wanted.is_empty() && (self.noun == wanted || singular(&self.noun) == wanted)
    }
}

/// AWS ends some ARNs with an id of its own making behind the name that callers know.
fn is_random(variable: &str, bound: &BTreeSet<String>) -> bool {
    let variable = normalised(variable);
    let of_the_same = variable.ends_with("id") && bound.contains(base(&variable));
    !bound.is_empty() && (of_the_same || matches!(variable.as_str(), "id" | "uuid"))
}

/// Whether a variable with this text behind it is an ARN's account.
fn is_account(arn: &str, tail: &str) -> bool {
    let before = arn.len().saturating_sub(tail.len());
    arn.get(..before)
        .is_some_and(|head| head.matches(':').count() == 4)
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
            noun: normalised(operation.trim_start_matches("Update")),
            renames: operation.starts_with("Update"),
            service: "test".to_owned(),
            aliases: BTreeMap::from([
                ("AppId".to_owned(), "ApplicationId".to_owned()),
                ("plan/ResourceId".to_owned(), "PolicyArn".to_owned()),
            ]),
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
            ("stack", "${StackName}/${OtherId}"),
            &[],
        );
    }

    #[test]
    fn an_id_is_not_the_name_of_the_thing() {
        let template = ("template", "template/${TemplateId}");
        check("Template", &["TemplateName"], template, &[]);
        check("Template", &["Name"], template, &[]);
        check(
            "Template",
            &["TemplateId", "Name"],
            template,
            &["TemplateId"],
        );
        let bound = input("Stack", &["StackName"]).bind(&[("stack", "${StackName}-${StackId}")]);
        let segments = &bound[0].1[0].segments;
        assert_eq!(segments.last(), Some(&ArnSegment::Literal("*".to_owned())));
    }

    #[test]
    fn a_new_name_names_nothing() {
        let thing = ("thing", "thing/${ThingName}");
        check("UpdateThing", &["ThingName"], thing, &["ThingName"]);
        check(
            "UpdateThing",
            &["ThingId", "ThingName"],
            thing,
            &["ThingId"],
        );
        check("UpdateThing", &["Id", "Name"], thing, &["Id"]);
        check("Thing", &["Id", "ThingName"], thing, &["ThingName"]);
    }

    #[test]
    fn aliases_find_what_names_do_not() {
        check(
            "X",
            &["ApplicationId"],
            ("app", "app/${AppId}"),
            &["ApplicationId"],
        );
        check(
            "X",
            &["PolicyArn"],
            ("plan", "plan/${ResourceId}"),
            &["PolicyArn"],
        );
        check("X", &["PolicyArn"], ("other", "other/${ResourceId}"), &[]);
    }

    #[test]
    fn an_account_may_be_called_an_account_id() {
        let arn = "arn:${Partition}:x:${Region}:${AccountId}:v/${VoiceId}";
        let bound = input("Voice", &["VoiceId", "AccountId"]).bind(&[("voice", arn)]);
        assert_eq!(bound[0].1[0].segments[5], ArnSegment::Account);
        let organization = "arn:${Partition}:x::${Account}:account/${AccountId}";
        check(
            "X",
            &["AccountId"],
            ("account", organization),
            &["AccountId"],
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
