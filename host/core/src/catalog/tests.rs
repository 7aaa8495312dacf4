//! The embedded catalog, whole: every service opens, every reference in it leads somewhere.

use super::*;
use crate::call::AccessLevel;

fn service(name: &str) -> std::sync::Arc<Service> {
    Catalog::embedded().open(name).unwrap()
}

fn every_service(check: impl Fn(&Entry, &Service)) {
    let catalog = Catalog::embedded();
    assert!(catalog.index().services.len() > 400);
    for entry in &catalog.index().services {
        check(entry, &catalog.open(&entry.name).unwrap());
    }
}

#[test]
fn names_are_sorted_and_unique() {
    let services = &Catalog::embedded().index().services;
    assert!(services.is_sorted_by(|a, b| a.name < b.name));
    every_service(|_, service| assert!(service.operations.is_sorted_by(|a, b| a.name < b.name)));
}

#[test]
fn every_service_opens_under_its_own_name() {
    every_service(|entry, service| {
        assert_eq!(entry.name, service.name);
        assert!(!entry.protocols.is_empty());
        assert!(!service.operations.is_empty());
    });
}

#[test]
fn every_shape_id_leads_to_a_shape() {
    every_service(|_, service| {
        let known = |id: &ShapeId| assert!(service.shape(*id).is_some());
        for operation in &service.operations {
            operation.input.iter().for_each(known);
            operation.output.iter().for_each(known);
            operation.errors.iter().for_each(known);
        }
        for shape in &service.shapes {
            references(shape).iter().for_each(known);
        }
    });
}

fn references(shape: &Shape) -> Vec<ShapeId> {
    match shape {
        Shape::List { member, .. } => vec![*member],
        Shape::Map { key, value, .. } => vec![*key, *value],
        Shape::Structure(structure) => structure.members.iter().map(|m| m.shape).collect(),
        Shape::Blob { .. }
        | Shape::Boolean
        | Shape::Document
        | Shape::Float
        | Shape::Integer
        | Shape::String { .. }
        | Shape::Timestamp(_) => Vec::new(),
    }
}

#[test]
fn inputs_and_outputs_are_structures() {
    every_service(|_, service| {
        for operation in &service.operations {
            for id in operation.input.iter().chain(&operation.output) {
                assert!(matches!(service.shape(*id), Some(Shape::Structure(_))));
            }
        }
    });
}

#[test]
fn every_operation_needs_an_action() {
    every_service(|_, service| {
        for operation in &service.operations {
            assert!(!operation.actions.is_empty());
            for action in &operation.actions {
                let (prefix, name) = action.name.split_once(':').unwrap();
                assert!(!prefix.is_empty() && !name.is_empty(), "{}", action.name);
                action.resources.iter().for_each(check_template);
            }
        }
    });
}

/// One path with a list on it at most, and whole ARNs alone.
fn check_template(template: &ArnTemplate) {
    let is_whole = |segment: &ArnSegment| matches!(segment, ArnSegment::Arn(_));
    assert!(!template.segments.is_empty());
    assert!(template.segments.len() == 1 || !template.segments.iter().any(is_whole));
}

#[test]
fn protocols_are_the_services_own() {
    let check = |name: &str, expected: &[Protocol]| {
        assert_eq!(
            Catalog::embedded().by_name(name).unwrap().protocols,
            expected,
            "{name}"
        );
    };
    check(
        "cloudwatch",
        &[Protocol::RpcV2Cbor, Protocol::Json10, Protocol::Query],
    );
    check("dynamodb", &[Protocol::Json10]);
    check("ec2", &[Protocol::Ec2Query]);
    check("iam", &[Protocol::Query]);
    check("kms", &[Protocol::Json11]);
    check("lambda", &[Protocol::RestJson]);
    check("s3", &[Protocol::RestXml]);
}

#[test]
fn services_that_share_a_signing_name_are_found_together() {
    let catalog = Catalog::embedded();
    let names = |signing_name: &str| -> Vec<_> {
        let entries = catalog.by_signing_name(signing_name);
        entries.iter().map(|entry| entry.name.as_str()).collect()
    };
    assert_eq!(names("elasticloadbalancing"), ["elb", "elbv2"]);
    assert_eq!(names("dynamodb"), ["dynamodb", "dynamodbstreams"]);
    assert!(names("no-such-service").is_empty());
}

#[test]
fn operations_keep_their_bindings() {
    let s3 = service("s3");
    let get = s3.operation("GetObject").unwrap();
    assert_eq!(
        (get.method.as_str(), get.uri.as_str()),
        ("GET", "/{Bucket}/{Key+}")
    );
    assert!(s3.operation("GetBucketLifecycle").unwrap().deprecated);
    assert!(s3.operation("getobject").is_none());
    let sts = service("sts");
    let web_identity = sts.operation("AssumeRoleWithWebIdentity").unwrap();
    assert_eq!(web_identity.auth, Auth::None);
    assert_eq!(
        web_identity.result_wrapper.as_deref(),
        Some("AssumeRoleWithWebIdentityResult")
    );
}

