//! The forms in which AWS lets a caller name a resource: a name, an ARN, a queue URL, a copy
//! source. Each ends as the one ARN that IAM would check.

use crate::interpret::form;

/// An ARN being put together.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Name {
    text: String,
    /// The caller named the whole resource; nothing is appended any more.
    whole: bool,
}

impl Name {
    /// Any resource.
    pub(super) fn any() -> Self {
        Self::whole("*")
    }

    /// A value that is an ARN.
    pub(super) fn arn(value: &str) -> Option<Self> {
        value.starts_with("arn:").then(|| Self::whole(value))
    }

    fn whole(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            whole: true,
        }
    }

    /// The finished ARN.
    pub(super) fn into_arn(self) -> String {
        self.text
    }

    /// Puts a text behind the name.
    pub(super) fn push(&mut self, text: &str) {
        if !self.whole {
            self.text.push_str(text);
        }
    }

    /// The name with a text behind it.
    pub(super) fn with(&self, text: &str) -> Self {
        let mut name = self.clone();
        name.push(text);
        name
    }

    /// A value that its service reads as a name or as an ARN.
    pub(super) fn name_or_arn(&self, value: &str, last: bool) -> Self {
        let Some(given) = Arn::parse(value) else {
            return if last && value.starts_with("arn:") {
                Self::whole(value)
            } else {
                self.with(value)
            };
        };
        let Some(own) = Arn::parse(&self.text) else {
            return Self::whole(value);
        };
        if given.service == own.service && given.resource.starts_with(own.resource) {
            return Self {
                text: value.to_owned(),
                whole: false,
            };
        }
        if last {
            return Self::whole(value);
        }
        let name = given.resource.rsplit(['/', ':']).next().unwrap_or_default();
        Self {
            text: format!(
                "arn:{}:{}:{}:{}:{}{name}",
                given.partition, own.service, given.region, given.account, own.resource
            ),
            whole: false,
        }
    }

    /// S3's copy source: `[/]bucket/key[?versionId=…]`, percent-encoded, or an access point's ARN.
    /// Nothing for a source with two readings: one with another query, or with a `+`, which is a
    /// space to some and itself to others.
    pub(super) fn copy_source(&self, value: &str) -> Option<Self> {
        let (path, query) = value.split_once('?').unwrap_or((value, "versionId="));
        let version = query.strip_prefix("versionId=")?;
        if path.contains('+') || version.contains(['?', '&']) {
            return None;
        }
        let decoded = form::decode(path).ok()?;
        if decoded.starts_with("arn:") {
            return Some(Self::whole(&decoded));
        }
        let path = decoded.strip_prefix('/').unwrap_or(&decoded);
        path.contains('/').then(|| self.with(path))
    }

    /// A Lambda function: `name`, `account:function:name` or an ARN, each perhaps with
    /// `:qualifier`.
    pub(super) fn function(&self, value: &str) -> Self {
        let parts: Vec<&str> = value.split(':').collect();
        match parts.as_slice() {
            [
                "arn",
                partition,
                "lambda",
                region,
                account,
                "function",
                name,
                ..,
            ] => Self {
                text: format!("arn:{partition}:lambda:{region}:{account}:function:{name}"),
                whole: false,
            },
            ["arn", ..] => Self::whole(value),
            [account, "function", name, ..] => match Arn::parse(&self.text) {
                Some(own) => Self {
                    text: format!(
                        "arn:{}:{}:{}:{account}:{}{name}",
                        own.partition, own.service, own.region, own.resource
                    ),
                    whole: false,
                },
                None => self.with(name),
            },
            [name, ..] => self.with(name),
            [] => self.clone(),
        }
    }

    /// A Systems Manager parameter: `[/]name[:selector]` or an ARN, perhaps with a selector too.
    /// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html>
    pub(super) fn parameter(&self, value: &str) -> Self {
        if let Some(given) = Arn::parse(value) {
            let name = given.resource.split(':').next().unwrap_or_default();
            let text = format!(
                "arn:{}:{}:{}:{}:{name}",
                given.partition, given.service, given.region, given.account
            );
            return Self::whole(&text);
        }
        let name = value.split(':').next().unwrap_or_default();
        self.with(name.strip_prefix('/').unwrap_or(name))
    }

    /// A queue URL's last two path segments, `account:queue`.
    pub(super) fn queue_url(&self, value: &str) -> Option<Self> {
        let (_, path) = value.split_once("://")?;
        let (_, path) = path.split_once('/')?;
        let (rest, queue) = path.rsplit_once('/').unwrap_or(("", path));
        let account = rest.rsplit('/').next()?;
        if account.is_empty() || queue.is_empty() {
            return None;
        }
        Some(self.with(&format!("{account}:{queue}")))
    }
}

