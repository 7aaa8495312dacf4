//! Unmodified clients do their work through the gateway, and AWS sees only the assumed role.

use serde_json::{Value, json};

use crate::fixture::client::{Agent, assert_all_ok, value};
use crate::fixture::{POWER, gateway, place, stage};

const KEYS: [&str; 3] = ["a b/ü+~%2F&=?.txt", "..//x", "é/日本"];

fn power() -> Agent {
    stage().agent("agent-power", POWER)
}

#[test]
fn boto3_calls_every_kind_of_service() {
    let lines = power().boto("services", "boto");
    assert_all_ok(&lines);
    assert_eq!(value(&lines, "dynamodb.get_item"), "é日本");
    assert_eq!(value(&lines, "sqs.receive_message"), "a=b&c d\n<e>");
    assert_eq!(
        value(&lines, "secretsmanager.get_secret_value"),
        "not a real secret"
    );
}

#[test]
fn boto3_stores_and_fetches_objects_byte_for_byte() {
    let lines = power().boto("objects", "boto");
    assert_all_ok(&lines);
    assert_eq!(value(&lines, "s3.list_objects_v2"), 0);
    assert_eq!(first_listing(&lines, "s3.list_objects_v2"), listed());
}

#[test]
fn boto3_calls_lambda() {
    check_functions(&power().boto("functions", "boto"));
}

#[test]
fn javascript_calls_every_kind_of_service() {
    let lines = power().javascript("services", "js");
    assert_all_ok(&lines);
    assert_eq!(value(&lines, "DynamoDB.GetItem"), "é日本");
    assert_eq!(value(&lines, "SQS.ReceiveMessage"), "a=b&c d\n<e>");
    assert_eq!(
        value(&lines, "Secrets Manager.GetSecretValue"),
        "not a real secret"
    );
}

#[test]
fn javascript_stores_and_fetches_objects_byte_for_byte() {
    let lines = power().javascript("objects", "js");
    assert_all_ok(&lines);
    assert_eq!(first_listing(&lines, "S3.ListObjectsV2"), listed());
}

/// PAR-10: buckets in the host name; `interpret` and `destination` have the other forms.
#[test]
fn javascript_addresses_buckets_as_virtual_hosts() {
    let preload = format!(
        "--require {}",
        place::clients("resolve-test-hosts.cjs").display()
    );
    let port = stage().gateway.address().port();
    let agent = power()
        .with(
            "AWS_ENDPOINT_URL",
            &format!("https://{}:{port}", gateway::HOSTNAME),
        )
        .with("NODE_OPTIONS", &preload);
    let lines = agent.javascript("objects", "js-virtual");
    assert_all_ok(&lines);
    assert_eq!(first_listing(&lines, "S3.ListObjectsV2"), listed());
}

#[test]
fn javascript_calls_lambda() {
    check_functions(&power().javascript("functions", "js"));
}

#[test]
fn the_rust_sdk_calls_every_kind_of_service() {
    let lines = power().rust("services", "rust");
    assert_all_ok(&lines);
    assert_eq!(value(&lines, "DynamoDB.GetItem"), "é日本");
    assert_eq!(value(&lines, "SQS.ReceiveMessage"), "a=b&c d\n<e>");
    assert_eq!(
        value(&lines, "SecretsManager.GetSecretValue"),
        "not a real secret"
    );
}

/// Its CloudWatch speaks CBOR, which moto does not: moto's own 404 says that the call got there.
#[test]
fn the_rust_sdk_s_cbor_calls_are_decoded_and_sent() {
    let lines = power().rust("metrics", "rust-cbor");
    assert!(lines.iter().all(|line| line["status"] == 404), "{lines:#?}");
    let records = stage().gateway.audit();
    let put = records
        .iter()
        .rfind(|record| record["operation"] == "PutMetricData" && record["status"] == 404);
    let put = put.unwrap();
    assert_eq!(put["actions"], json!(["cloudwatch:PutMetricData"]));
    assert_eq!(put["decision"], "allow");
}

#[test]
fn the_rust_sdk_calls_lambda() {
    check_functions(&power().rust("functions", "rust"));
}

#[test]
fn the_rust_sdk_stores_and_fetches_objects_byte_for_byte() {
    let lines = power().rust("objects", "rust");
    assert_all_ok(&lines);
    assert_eq!(first_listing(&lines, "S3.ListObjectsV2"), listed());
}

