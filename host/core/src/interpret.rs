//! From a verified request to the AWS call it is, by the service's own model and in one reading
//! only.
//!
//! First *which* operation ([`identify`]): the services that sign as the credential scope says,
//! the protocol that the markers claim, the template or name that fits. Then *what with*: one
//! decoder per protocol, all to the same [`Value`]. What two parsers could read differently is
//! refused, as is every marker, parameter, member or header that the model does not have.

mod actions;
mod authority;
mod buckets;
mod claim;
mod dialect;
mod embedded;
mod form;
mod hosts;
mod identify;
mod query;
mod reach;
mod rest;
mod route;
mod settle;
mod transport;

use bytes::Bytes;
use time::OffsetDateTime;

use self::identify::{Reading, Wire};
use crate::call::{Action, Call, Value};
use crate::catalog::{Catalog, Operation, Protocol, Service};
use crate::codec::json::Members;
use crate::codec::{self, Model, cbor, json, text};
use crate::directory_bucket::SIGNING_NAME;
use crate::head::Head;
use crate::reach::Reach;
use crate::refusal::Refusal;
use crate::s3_name::{self, AccessPoint};
use crate::sigv4::{Payload, PayloadMode, Scope, SignedRequest, SigningSecret, VerifiedRequest};

pub use self::dialect::{call_dialect, dialect};
pub use self::embedded::Embedded;
pub(crate) use self::hosts::is_label;
pub(crate) use self::reach::check_region;

/// Where the gateway stands: what a request cannot say of itself.
#[derive(Clone, Debug)]
pub struct Place {
    /// The partition of the session's account, e.g. `aws`.
    pub partition: String,
    /// The session's account, twelve digits.
    pub account: String,
    /// The gateway's own host names, lower-case, without port. `localhost` and IP literals are
    /// always its own.
    pub hostnames: Vec<String>,
    /// Services, by botocore's names, whose calls may have members that the catalog does not know.
    pub unknown_members: Vec<String>,
}

/// What proves a call that is presigned inside another.
#[derive(Clone, Copy, Debug)]
pub struct Witness<'a> {
    /// The secret that the outer call was verified with.
    pub secret: &'a SigningSecret,
    /// The time of the call.
    pub now: OffsetDateTime,
}

/// Reads the call that a verified request is.
///
/// # Errors
/// [`Refusal::Ambiguous`] for a second possible reading, [`Refusal::InvalidInput`] for what the
/// model does not have, [`Refusal::UnknownService`], [`Refusal::UnknownOperation`],
/// [`Refusal::Malformed`], [`Refusal::Unsupported`].
pub fn interpret(
    catalog: &Catalog,
    request: &VerifiedRequest,
    place: &Place,
    witness: Witness<'_>,
) -> Result<Call, Refusal> {
    // Its frames would be judged, and what is in them be done.
    if request.payload_mode().is_framed() && matches!(request.payload(), Payload::Whole(_)) {
        return Err(Refusal::Unsupported(
            "aws-chunked bodies are only taken for PutObject and UploadPart".to_owned(),
        ));
    }
    let wire = Request {
        head: request.head(),
        scope: request.scope(),
        payload: request.payload(),
    };
    let call = read(catalog, &wire, place)?;
    embedded::unfold(catalog, call, request, place, witness)
}

impl Place {
    fn may_be_newer(&self, service: &Service) -> bool {
        self.unknown_members.contains(&service.name)
    }

    /// How strictly a service's calls are read here.
    fn model<'s>(&self, service: &'s Service) -> Model<'s> {
        if self.may_be_newer(service) {
            Model::newer(service)
        } else {
            Model::exact(service)
        }
    }
}

/// A call that nobody makes, to ask policies about.
#[derive(Clone, Copy, Debug)]
pub struct Hypothetical<'a> {
    /// botocore's service name.
    pub service: &'a str,
    /// The API operation.
    pub operation: &'a str,
    /// The region of the call, or the set of them.
    pub reach: &'a Reach,
    /// The input, members by their model names.
    pub params: &'a serde_json::Value,
}

