//! What works outside the gateway is minted only where policy says so by name, is recorded before
//! it exists, and is what AWS takes.

use std::process::Output;
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::fixture::child;
use crate::fixture::client::Agent;
use crate::fixture::gateway::{Gateway, Setting};
use crate::fixture::moto::Moto;
use crate::fixture::tap::Tap;
use crate::fixture::{POWER, READ_ONLY, client, issuer, moto_connection, place, stage, wire};

/// Everything is permitted to `power`; minting nothing to `agents`, who may read all.
const POLICIES: &str = r#"
@id("agents-read")
permit (principal in Group::"agents", action in [Action::"level/list", Action::"level/read"], resource);

@id("power-all")
permit (principal in Group::"power", action, resource);
"#;

const OVERRIDES: &str = "
configuration:
  overrides:
    - actions: [portcullis:MintEcrLogin, portcullis:MintEksToken, portcullis:MintPresignedUrl]
      effect: allow
";

/// A gateway that may mint, in front of a moto that takes query signatures.
struct Ground {
    moto: Moto,
    tap: Tap,
    gateway: Gateway,
}

fn ground() -> &'static Ground {
    static GROUND: OnceLock<Ground> = OnceLock::new();
    GROUND.get_or_init(|| {
        // With its own checks on, moto fails on query signatures; these are checked here instead.
        let moto = Moto::unchecked();
        let tap = Tap::start(moto.address());
        let gateway = Gateway::start(Setting {
            name: "mint",
            connections: vec![moto_connection(&tap.url())],
            issuers: vec![issuer(stage().idp.certified())],
            policies: vec![("mint.cedar", POLICIES.to_owned())],
            environment: moto.gateway_environment(),
            escape_hatches: Some(OVERRIDES),
            ..Setting::default()
        });
        Ground { moto, tap, gateway }
    })
}

fn agent(client_id: &str, role: &str) -> Agent {
    let ground = ground();
    Agent::new(&ground.gateway, role, &stage().idp.token(client_id))
}

fn minted(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The last record of minting for a resource that only one test names: others mint meanwhile.
fn last_mint(gateway: &Gateway, operation: &str, resource: &str) -> Value {
    let records = gateway.audit();
    let found = records
        .into_iter()
        .rfind(|it| it["operation"] == operation && it["resources"].to_string().contains(resource));
    found.unwrap_or_else(|| panic!("no record of {operation} for {resource}"))
}

/// Whether botocore, with the role's secret, makes the same signature.
fn is_signed(url: &str, method: &str) -> bool {
    let mut command = child::command(place::venv("python"));
    command
        .arg(place::clients("check_presigned.py"))
        .args([url, method])
        .args(ground().tap.seen().issued);
    client::run(command)[0]["signed"] == true
}

fn fetch(method: &str, url: &str, body: &str) -> wire::Response {
    let rest = url.strip_prefix("http://").unwrap();
    let (authority, target) = rest.split_once('/').unwrap();
    let request = format!(
        "{method} /{target} HTTP/1.1\r\nhost: {authority}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    wire::plain(authority.parse().unwrap(), request.as_bytes()).unwrap()
}

#[test]
fn a_minted_url_fetches_and_stores_the_object_itself() {
    let agent = agent("agent-power", POWER);
    agent.cli_json(&["s3api", "create-bucket", "--bucket", "minted"]);
    let object = "s3://minted/a b/ü+~&=?%2F.txt";
    let put = minted(&agent.portcullis(&["mint", "presign", object, "--method", "PUT"]));
    assert!(is_signed(&put, "PUT"), "{put}");
    assert_eq!(fetch("PUT", &put, "by the URL alone").status, 200);
    let get = minted(&agent.portcullis(&["mint", "presign", object, "--expires", "5m"]));
    assert!(is_signed(&get, "GET"), "{get}");
    assert!(!is_signed(&get, "PUT"), "the method is not bound");
    let answer = fetch("GET", &get, "");
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (200, "by the URL alone")
    );
    assert!(get.contains("X-Amz-Expires=300"), "{get}");
    let key = "a b/ü+~&=?%2F.txt";
    let file = place::directory("minted").join("through");
    agent.cli_json(&[
        "s3api",
        "get-object",
        "--bucket",
        "minted",
        "--key",
        key,
        file.to_str().unwrap(),
    ]);
    assert_eq!(std::fs::read_to_string(file).unwrap(), "by the URL alone");

    let record = last_mint(&ground().gateway, "MintPresignedUrl", key);
    assert_eq!(record["service"], "portcullis");
    assert_eq!(
        record["actions"],
        json!(["portcullis:MintPresignedUrl", "s3:GetObject"])
    );
    assert_eq!(
        record["resources"],
        json!([format!("arn:aws:s3:::minted/{key}")])
    );
    assert_eq!(
        (&record["decision"], &record["outcome"], &record["status"]),
        (&json!("allow"), &json!("answered"), &json!(200))
    );
    assert_eq!(record["params"]["Key"], key);
    assert!(!record.to_string().contains("X-Amz-Signature"), "{record}");
}

#[test]
fn a_url_lives_no_longer_than_the_operator_allows() {
    let agent = agent("agent-power", POWER);
    let url = agent.portcullis(&["mint", "presign", "s3://minted/k", "--expires", "12h"]);
    let url = minted(&url);
    assert!(url.contains("X-Amz-Expires=900"), "{url}");
}

#[test]
fn who_may_read_an_object_may_not_mint_a_url_for_it() {
    let stage = stage();
    let reader = stage.agent("agent-ci", READ_ONLY);
    let output = reader.portcullis(&["mint", "presign", "s3://minted/denied"]);
    assert!(!output.status.success());
    assert!(output.stdout.is_empty(), "something was minted");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("no-permit"), "{errors}");
    let record = last_mint(&stage.gateway, "MintPresignedUrl", "minted/denied");
    assert_eq!(record["decision"], "deny");
    assert_eq!(record["params"]["Key"], "denied");
    assert_eq!(record["outcome"], "not-sent");
}

