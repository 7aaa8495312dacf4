//! Roles that a call hands to a service, wherever they are in its input: it needs `iam:PassRole` on
//! each. <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html>

use portcullis_core::call::AccessLevel;
use portcullis_core::catalog::{ActionTemplate, ArnSegment, ArnTemplate, Basis, When};

use crate::catalog::arns::normalised;
use crate::catalog::model::{Model, Reference, Shape};

/// Services whose role members are not roles passed to a service: they are IAM's own subject, or a
/// finding's.
const PASSES_NO_ROLE: [&str; 9] = [
    "iam",
    "iam-toolbox",
    "lakeformation",
    "resource-groups",
    "securityhub",
    "signin",
    "sso",
    "sso-admin",
    "sts",
];

/// Services that call something else an instance profile.
const OWN_PROFILES: [&str; 2] = ["devicefarm", "dms"];

/// Deeper members exist only in shapes that contain themselves.
const MAX_DEPTH: usize = 12;

/// What a member passes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Passed {
    /// A role, by name or ARN.
    Role,
    /// The role inside an instance profile, which its name does not tell.
    Profile,
}

/// An `iam:PassRole` for every member of an input that can pass a role.
pub(super) fn actions(service: &str, model: &Model, input: &str) -> Vec<ActionTemplate> {
    if PASSES_NO_ROLE.contains(&service) {
        return Vec::new();
    }
    let mut search = Search {
        model,
        own_profiles: OWN_PROFILES.contains(&service),
        trail: Vec::new(),
        found: Vec::new(),
    };
    search.shape(input, &Place::default());
    search.found
}

/// Where a search is.
#[derive(Clone, Debug, Default)]
struct Place {
    path: Vec<String>,
    each: Vec<String>,
}

impl Place {
    fn below(&self, name: &str) -> Self {
        let mut place = self.clone();
        place.path.push(name.to_owned());
        place
    }

    /// Of a list or map whose elements are judged alone.
    fn element(&self) -> Self {
        Self {
            path: self.path.clone(),
            each: self.path.clone(),
        }
    }
}

struct Search<'a> {
    model: &'a Model,
    own_profiles: bool,
    /// The structures above, so that none is entered within itself.
    trail: Vec<&'a str>,
    found: Vec<ActionTemplate>,
}

impl<'a> Search<'a> {
    fn shape(&mut self, name: &'a str, place: &Place) {
        let Some(shape) = self.model.shapes.get(name) else {
            return;
        };
        if self.trail.contains(&name) || self.trail.len() > MAX_DEPTH {
            return;
        }
        self.trail.push(name);
        match (shape.kind.as_str(), &shape.member, &shape.value) {
            ("structure", _, _) => {
                for (name, reference) in &shape.members {
                    self.member(name, reference, &place.below(name));
                }
            }
            ("list", Some(element), _) => self.shape(&element.shape, &place.element()),
            ("map", _, Some(value)) => self.shape(&value.shape, &place.below("*").element()),
            _ => (),
        }
        self.trail.pop();
    }

    fn member(&mut self, name: &str, reference: &'a Reference, place: &Place) {
        let Some(shape) = self.model.shapes.get(&reference.shape) else {
            return;
        };
        match self.passed(name, shape, reference) {
            Some(passed) => {
                let mut place = place.clone();
                if shape.kind == "map" {
                    place = place.below("*");
                }
                self.found.push(template(passed, place));
            }
            None => self.shape(&reference.shape, place),
        }
    }

    fn passed(&self, name: &str, shape: &Shape, reference: &Reference) -> Option<Passed> {
        let key = normalised(name);
        let is_profile = ["instanceprofile", "instanceprofilearn", "jobflowrole"];
        let of_instances = key == "instancerole" && says(shape, reference, "profile");
        if is_profile.iter().any(|end| key.ends_with(end)) || of_instances {
            return (!self.own_profiles).then_some(Passed::Profile);
        }
        let element = shape.member.as_ref().or(shape.value.as_ref());
        let text = element.and_then(|element| self.model.shapes.get(&element.shape));
        let text = text.unwrap_or(shape);
        let key = key.strip_suffix('s').unwrap_or(&key);
        let key = key.strip_suffix("update").unwrap_or(key);
        let key = key.strip_suffix("override").unwrap_or(key);
        let is_choice = !text.enumerated.is_empty();
        if text.kind != "string" || is_choice || key.contains("crossaccount") {
            return None;
        }
        let is_role = key.ends_with("rolearn")
            || matches!(key, "executionrole" | "servicerole" | "iamrole")
            || (key == "role" && says(text, reference, "ARN"))
            || (key.ends_with("role") && says(text, reference, "IAM"));
        is_role.then_some(Passed::Role)
    }
}