#[test]
fn the_cli_calls_every_kind_of_service() {
    let agent = power();
    let run = |line: &str| agent.cli_json(&line.split_whitespace().collect::<Vec<_>>());
    run(
        "dynamodb create-table --table-name cli-table --billing-mode PAY_PER_REQUEST \
         --key-schema AttributeName=id,KeyType=HASH \
         --attribute-definitions AttributeName=id,AttributeType=S",
    );
    run(r#"dynamodb put-item --table-name cli-table --item {"id":{"S":"é"}}"#);
    let item = run(r#"dynamodb get-item --table-name cli-table --key {"id":{"S":"é"}}"#);
    assert_eq!(item["Item"]["id"]["S"], "é");
    // This version of the CLI ignores AWS_ENDPOINT_URL for SQS.
    let endpoint = stage().gateway.url();
    let queue = run(&format!(
        "sqs create-queue --queue-name cli-queue --endpoint-url {endpoint}"
    ));
    assert!(queue["QueueUrl"].as_str().unwrap().ends_with("/cli-queue"));
    let vpcs = run("ec2 describe-vpcs --filters Name=isDefault,Values=true");
    assert_eq!(vpcs["Vpcs"].as_array().unwrap().len(), 1);
    run(
        r#"iam create-role --role-name cli-role --assume-role-policy-document {"Version":"2012-10-17","Statement":[]}"#,
    );
    let role = run("iam get-role --role-name cli-role");
    assert_eq!(role["Role"]["RoleName"], "cli-role");
    assert_eq!(run("lambda list-functions")["Functions"], json!([]));
    run("cloudwatch put-metric-data --namespace cli --metric-name calls --value 1");
    let metrics = run("cloudwatch list-metrics --namespace cli");
    assert_eq!(metrics["Metrics"].as_array().unwrap().len(), 1);
    run("secretsmanager create-secret --name cli/secret --secret-string not-real");
    let secret = run("secretsmanager get-secret-value --secret-id cli/secret");
    assert_eq!(secret["SecretString"], "not-real");
}

#[test]
fn the_cli_stores_and_fetches_objects_byte_for_byte() {
    let agent = power();
    let files = place::directory("cli");
    agent.cli_json(&["s3", "mb", "s3://cli-bucket"]);
    for (name, size) in [
        ("empty", 0),
        ("single", 8 << 20),
        ("multipart", 64 << 20),
        (KEYS[0], 100),
    ] {
        let (up, down) = (files.join("up"), files.join("down"));
        let body: Vec<u8> = (0..size)
            .map(|at: usize| (at % 251) as u8 ^ (at >> 16) as u8)
            .collect();
        std::fs::write(&up, &body).unwrap();
        let url = format!("s3://cli-bucket/{name}");
        agent.cli_json(&["s3", "cp", up.to_str().unwrap(), &url]);
        agent.cli_json(&["s3", "cp", &url, down.to_str().unwrap()]);
        assert!(
            std::fs::read(&down).unwrap() == body,
            "{name} came back changed"
        );
    }
    let listing = agent.cli_json(&["s3api", "list-objects-v2", "--bucket", "cli-bucket"]);
    let keys: Vec<_> = listing["Contents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|object| &object["Key"])
        .collect();
    assert_eq!(keys, [KEYS[0], "empty", "multipart", "single"]);
    agent.cli_json(&["s3", "rm", "s3://cli-bucket", "--recursive"]);
}

#[test]
fn aws_sees_the_assumed_role_and_never_a_gateway_credential() {
    let stage = stage();
    assert_all_ok(&power().boto("sign_in", "tap"));
    let seen = stage.tap.seen();
    assert_eq!(seen.gateway_keys, 0, "a gateway access key was sent to AWS");
    let strangers: Vec<_> = seen
        .access_keys
        .iter()
        .filter(|key| !key.starts_with("ASIA") && *key != stage.moto.base_access_key())
        .collect();
    assert_eq!(strangers, Vec::<&String>::new());
    assert!(
        seen.access_keys.iter().any(|key| key.starts_with("ASIA")),
        "{seen:?}"
    );
}

/// A missing function is Lambda's own answer, so that it proves a call that reached Lambda.
fn check_functions(lines: &[Value]) {
    let (missing, calls) = lines.split_last().unwrap();
    assert_all_ok(calls);
    assert_eq!(missing["code"], "ResourceNotFoundException", "{missing}");
}

fn first_listing(lines: &[Value], step: &str) -> Value {
    lines.iter().find(|line| line["step"] == step).unwrap()["value"].clone()
}

/// S3 lists in byte order.
fn listed() -> Value {
    let mut keys = KEYS;
    keys.sort_unstable();
    json!(keys)
}
