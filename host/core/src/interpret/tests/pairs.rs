//! Calls that need more than the action of their own name: every pair, and none that the call does
//! not ask for.

use serde_json::json;

use super::*;
use crate::call::AccessLevel;

const TABLE: &str = "arn:aws:dynamodb:us-east-1:123456789012:table/";
const ROLE: &str = "arn:aws:iam::123456789012:role/";

fn pairs(sent: &Sent) -> Vec<String> {
    let call = sent.read().unwrap_or_else(|refusal| panic!("{refusal}"));
    let pair = |action: &Action| format!("{} {}", action.name, action.resource);
    call.actions().iter().map(pair).collect()
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "tables read better without `&json!`"
)]
fn table(operation: &str, body: serde_json::Value) -> Vec<String> {
    pairs(&dynamodb(operation, &body.to_string()))
}

/// A call as awsJson sends it.
fn target(service: &'static str, target: &str, body: &serde_json::Value) -> Sent {
    let version = if service == "states" { "1.0" } else { "1.1" };
    Sent::new(service, "POST", "/")
        .header("x-amz-target", target)
        .header("content-type", &format!("application/x-amz-json-{version}"))
        .body(&body.to_string())
}

fn passed(sent: &Sent) -> Vec<String> {
    let mut pairs = pairs(sent);
    pairs.retain(|pair| pair.starts_with("iam:PassRole "));
    pairs
}

#[test]
fn a_copy_reads_its_source_and_writes_its_target() {
    let copy = |source: &str| pairs(&s3("PUT", "/to/key").header("x-amz-copy-source", source));
    let part = |source: &str| {
        let sent = s3("PUT", "/to/key?partNumber=1&uploadId=u");
        pairs(&sent.header("x-amz-copy-source", source))
    };
    for copied in [copy, part] as [fn(&str) -> Vec<String>; 2] {
        assert_eq!(
            copied("/from/a%20b"),
            [
                "s3:GetObject arn:aws:s3:::from/a b",
                "s3:PutObject arn:aws:s3:::to/key"
            ]
        );
        assert_eq!(
            copied("from/a?versionId=7"),
            [
                "s3:GetObjectVersion arn:aws:s3:::from/a",
                "s3:PutObject arn:aws:s3:::to/key"
            ]
        );
        assert_eq!(
            copied("arn:aws:s3:us-east-1:123456789012:accesspoint/p/object/k")[0],
            "s3:GetObject arn:aws:s3:us-east-1:123456789012:accesspoint/p/object/k"
        );
    }
}

#[test]
fn a_copy_from_an_alias_may_be_of_any_object() {
    let sent = s3("PUT", "/to/key").header("x-amz-copy-source", "from-s3alias/a");
    assert_eq!(pairs(&sent)[0], "s3:GetObject *");
}

#[test]
fn a_version_is_read_and_deleted_by_its_own_action() {
    for (method, action) in [
        ("GET", "GetObject"),
        ("HEAD", "GetObject"),
        ("DELETE", "DeleteObject"),
    ] {
        let current = pairs(&s3(method, "/b/k"));
        assert_eq!(current, [format!("s3:{action} arn:aws:s3:::b/k")]);
        let version = pairs(&s3(method, "/b/k?versionId=3"));
        assert_eq!(version, [format!("s3:{action}Version arn:aws:s3:::b/k")]);
    }
}

#[test]
fn every_deleted_key_is_named_with_its_own_action() {
    let body = "<Delete><Object><Key>a</Key></Object>\
        <Object><Key>b</Key><VersionId>1</VersionId></Object></Delete>";
    assert_eq!(
        pairs(&s3("POST", "/x?delete").body(body)),
        [
            "s3:DeleteObject arn:aws:s3:::x/a",
            "s3:DeleteObjectVersion arn:aws:s3:::x/b"
        ]
    );
}

#[test]
fn retention_is_bypassed_only_when_asked() {
    let delete = |value: &str| {
        let sent = s3("DELETE", "/b/k").header("x-amz-bypass-governance-retention", value);
        pairs(&sent)
    };
    assert_eq!(
        delete("true"),
        [
            "s3:BypassGovernanceRetention arn:aws:s3:::b/k",
            "s3:DeleteObject arn:aws:s3:::b/k"
        ]
    );
    assert_eq!(delete("false"), ["s3:DeleteObject arn:aws:s3:::b/k"]);
}

