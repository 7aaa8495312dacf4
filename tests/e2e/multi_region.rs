//! S3 multi-region access points, with real clients that sign with Signature Version 4A: by way of
//! the proxy, because no SDK uses an endpoint of its own for them. AWS's stand-in believes that
//! signature alone, and checks it without a line of the gateway's.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};

use crate::fixture::child::{self, Running};
use crate::fixture::client::{self, Agent, assert_all_ok, value};
use crate::fixture::gateway::{Gateway, Setting};
use crate::fixture::{idp, issuer, place, wire};

const ACCOUNT: &str = "123456789012";
const BUCKET: &str = "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap";
const SEGMENT: &str = "/arn%3Aaws%3As3%3A%3A123456789012%3Aaccesspoint%2Fmfzwi23gnjvgw.mrap";
const RESTRICTED: &str = "222222222222";
/// The gateway's own key to the stand-in.
const KEY: (&str, &str) = ("AKIDMANYREGIONS00000", "the/stand-in+knows=this");

const POLICY: &str = r#"
@id("everything")
permit (principal in Group::"power", action, resource);

@id("protected") @reason("Protected objects stay.")
forbid (principal, action == Action::"s3:DeleteObject", resource)
when { resource.arn like "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap/object/protected/*" };

@id("elsewhere") @reason("Only this one.")
forbid (principal, action, resource)
when { resource.arn like "*/forbidden.mrap*" && context.region == "*" };
"#;

struct Ground {
    gateway: Gateway,
    port: u16,
    _aws: Running,
}

fn ground() -> &'static Ground {
    static GROUND: OnceLock<Ground> = OnceLock::new();
    GROUND.get_or_init(|| {
        let port = child::free_port();
        let environment = [
            ("AWS_ACCESS_KEY_ID", KEY.0),
            ("AWS_SECRET_ACCESS_KEY", KEY.1),
        ];
        let mut command = child::command(place::venv("python"));
        command
            .arg(place::clients("many_regions.py"))
            .arg(port.to_string())
            .envs(environment);
        let aws = child::start("many-regions", command);
        child::until("the stand-in", Duration::from_secs(60), || seen_at(port));
        let connection = |account: &str| {
            json!({
                "name": account,
                "account": account,
                "credentials": "environment",
                "endpoint": format!("http://127.0.0.1:{port}"),
                "roles": [{"name": "agent", "groups": ["agents"]}],
            })
        };
        let mut restricted = connection(RESTRICTED);
        restricted["regions"] = json!(["us-east-1", "eu-west-1"]);
        let gateway = Gateway::start(Setting {
            name: "multi-region",
            connections: vec![connection(ACCOUNT), restricted],
            issuers: vec![issuer(idp().certified())],
            policies: vec![("test.cedar", POLICY.to_owned())],
            environment: environment
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
            proxy: Some(json!({})),
            ..Setting::default()
        });
        Ground {
            gateway,
            port,
            _aws: aws,
        }
    })
}

/// Every request that the stand-in was sent.
fn seen_at(port: u16) -> Option<Vec<Value>> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let request = b"GET /-seen HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    serde_json::from_slice(&wire::plain(address, request).ok()?.body).ok()
}

/// Those whose path has this text.
fn seen(text: &str) -> Vec<Value> {
    let all = seen_at(ground().port).unwrap();
    let of = |one: &Value| one["path"].as_str().is_some_and(|path| path.contains(text));
    all.into_iter().filter(of).collect()
}

fn agent(account: &str) -> Agent {
    let role = format!("arn:aws:iam::{account}:role/agent");
    Agent::proxied(&ground().gateway, &role, &idp().token("agent-power"))
}

fn boto(agent: &Agent, scenario: &str, bucket: &str) -> Vec<Value> {
    client::run(agent.script("multi_region.py", scenario, bucket))
}

fn javascript(scenario: &str, bucket: &str) -> Vec<Value> {
    let gateway = &ground().gateway;
    let role = format!("arn:aws:iam::{ACCOUNT}:role/agent");
    let session = gateway.session(&role, &idp().token("agent-power"));
    let agent = agent(ACCOUNT)
        .with("AWS_ACCESS_KEY_ID", &session.access_key_id)
        .with("AWS_SECRET_ACCESS_KEY", &session.secret)
        .with("AWS_SESSION_TOKEN", &session.token);
    let mut command = agent.program(PathBuf::from("node"));
    command
        .arg(place::clients("multi_region.mjs"))
        .args([scenario, bucket]);
    client::run(command)
}

/// Believed by the stand-in, and for this set of regions.
fn assert_signed_for(set: &str, seen: &[Value]) {
    assert!(!seen.is_empty(), "nothing arrived");
    for one in seen {
        assert_eq!(
            (&one["why"], &one["set"]),
            (&Value::Null, &json!(set)),
            "{one}"
        );
        assert!(one["path"].as_str().unwrap().starts_with(SEGMENT), "{one}");
    }
}

