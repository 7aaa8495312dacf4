//! Every call and every refusal leaves a record, and without a record nothing is sent.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::fixture::gateway::{Gateway, Setting};
use crate::fixture::recorder::Recorder;
use crate::fixture::sign::{Call, Session};
use crate::fixture::{POWER, READ_ONLY, child, issuer, recorded_role, recorder_connection, stage};

const FIELDS: [&str; 19] = [
    "id",
    "time",
    "principal",
    "session",
    "role",
    "connection",
    "service",
    "operation",
    "actions",
    "resources",
    "access",
    "region",
    "decision",
    "rules",
    "reason",
    "approval",
    "aws_request_id",
    "status",
    "id",
];

fn session(gateway: &Gateway) -> Session {
    gateway.session(&recorded_role("audited"), &stage().idp.token("agent-ci"))
}

fn describe(host: &str, table: &str) -> Call {
    Call::dynamodb(
        host,
        "DescribeTable",
        &format!(r#"{{"TableName":"{table}"}}"#),
    )
}

/// The records that mention a word which only one test uses.
fn records(gateway: &Gateway, word: &str) -> Vec<Value> {
    let all = gateway.audit();
    all.into_iter()
        .filter(|record| record.to_string().contains(word))
        .collect()
}

#[test]
fn unknown_members_are_sent_where_the_operator_lets_them_and_named_in_the_record() {
    let stage = stage();
    let gateway = &stage.gateway;
    let body = r#"{"TableName":"audit-newer","Preview":{"Secret":"audit-preview"}}"#;
    let ask = |role: &str| {
        let session = gateway.session(role, &stage.idp.token("agent-ci"));
        let call = Call::dynamodb(&gateway.host(), "DescribeTable", body);
        gateway.send(&call.sign(&session).bytes())
    };
    let refused = ask(&recorded_role("audited"));
    assert_eq!(refused.status, 400, "{}", refused.text());
    let sent = ask(&recorded_role("newer"));
    assert_eq!(sent.status, 200, "{}", sent.text());
    let requests = stage.recorder("newer").requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].body, body.as_bytes());
    let records = records(gateway, "audit-newer");
    assert_eq!(records.len(), 1, "what is refused keeps no parameters");
    assert_eq!(
        records[0]["unknown_members"],
        serde_json::json!(["Preview"])
    );
    let text = records[0].to_string();
    assert!(
        !text.contains("audit-preview"),
        "its value is not known to be harmless: {text}"
    );
}

#[test]
fn an_allowed_call_is_recorded_with_everything_it_was() {
    let gateway = &stage().gateway;
    let call = describe(&gateway.host(), "audit-allowed").sign(&session(gateway));
    assert_eq!(gateway.send(&call.bytes()).status, 200);
    let record = one_record(gateway, "audit-allowed");
    for field in FIELDS {
        assert!(record.get(field).is_some(), "no `{field}` in {record}");
    }
    assert_eq!(record["service"], "dynamodb");
    assert_eq!(record["operation"], "DescribeTable");
    assert_eq!(record["connection"], "audited");
    assert_eq!(record["role"], "agent");
    assert_eq!(record["region"], "us-east-1");
    assert_eq!(record["access"], "read");
    assert_eq!(record["status"], 200);
    assert_eq!(record["aws_request_id"], "RECORDED-1");
    let text = record.to_string();
    assert!(
        text.contains("agents-read"),
        "the rule that allowed it: {text}"
    );
    assert!(
        text.contains("dynamodb:DescribeTable"),
        "the action: {text}"
    );
    assert!(
        text.contains(":table/audit-allowed"),
        "the resource: {text}"
    );
    let principal = record["principal"].to_string();
    assert!(
        principal.contains("agent-ci") && principal.contains(stage().idp.certified()),
        "{text}"
    );
}

fn one_record(gateway: &Gateway, word: &str) -> Value {
    let found = child::until("the record", Duration::from_secs(10), || {
        let found = records(gateway, word);
        let closed = found
            .first()
            .is_some_and(|record| !record["status"].is_null());
        closed.then_some(found)
    });
    assert_eq!(found.len(), 1, "{found:#?}");
    found.into_iter().next().unwrap()
}

#[test]
fn what_aws_refuses_is_recorded_with_its_code() {
    let gateway = &stage().gateway;
    let session = gateway.session(READ_ONLY, &stage().idp.token("agent-ci"));
    let host = gateway.host();
    let table = describe(&host, "audit-missing-table").sign(&session);
    assert_eq!(gateway.send(&table.bytes()).status, 400);
    let record = one_record(gateway, "audit-missing-table");
    assert_eq!(record["outcome"], "answered");
    assert_eq!(record["error_code"], "ResourceNotFoundException");
    assert_eq!(record["error_class"], "downstream");
    assert_eq!(record["error_message"], Value::Null);
    let bucket = Call::s3(&host, "GET", "/audit-missing-bucket?acl", b"").sign(&session);
    assert_eq!(gateway.send(&bucket.bytes()).status, 404);
    let record = one_record(gateway, "audit-missing-bucket");
    assert_eq!(record["error_code"], "NoSuchBucket");
}