fn member(service: &Service, operation: &str, name: &str) -> Member {
    let input = service.operation(operation).unwrap().input.unwrap();
    let Some(Shape::Structure(structure)) = service.shape(input) else {
        panic!("{operation} has no input structure")
    };
    let found = structure.members.iter().find(|member| member.name == name);
    found.unwrap().clone()
}

#[test]
fn members_keep_their_traits() {
    let s3 = service("s3");
    assert_eq!(member(&s3, "PutObject", "Bucket").location, Location::Uri);
    assert!(member(&s3, "PutObject", "Body").streaming);
    let version = member(&s3, "GetObject", "VersionId");
    assert_eq!(version.location, Location::Querystring);
    assert_eq!(version.location_name.as_deref(), Some("versionId"));
    assert!(member(&service("iam"), "CreateLoginProfile", "Password").sensitive);
    assert!(
        member(&service("rds"), "CopyDBSnapshot", "SourceRegion")
            .location_name
            .is_none()
    );
}

#[test]
fn unknown_services_are_errors() {
    assert_eq!(
        Catalog::embedded().open("nope").unwrap_err(),
        CatalogError::UnknownService("nope".to_owned())
    );
    assert!(Catalog::embedded().service("nope").is_none());
}

#[test]
fn damaged_catalogs_are_errors() {
    let whole = include_bytes!("../../catalog/catalog.bin");
    let check = |bytes: Vec<u8>| Catalog::parse(bytes.leak()).map(|_| ()).unwrap_err();
    check(Vec::new());
    check(b"PCATLOG0".to_vec());
    check(whole[..12].to_vec());
    check(whole[..200].to_vec());
    check([&MAGIC[..], &u64::MAX.to_le_bytes()].concat());
    let mut flipped = whole.to_vec();
    flipped[20..24].fill(0xff);
    check(flipped);
}

#[test]
fn a_damaged_model_spares_the_others() {
    let mut bytes = include_bytes!("../../catalog/catalog.bin").to_vec();
    let end = bytes.len();
    bytes[end - 64..].fill(0xff);
    let catalog = Catalog::parse(bytes.leak()).unwrap();
    let last = catalog.index().services.last().unwrap().name.clone();
    assert_eq!(
        catalog.open(&last).unwrap_err(),
        CatalogError::Damaged(last)
    );
    assert!(catalog.service("dynamodb").is_some());
}

fn actions(service_name: &str, operation: &str) -> Vec<String> {
    let service = service(service_name);
    let operation = service.operation(operation).unwrap();
    let described = operation.actions.iter().map(|action| {
        let when = match &action.when {
            When::Always => String::new(),
            When::Absent(path) => format!(" without {}", path.join(".")),
            When::Prefixed(path, start) => format!(" with {} from {start}", path.join(".")),
            When::Present(path) => format!(" with {}", path.join(".")),
            When::True(path) => format!(" with true {}", path.join(".")),
            When::Unversioned(path) => format!(" with unversioned {}", path.join(".")),
            When::Versioned(path) => format!(" with versioned {}", path.join(".")),
        };
        let resources: Vec<_> = action.resources.iter().map(written).collect();
        let each = match action.each.as_slice() {
            [] => String::new(),
            path => format!(" each {}", path.join(".")),
        };
        format!(
            "{} {}{each}{when} on {}",
            action.name,
            action.access,
            resources.join(" or ")
        )
    });
    described.collect()
}

fn written(template: &ArnTemplate) -> String {
    let segments = template.segments.iter().map(|segment| match segment {
        ArnSegment::Account => "{a}".to_owned(),
        ArnSegment::Literal(text) => text.clone(),
        ArnSegment::Partition => "{p}".to_owned(),
        ArnSegment::Region => "{r}".to_owned(),
        ArnSegment::Arn(path) => format!("{{arn:{}}}", path.join(".")),
        ArnSegment::CopySource(path) => format!("{{copy:{}}}", path.join(".")),
        ArnSegment::Function(path) => format!("{{function:{}}}", path.join(".")),
        ArnSegment::MapKeys(path) => format!("{{keys:{}}}", path.join(".")),
        ArnSegment::Member(path) => format!("{{{}}}", path.join(".")),
        ArnSegment::NameOrArn(path) => format!("{{name:{}}}", path.join(".")),
        ArnSegment::Parameter(path) => format!("{{parameter:{}}}", path.join(".")),
        ArnSegment::QueueUrl(path) => format!("{{queue:{}}}", path.join(".")),
    });
    segments.collect()
}