/// The (IAM action, resource) pairs that a call would need. It never becomes a [`Call`], so it can
/// never be permitted or sent.
///
/// # Errors
/// As [`interpret`], for a call that could not be made either.
pub fn actions_of(
    catalog: &Catalog,
    wanted: &Hypothetical<'_>,
    place: &Place,
) -> Result<Vec<Action>, Refusal> {
    reach::check(catalog, wanted.reach, place)?;
    let unknown = |what: &str, name: &str| {
        Refusal::UnknownOperation(format!("the catalog has no {what} `{name}`"))
    };
    let service = catalog
        .service(wanted.service)
        .ok_or_else(|| unknown("service", wanted.service))?;
    let operation = service
        .operation(wanted.operation)
        .ok_or_else(|| unknown("operation", wanted.operation))?;
    let params = match operation.input {
        Some(shape) => {
            let text = wanted.params.to_string();
            json::decode(Model::exact(&service), shape, Members::All, text.as_bytes())?
        }
        None => Value::Structure(Vec::new()),
    };
    let facts = actions::Facts {
        place,
        region: wanted.reach.region(),
        params: &params,
    };
    let actions = actions::actions(operation, facts)?;
    let point = match wanted.service {
        "s3" => buckets::access_point(&params)?,
        _ => None,
    };
    reach::check_point(wanted.reach, wanted.service, point.as_ref())?;
    if wanted.service != "s3" {
        return Ok(actions);
    }
    buckets::check_names(&params)?;
    let facts = buckets::Facts {
        place,
        region: wanted.reach.as_str(),
        operation: wanted.operation,
    };
    Ok(buckets::judged(actions, point.as_ref(), &facts))
}

/// Whether a host is one where AWS takes `AssumeRoleWithWebIdentity`: any name of the gateway, and
/// by way of the proxy STS alone.
pub fn takes_sign_in(catalog: &Catalog, head: &Head) -> bool {
    !head.proxied || authority::names(catalog, head, "sts")
}

/// Whether the operation that a head names takes a body that is streamed past. Only a hint for
/// how to take the body in: [`interpret`] refuses a streamed body elsewhere.
pub fn streams(catalog: &Catalog, request: &SignedRequest, place: &Place) -> bool {
    let payload = match request.payload_mode() {
        PayloadMode::SignedEvents => Payload::Events,
        PayloadMode::Absent
        | PayloadMode::Digest(_)
        | PayloadMode::SignedChunks { .. }
        | PayloadMode::Unsigned
        | PayloadMode::UnsignedTrailer { .. } => Payload::Streamed,
    };
    let request = Request {
        head: request.head(),
        scope: request.scope(),
        payload: &payload,
    };
    let takes = |reading: &Reading<'_>| takes_stream(reading, &payload);
    identify::identify(catalog, &request, place).is_ok_and(|readings| readings.iter().all(takes))
}

/// What identification and decoding look at.
#[derive(Clone, Copy, Debug)]
struct Request<'a> {
    head: &'a Head,
    scope: &'a Scope,
    payload: &'a Payload,
}

/// What a decoder looks at once the operation is known.
#[derive(Clone, Copy, Debug)]
struct Input<'a> {
    head: &'a Head,
    payload: &'a Payload,
    service: &'a Service,
    operation: &'a Operation,
    protocol: Protocol,
    model: Model<'a>,
}

impl<'a> Input<'a> {
    /// The body, of an operation that is never streamed.
    fn whole(&self) -> Result<&'a Bytes, Refusal> {
        match self.payload {
            Payload::Events | Payload::Streamed => Err(Self::not_streamed()),
            Payload::Whole(bytes) => Ok(bytes),
        }
    }

    fn not_streamed() -> Refusal {
        Refusal::Unsupported("this operation's body cannot be streamed".to_owned())
    }
}