/// Whether a member's pattern or documentation has a word.
fn says(shape: &Shape, reference: &Reference, word: &str) -> bool {
    let texts = [
        &shape.pattern,
        &shape.documentation,
        &reference.documentation,
    ];
    let mut texts = texts.into_iter().flatten();
    texts.any(|text| text.contains(word) || text.contains(":iam:"))
}

fn template(passed: Passed, place: Place) -> ActionTemplate {
    let literal = |text: &str| ArnSegment::Literal(text.to_owned());
    let name = match passed {
        Passed::Profile => literal("*"),
        Passed::Role => ArnSegment::NameOrArn(place.path.clone()),
    };
    ActionTemplate {
        name: "iam:PassRole".to_owned(),
        access: AccessLevel::Write,
        basis: Basis::Documented,
        each: place.each,
        resources: vec![ArnTemplate {
            segments: vec![
                literal("arn:"),
                ArnSegment::Partition,
                literal(":iam::"),
                ArnSegment::Account,
                literal(":role/"),
                name,
            ],
        }],
        when: When::Present(place.path),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(
        clippy::needless_pass_by_value,
        reason = "tables read better without `&json!`"
    )]
    fn passed(members: serde_json::Value) -> Vec<String> {
        let model = json!({
            "metadata": {
                "apiVersion": "1", "endpointPrefix": "x", "protocol": "json", "serviceId": "X",
            },
            "shapes": {
                "In": {"type": "structure", "members": members},
                "Text": {"type": "string"},
                "Choice": {"type": "string", "enum": ["user", "assistant"]},
                "Texts": {"type": "list", "member": {"shape": "Text"}},
                "Target": {"type": "structure", "members": {
                    "RoleArn": {"shape": "Text"}, "Targets": {"shape": "Targets"},
                }},
                "Targets": {"type": "list", "member": {"shape": "Target"}},
                "Named": {"type": "map", "key": {"shape": "Text"}, "value": {"shape": "Target"}},
            },
        });
        let model: Model = serde_json::from_value(model).unwrap();
        let found = actions("x", &model, "In");
        let path = |action: &ActionTemplate| match &action.when {
            When::Present(path) => format!("{} of {}", path.join("."), action.each.join(".")),
            other => panic!("{other:?}"),
        };
        let mut paths: Vec<String> = found.iter().map(path).collect();
        // `json!` keeps its members' order or not, as other crates of the build want it.
        paths.sort();
        paths
    }

    #[test]
    fn roles_are_found_wherever_they_are() {
        let members = json!({
            "ExecutionRole": {"shape": "Text"},
            "RoleArns": {"shape": "Texts"},
            "Target": {"shape": "Target"},
            "Targets": {"shape": "Targets"},
            "Named": {"shape": "Named"},
        });
        assert_eq!(
            passed(members),
            [
                "ExecutionRole of ",
                "Named.*.RoleArn of Named.*",
                "RoleArns of ",
                "Target.RoleArn of ",
                "Targets.RoleArn of Targets",
            ]
        );
    }

    #[test]
    fn a_word_that_only_ends_like_a_role_passes_none() {
        let role = |text: &str| json!({"Role": {"shape": "Text", "documentation": text}});
        assert!(passed(role("user or assistant")).is_empty());
        assert_eq!(passed(role("The ARN of the role.")).len(), 1);
        let other = |text: &str| json!({"ViewerRole": {"shape": "Text", "documentation": text}});
        assert!(passed(other("viewer or author")).is_empty());
        assert_eq!(passed(other("The IAM role.")).len(), 1);
        assert!(passed(json!({"CrossAccountRole": {"shape": "Text"}})).is_empty());
        assert!(passed(json!({"Role": {"shape": "Choice"}})).is_empty());
        assert!(passed(json!({"RoleName": {"shape": "Text"}})).is_empty());
    }
}
