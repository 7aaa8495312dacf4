//! From a permitted call to what is to be sent: the destination from the model or the connection's
//! configuration, the body as it was admitted.

use portcullis_core::access::Permit;
use portcullis_core::call::{Call, Value};
use portcullis_core::catalog::Catalog;
use portcullis_core::destination::{
    Addressing, Destination, DestinationError, Regionless, Target, Variant,
};
use portcullis_core::event_stream::upload::Inputs;
use portcullis_core::reach::{Reach, RegionSet};
use portcullis_core::refusal::Refusal;
use portcullis_core::sigv4::{Payload, PayloadMode, VerifiedRequest};

use super::{Bucket, Outgoing, OutgoingBody, Route, Upstream, Versions};
use crate::body::{PendingBody, StreamingBody};
use crate::config::Connection;

/// Event streams that AWS offers over HTTP/2 only (botocore's `protocolSettings`: `h2`), apart from
/// those that go both ways.
const HTTP2: [(&str, &str); 1] = [("kinesis", "SubscribeToShard")];

impl Upstream {
    /// Builds the destination of a permitted call and takes its verified bytes over.
    ///
    /// # Errors
    /// [`Refusal::Unsupported`] when AWS has no such endpoint, or the bucket needs a kind of
    /// endpoint this gateway does not build.
    pub fn prepare(
        &self,
        permit: &Permit,
        request: VerifiedRequest,
        stream: Option<PendingBody>,
    ) -> Result<Outgoing, Refusal> {
        let connection = self
            .connections
            .get(&permit.session().connection)
            .ok_or(Refusal::Internal)?;
        let call = permit.call();
        let bucket = bucket(call).map(|name| Bucket {
            name: name.to_owned(),
            written: call.addressing(),
        });
        let route = route(connection, call, bucket.as_ref())?;
        let embedded = call
            .embedded()
            .map(|inner| Ok((inner.clone(), self::route(connection, inner.call(), None)?)))
            .transpose()?;
        let request = request.into_parts(Inputs::of(Catalog::embedded(), call))?;
        let body = match (request.payload, stream, request.check) {
            (Payload::Events | Payload::Streamed, Some(stream), Some(check)) => {
                OutgoingBody::Stream(Box::new(StreamingBody::new(stream, check)))
            }
            (Payload::Whole(bytes), None, None) => OutgoingBody::Whole(bytes),
            (Payload::Events | Payload::Streamed | Payload::Whole(_), _, _) => {
                return Err(Refusal::Internal);
            }
        };
        Ok(Outgoing {
            head: request.head,
            bucket,
            route,
            embedded,
            versions: versions(call, &request.payload_mode),
            payload_mode: request.payload_mode,
            body,
        })
    }
}

fn versions(call: &Call, mode: &PayloadMode) -> Versions {
    let both_ways = *mode == PayloadMode::SignedEvents;
    if both_ways || HTTP2.contains(&(call.service(), call.operation())) {
        Versions::Negotiated
    } else {
        Versions::One
    }
}

pub(super) fn route(
    connection: &Connection,
    call: &Call,
    bucket: Option<&Bucket>,
) -> Result<Route, Refusal> {
    let variant = match connection.endpoint {
        // Both may ask for more than the usual endpoint: the operator and the agent.
        None => connection.variant.or(call.variant()),
        Some(_) => Variant::Plain,
    };
    let region = match call.reach() {
        Reach::Region(region) => region,
        Reach::Set(set) => return regionless(connection, call, variant, set),
    };
    let target = Target {
        service: call.service(),
        operation: call.operation(),
        partition: call.partition(),
        region,
        variant,
    };
    let model = (call.host_prefix(), call.signing_name());
    destination(connection, &target, model, bucket)
}

/// The route of a call that is signed for a set of regions.
fn regionless(
    connection: &Connection,
    call: &Call,
    variant: Variant,
    set: &RegionSet,
) -> Result<Route, Refusal> {
    let bucket = bucket(call).ok_or(Refusal::Internal)?;
    let destination = Regionless::s3(Catalog::embedded(), call.partition(), bucket, variant)
        .map_err(|error| Refusal::Unsupported(error.to_string()))?;
    let reach = Reach::Set(set.clone());
    Ok(match &connection.endpoint {
        Some(endpoint) => Route::endpoint(endpoint, call.signing_name(), reach),
        None => {
            let addressing = Addressing::VirtualHost;
            Route::aws(destination.host(), addressing, call.signing_name(), reach)
        }
    })
}

/// The route to a target; `model` has the host prefix that the operation wants and the name its
/// service signs as.
pub(super) fn destination(
    connection: &Connection,
    target: &Target<'_>,
    (host_prefix, signing_name): (Option<&str>, &str),
    bucket: Option<&Bucket>,
) -> Result<Route, Refusal> {
    let catalog = Catalog::embedded();
    let destination = match (&connection.endpoint, bucket) {
        (Some(_), Some(bucket)) if !bucket.has_own_host() => {
            Destination::build(catalog, target, host_prefix)
        }
        (_, Some(bucket)) => Destination::s3(catalog, target, &bucket.name),
        (_, None) => Destination::build(catalog, target, host_prefix),
    };
    match (&connection.endpoint, destination) {
        (Some(endpoint), Ok(destination)) => Ok(Route::endpoint(
            endpoint,
            destination.signing_name(),
            destination.signing_region(),
        )),
        // An emulator may have what AWS does not have in that region.
        (Some(endpoint), Err(DestinationError::NoEndpoint { .. })) => {
            Ok(Route::endpoint(endpoint, signing_name, target.region))
        }
        (None, Ok(destination)) => Ok(Route::aws(
            destination.host(),
            destination.addressing(),
            destination.signing_name(),
            destination.signing_region(),
        )),
        (_, Err(error)) => Err(Refusal::Unsupported(error.to_string())),
    }
}

fn bucket(call: &Call) -> Option<&str> {
    if call.service() == "s3" {
        call.params().get("Bucket").and_then(Value::as_str)
    } else {
        None
    }
}