/// Whether a copy source has a version behind it.
pub(super) fn is_versioned(source: &str) -> bool {
    source
        .split_once('?')
        .is_some_and(|(_, query)| query.starts_with("versionId="))
}

/// The six parts of an ARN.
struct Arn<'a> {
    partition: &'a str,
    service: &'a str,
    region: &'a str,
    account: &'a str,
    resource: &'a str,
}

impl<'a> Arn<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.strip_prefix("arn:")?.splitn(5, ':');
        Some(Self {
            partition: parts.next()?,
            service: parts.next()?,
            region: parts.next()?,
            account: parts.next()?,
            resource: parts.next()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "arn:aws:dynamodb:us-east-1:123456789012:table/";
    const FUNCTION: &str = "arn:aws:lambda:us-east-1:123456789012:function:";

    fn start(text: &str) -> Name {
        Name::default().with(text)
    }

    #[test]
    fn names_and_arns_end_as_the_same_resource() {
        let whole = "arn:aws:dynamodb:us-east-1:123456789012:table/t";
        assert_eq!(start(TABLE).name_or_arn("t", true).into_arn(), whole);
        assert_eq!(start(TABLE).name_or_arn(whole, true).into_arn(), whole);
        let other = "arn:aws:dynamodb:us-east-1:999999999999:table/t";
        assert_eq!(
            start(TABLE)
                .name_or_arn(other, false)
                .with("/index/i")
                .into_arn(),
            format!("{other}/index/i")
        );
    }

    #[test]
    fn an_arn_of_another_kind_lends_its_name() {
        let service = start("arn:aws:ecs:us-east-1:123456789012:service/");
        let cluster = "arn:aws:ecs:eu-west-1:999999999999:cluster/prod";
        assert_eq!(
            service.name_or_arn(cluster, false).with("/web").into_arn(),
            "arn:aws:ecs:eu-west-1:999999999999:service/prod/web"
        );
    }

    #[test]
    fn every_form_of_a_function_is_one_resource() {
        let whole = format!("{FUNCTION}f");
        for value in [
            "f",
            "f:live",
            "123456789012:function:f",
            "123456789012:function:f:live",
            &whole,
            &format!("{whole}:3"),
        ] {
            assert_eq!(start(FUNCTION).function(value).into_arn(), whole, "{value}");
        }
    }

    #[test]
    fn copy_sources_are_decoded_without_their_version() {
        let objects = start("arn:aws:s3:::");
        for (value, expected) in [
            ("b/k", Some("arn:aws:s3:::b/k")),
            ("/b/k%20%3F?versionId=1", Some("arn:aws:s3:::b/k ?")),
            (
                "arn:aws:s3:r:1:accesspoint/p/object/k",
                Some("arn:aws:s3:r:1:accesspoint/p/object/k"),
            ),
            ("b/%ff", None),
            ("b", None),
            ("b/k?version", None),
            ("b/k?versionId=1&x", None),
            ("b/a+b", None),
            ("b/a%2Bb", Some("arn:aws:s3:::b/a+b")),
        ] {
            let read = objects.copy_source(value).map(Name::into_arn);
            assert_eq!(read.as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn only_a_query_makes_a_copy_source_versioned() {
        assert!(is_versioned("b/k?versionId=1"));
        assert!(!is_versioned("b/k"));
        assert!(!is_versioned("b/k%3FversionId=1"));
    }

    #[test]
    fn every_form_of_a_parameter_is_one_resource() {
        let parameters = start("arn:aws:ssm:us-east-1:123456789012:parameter/");
        let whole = "arn:aws:ssm:us-east-1:123456789012:parameter/a/b";
        for value in [
            "a/b",
            "/a/b",
            "/a/b:3",
            "a/b:label",
            whole,
            &format!("{whole}:3"),
        ] {
            assert_eq!(parameters.parameter(value).into_arn(), whole, "{value}");
        }
    }

    #[test]
    fn queue_urls_name_account_and_queue() {
        let queues = start("arn:aws:sqs:us-east-1:");
        for (value, expected) in [
            (
                "https://sqs.us-east-1.amazonaws.com/123456789012/q",
                Some("arn:aws:sqs:us-east-1:123456789012:q"),
            ),
            ("q", None),
            ("https://sqs.us-east-1.amazonaws.com/q", None),
        ] {
            let read = queues.queue_url(value).map(Name::into_arn);
            assert_eq!(read.as_deref(), expected, "{value}");
        }
    }
}
