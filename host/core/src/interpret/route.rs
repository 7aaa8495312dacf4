//! Matches a request's path and query against the URI templates of REST operations.
//!
//! Of several templates that fit, the most specific one is meant: a literal segment beats a label,
//! a label beats a greedy label, then more fixed or required query parameters and headers win, then
//! the template that ends as the path does, with or without a slash.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::form::{self, Parameter};
use crate::catalog::{Location, Operation, Service, Structure};
use crate::destination::Addressing;
use crate::head::Head;
use crate::refusal::Refusal;

/// What a bucket or an access point's ARN may hold that would end a path segment.
const SEGMENT: &AsciiSet = &CONTROLS.add(b'/').add(b'%').add(b'?').add(b'#').add(b':');

/// Deeper paths have no template; two bits of rank a segment.
const MAX_RANKED: u32 = 32;

/// The request's path and query, decoded once.
#[derive(Debug)]
pub(super) struct Target {
    /// The path as received, with the bucket in front when it came from the host name.
    raw: String,
    /// Where the first segment came from.
    addressing: Addressing,
    segments: Vec<String>,
    trailing_slash: bool,
    pub(super) query: Vec<Parameter>,
}

/// How far decoded path bytes stand for themselves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum PathRules {
    /// S3: every byte counts, `..` and `//` are keys like others.
    Exact,
    /// Elsewhere AWS normalises paths before it signs and routes, so whatever normalising would
    /// change has two readings.
    Normalised,
}

/// How well a template fits; larger is more specific.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Rank {
    path: u64,
    complete: bool,
    fixed: usize,
    slash: bool,
}

impl Rank {
    /// Whether everything is there that the model requires in the query or a header.
    pub(super) fn is_complete(self) -> bool {
        self.complete
    }
}

/// The labels of a template, by name, decoded.
pub(super) type Labels = Vec<(String, String)>;

/// A template that fits, with its labels.
#[derive(Debug)]
pub(super) struct Fit {
    pub(super) rank: Rank,
    pub(super) labels: Labels,
}

impl Target {
    /// Reads the path and the query of a head; `bucket` is put before the path as one segment.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] or [`Refusal::Ambiguous`].
    pub(super) fn parse(
        head: &Head,
        bucket: Option<&str>,
        rules: PathRules,
    ) -> Result<Self, Refusal> {
        let (raw, addressing) = match bucket {
            Some(bucket) => {
                let segment = utf8_percent_encode(bucket, SEGMENT);
                (format!("/{segment}{}", head.path), Addressing::VirtualHost)
            }
            None => (head.path.clone(), Addressing::Path),
        };
        let path = raw
            .strip_prefix('/')
            .ok_or_else(|| Refusal::Malformed("the path must start with `/`".to_owned()))?;
        let (path, trailing_slash) = match path.strip_suffix('/') {
            Some(path) if !path.is_empty() => (path, true),
            Some(_) | None => (path, false),
        };
        let mut segments = Vec::new();
        for segment in path.split('/').filter(|_| !path.is_empty()) {
            segments.push(segment_text(segment, rules)?);
        }
        let query = form::query(head.query.as_deref())?;
        Ok(Self {
            raw,
            addressing,
            segments,
            trailing_slash,
            query,
        })
    }

    /// Where the first segment, S3's bucket, was written.
    pub(super) fn addressing(&self) -> Addressing {
        self.addressing
    }

    /// Matches one operation.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] for a label that is not percent-encoded UTF-8.
    pub(super) fn fit(
        &self,
        service: &Service,
        operation: &Operation,
        head: &Head,
    ) -> Result<Option<Fit>, Refusal> {
        if head.method.as_str() != operation.method {
            return Ok(None);
        }
        let (path, query) = split_template(&operation.uri);
        let Some(specificity) = self.specificity(path) else {
            return Ok(None);
        };
        let literals = query.split('&').filter(|literal| !literal.is_empty());
        let mut fixed = 0;
        for literal in literals {
            if !self.has(literal) {
                return Ok(None);
            }
            fixed += 1;
        }
        let (present, absent) = self.required(service, operation, head);
        let rank = Rank {
            path: specificity,
            complete: absent == 0,
            fixed: fixed + present,
            slash: self.trailing_slash == path.ends_with('/'),
        };
        let Some(labels) = self.labels(path)? else {
            return Ok(None);
        };
        Ok(Some(Fit { rank, labels }))
    }

    /// Whether a fixed parameter of a template (`acl`, `list-type=2`) is there.
    pub(super) fn has(&self, literal: &str) -> bool {
        self.query.iter().any(|parameter| is(parameter, literal))
    }

    /// How specific a template is if it fits the path's segments. Most templates fail here, so it
    /// allocates nothing.
    fn specificity(&self, template: &str) -> Option<u64> {
        let mut rank = Ranking::default();
        let mut at = 0;
        let mut parts = parts(template);
        while let Some(part) = parts.next() {
            match part {
                Part::Greedy(_) => {
                    let end = self.segments.len().checked_sub(parts.clone().count())?;
                    if end <= at {
                        return None;
                    }
                    at = end;
                    rank.push(1);
                }
                Part::Label(_) => {
                    self.segments.get(at).filter(|text| !text.is_empty())?;
                    at += 1;
                    rank.push(2);
                }
                Part::Literal(literal) => {
                    self.segments.get(at).filter(|text| *text == literal)?;
                    at += 1;
                    rank.push(3);
                }
            }
        }
        (at == self.segments.len()).then_some(rank.bits)
    }

