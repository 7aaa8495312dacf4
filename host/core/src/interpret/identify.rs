//! Which operation a request is: the candidates are the services that sign as its credential scope
//! says, and each is read by the protocols its own model declares.

use std::sync::Arc;

use super::authority::Addressed;
use super::claim::{Claim, JsonVersion, claim, names_action};
use super::form;
use super::hosts;
use super::route::{Fit, PathRules, Rank, Target};
use super::text::quote;
use super::{Place, Request, transport};
use crate::catalog::{Catalog, Entry, Operation, Protocol, Service};
use crate::destination::{Addressing, Variant};
use crate::directory_bucket;
use crate::refusal::Refusal;
use crate::s3_name::Kind;
use crate::sigv4::Payload;

/// One reading of a request.
#[derive(Debug)]
pub(super) struct Reading<'c> {
    pub(super) entry: &'c Entry,
    pub(super) service: Arc<Service>,
    position: usize,
    pub(super) protocol: Protocol,
    pub(super) wire: Wire,
    /// Members whose values stood before the host name.
    pub(super) host_labels: Vec<(String, String)>,
    /// Which of AWS's endpoints was asked for by name.
    pub(super) variant: Variant,
    rank: Option<Rank>,
}

/// Where the input is.
#[derive(Debug)]
pub(super) enum Wire {
    /// In a CBOR body.
    Cbor,
    /// In these form parameters.
    Form(Vec<(String, String)>),
    /// In a JSON body.
    Json,
    /// All over the request.
    Rest {
        /// Path and query.
        target: Arc<Target>,
        /// Labels of the URI template.
        labels: Vec<(String, String)>,
    },
}

impl Reading<'_> {
    /// The operation; there always is one.
    pub(super) fn operation(&self) -> Result<&Operation, Refusal> {
        let operation = self.service.operations.get(self.position);
        operation.ok_or(Refusal::Internal)
    }

    /// Where S3's bucket was written.
    pub(super) fn addressing(&self) -> Addressing {
        match &self.wire {
            Wire::Rest { target, .. } => target.addressing(),
            Wire::Cbor | Wire::Form(_) | Wire::Json => Addressing::Path,
        }
    }
}

impl Reading<'_> {
    /// S3 chooses operations by their query parameters, so that one without those it requires is
    /// not the one that S3 would carry out.
    ///
    /// # Errors
    /// [`Refusal::UnknownOperation`].
    pub(super) fn check_selected(&self) -> Result<(), Refusal> {
        if self.rank.is_none_or(Rank::is_complete) {
            return Ok(());
        }
        let name = &self.operation()?.name;
        Err(Refusal::UnknownOperation(format!(
            "the request looks like `{name}` but misses what that requires in its query or headers"
        )))
    }
}

/// Reads which operations a request can be by its head (and its form, if it has one): one, or
/// several that fit equally well; never none.
///
/// # Errors
/// [`Refusal::UnknownService`], [`Refusal::UnknownOperation`], [`Refusal::Ambiguous`],
/// [`Refusal::Malformed`] or [`Refusal::Unsupported`].
pub(super) fn identify<'c>(
    catalog: &'c Catalog,
    request: &'c Request<'_>,
    place: &'c Place,
) -> Result<Vec<Reading<'c>>, Refusal> {
    let entries = candidates(catalog, &request.scope.service);
    if entries.is_empty() {
        return Err(Refusal::UnknownService(quote(&request.scope.service)));
    }
    let search = Search {
        addressed: Addressed::read(catalog, request, place, &entries)?,
        catalog,
        request,
        place,
        entries,
    };
    match claim(request.head)? {
        Claim::Cbor { service, operation } => search.cbor(service, operation),
        Claim::Form(query) => search.form(query),
        Claim::Json {
            prefix,
            operation,
            version,
        } => search.json(prefix, operation, version),
        Claim::Rest => search.rest(),
    }
}

/// The services that sign as `name`. S3 does so under other names for some of its access points
/// and for directory buckets.
fn candidates<'c>(catalog: &'c Catalog, name: &str) -> Vec<&'c Entry> {
    let other = Kind::signed_as(name).is_some() || name == directory_bucket::SIGNING_NAME;
    let also = catalog.by_name("s3").filter(|_| other);
    catalog.by_signing_name(name).iter().chain(also).collect()
}