#[test]
fn operations_name_their_actions_and_resources() {
    let check = |service, operation, expected: &[&str]| {
        assert_eq!(
            actions(service, operation),
            expected,
            "{service} {operation}"
        );
    };
    check(
        "dynamodb",
        "DeleteTable",
        &["dynamodb:DeleteTable write on arn:{p}:dynamodb:{r}:{a}:table/{name:TableName}"],
    );
    check(
        "dynamodb",
        "TransactGetItems",
        &[
            "dynamodb:GetItem read each TransactItems on arn:{p}:dynamodb:{r}:{a}:table/{name:TransactItems.Get.TableName}",
        ],
    );
    check(
        "s3",
        "ListObjectsV2",
        &["s3:ListBucket list on arn:{p}:s3:::{Bucket}"],
    );
    check(
        "s3",
        "GetObject",
        &[
            "s3:GetObject read without VersionId on arn:{p}:s3:::{Bucket}/{Key}",
            "s3:GetObjectVersion read with VersionId on arn:{p}:s3:::{Bucket}/{Key}",
        ],
    );
    check("s3", "ListBuckets", &["s3:ListAllMyBuckets list on "]);
    check(
        "sqs",
        "SendMessageBatch",
        &["sqs:SendMessage write on arn:{p}:sqs:{r}:{queue:QueueUrl}"],
    );
    check("sns", "Publish", &["sns:Publish write on {arn:TopicArn}"]);
    check(
        "lambda",
        "Invoke",
        &["lambda:InvokeFunction write on arn:{p}:lambda:{r}:{a}:function:{function:FunctionName}"],
    );
    check(
        "iam",
        "DeleteRole",
        &["iam:DeleteRole write on arn:{p}:iam::{a}:role/{RoleName}"],
    );
    check(
        "ec2",
        "TerminateInstances",
        &["ec2:TerminateInstances write on arn:{p}:ec2:{r}:{a}:instance/{name:InstanceIds}"],
    );
    check(
        "secretsmanager",
        "GetSecretValue",
        &[
            "secretsmanager:GetSecretValue read on arn:{p}:secretsmanager:{r}:{a}:secret:{name:SecretId}",
        ],
    );
    check(
        "apigateway",
        "DeleteRestApi",
        &["apigateway:DELETE write on arn:{p}:apigateway:{r}::/restapis/{restApiId}"],
    );
    check(
        "cloudfront",
        "ListDistributions",
        &["cloudfront:ListDistributions list on "],
    );
}

fn operations() -> Vec<(String, Operation)> {
    let entries = &Catalog::embedded().index().services;
    let of = |entry: &Entry| {
        let service = service(&entry.name);
        let named = |operation: &Operation| (entry.name.clone(), operation.clone());
        service.operations.iter().map(named).collect::<Vec<_>>()
    };
    entries.iter().flat_map(of).collect()
}

#[test]
fn few_operations_have_no_known_action() {
    let operations = operations();
    let unknown = |(_, operation): &&(String, Operation)| {
        let mut actions = operation.actions.iter();
        actions.any(|action| action.basis == Basis::Unknown)
    };
    let unknown = operations.iter().filter(unknown).count();
    assert!(
        unknown * 200 <= operations.len(),
        "{unknown} of {}",
        operations.len()
    );
}

#[test]
fn an_unknown_action_is_never_harmless() {
    for (service, operation) in operations() {
        for action in &operation.actions {
            let is_unknown = action.access == AccessLevel::Unknown;
            let name = &operation.name;
            assert!(
                action.basis != Basis::Unknown || is_unknown,
                "{service} {name}"
            );
        }
    }
}

/// Reads that are called like writes, because the reference calls them reads: they hand out a URL.
const READS_CALLED_LIKE_WRITES: [&str; 2] = [
    "kinesisanalyticsv2:CreateApplicationPresignedUrl",
    "sagemaker:CreateHubContentPresignedUrls",
];

#[test]
fn what_is_called_a_write_is_one() {
    let verbs = [
        "Create", "Delete", "Modify", "Put", "Remove", "Set", "Update",
    ];
    for (service, operation) in operations() {
        let name = format!("{service}:{}", operation.name);
        let writes = verbs.iter().any(|verb| operation.name.starts_with(verb));
        let access = operation.actions.iter().map(|action| action.access).max();
        let is_read = access <= Some(AccessLevel::Read);
        let is_known = READS_CALLED_LIKE_WRITES.contains(&name.as_str());
        assert_eq!(writes && is_read, is_known, "{name} is {access:?}");
    }
}

/// A path of `each` leads to elements: what is judged of them is below it.
#[test]
fn what_is_judged_of_each_element_is_below_the_list() {
    for (service, operation) in operations() {
        for action in operation.actions.iter().filter(|a| !a.each.is_empty()) {
            let below = |path: &[String]| path.starts_with(&action.each);
            let judged = match &action.when {
                When::Absent(path) | When::Prefixed(path, _) | When::Present(path) => below(path),
                When::True(path) | When::Unversioned(path) | When::Versioned(path) => below(path),
                When::Always => true,
            };
            let name = &operation.name;
            assert!(judged, "{service}:{name} {}", action.name);
        }
    }
}
