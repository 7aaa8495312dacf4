//! One service: botocore's model turned into an index entry and the catalog's own model.

use anyhow::{Context, bail};
use portcullis_core::catalog::{Auth, Endpoints, Entry, Operation, Protocol, Service};

use super::actions::Actions;
use super::endpoints::Classes;
use super::model::{Metadata, Model, Operation as OperationModel};
use super::shapes::Shapes;

/// Builds a service's model. The endpoints come from elsewhere.
pub(crate) fn build(
    name: &str,
    model: &Model,
    actions: &Actions<'_>,
    (classes, endpoints): (&Classes, Endpoints),
) -> anyhow::Result<Service> {
    let mut shapes = Shapes::new(model);
    let mut operations = Vec::with_capacity(model.operations.len());
    for (operation, modelled) in &model.operations {
        let built = self::operation(operation, modelled, &mut shapes);
        let mut built = built.with_context(|| format!("in operation `{operation}`"))?;
        built.actions = actions.of(operation, modelled)?;
        built.endpoint_class = classes.class(operation);
        operations.push(built);
    }
    operations.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Service {
        name: name.to_owned(),
        operations,
        shapes: shapes.into_table(),
        endpoints,
    })
}

/// A service's line in the index; where its model lies is filled in when it is packed.
pub(crate) fn entry(name: &str, metadata: &Metadata) -> anyhow::Result<Entry> {
    let signing_name = metadata.signing_name.as_ref();
    Ok(Entry {
        name: name.to_owned(),
        signing_name: signing_name.unwrap_or(&metadata.endpoint_prefix).clone(),
        endpoint_prefix: metadata.endpoint_prefix.clone(),
        api_version: metadata.api_version.clone(),
        target_prefix: metadata.target_prefix.clone(),
        protocols: protocols(metadata)?,
        offset: 0,
        length: 0,
    })
}

fn protocols(metadata: &Metadata) -> anyhow::Result<Vec<Protocol>> {
    let mut named = metadata.protocols.clone();
    if !named.contains(&metadata.protocol) {
        named.insert(0, metadata.protocol.clone());
    }
    named
        .iter()
        .map(|protocol| self::protocol(protocol, metadata.json_version.as_deref()))
        .collect()
}

fn protocol(name: &str, json_version: Option<&str>) -> anyhow::Result<Protocol> {
    Ok(match (name, json_version) {
        ("ec2", _) => Protocol::Ec2Query,
        ("json", Some("1.1")) => Protocol::Json11,
        ("json", Some("1.0") | None) => Protocol::Json10,
        ("query", _) => Protocol::Query,
        ("rest-json", _) => Protocol::RestJson,
        ("rest-xml", _) => Protocol::RestXml,
        ("smithy-rpc-v2-cbor", _) => Protocol::RpcV2Cbor,
        (other, version) => bail!("unknown protocol `{other}` {version:?}"),
    })
}

/// Everything but the actions and the endpoint's class. The name is the model's key: CloudFront's
/// operations have another name on the wire, with a date in it, that no client ever shows.
fn operation<'model>(
    name: &str,
    operation: &'model OperationModel,
    shapes: &mut Shapes<'model>,
) -> anyhow::Result<Operation> {
    let input = operation.input.as_ref();
    let output = operation.output.as_ref();
    let mut errors = Vec::with_capacity(operation.errors.len());
    for error in &operation.errors {
        errors.push(shapes.reach(&error.shape)?);
    }
    let endpoint = operation.endpoint.as_ref();
    Ok(Operation {
        name: name.to_owned(),
        method: operation.http.method.clone(),
        uri: operation.http.request_uri.clone(),
        input: input.map(|input| shapes.reach(&input.shape)).transpose()?,
        output: output
            .map(|output| shapes.reach(&output.shape))
            .transpose()?,
        input_location_name: input.and_then(|input| input.location_name.clone()),
        result_wrapper: output.and_then(|output| output.result_wrapper.clone()),
        errors,
        host_prefix: endpoint.and_then(|endpoint| endpoint.host_prefix.clone()),
        auth: auth(operation)?,
        actions: Vec::new(),
        deprecated: operation.deprecated,
        endpoint_class: 0,
    })
}

fn auth(operation: &OperationModel) -> anyhow::Result<Auth> {
    let anonymous = operation
        .auth
        .first()
        .is_some_and(|auth| auth == "smithy.api#noAuth");
    Ok(match operation.authtype.as_deref() {
        Some("none") => Auth::None,
        _ if anonymous => Auth::None,
        Some("v4-unsigned-body") => Auth::V4UnsignedBody,
        _ if operation.unsigned_payload => Auth::V4UnsignedBody,
        None | Some("v4") => Auth::V4,
        Some(other) => bail!("unknown authtype `{other}`"),
    })
}