#[test]
fn minting_is_an_escape_hatch_until_the_operator_opens_it() {
    let agent = agent("agent-power", POWER);
    let rds = [
        "mint",
        "rds",
        "--host",
        "db.example",
        "--port",
        "5432",
        "--user",
        "app",
    ];
    let output = agent.portcullis(&rds);
    assert!(!output.status.success() && output.stdout.is_empty());
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("portcullis:MintRdsToken"), "{errors}");
    let record = last_mint(&ground().gateway, "MintRdsToken", "/app");
    assert_eq!(
        record["rules"],
        json!(["escape-hatches/portcullis:MintRdsToken"])
    );
}

#[test]
fn an_rds_token_is_botocore_s() {
    let rds = [
        "mint",
        "rds",
        "--host",
        "db.example",
        "--port",
        "5432",
        "--user",
        "app",
    ];
    let agent = stage().agent("agent-power", POWER);
    let token = minted(&agent.portcullis(&rds));
    assert!(
        token.starts_with("db.example:5432/?Action=connect&DBUser=app&"),
        "{token}"
    );
    assert!(token.contains("X-Amz-Expires=900") && token.contains("%2Frds-db%2Faws4_request"));
}

#[test]
fn an_eks_token_is_a_presigned_identity_that_names_the_cluster() {
    let agent = agent("agent-power", POWER);
    let credential = minted(&agent.portcullis(&["mint", "eks", "prod"]));
    let credential: Value = serde_json::from_str(&credential).unwrap();
    assert_eq!(credential["kind"], "ExecCredential");
    let token = credential["status"]["token"].as_str().unwrap();
    let decoded = token.strip_prefix("k8s-aws-v1.").unwrap();
    let mut command = child::command(place::venv("python"));
    let script = "import base64,json,sys; t=sys.argv[1]; print(json.dumps(base64.urlsafe_b64decode(t+'='*(-len(t)%4)).decode()))";
    command.args(["-c", script, decoded]);
    let url = client::run(command).remove(0);
    let url = url.as_str().unwrap();
    assert!(url.contains("Action=GetCallerIdentity"), "{url}");
    assert!(
        url.contains("X-Amz-SignedHeaders=host%3Bx-k8s-aws-id"),
        "{url}"
    );
    assert!(!url.contains("PCAK"), "{url}");
}

#[test]
fn an_ecr_login_is_the_registry_s_password() {
    let agent = agent("agent-power", POWER);
    let password = minted(&agent.portcullis(&["mint", "ecr"]));
    assert!(password.contains("auth-token"), "{password}");
    assert_eq!(ground().moto.address().ip().to_string(), "127.0.0.1");
}