#[test]
fn boto3_and_awscrt_put_get_and_list_in_every_payload_mode() {
    let lines = boto(&agent(ACCOUNT), "objects", BUCKET);
    assert_all_ok(&lines);
    for line in &lines {
        assert_eq!(line["attempts"], 1, "{line}");
        assert_ne!(line["value"], false, "{line}");
    }
    assert_eq!(
        value(&lines, "list"),
        json!(["digest/..//x", "digest/a b/ü+~%2F&=?.txt", "digest/é/日本"])
    );
    for (mode, wanted) in [
        ("trailer/", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        ("unsigned/", "UNSIGNED-PAYLOAD"),
        ("digest/", "digest"),
    ] {
        let arrived = seen(&format!("mrap/{mode}"));
        assert_signed_for("*", &arrived);
        let puts = || arrived.iter().filter(|one| one["method"] == "PUT");
        assert_eq!(puts().count(), 3, "{arrived:?}");
        assert!(puts().all(|one| one["mode"] == wanted), "{arrived:?}");
    }
    let records = ground().gateway.audit();
    let put = records.iter().find(|record| {
        record["operation"] == "PutObject"
            && record["resources"][0] == format!("{BUCKET}/object/digest/é/日本")
    });
    let put = put.unwrap_or_else(|| panic!("no record: {records:#?}"));
    assert_eq!(
        (&put["region"], &put["status"]),
        (&json!("*"), &json!(200)),
        "{put}"
    );
}

#[test]
fn javascript_and_its_own_signer_put_get_and_list() {
    let lines = javascript("objects", BUCKET);
    assert_all_ok(&lines);
    for line in &lines {
        assert_ne!(line["value"], false, "{line}");
    }
    assert_eq!(value(&lines, "list").as_array().map(Vec::len), Some(3));
    assert_signed_for("*", &seen("mrap/js/"));
}

#[test]
fn a_presigned_url_is_verified_and_signed_anew() {
    let lines = boto(&agent(ACCOUNT), "presigned", BUCKET);
    let [put, url, bent] = lines.as_slice() else {
        panic!("{lines:?}");
    };
    assert_eq!(put["ok"], true, "{put}");
    assert_eq!(
        (&url["ok"], &url["asymmetric"]),
        (&json!(true), &json!(true)),
        "{url}"
    );
    assert_eq!(bent["ok"], false, "{bent}");
    assert!(
        bent["message"]
            .as_str()
            .unwrap()
            .contains("SignatureDoesNotMatch"),
        "{bent}"
    );
    let arrived = seen("mrap/presigned/");
    assert_signed_for("*", &arrived);
    assert_eq!(arrived.len(), 2, "{arrived:?}");
}

#[test]
fn a_denial_is_typed_and_nothing_is_sent() {
    for lines in [
        boto(&agent(ACCOUNT), "delete", BUCKET),
        javascript("delete", BUCKET),
    ] {
        let denied = &lines[0];
        assert_eq!(denied["ok"], false, "{denied}");
        assert_eq!(
            (&denied["code"], &denied["attempts"]),
            (&json!("AccessDenied"), &json!(1)),
            "{denied}"
        );
        let message = denied["message"].as_str().unwrap();
        assert!(message.contains("Protected objects stay."), "{denied}");
        if let Some(read) = lines.get(1) {
            assert_eq!(read["code"], "NoSuchKey", "{read}");
        }
    }
    let arrived = seen("mrap/protected/");
    assert!(
        arrived.iter().all(|one| one["method"] == "GET"),
        "{arrived:?}"
    );
}

#[test]
fn policies_see_the_region_set() {
    let point = "arn:aws:s3::123456789012:accesspoint/forbidden.mrap";
    let every = boto(&agent(ACCOUNT), "put", point);
    assert!(
        every[0]["message"]
            .as_str()
            .unwrap()
            .contains("Only this one."),
        "{every:?}"
    );
    let named = agent(ACCOUNT).with("AWS_SIGV4A_SIGNING_REGION_SET", "us-east-1,eu-west-1");
    assert_all_ok(&boto(&named, "put", point));
    let arrived = seen("forbidden.mrap");
    assert_eq!(arrived.len(), 1, "{arrived:?}");
    assert_eq!(arrived[0]["set"], "us-east-1,eu-west-1");
}

#[test]
fn a_connection_with_regions_takes_sets_inside_them_only() {
    let point = "arn:aws:s3::222222222222:accesspoint/restricted.mrap";
    let restricted = agent(RESTRICTED);
    for set in ["*", "us-east-*", "us-east-1,us-west-2"] {
        let agent = restricted
            .clone()
            .with("AWS_SIGV4A_SIGNING_REGION_SET", set);
        let lines = boto(&agent, "put", point);
        let message = lines[0]["message"].as_str().unwrap();
        assert!(
            message.contains("does not serve region") && message.contains(set),
            "{set}: {lines:?}"
        );
        assert!(
            message.contains("AWS_SIGV4A_SIGNING_REGION_SET"),
            "{message}"
        );
    }
    assert_eq!(seen("restricted.mrap"), Vec::<Value>::new());
    let inside = restricted.with("AWS_SIGV4A_SIGNING_REGION_SET", "eu-west-1,us-east-1");
    assert_all_ok(&boto(&inside, "put", point));
    assert_eq!(seen("restricted.mrap").len(), 1);
}