#[test]
fn an_upload_needs_what_its_headers_ask_for() {
    let plain = ["s3:PutObject arn:aws:s3:::b/k"];
    assert_eq!(pairs(&s3("PUT", "/b/k")), plain);
    for (header, value, action) in [
        ("x-amz-acl", "public-read", "PutObjectAcl"),
        ("x-amz-grant-read", "id=1", "PutObjectAcl"),
        ("x-amz-grant-full-control", "id=1", "PutObjectAcl"),
        ("x-amz-tagging", "a=b", "PutObjectTagging"),
        ("x-amz-object-lock-mode", "GOVERNANCE", "PutObjectRetention"),
        (
            "x-amz-object-lock-retain-until-date",
            "2030-01-01T00:00:00Z",
            "PutObjectRetention",
        ),
        ("x-amz-object-lock-legal-hold", "ON", "PutObjectLegalHold"),
    ] {
        let expected = [plain[0].to_owned(), format!("s3:{action} arn:aws:s3:::b/k")];
        for sent in [s3("PUT", "/b/k"), s3("POST", "/b/k?uploads")] {
            assert_eq!(pairs(&sent.header(header, value)), expected, "{header}");
        }
        let copy = s3("PUT", "/b/k").header("x-amz-copy-source", "from/k");
        let copied = pairs(&copy.header(header, value));
        assert!(copied.contains(&expected[1]), "{header}: {copied:?}");
    }
}

#[test]
fn a_transaction_names_each_table_with_what_is_done_to_it() {
    let key = json!({"id": {"S": "1"}});
    let items = json!({"TransactItems": [
        {"Put": {"TableName": "a", "Item": key}},
        {"Delete": {"TableName": "b", "Key": key}},
        {"Update": {"TableName": "c", "Key": key, "UpdateExpression": "SET x = y"}},
        {"ConditionCheck": {"TableName": "d", "Key": key, "ConditionExpression": "x"}},
    ]});
    assert_eq!(
        table("TransactWriteItems", items),
        [
            format!("dynamodb:ConditionCheckItem {TABLE}d"),
            format!("dynamodb:DeleteItem {TABLE}b"),
            format!("dynamodb:PutItem {TABLE}a"),
            format!("dynamodb:UpdateItem {TABLE}c"),
        ]
    );
    let put = json!({"TransactItems": [{"Put": {"TableName": "a", "Item": key}}]});
    assert_eq!(
        table("TransactWriteItems", put),
        [format!("dynamodb:PutItem {TABLE}a")]
    );
    let reads = json!({"TransactItems": [
        {"Get": {"TableName": "a", "Key": key}}, {"Get": {"TableName": "b", "Key": key}},
    ]});
    assert_eq!(
        table("TransactGetItems", reads),
        [
            format!("dynamodb:GetItem {TABLE}a"),
            format!("dynamodb:GetItem {TABLE}b")
        ]
    );
}