fn read(catalog: &Catalog, request: &Request<'_>, place: &Place) -> Result<Call, Refusal> {
    reach::check(catalog, &request.scope.reach, place)?;
    let readings = identify::identify(catalog, request, place)?;
    let (reading, params) = settle::settle(readings, request, place)?;
    let operation = reading.operation()?;
    let structure = route::input(&reading.service, operation);
    let host_prefix = hosts::expand(operation, structure, &params)?;
    let facts = actions::Facts {
        place,
        region: request.scope.reach.region(),
        params: &params,
    };
    let mut actions = actions::actions(operation, facts)?;
    let mut point = None;
    if reading.entry.name == "s3" {
        reading.check_selected()?;
        buckets::check_names(&params)?;
        point = checked_point(operation, &params, request, place)?;
        let facts = buckets::Facts {
            place,
            region: request.scope.reach.as_str(),
            operation: &operation.name,
        };
        actions = buckets::judged(actions, point.as_ref(), &facts);
    }
    reach::check_point(&request.scope.reach, &request.scope.service, point.as_ref())?;
    let unmodelled = match operation.input {
        Some(shape) if place.may_be_newer(&reading.service) => {
            codec::unmodelled(&reading.service, shape, &params)
        }
        Some(_) | None => Vec::new(),
    };
    Ok(Call {
        unmodelled,
        service: reading.entry.name.clone(),
        operation: operation.name.clone(),
        protocol: reading.protocol,
        partition: place.partition.clone(),
        reach: request.scope.reach.clone(),
        account: place.account.clone(),
        params,
        actions,
        host_prefix,
        signing_name: request.scope.service.clone(),
        variant: reading.variant,
        addressing: reading.addressing(),
        embedded: None,
    })
}

/// The access point of a call to S3, which signs as other services for some of them.
fn checked_point(
    operation: &Operation,
    params: &Value,
    request: &Request<'_>,
    place: &Place,
) -> Result<Option<AccessPoint>, Refusal> {
    let point = buckets::access_point(params)?;
    match &point {
        Some(point) => buckets::check(point, request.scope, place)?,
        None if operation.host_prefix.is_some() && request.scope.service != SIGNING_NAME => {}
        None if s3_name::Kind::signed_as(&request.scope.service).is_some() => {
            return Err(Refusal::Ambiguous(format!(
                "signed as `{}`, but the request names none of its access points",
                text::quote(&request.scope.service)
            )));
        }
        None => buckets::check_signed(operation, params, request.scope)?,
    }
    Ok(point)
}

fn decode(input: &Input<'_>, wire: &Wire) -> Result<Value, Refusal> {
    match wire {
        Wire::Rest { target, labels } => {
            let matched = rest::Matched { target, labels };
            return rest::decode(input, matched);
        }
        Wire::Cbor | Wire::Form(_) | Wire::Json => transport::check(input.head)?,
    }
    if let Wire::Form(parameters) = wire {
        return form(input, parameters);
    }
    let content = transport::content(input.head, input.whole()?)?;
    match (wire, input.operation.input) {
        _ if content.is_empty() => Ok(nothing()),
        (Wire::Cbor, Some(shape)) => cbor::decode(input.model, shape, &content),
        (Wire::Json, Some(shape)) => json::decode(input.model, shape, Members::All, &content),
        (Wire::Json, None) if &*content == b"{}" => Ok(nothing()),
        (Wire::Cbor | Wire::Form(_) | Wire::Json | Wire::Rest { .. }, _) => Err(no_input()),
    }
}

fn form(input: &Input<'_>, parameters: &[(String, String)]) -> Result<Value, Refusal> {
    transport::form(input.head, &input.service.name, &input.operation.name)?;
    match input.operation.input {
        Some(shape) => query::decode(input.model, shape, input.protocol, parameters),
        None if parameters.is_empty() => Ok(nothing()),
        None => Err(no_input()),
    }
}

fn no_input() -> Refusal {
    Refusal::InvalidInput("the operation takes no input".to_owned())
}

fn nothing() -> Value {
    Value::Structure(Vec::new())
}

fn takes_stream(reading: &Reading<'_>, payload: &Payload) -> bool {
    reading.operation().is_ok_and(|operation| {
        let input = route::input(&reading.service, operation);
        input.is_some_and(|input| rest::streams(&reading.service, input, payload))
    })
}

#[cfg(test)]
mod tests;