#[test]
fn a_denied_call_is_recorded_with_its_rule() {
    let gateway = &stage().gateway;
    let token = stage().idp.token("agent-power");
    let call = Call::dynamodb(
        &gateway.host(),
        "DeleteTable",
        r#"{"TableName":"prod-audit-denied"}"#,
    );
    assert_eq!(
        gateway
            .send(&call.sign(&gateway.session(POWER, &token)).bytes())
            .status,
        400
    );
    let record = one_record(gateway, "prod-audit-denied");
    assert_eq!(record["operation"], "DeleteTable");
    assert_eq!(record["status"], 400);
    let text = record.to_string();
    assert!(
        text.contains("production-stays") && text.contains("deleted by people only"),
        "{text}"
    );
    assert!(record["aws_request_id"].is_null(), "{text}");
}

/// A gateway of its own, so that the number of records is its own too.
#[test]
fn every_refusal_leaves_a_record() {
    let stage = stage();
    let recorder = Recorder::start();
    let gateway = own_gateway("audit-refusals", &recorder, None);
    let role = "arn:aws:iam::300000000001:role/agent";
    let session = gateway.session(role, &stage.idp.token("agent-ci"));
    let host = gateway.host();
    let mut bent = describe(&host, "t").sign(&session);
    bent.header("authorization").push('0');
    let mut stranger = session.clone();
    stranger.access_key_id = "AKIAIOSFODNN7EXAMPLE".to_owned();
    let refused: Vec<(&str, Vec<u8>)> = vec![
        (
            "a denial",
            Call::dynamodb(&host, "DeleteTable", r#"{"TableName":"t"}"#)
                .sign(&session)
                .bytes(),
        ),
        ("a bent signature", bent.bytes()),
        (
            "an unknown access key",
            describe(&host, "t").sign(&stranger).bytes(),
        ),
        (
            "an unsigned call",
            describe(&host, "t")
                .sign(&session)
                .without("authorization")
                .bytes(),
        ),
        (
            "an unknown operation",
            Call::dynamodb(&host, "NoSuchThing", "{}")
                .sign(&session)
                .bytes(),
        ),
        (
            "a duplicate key",
            Call::dynamodb(
                &host,
                "DescribeTable",
                r#"{"TableName":"a","TableName":"b"}"#,
            )
            .sign(&session)
            .bytes(),
        ),
        (
            "an unknown service",
            Call {
                service: "nosuchservice",
                ..describe(&host, "t")
            }
            .sign(&session)
            .bytes(),
        ),
        (
            "an old call",
            describe(&host, "t")
                .aged(Duration::from_secs(3600))
                .sign(&session)
                .bytes(),
        ),
    ];
    for (what, request) in refused {
        leaves_a_record(&gateway, what, || {
            assert!(gateway.send(&request).status >= 400, "{what}")
        });
    }
    leaves_a_record(&gateway, "a bad token", || {
        assert!(gateway.assume(role, "a.b.c").status >= 400);
    });
    leaves_a_record(&gateway, "a closed role", || {
        let outsider = stage.idp.token("outsider");
        assert_eq!(gateway.assume(role, &outsider).status, 403);
    });
    assert_eq!(recorder.bytes(), 0);
}

/// What the HTTP library refuses never gets as far as the pipeline. A gateway of its own again,
/// because strangers' records become counts after a few.
#[test]
fn what_is_no_request_leaves_a_record() {
    let stage = stage();
    let recorder = Recorder::start();
    let gateway = own_gateway("audit-no-request", &recorder, None);
    let role = "arn:aws:iam::300000000001:role/agent";
    let session = gateway.session(role, &stage.idp.token("agent-ci"));
    let two_framings = describe(&gateway.host(), "t").sign(&session).framed(
        "content-length: 2\r\ntransfer-encoding: chunked\r\n",
        b"0\r\n\r\n",
    );
    for (what, bytes) in [
        ("two framings", two_framings),
        ("no HTTP", b"PRIVET\r\n\r\n".to_vec()),
    ] {
        leaves_a_record(&gateway, what, || {
            assert_eq!(gateway.send(&bytes).status, 400, "{what}");
        });
        let record = gateway.audit().pop().unwrap();
        assert_eq!(record["decision"], "unauthenticated", "{what}: {record}");
        assert_eq!(record["status"], 400, "{what}: {record}");
    }
    assert_eq!(recorder.bytes(), 0);
}

fn leaves_a_record(gateway: &Gateway, what: &str, act: impl FnOnce()) {
    let before = gateway.audit().len();
    act();
    let after = child::until(what, Duration::from_secs(10), || {
        let after = gateway.audit();
        (after.len() > before).then_some(after)
    });
    assert_eq!(after.len(), before + 1, "{what}: {after:#?}");
}

#[test]
fn no_secret_is_on_disk_or_in_the_log() {
    let stage = stage();
    let token = stage.idp.token("agent-ci");
    let session = stage.gateway.session(READ_ONLY, &token);
    let call = Call::dynamodb(&stage.gateway.host(), "ListTables", "{}").sign(&session);
    stage.gateway.send(&call.bytes());
    let authorization = call
        .headers
        .iter()
        .find(|(name, _)| name == "authorization")
        .unwrap();
    let signature = authorization.1.rsplit_once('=').unwrap().1.to_owned();
    let base = stage.moto.gateway_environment();
    let secrets = [
        ("the agent's secret", session.secret.as_str()),
        ("the session token", &session.token),
        ("the web identity token", &token),
        ("the signature", &signature),
        ("the gateway's AWS secret", &base[1].1),
    ];
    let mut places = vec![("the log".to_owned(), stage.gateway.log().into_bytes())];
    for file in files(&stage.gateway.dir().join("state")) {
        places.push((
            file.display().to_string(),
            fs::read(&file).unwrap_or_default(),
        ));
    }
    for (place, bytes) in places {
        for (what, secret) in secrets {
            let found = bytes
                .windows(secret.len())
                .any(|window| window == secret.as_bytes());
            assert!(!found, "{what} is in {place}");
        }
    }
}

fn files(dir: &std::path::Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}

/// A full disk needs a mount of its own, which only root may make.
#[test]
fn a_full_disk_refuses_calls_and_room_lets_them_pass() {
    if rustix_is_not_root() {
        return;
    }
    let recorder = Recorder::start();
    let mount =
        r#"mkdir -p "$DIR/state/audit" && mount -t tmpfs -o size=8m none "$DIR/state/audit""#;
    let gateway = own_gateway("audit-full", &recorder, Some(mount));
    let role = "arn:aws:iam::300000000001:role/agent";
    let session = gateway.session(role, &stage().idp.token("agent-ci"));
    let host = gateway.host();
    assert_eq!(
        gateway
            .send(&describe(&host, "before").sign(&session).bytes())
            .status,
        200
    );

    // The mount is seen through the gateway's own root.
    let inside = PathBuf::from(format!(
        "/proc/{}/root",
        gateway.process().lock().unwrap().id()
    ));
    let dir = gateway.dir().join("state/audit");
    let filler = inside.join(dir.strip_prefix("/").unwrap()).join("filler");
    let mut file = File::create(&filler).unwrap();
    while file.write_all(&[0; 512]).is_ok() {}
    drop(file);

    let refused = child::until("calls to be refused", Duration::from_secs(30), || {
        let answer = gateway.send(&describe(&host, &"x".repeat(200)).sign(&session).bytes());
        (answer.status != 200).then_some(answer)
    });
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.text().contains("audit log"), "{}", refused.text());
    let arrived = recorder.bytes();
    for _ in 0..5 {
        assert_eq!(
            gateway
                .send(&describe(&host, "full").sign(&session).bytes())
                .status,
            503
        );
    }
    assert_eq!(
        recorder.bytes(),
        arrived,
        "a call without a record was sent to AWS"
    );
    assert_ne!(gateway.get("/_portcullis/readyz").status, 200);

    fs::remove_file(&filler).unwrap();
    child::until("calls to pass again", Duration::from_secs(30), || {
        let answer = gateway.send(&describe(&host, "after").sign(&session).bytes());
        (answer.status == 200).then_some(())
    });
}

fn rustix_is_not_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").unwrap().uid() != 0
}

fn own_gateway(name: &'static str, recorder: &Recorder, mount: Option<&'static str>) -> Gateway {
    let stage = stage();
    let policy = r#"@id("reads") permit (principal in Group::"agents", action in Action::"level/read", resource);"#;
    Gateway::start(Setting {
        name,
        connections: vec![recorder_connection("own", "300000000001", &recorder.url())],
        issuers: vec![issuer(stage.idp.certified())],
        policies: vec![("own.cedar", policy.to_owned())],
        environment: stage.moto.gateway_environment(),
        mount,
        ..Setting::default()
    })
}
