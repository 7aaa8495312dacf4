//! Directory buckets: SDKs get sessions that work here only, each call in one is decided, and AWS
//! sees the role alone.

use serde_json::Value;

use crate::fixture::client::value;
use crate::fixture::{recorded_role, stage};

const BUCKET: &str = "agents--use1-az4--x-s3";

#[test]
fn sessions_stay_inside() {
    let stage = stage();
    let agent = stage.agent("agent-power", &recorded_role("express"));
    let (held, open): (Vec<_>, Vec<_>) = agent
        .boto("express", BUCKET)
        .into_iter()
        .partition(|line| line["step"].as_str().unwrap().starts_with("held."));
    // Where XML is due, the stand-in's `{}` is an error of the server's to boto3.
    let refused = |line: &&Value| line["ok"] == false && line["code"] != "500";
    assert_eq!(open.iter().find(refused), None);
    assert_eq!(value(&open, "presigned"), 200);
    let key = value(&open, "s3.create_session");
    assert!(key.as_str().unwrap().starts_with("PCAK"), "{key}");

    let requests = stage.recorder("express").requests();
    let lines: Vec<&str> = requests.iter().map(|it| it.line.as_str()).collect();
    for wanted in ["put ", "part?", "copied ", "presigned ", "held "] {
        let target = format!("/{BUCKET}/{wanted}");
        assert!(
            lines.iter().any(|line| line.contains(&target)),
            "{lines:#?}"
        );
    }
    assert!(
        !lines.iter().any(|line| line.contains("session")),
        "{lines:#?}"
    );
    for request in &requests {
        let authorization = request.header("authorization").unwrap();
        assert!(
            authorization.contains("/us-east-1/s3express/aws4_request"),
            "{authorization}"
        );
        assert!(!authorization.contains("PCAK"), "{authorization}");
        assert_eq!(request.header("x-amz-s3session-token"), None);
    }

    assert_eq!(held.len(), 5, "{held:#?}");
    for line in held {
        let reads = line["step"] == "held.get_object";
        assert_eq!(line["ok"], reads, "{line}");
        if !reads {
            let code = line["code"].as_str().unwrap();
            assert!(code.starts_with("AccessDenied"), "{line}");
        }
    }
    assert!(
        !lines
            .iter()
            .any(|line| line.starts_with("PUT") && line.contains("held"))
    );
}

#[test]
fn whoever_may_not_create_sessions_gets_no_object() {
    let stage = stage();
    let agent = stage.agent("agent-ci", &recorded_role("express"));
    for line in agent.boto("express", "readers--use1-az4--x-s3") {
        let lists = line["step"] == "s3.list_directory_buckets";
        assert!(line["ok"] == false || lists, "{line}");
        if line["step"] != "presigned" && !lists {
            assert_eq!(line["code"], "AccessDenied", "{line}");
        }
    }
    let requests = stage.recorder("express").requests();
    let own = |line: &str| line.contains("/readers--");
    assert!(!requests.iter().any(|it| own(&it.line)), "{requests:#?}");
}
