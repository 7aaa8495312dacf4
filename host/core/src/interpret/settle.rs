//! From the readings that fit a request's head to the one that fits its input too.
//!
//! One gateway host stands for all of AWS's, so services that AWS keeps apart by host name can
//! look alike here. A reading whose model does not take the input, or misses a member it requires,
//! is not meant; if two remain the request is refused.

use super::identify::Reading;
use super::{Input, Place, Request, decode, hosts, route};
use crate::call::Value;
use crate::catalog::Structure;
use crate::refusal::Refusal;

/// The one reading, and its input.
///
/// # Errors
/// What the decoder of the only reading says, or [`Refusal::Ambiguous`].
pub(super) fn settle<'c>(
    mut readings: Vec<Reading<'c>>,
    request: &Request<'_>,
    place: &Place,
) -> Result<(Reading<'c>, Value), Refusal> {
    drop_deprecated(&mut readings);
    if readings.len() == 1 {
        let reading = readings.pop().ok_or(Refusal::Internal)?;
        let params = params(&reading, request, place)?;
        return Ok((reading, params));
    }
    let one_api = alike(&readings);
    let twice = look_alikes(&readings);
    let mut fitting = Vec::new();
    let mut refusals = Vec::new();
    for reading in readings {
        match params(&reading, request, place) {
            Ok(params) if complete(&reading, &params) => fitting.push((reading, params)),
            Ok(_) => {}
            Err(refusal) => refusals.push(refusal),
        }
    }
    if one_api && fitting.len() > 1 {
        fitting.sort_by_key(|(reading, _)| !canonical(reading));
        fitting.truncate(1);
    }
    match (fitting.pop(), fitting.len()) {
        (Some(only), 0) => Ok(only),
        (Some(_), _) => Err(twice),
        (None, _) if refusals.is_empty() => Err(incomplete()),
        (None, _) if one_api => Err(refusals.pop().unwrap_or_else(incomplete)),
        (None, _) => Err(twice),
    }
}

/// Within one service, an operation that the model calls deprecated gives way to its successor.
fn drop_deprecated(readings: &mut Vec<Reading<'_>>) {
    let service = readings.first().map(|reading| reading.entry.name.as_str());
    let same = readings
        .iter()
        .all(|reading| Some(reading.entry.name.as_str()) == service);
    let current = |reading: &Reading<'_>| reading.operation().is_ok_and(|own| !own.deprecated);
    if same && readings.iter().any(current) {
        readings.retain(current);
    }
}

fn params(reading: &Reading<'_>, request: &Request<'_>, place: &Place) -> Result<Value, Refusal> {
    let input = Input {
        head: request.head,
        payload: request.payload,
        service: &reading.service,
        operation: reading.operation()?,
        protocol: reading.protocol,
        model: place.model(&reading.service),
    };
    let mut params = decode(&input, &reading.wire)?;
    hosts::fill(&mut params, &reading.host_labels)?;
    Ok(params)
}

fn complete(reading: &Reading<'_>, params: &Value) -> bool {
    let operation = reading.operation().ok();
    let structure = operation.and_then(|operation| route::input(&reading.service, operation));
    structure.is_none_or(|Structure { members, .. }| {
        let mut required = members.iter().filter(|member| member.required);
        required.all(|member| params.get(&member.name).is_some())
    })
}

/// Whether the readings are one API under several names: `docdb` and `neptune` are `rds`.
fn alike(readings: &[Reading<'_>]) -> bool {
    readings.windows(2).all(|pair| match pair {
        [first, second] => {
            first.entry.name != second.entry.name
                && first.entry.endpoint_prefix == second.entry.endpoint_prefix
                && first.entry.api_version == second.entry.api_version
                && name(first).is_some()
                && name(first) == name(second)
        }
        _ => true,
    })
}

/// Whether a service has the name that it has on the wire.
fn canonical(reading: &Reading<'_>) -> bool {
    let entry = reading.entry;
    entry.name == entry.signing_name || entry.name == entry.endpoint_prefix
}

fn name<'r>(reading: &'r Reading<'_>) -> Option<&'r str> {
    reading
        .operation()
        .ok()
        .map(|operation| operation.name.as_str())
}

fn look_alikes(readings: &[Reading<'_>]) -> Refusal {
    let names: Vec<String> = readings
        .iter()
        .map(|reading| {
            let operation = name(reading).unwrap_or_default();
            format!("`{}:{operation}`", reading.entry.name)
        })
        .collect();
    Refusal::Ambiguous(format!(
        "{} look the same; name the service in the host, `<service>.<gateway>`, for example with \
         AWS_ENDPOINT_URL_<SERVICE>",
        names.join(" and ")
    ))
}

fn incomplete() -> Refusal {
    Refusal::InvalidInput("a required member is missing".to_owned())
}