    /// The labels of a template that fits, or nothing if a greedy one would be empty.
    fn labels(&self, template: &str) -> Result<Option<Labels>, Refusal> {
        let mut labels = Labels::new();
        let mut at = 0;
        let mut parts = parts(template);
        while let Some(part) = parts.next() {
            match part {
                Part::Greedy(name) => {
                    let after = parts.clone().count();
                    let Some(text) = self.greedy(at, after)? else {
                        return Ok(None);
                    };
                    labels.push((name.to_owned(), text));
                    at = self.segments.len().saturating_sub(after);
                }
                Part::Label(name) => {
                    let text = self.segments.get(at).cloned().unwrap_or_default();
                    labels.push((name.to_owned(), text));
                    at += 1;
                }
                Part::Literal(_) => at += 1,
            }
        }
        Ok(Some(labels))
    }

    /// The text of a greedy label that starts at one segment and leaves some at the end: the very
    /// bytes, slashes and all.
    fn greedy(&self, from: usize, after: usize) -> Result<Option<String>, Refusal> {
        let mut raw = self.raw.strip_prefix('/').unwrap_or(&self.raw);
        for _ in 0..from {
            let Some((_, rest)) = raw.split_once('/') else {
                return Ok(None);
            };
            raw = rest;
        }
        if after > 0 && self.trailing_slash {
            raw = raw.strip_suffix('/').unwrap_or(raw);
        }
        for _ in 0..after {
            let Some((rest, _)) = raw.rsplit_once('/') else {
                return Ok(None);
            };
            raw = rest;
        }
        if raw.is_empty() {
            return Ok(None);
        }
        form::decode(raw).map(Some)
    }

    /// How many members that the model wants in the query or a header are there, and how many not.
    fn required(&self, service: &Service, operation: &Operation, head: &Head) -> (usize, usize) {
        let (mut present, mut absent) = (0, 0);
        let members = input(service, operation).map_or(&[][..], |input| &input.members);
        for member in members.iter().filter(|member| member.required) {
            let name = member.location_name.as_ref().unwrap_or(&member.name);
            let here = match member.location {
                Location::Querystring => self.query.iter().any(|given| given.name == *name),
                Location::Header => head.headers.contains_key(name.as_str()),
                Location::Body | Location::Headers | Location::StatusCode | Location::Uri => {
                    continue;
                }
            };
            if here {
                present += 1;
            } else {
                absent += 1;
            }
        }
        (present, absent)
    }
}

/// The template's path and its fixed query parameters.
pub(super) fn split_template(uri: &str) -> (&str, &str) {
    uri.split_once('?').unwrap_or((uri, ""))
}

/// Whether a parameter is what a template fixes; a fixed name may have an empty value.
pub(super) fn is(parameter: &Parameter, literal: &str) -> bool {
    let value = parameter.value.as_deref().unwrap_or_default();
    match literal.split_once('=') {
        Some((name, wanted)) => parameter.name == name && value == wanted,
        None => parameter.name == literal && value.is_empty(),
    }
}

/// The operation's input structure.
pub(super) fn input<'s>(service: &'s Service, operation: &Operation) -> Option<&'s Structure> {
    service.structure(operation.input?)
}

/// The parts of a template's path; one slash at its end says nothing.
fn parts(template: &str) -> impl Iterator<Item = Part<'_>> + Clone {
    let template = template.strip_prefix('/').unwrap_or(template);
    let template = template.strip_suffix('/').unwrap_or(template);
    template
        .split('/')
        .filter(move |_| !template.is_empty())
        .map(Part::of)
}

enum Part<'t> {
    Greedy(&'t str),
    Label(&'t str),
    Literal(&'t str),
}

impl<'t> Part<'t> {
    fn of(part: &'t str) -> Self {
        let label = part
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'));
        match label {
            None => Self::Literal(part),
            Some(name) => match name.strip_suffix('+') {
                Some(name) => Self::Greedy(name),
                None => Self::Label(name),
            },
        }
    }
}

/// Compares templates segment by segment from the left.
#[derive(Default)]
struct Ranking {
    bits: u64,
    segments: u32,
}

impl Ranking {
    fn push(&mut self, class: u64) {
        self.segments += 1;
        if self.segments <= MAX_RANKED {
            self.bits |= class << (2 * (MAX_RANKED - self.segments));
        }
    }
}

fn segment_text(segment: &str, rules: PathRules) -> Result<String, Refusal> {
    let text = form::decode(segment)?;
    match rules {
        PathRules::Exact => Ok(text),
        PathRules::Normalised if text.is_empty() || text == "." || text == ".." => Err(
            Refusal::Ambiguous("an empty or dot segment in the path".to_owned()),
        ),
        PathRules::Normalised if overencoded(segment) => Err(Refusal::Ambiguous(
            "a percent-encoded character in the path that needs no encoding".to_owned(),
        )),
        PathRules::Normalised => Ok(text),
    }
}

/// Whether a `%XX` stands for a character that never needs encoding (RFC 3986 §2.3).
fn overencoded(segment: &str) -> bool {
    segment.split('%').skip(1).any(|rest| {
        let code = rest
            .get(..2)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        code.is_some_and(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
        })
    })
}
