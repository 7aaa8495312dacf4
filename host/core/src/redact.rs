//! A call's parameters as they may be written down: whatever the service's model marks as a secret
//! is left out, with its shape kept.

use serde_json::{Map, Value as Json, json};

use crate::call::{Call, Value};
use crate::catalog::{Catalog, Service, Shape, ShapeId, Structure};
use crate::mint;

/// What stands for a secret.
const REDACTED: &str = "[redacted]";

/// The parameters of a call for the audit log. A call that the catalog does not have keeps none.
pub fn recordable(catalog: &Catalog, call: &Call) -> Json {
    let input = catalog.service(call.service()).and_then(|service| {
        let shape = service.operation(call.operation())?.input?;
        Some((service, shape))
    });
    match input {
        Some((service, shape)) => redacted(&service, shape, call.params()),
        // What is ordered is no secret, and no service of AWS's model.
        None if call.service() == mint::SERVICE => call.params().to_json(),
        None => json!({}),
    }
}

fn redacted(service: &Service, shape: ShapeId, value: &Value) -> Json {
    match (service.shape(shape), value) {
        (Some(Shape::Structure(structure)), Value::Structure(members)) => {
            structure_of(service, structure, members)
        }
        (Some(Shape::List { member, .. }), Value::List(items)) => items
            .iter()
            .map(|item| redacted(service, *member, item))
            .collect(),
        (
            Some(Shape::Map {
                value: value_shape, ..
            }),
            Value::Map(entries),
        ) => entries
            .iter()
            .map(|(key, value)| (key.clone(), redacted(service, *value_shape, value)))
            .collect::<Map<String, Json>>()
            .into(),
        (Some(Shape::String { sensitive: true }), _) => json!(REDACTED),
        (Some(_), value) => value.to_json(),
        (None, _) => json!(REDACTED),
    }
}

fn structure_of(service: &Service, structure: &Structure, members: &[(String, Value)]) -> Json {
    if structure.sensitive {
        return json!(REDACTED);
    }
    let mut object = Map::new();
    for (name, value) in members {
        let member = structure.members.iter().find(|member| member.name == *name);
        let json = match member {
            Some(member) if !member.sensitive => redacted(service, member.shape, value),
            Some(_) | None => json!(REDACTED),
        };
        object.insert(name.clone(), json);
    }
    object.into()
}
