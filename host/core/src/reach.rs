//! How far a signature reaches, and with it the call: into one region, or, signed with Signature
//! Version 4A, into a set of them.
//!
//! Code that needs a region has to ask for it and to say what happens where there is none.

use std::fmt;

/// Longer than the names of all regions there are.
const MAX_SET: usize = 1024;

/// One region or a set of them.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Reach {
    /// e.g. `us-east-1`.
    Region(String),
    /// Whichever of these AWS chooses.
    Set(RegionSet),
}

/// What `X-Amz-Region-Set` says: names of regions, separated by commas, in which `*` stands for any
/// text. <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html>
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct RegionSet(String);

impl Reach {
    /// The region, or the set in the one spelling it has: what policies and records say.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Region(region) => region,
            Self::Set(set) => set.as_str(),
        }
    }

    /// The region, if it is only one.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        match self {
            Self::Region(region) => Some(region),
            Self::Set(_) => None,
        }
    }

    /// Whether it stays inside what `permits` says of a region.
    #[must_use]
    pub fn is_within(&self, permits: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Region(region) => permits(region),
            // `*` names regions that nobody has looked at, and those to come.
            Self::Set(set) => set
                .members()
                .all(|member| !member.contains('*') && permits(member)),
        }
    }
}

/// One region.
impl From<&str> for Reach {
    fn from(region: &str) -> Self {
        Self::Region(region.to_owned())
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl RegionSet {
    /// Reads the value of `X-Amz-Region-Set`; `None` for blanks, capitals, empty members and
    /// members that are there twice.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let members: Vec<&str> = text.split(',').collect();
        let legal = |member: &&str| {
            let known = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'*');
            !member.is_empty() && member.bytes().all(known)
        };
        let again = |(at, member): (usize, &&str)| members.iter().skip(at + 1).any(|m| m == member);
        let fits = text.len() <= MAX_SET
            && members.iter().all(legal)
            && !members.iter().enumerate().any(again);
        fits.then(|| Self(text.to_owned()))
    }

    /// As it was signed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Names of regions, and patterns.
    pub fn members(&self) -> impl Iterator<Item = &str> {
        self.0.split(',')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_one_spelling() {
        for (text, expected) in [
            ("*", true),
            ("us-east-1", true),
            ("us-east-1,eu-west-1", true),
            ("us-*,eu-west-1", true),
            ("", false),
            ("us-east-1,", false),
            (",us-east-1", false),
            ("us-east-1, eu-west-1", false),
            ("us-east-1,us-east-1", false),
            ("us-east-1,eu-west-1,us-east-1", false),
            ("US-EAST-1", false),
            ("us-east-1;eu-west-1", false),
            ("us_east_1", false),
        ] {
            assert_eq!(RegionSet::parse(text).is_some(), expected, "{text}");
        }
        let long = vec!["a"; 1025].join("");
        assert_eq!(RegionSet::parse(&long), None);
    }

    #[test]
    fn a_set_is_within_only_if_every_member_is_named() {
        let permits = |region: &str| ["us-east-1", "eu-west-1"].contains(&region);
        for (text, expected) in [
            ("us-east-1", true),
            ("eu-west-1,us-east-1", true),
            ("us-east-1,us-west-2", false),
            ("*", false),
            ("us-east-*", false),
            ("us-east-1,*", false),
        ] {
            let reach = Reach::Set(RegionSet::parse(text).unwrap());
            assert_eq!(reach.is_within(permits), expected, "{text}");
            assert_eq!(reach.region(), None);
            assert_eq!(reach.as_str(), text);
        }
        let one = Reach::Region("us-west-2".to_owned());
        assert!(!one.is_within(permits) && one.is_within(|_| true));
    }
}
