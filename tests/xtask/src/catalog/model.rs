//! botocore's service models, as far as the catalog needs them. Member order is kept; everything
//! else (documentation aside, where it says what a member accepts) is skipped while reading.

use indexmap::IndexMap;
use serde::Deserialize;

/// A `service-2.json`.
#[derive(Debug, Deserialize)]
pub(crate) struct Model {
    pub(crate) metadata: Metadata,
    #[serde(default)]
    pub(crate) operations: IndexMap<String, Operation>,
    pub(crate) shapes: IndexMap<String, Shape>,
}

/// The model's header.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    pub(crate) api_version: String,
    pub(crate) endpoint_prefix: String,
    pub(crate) json_version: Option<String>,
    pub(crate) protocol: String,
    #[serde(default)]
    pub(crate) protocols: Vec<String>,
    pub(crate) service_id: String,
    pub(crate) signing_name: Option<String>,
    pub(crate) target_prefix: Option<String>,
}

/// An operation.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Operation {
    pub(crate) http: Http,
    pub(crate) input: Option<Reference>,
    pub(crate) output: Option<Reference>,
    #[serde(default)]
    pub(crate) errors: Vec<Reference>,
    pub(crate) authtype: Option<String>,
    #[serde(default)]
    pub(crate) auth: Vec<String>,
    #[serde(default)]
    pub(crate) unsigned_payload: bool,
    #[serde(default)]
    pub(crate) deprecated: bool,
    #[serde(default)]
    pub(crate) readonly: bool,
    pub(crate) endpoint: Option<OperationEndpoint>,
    #[serde(default)]
    pub(crate) static_context_params: IndexMap<String, StaticParameter>,
}

/// A fixed input of the endpoint rules.
#[derive(Debug, Deserialize)]
pub(crate) struct StaticParameter {
    pub(crate) value: serde_json::Value,
}

/// An operation's HTTP binding.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Http {
    pub(crate) method: String,
    pub(crate) request_uri: String,
}

/// An operation's host prefix.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OperationEndpoint {
    pub(crate) host_prefix: Option<String>,
}

/// A shape.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Shape {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) members: IndexMap<String, Reference>,
    pub(crate) member: Option<Reference>,
    pub(crate) key: Option<Reference>,
    pub(crate) value: Option<Reference>,
    pub(crate) required: Vec<String>,
    pub(crate) payload: Option<String>,
    pub(crate) document: bool,
    pub(crate) documentation: Option<String>,
    #[serde(rename = "enum")]
    pub(crate) enumerated: Vec<String>,
    pub(crate) error: Option<Error>,
    pub(crate) eventstream: bool,
    pub(crate) exception: bool,
    pub(crate) flattened: bool,
    pub(crate) location_name: Option<String>,
    pub(crate) pattern: Option<String>,
    pub(crate) requires_length: bool,
    pub(crate) sensitive: bool,
    pub(crate) streaming: bool,
    pub(crate) timestamp_format: Option<String>,
    pub(crate) union: bool,
}

/// What a shape says of itself as an error.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Error {
    pub(crate) code: Option<String>,
    pub(crate) http_status_code: Option<u16>,
}

/// A use of a shape: a member, a list's element, an operation's input.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Reference {
    pub(crate) shape: String,
    pub(crate) documentation: Option<String>,
    pub(crate) event_header: bool,
    pub(crate) eventheader: bool,
    pub(crate) eventpayload: bool,
    pub(crate) flattened: bool,
    pub(crate) host_label: bool,
    pub(crate) jsonvalue: bool,
    pub(crate) location: Option<String>,
    pub(crate) location_name: Option<String>,
    pub(crate) query_name: Option<String>,
    pub(crate) result_wrapper: Option<String>,
    pub(crate) streaming: bool,
    pub(crate) timestamp_format: Option<String>,
    pub(crate) xml_attribute: bool,
}

/// A `service-2.sdk-extras.json`: what botocore's loader merges over the model. Unknown keys are
/// errors, so that a new kind of extra is noticed instead of lost.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Extras {
    #[serde(rename = "version")]
    _version: f64,
    merge: Merge,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Merge {
    metadata: IndexMap<String, serde_json::Value>,
    shapes: IndexMap<String, ShapeExtra>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ShapeExtra {
    #[serde(rename = "type")]
    kind: Option<String>,
    members: IndexMap<String, Reference>,
}

impl Model {
    /// Merges `extras` as botocore's loader does. `serviceId` is all that any extra changes in the
    /// metadata.
    pub(crate) fn merge(&mut self, extras: Extras) -> anyhow::Result<()> {
        for (key, value) in extras.merge.metadata {
            anyhow::ensure!(key == "serviceId", "extras change metadata `{key}`");
            self.metadata.service_id = serde_json::from_value(value)?;
        }
        for (name, extra) in extras.merge.shapes {
            let shape = self.shapes.entry(name).or_default();
            if let Some(kind) = extra.kind {
                shape.kind = kind;
            }
            shape.members.extend(extra.members);
        }
        Ok(())
    }
}