#[test]
fn a_transaction_of_nothing_is_refused() {
    let refused = dynamodb("TransactWriteItems", r#"{"TransactItems":[]}"#).read();
    assert!(
        matches!(refused, Err(Refusal::InvalidInput(_))),
        "{refused:?}"
    );
}

#[test]
fn a_batch_names_each_table() {
    let key = json!({"id": {"S": "1"}});
    let write = json!({"RequestItems": {
        "a": [{"PutRequest": {"Item": key}}], "b": [{"DeleteRequest": {"Key": key}}],
    }});
    let read = json!({"RequestItems": {"a": {"Keys": [key]}, "b": {"Keys": [key]}}});
    for (operation, body) in [("BatchWriteItem", write), ("BatchGetItem", read)] {
        let expected = ["a", "b"].map(|name| format!("dynamodb:{operation} {TABLE}{name}"));
        assert_eq!(table(operation, body), expected);
    }
}

#[test]
fn a_statement_in_another_language_may_be_anything() {
    let one = json!({"Statement": "SELECT * FROM t"});
    let many = json!({"Statements": [one]});
    let transaction = json!({"TransactStatements": [one]});
    for (operation, body) in [
        ("ExecuteStatement", one),
        ("BatchExecuteStatement", many),
        ("ExecuteTransaction", transaction),
    ] {
        let sent = dynamodb(operation, &body.to_string());
        assert_eq!(
            pairs(&sent),
            ["Delete", "Insert", "Select", "Update"]
                .map(|verb| format!("dynamodb:PartiQL{verb} *"))
        );
        assert_eq!(sent.read().unwrap().access(), AccessLevel::Unknown);
    }
    let query = target(
        "athena",
        "AmazonAthena.StartQueryExecution",
        &json!({"QueryString": "SELECT 1"}),
    );
    assert_eq!(query.read().unwrap().access(), AccessLevel::Unknown);
    let listed = target("athena", "AmazonAthena.ListWorkGroups", &json!({}));
    assert_eq!(listed.read().unwrap().access(), AccessLevel::List);
}

#[test]
fn an_instance_names_what_it_is_made_of() {
    let run = |more: &str| {
        let body = format!(
            "Action=RunInstances&Version=2016-11-15&MinCount=1&MaxCount=1&ImageId=ami-1{more}"
        );
        pairs(&query("ec2", &body))
    };
    let plain = [
        "ec2:RunInstances arn:aws:ec2:us-east-1:123456789012:instance/*",
        "ec2:RunInstances arn:aws:ec2:us-east-1::image/ami-1",
    ];
    assert_eq!(run(""), plain);
    for (more, pair) in [
        (
            "&IamInstanceProfile.Name=p",
            "iam:PassRole arn:aws:iam::123456789012:role/*",
        ),
        (
            "&LaunchTemplate.LaunchTemplateId=lt-1",
            "iam:PassRole arn:aws:iam::123456789012:role/*",
        ),
        (
            "&LaunchTemplate.LaunchTemplateName=t",
            "ec2:RunInstances arn:aws:ec2:us-east-1:123456789012:launch-template/*",
        ),
        (
            "&SubnetId=subnet-1",
            "ec2:RunInstances arn:aws:ec2:us-east-1:123456789012:subnet/subnet-1",
        ),
        (
            "&NetworkInterface.1.SubnetId=subnet-2",
            "ec2:RunInstances arn:aws:ec2:us-east-1:123456789012:subnet/subnet-2",
        ),
        (
            "&TagSpecification.1.ResourceType=instance&TagSpecification.1.Tag.1.Key=k",
            "ec2:CreateTags *",
        ),
    ] {
        let pairs = run(more);
        assert!(pairs.iter().any(|found| found == pair), "{more}: {pairs:?}");
        assert!(
            plain
                .iter()
                .all(|pair| pairs.iter().any(|found| found == pair))
        );
    }
}

#[test]
fn a_role_that_is_handed_over_is_passed() {
    let role = format!("{ROLE}r");
    let expected = [format!("iam:PassRole {role}")];
    let rest = |service, method, url, body: serde_json::Value| {
        let sent = Sent::new(service, method, url).header("content-type", "application/json");
        sent.body(&body.to_string())
    };
    let code = json!({"ZipFile": ""});
    let create = json!({"FunctionName": "f", "Role": role, "Code": code});
    let artifacts = json!({"type": "NO_ARTIFACTS"});
    for sent in [
        rest("lambda", "POST", "/2015-03-31/functions", create),
        rest(
            "lambda",
            "PUT",
            "/2015-03-31/functions/f/configuration",
            json!({"Role": role}),
        ),
        target(
            "ecs",
            "AmazonEC2ContainerServiceV20141113.RegisterTaskDefinition",
            &json!({"family": "f", "containerDefinitions": [], "taskRoleArn": role}),
        ),
        target(
            "ecs",
            "AmazonEC2ContainerServiceV20141113.RunTask",
            &json!({"taskDefinition": "t", "overrides": {"executionRoleArn": role}}),
        ),
        target(
            "glue",
            "AWSGlue.CreateJob",
            &json!({"Name": "j", "Role": "r", "Command": {}}),
        ),
        target(
            "sagemaker",
            "SageMaker.CreateModel",
            &json!({"ModelName": "m", "ExecutionRoleArn": role}),
        ),
        target(
            "codebuild",
            "CodeBuild_20161006.CreateProject",
            &json!({"name": "p", "source": {"type": "S3"}, "artifacts": artifacts,
                "environment": {"type": "X", "image": "i", "computeType": "c"}, "serviceRole": role}),
        ),
        target(
            "states",
            "AWSStepFunctions.CreateStateMachine",
            &json!({"name": "s", "definition": "{}", "roleArn": role}),
        ),
        query(
            "cloudformation",
            &format!("Action=CreateStack&Version=2010-05-15&StackName=s&RoleARN={role}"),
        ),
        rest(
            "batch",
            "POST",
            "/v1/registerjobdefinition",
            json!({"jobDefinitionName": "j", "type": "container", "containerProperties": {"jobRoleArn": role}}),
        ),
        target(
            "elasticmapreduce",
            "ElasticMapReduce.RunJobFlow",
            &json!({"Name": "j", "Instances": {}, "ServiceRole": "r"}),
        ),
        target(
            "events",
            "AWSEvents.PutTargets",
            &json!({"Rule": "r", "Targets": [
                {"Id": "1", "Arn": "arn:aws:x", "RoleArn": role}, {"Id": "2", "Arn": "arn:aws:y"},
            ]}),
        ),
    ] {
        assert_eq!(passed(&sent), expected, "{sent:?}");
    }
}

#[test]
fn nothing_is_passed_where_no_role_is() {
    for sent in [
        target(
            "events",
            "AWSEvents.PutTargets",
            &json!({"Rule": "r", "Targets": [{"Id": "2", "Arn": "arn:aws:y"}]}),
        ),
        target(
            "ecs",
            "AmazonEC2ContainerServiceV20141113.RunTask",
            &json!({"taskDefinition": "t", "overrides": {}}),
        ),
        query(
            "cloudformation",
            "Action=CreateStack&Version=2010-05-15&StackName=s",
        ),
        query(
            "ec2",
            "Action=RunInstances&Version=2016-11-15&MinCount=1&MaxCount=1&ImageId=ami-1",
        ),
    ] {
        assert!(passed(&sent).is_empty(), "{sent:?}");
    }
}

#[test]
fn a_role_inside_an_instance_profile_may_be_any() {
    let flow = json!({"Name": "j", "Instances": {}, "JobFlowRole": "p"});
    let sent = target("elasticmapreduce", "ElasticMapReduce.RunJobFlow", &flow);
    assert_eq!(passed(&sent), [format!("iam:PassRole {ROLE}*")]);
}

#[test]
fn a_conversation_passes_no_role() {
    let body = r#"{"messages":[{"role":"user","content":[{"text":"hi"}]}]}"#;
    let sent = Sent::new("bedrock", "POST", "/model/m/converse")
        .header("content-type", "application/json");
    let sent = sent.body(body).at("bedrock-runtime.gw.example");
    assert_eq!(
        pairs(&sent),
        ["bedrock:InvokeModel arn:aws:bedrock:us-east-1::foundation-model/m"]
    );
}

#[test]
fn a_resource_policy_of_an_api_is_its_own_action() {
    let rest = |method, url, body: &str| {
        let sent = Sent::new("apigateway", method, url).header("content-type", "application/json");
        pairs(&sent.body(body))
    };
    let api = "arn:aws:apigateway:us-east-1::/restapis";
    assert_eq!(
        rest("POST", "/restapis", r#"{"name":"a"}"#),
        [format!("apigateway:POST {api}")]
    );
    assert_eq!(
        rest("POST", "/restapis", r#"{"name":"a","policy":"{}"}"#),
        [
            format!("apigateway:POST {api}"),
            format!("apigateway:UpdateRestApiPolicy {api}/*")
        ]
    );
    let patch = |path: &str| {
        let body = json!({"patchOperations": [{"op": "replace", "path": path, "value": "x"}]});
        rest("PATCH", "/restapis/a", &body.to_string())
    };
    assert_eq!(patch("/name"), [format!("apigateway:PATCH {api}/a")]);
    assert_eq!(
        patch("/policy"),
        [
            format!("apigateway:PATCH {api}/a"),
            format!("apigateway:UpdateRestApiPolicy {api}/a")
        ]
    );
}

#[test]
fn api_gateway_is_verbs_on_paths_in_both_versions() {
    let rest = |method, url| pairs(&Sent::new("apigateway", method, url));
    let of = |path: &str| format!("arn:aws:apigateway:us-east-1::{path}");
    assert_eq!(
        rest("DELETE", "/restapis/a/stages/prod"),
        [format!(
            "apigateway:DELETE {}",
            of("/restapis/a/stages/prod")
        )]
    );
    assert_eq!(
        rest("GET", "/v2/apis/a/routes"),
        [format!("apigateway:GET {}", of("/apis/a/routes"))]
    );
}

#[test]
fn tags_given_at_birth_need_the_action_that_tags() {
    let create = |more: &str| {
        let keys = r#""KeySchema":[],"AttributeDefinitions":[]"#;
        let body = format!(r#"{{"TableName":"t",{keys}{more}}}"#);
        pairs(&dynamodb("CreateTable", &body))
    };
    assert_eq!(create(""), [format!("dynamodb:CreateTable {TABLE}t")]);
    assert_eq!(
        create(r#","Tags":[{"Key":"a","Value":"b"}]"#),
        [
            format!("dynamodb:CreateTable {TABLE}t"),
            format!("dynamodb:TagResource {TABLE}t")
        ]
    );
}

#[test]
fn a_parameter_is_one_resource_in_every_form() {
    let read = |name: &str| {
        pairs(&target(
            "ssm",
            "AmazonSSM.GetParameter",
            &json!({"Name": name}),
        ))
    };
    let whole = "arn:aws:ssm:us-east-1:123456789012:parameter/a/b";
    for name in ["/a/b", "a/b", "/a/b:3", whole] {
        assert_eq!(read(name), [format!("ssm:GetParameter {whole}")], "{name}");
    }
}

#[test]
fn a_new_name_is_not_the_id_of_what_is_renamed() {
    let rename = json!({"InstanceArn": "arn:aws:sso:::instance/ssoins-1", "Name": "prod"});
    let sent = target("sso", "SWBExternalService.UpdateInstance", &rename);
    assert_eq!(
        pairs(&sent),
        ["sso:UpdateInstance arn:aws:sso:::instance/ssoins-1"]
    );
}