struct Search<'a> {
    catalog: &'a Catalog,
    request: &'a Request<'a>,
    place: &'a Place,
    addressed: Addressed<'a>,
    entries: Vec<&'a Entry>,
}

impl<'a> Search<'a> {
    /// The entries that speak one of the protocols, if a marker of theirs is there for a reason.
    fn speakers(
        &self,
        protocols: &'a [Protocol],
    ) -> impl Iterator<Item = (&'a Entry, Protocol)> + use<'a, '_> {
        self.entries.iter().copied().filter_map(|entry| {
            let own = |protocol: &&Protocol| protocols.contains(protocol);
            entry
                .protocols
                .iter()
                .find(own)
                .map(|protocol| (entry, *protocol))
        })
    }

    fn cbor(&self, name: &str, operation: &str) -> Result<Vec<Reading<'a>>, Refusal> {
        let speakers = self
            .speakers(&[Protocol::RpcV2Cbor])
            .filter(|(entry, _)| entry.target_prefix.as_deref() == Some(name));
        self.named(speakers, operation, || Wire::Cbor)
    }

    fn json(
        &self,
        target: &str,
        operation: &str,
        version: JsonVersion,
    ) -> Result<Vec<Reading<'a>>, Refusal> {
        let protocols: &[Protocol] = match version {
            JsonVersion::V10 => &[Protocol::Json10],
            JsonVersion::V11 => &[Protocol::Json11],
        };
        let speakers = self
            .speakers(protocols)
            .filter(|(entry, _)| entry.target_prefix.as_deref() == Some(target));
        self.named(speakers, operation, || Wire::Json)
    }

    fn form(&self, query: Option<&str>) -> Result<Vec<Reading<'a>>, Refusal> {
        const FORMS: &[Protocol] = &[Protocol::Query, Protocol::Ec2Query];
        if self.speakers(FORMS).next().is_none() {
            return Err(self.foreign());
        }
        let Payload::Whole(bytes) = self.request.payload else {
            return Err(super::Input::not_streamed());
        };
        let mut parameters = match query {
            Some(query) => in_url(query, bytes)?,
            None => form::body(&transport::content(self.request.head, bytes)?)?,
        };
        let action = take(&mut parameters, "Action")?;
        let version = take(&mut parameters, "Version")?;
        let speakers = self
            .speakers(FORMS)
            .filter(|(entry, _)| entry.api_version == version);
        let mut readings = self.named(speakers, &action, || Wire::Form(Vec::new()))?;
        for reading in &mut readings {
            reading.wire = Wire::Form(parameters.clone());
        }
        Ok(readings)
    }

    /// Readings of the RPC protocols, where the request names its operation.
    fn named(
        &self,
        speakers: impl Iterator<Item = (&'a Entry, Protocol)>,
        operation: &str,
        wire: impl Fn() -> Wire,
    ) -> Result<Vec<Reading<'a>>, Refusal> {
        let mut spoken = false;
        let mut readings = Vec::new();
        for (entry, protocol) in speakers {
            spoken = true;
            let service = self.open(entry)?;
            let found = service
                .operations
                .binary_search_by(|known| known.name.as_str().cmp(operation));
            let Some((position, known)) = found
                .ok()
                .and_then(|position| Some((position, service.operations.get(position)?)))
            else {
                continue;
            };
            let Some(host_labels) = self.labels(entry, known) else {
                continue;
            };
            readings.push(Reading {
                variant: self.addressed.variant(entry),
                entry,
                position,
                protocol,
                wire: wire(),
                host_labels,
                rank: None,
                service,
            });
        }
        match (spoken, readings.is_empty()) {
            (false, _) => Err(self.foreign()),
            (true, true) => Err(self.unknown(operation)),
            (true, false) => Ok(readings),
        }
    }

    fn rest(&self) -> Result<Vec<Reading<'a>>, Refusal> {
        let plain = self.target(None)?;
        let bucket = self.bucket();
        let hosted = match &bucket {
            Some(bucket) => Some(self.target(Some(bucket))?),
            None => None,
        };
        let mut readings = Vec::new();
        for (entry, protocol) in self.speakers(&[Protocol::RestJson, Protocol::RestXml]) {
            let service = self.open(entry)?;
            for (position, operation) in service.operations.iter().enumerate() {
                let (target, host_labels) = match self.labels(entry, operation) {
                    Some(labels) => (&plain, labels),
                    None => match &hosted {
                        Some(target) if entry.name == "s3" => (target, Vec::new()),
                        Some(_) | None => continue,
                    },
                };
                if hosts::elsewhere(entry, operation, &self.request.scope.service) {
                    continue;
                }
                let Some(fit) = target.fit(&service, operation, self.request.head)? else {
                    continue;
                };
                let Fit { rank, labels } = fit;
                if readings
                    .iter()
                    .any(|best: &Reading<'_>| best.rank > Some(rank))
                {
                    continue;
                }
                readings.retain(|best| best.rank == Some(rank));
                readings.push(Reading {
                    variant: self.addressed.variant(entry),
                    entry,
                    service: Arc::clone(&service),
                    position,
                    protocol,
                    wire: Wire::Rest {
                        target: Arc::clone(target),
                        labels,
                    },
                    host_labels,
                    rank: Some(rank),
                });
            }
        }
        if readings.is_empty() {
            return Err(self.no_route());
        }
        Ok(readings)
    }

    /// The members that stand before the host name, or nothing if the operation is not served
    /// there.
    fn labels(&self, entry: &Entry, operation: &Operation) -> Option<Vec<(String, String)>> {
        let prefix = self.addressed.prefix(entry)?;
        hosts::labels(prefix, entry, operation)
    }

    fn bucket(&self) -> Option<String> {
        let s3 = self.entries.iter().any(|entry| entry.name == "s3");
        s3.then(|| self.addressed.bucket(self.request, self.place))?
    }

    fn target(&self, bucket: Option<&str>) -> Result<Arc<Target>, Refusal> {
        let rules = if self.entries.iter().any(|entry| entry.name == "s3") {
            PathRules::Exact
        } else {
            PathRules::Normalised
        };
        Target::parse(self.request.head, bucket, rules).map(Arc::new)
    }

    fn open(&self, entry: &Entry) -> Result<Arc<Service>, Refusal> {
        self.catalog.service(&entry.name).ok_or(Refusal::Internal)
    }

    fn foreign(&self) -> Refusal {
        Refusal::Ambiguous(format!(
            "no service that signs as `{}` reads this protocol, version or target",
            quote(&self.request.scope.service)
        ))
    }

    fn unknown(&self, operation: &str) -> Refusal {
        Refusal::UnknownOperation(format!(
            "no operation `{}` of a service that signs as `{}` at this host is in this gateway's \
             catalog; names are case-sensitive",
            quote(operation),
            quote(&self.request.scope.service)
        ))
    }

    fn no_route(&self) -> Refusal {
        let head = self.request.head;
        let query = head.query.as_deref().unwrap_or_default();
        if names_action(query) {
            return Refusal::Unsupported(
                "send the parameters of a query call in the body of a `POST /`, or in the URL of a \
                 `GET /` without a content type"
                    .to_owned(),
            );
        }
        let route = format!("{} {}", head.method, quote(&head.path));
        self.unknown(&route)
    }
}

/// The parameters of a call that is all in its URL.
fn in_url(query: &str, body: &[u8]) -> Result<Vec<(String, String)>, Refusal> {
    if !body.is_empty() {
        return Err(Refusal::Ambiguous(
            "a body beside the parameters in the URL".to_owned(),
        ));
    }
    form::pairs(form::query(Some(query))?)
}

/// The value of a selector that must be there once, in its one spelling.
fn take(parameters: &mut Vec<(String, String)>, name: &str) -> Result<String, Refusal> {
    let count = parameters
        .iter()
        .filter(|(known, _)| known.eq_ignore_ascii_case(name))
        .count();
    let position = parameters.iter().position(|(known, _)| known == name);
    match (position, count) {
        (Some(position), 1) => Ok(parameters.remove(position).1),
        (None, 0) => Err(Refusal::Malformed(format!("the form has no `{name}`"))),
        (Some(_) | None, _) => Err(Refusal::Ambiguous(format!(
            "`{name}` is there twice or in another case"
        ))),
    }
}
