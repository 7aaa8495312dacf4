//! Requests under a good signature that two readers could take for two calls, or that say more than
//! the model does.

use super::Trial;
use crate::fixture::forge::Forged;

/// What a body of the wrong kind may be refused with.
pub(super) const BAD: &[u16] = &[400, 403, 404, 501];

pub(super) fn json(trial: &Trial, body: &str) -> Forged {
    Forged::dynamodb(&trial.host, "ListTables", body)
}

pub(super) fn s3(trial: &Trial, method: &'static str, target: &str) -> Forged {
    Forged::new(&trial.host, "s3", method, target)
}

#[test]
fn par_01_selectors_that_are_there_twice() {
    let mut trial = Trial::begin();
    const LIST: &str = "Action=ListUsers&Version=2010-05-08";
    for form in [
        "Action=ListUsers&Action=DeleteUser&Version=2010-05-08",
        "Action=ListUsers&action=DeleteUser&Version=2010-05-08",
        "action=ListUsers&Version=2010-05-08",
        "Action[]=DeleteUser&Action=ListUsers&Version=2010-05-08",
        "Action%00=DeleteUser&Action=ListUsers&Version=2010-05-08",
        "%41ction=DeleteUser&Action=ListUsers&Version=2010-05-08",
        "Action=ListUsers%00&Version=2010-05-08",
        "Action=ListUsers&Version=2010-05-08&Version=2011-01-01",
        "Action=ListUsers;Action=DeleteUser&Version=2010-05-08",
        "Action=ListUsers&Version=2010-05-08&MaxItems=1&MaxItems=2",
        "Action=ListUsers&Version=2010-05-08&maxItems=1",
        "Action=ListUsers&Version=2010-05-08&UserName=a",
        "Action=ListUsers&Version=2010-05-08&",
        "&Action=ListUsers&Version=2010-05-08",
        "Action=listusers&Version=2010-05-08",
        "Action=ListUsers",
    ] {
        let call = Forged::form(&trial.host, "iam", form);
        trial.refused(form, &call.sign(&trial.session), BAD);
        if form.contains(['%', '[', ';']) || form.starts_with('&') || form.ends_with('&') {
            // Not as a signature spells it, so in a URL it is nobody's.
            continue;
        }
        let url = format!("/?{form}");
        let call = Forged::new(&trial.host, "iam", "GET", &url);
        trial.refused(&url, &call.sign(&trial.session), BAD);
    }
    for target in ["/?Action=DeleteUser", "/?Version=2010-05-08", "/?x=1"] {
        let call = Forged {
            target: target.to_owned(),
            ..Forged::form(&trial.host, "iam", LIST)
        };
        trial.refused(target, &call.sign(&trial.session), BAD);
        let call = Forged::new(&trial.host, "iam", "GET", &format!("/?{LIST}"));
        let call = call.body(target.trim_start_matches("/?"));
        trial.refused("a body too", &call.sign(&trial.session), BAD);
    }
    trial.each_has_a_record();
}

#[test]
fn par_02_markers_of_two_protocols() {
    let mut trial = Trial::begin();
    let target = |service: &str, target: &str| {
        Forged::new(&trial.host, service, "POST", "/")
            .with("content-type", "application/x-amz-json-1.0")
            .with("x-amz-target", target)
            .body("{}")
    };
    let mut cases = vec![
        (
            "another service's target",
            target("sqs", "DynamoDB_20120810.ListTables"),
        ),
        (
            "another version",
            target("dynamodb", "DynamoDB_20111205.ListTables"),
        ),
        (
            "another case",
            target("dynamodb", "dynamodb_20120810.ListTables"),
        ),
        ("no prefix", target("dynamodb", "ListTables")),
        (
            "a path in the target",
            target("dynamodb", "DynamoDB_20120810.x.ListTables"),
        ),
        (
            "blanks in the target",
            target("dynamodb", "DynamoDB_20120810. ListTables"),
        ),
    ];
    let form = "Action=ListUsers&Version=2010-05-08";
    cases.push((
        "a target beside a form",
        Forged::form(&trial.host, "iam", form).with("x-amz-target", "IAM.DeleteUser"),
    ));
    cases.push((
        "a form under a target",
        Forged::new(&trial.host, "dynamodb", "POST", "/")
            .with("content-type", "application/x-www-form-urlencoded")
            .with("x-amz-target", "DynamoDB_20120810.ListTables")
            .body("Action=DeleteTable&Version=2012-08-10"),
    ));
    cases.push((
        "CBOR beside a target",
        json(&trial, "{}").with("smithy-protocol", "rpc-v2-cbor"),
    ));
    cases.push((
        "a target on an object",
        s3(&trial, "PUT", "/bucket/key").with("x-amz-target", "DynamoDB_20120810.ListTables"),
    ));
    cases.push((
        "another JSON",
        Forged::new(&trial.host, "dynamodb", "POST", "/")
            .with("content-type", "application/x-amz-json-1.1")
            .with("x-amz-target", "DynamoDB_20120810.ListTables")
            .body("{}"),
    ));
    for (what, call) in cases {
        trial.refused(what, &call.sign(&trial.session), BAD);
    }
    trial.each_has_a_record();
}

#[test]
fn par_06_the_bytes_that_were_read_are_the_bytes_that_are_sent() {
    let trial = Trial::begin();
    let control = trial.control();
    for body in [
        "{}",
        " {\n\t\"Limit\" : 7 } ",
        r#"{"\u004cimit":7}"#,
        r#"{"ExclusiveStartTableName":"\u00e9\/\ud83d\ude00","Limit":null}"#,
    ] {
        let call = Forged::dynamodb(&trial.host, "ListTables", body);
        let arrived = trial.accepted(body, &call.sign(&control));
        assert_eq!(String::from_utf8_lossy(&arrived.body), body);
        assert_eq!(
            arrived.header("x-amz-target"),
            Some("DynamoDB_20120810.ListTables")
        );
    }
}

#[test]
fn par_07_what_the_models_do_not_have() {
    let mut trial = Trial::begin();
    for (what, call) in [
        (
            "an operation",
            Forged::dynamodb(&trial.host, "ListTable", "{}"),
        ),
        (
            "its case",
            Forged::dynamodb(&trial.host, "listTables", "{}"),
        ),
        ("a member", json(&trial, r#"{"Preview":true}"#)),
        (
            "a service",
            Forged {
                service: "preview".to_owned(),
                ..json(&trial, "{}")
            },
        ),
        (
            "a header",
            s3(&trial, "GET", "/bucket/key").with("x-amz-preview", "1"),
        ),
        ("a parameter", s3(&trial, "GET", "/bucket/key?preview=1")),
        (
            "a route",
            Forged::new(&trial.host, "lambda", "GET", "/2015-03-31/preview"),
        ),
        (
            "an element",
            s3(&trial, "PUT", "/bucket?versioning")
                .body("<VersioningConfiguration><Preview>1</Preview></VersioningConfiguration>"),
        ),
    ] {
        trial.refused(what, &call.sign(&trial.session), BAD);
    }
    trial.each_has_a_record();
}

#[test]
fn par_08_hosts_that_are_not_the_gateway_s() {
    let mut trial = Trial::begin();
    let port = trial.host.rsplit_once(':').unwrap().1.to_owned();
    for host in [
        "s3.amazonaws.com.evil.com".to_owned(),
        "evil.example".to_owned(),
        format!("gw.test.evil.example:{port}"),
        format!("evilgw.test:{port}"),
        format!("127.0.0.1.evil:{port}"),
        format!("user@127.0.0.1:{port}"),
        "127.0.0.1:80:80".to_owned(),
        "127.0.0.1/evil".to_owned(),
        "xn--s3-bla.gw.test..".to_owned(),
        "%31%32%37.0.0.1".to_owned(),
        "169.254.169.254".to_owned(),
        "..gw.test".to_owned(),
        "a b".to_owned(),
    ] {
        let call = Forged::new(&host, "s3", "GET", "/bucket/key").sign(&trial.session);
        let answer = trial.ground.gateway.send(&call.bytes());
        // A literal address is the gateway's own name, whatever it is; it is never a destination.
        let own = host.parse::<std::net::IpAddr>().is_ok();
        assert!(own || answer.status >= 400, "{host}: {}", answer.text());
    }
    let control = trial.control();
    for (name, value) in [
        ("x-forwarded-host", "evil.example"),
        ("forwarded", "host=evil.example"),
        ("x-original-url", "/evil"),
        ("x-rewrite-url", "/evil"),
        ("x-forwarded-server", "evil.example"),
    ] {
        let call = s3(&trial, "GET", "/bucket/key")
            .with(name, value)
            .sign(&control);
        let answer = trial.ground.gateway.send(&call.bytes());
        if answer.status == 200 {
            let arrived = trial.ground.controls.requests().pop().unwrap();
            assert_eq!(
                arrived.header(name),
                None,
                "{name} was passed on though signed"
            );
        }
    }
    let mut absolute = s3(&trial, "GET", "/bucket/key").sign(&trial.session);
    absolute.target = "http://evil.example/bucket/key".to_owned();
    trial.refused("an absolute target", &absolute, BAD);
}

#[test]
fn par_09_buckets_and_sources_that_are_addresses() {
    let mut trial = Trial::begin();
    for bucket in [
        "..",
        ".",
        "%2e%2e",
        "a%00b",
        "evil.example%2F",
        "user@evil",
        "b%3Fpolicy",
    ] {
        let call = s3(&trial, "GET", &format!("/{bucket}/key")).sign(&trial.session);
        trial.refused(bucket, &call, BAD);
    }
    for source in [
        "http://169.254.169.254/latest",
        "//evil.example/a",
        "/b/%zz",
        "/../k",
    ] {
        let call = s3(&trial, "PUT", "/bucket/key").with("x-amz-copy-source", source);
        trial.refused(source, &call.sign(&trial.session), BAD);
    }
}

#[test]
fn par_11_keys_are_their_bytes() {
    let trial = Trial::begin();
    let control = trial.control();
    for path in [
        "/bucket/..",
        "/bucket/a//b",
        "/bucket/a/./b",
        "/bucket/a/../b",
        "/bucket//",
        "/bucket/%E2%80%AEgpj",
        "/bucket/%01%1F",
        "/bucket/%2B",
        "/bucket/%25zz",
    ] {
        let arrived = trial.accepted(path, &s3(&trial, "GET", path).sign(&control));
        assert_eq!(arrived.line, format!("GET {path} HTTP/1.1"));
    }
    let long = format!("/bucket/{}", "k".repeat(1024));
    trial.accepted("1024 bytes", &s3(&trial, "GET", &long).sign(&control));
}

#[test]
fn par_12_sub_resources_that_are_two_or_unknown() {
    let mut trial = Trial::begin();
    for (method, target) in [
        ("GET", "/bucket?acl&policy"),
        ("GET", "/bucket?acl&acl"),
        ("GET", "/bucket?ACL"),
        ("GET", "/bucket?acl=1"),
        ("GET", "/bucket/key?torrent&acl"),
        ("GET", "/bucket/key?versionId=1&versionId=2"),
        ("GET", "/bucket/key?versionid=1"),
        ("GET", "/bucket/key?x-id=DeleteObject"),
        ("DELETE", "/bucket/key?x-id=GetObject"),
        ("DELETE", "/bucket?policy&lifecycle"),
        ("PUT", "/bucket/key?uploadId=1"),
        ("PUT", "/bucket/key?partNumber=1"),
        ("POST", "/bucket/key?uploads=1"),
        ("POST", "/bucket/key"),
        ("POST", "/bucket?delete&uploads"),
        ("GET", "/bucket?list-type=2&list-type=1"),
        ("GET", "/bucket?list-type=3"),
        ("GET", "/bucket/key?append&position=1"),
        ("GET", "/?policy"),
    ] {
        let call = s3(&trial, method, target).sign(&trial.session);
        trial.refused(&format!("{method} {target}"), &call, BAD);
    }
    trial.each_has_a_record();
}

#[test]
fn par_13_copies_of_what_is_forbidden() {
    let mut trial = Trial::begin();
    let copy =
        |target: &str, source: &str| s3(&trial, "PUT", target).with("x-amz-copy-source", source);
    let twice = copy("/bucket/key", "/open/a").with("x-amz-copy-source", "/vault/a");
    for (what, call) in [
        ("a forbidden source", copy("/bucket/key", "/vault/a")),
        ("encoded", copy("/bucket/key", "/v%61ult/a")),
        ("without a slash", copy("/bucket/key", "vault/a")),
        (
            "a version of it",
            copy("/bucket/key", "/vault/a?versionId=1"),
        ),
        (
            "as a part",
            copy("/bucket/key?partNumber=1&uploadId=u", "/vault/a"),
        ),
        ("a forbidden destination", copy("/vault/key", "/open/a")),
        ("two sources", twice),
        (
            "two versions",
            copy("/bucket/key", "/open/a?versionId=1&versionId=2"),
        ),
        ("another parameter", copy("/bucket/key", "/open/a?acl")),
    ] {
        trial.refused(what, &call.sign(&trial.session), BAD);
    }
}

#[test]
fn par_14_one_bad_element_at_the_end_of_many() {
    let mut trial = Trial::begin();
    let objects: String = (0..999)
        .map(|at| format!("<Object><Key>k{at}</Key></Object>"))
        .chain(["<Object><Key>vault</Key></Object>".to_owned()])
        .collect();
    let delete = s3(&trial, "POST", "/bucket?delete").body(format!("<Delete>{objects}</Delete>"));
    trial.refused("DeleteObjects", &delete.sign(&trial.session), &[403]);
    let tables: Vec<String> = (0..24)
        .map(|at| format!("t{at}"))
        .chain(["vault".to_owned()])
        .collect();
    let list = |item: fn(&str) -> String| {
        tables
            .iter()
            .map(|name| item(name))
            .collect::<Vec<_>>()
            .join(",")
    };
    let writes =
        list(|name| format!(r#""{name}":[{{"DeleteRequest":{{"Key":{{"id":{{"S":"a"}}}}}}}}]"#));
    let items =
        list(|name| format!(r#"{{"Delete":{{"TableName":"{name}","Key":{{"id":{{"S":"a"}}}}}}}}"#));
    for (operation, body) in [
        (
            "BatchWriteItem",
            format!(r#"{{"RequestItems":{{{writes}}}}}"#),
        ),
        (
            "TransactWriteItems",
            format!(r#"{{"TransactItems":[{items}]}}"#),
        ),
    ] {
        let call = Forged::dynamodb(&trial.host, operation, &body);
        let answer = trial.refused(operation, &call.sign(&trial.session), &[400]);
        assert_eq!(answer.code(), "AccessDeniedException", "{}", answer.text());
    }
    trial.each_has_a_record();
}

#[test]
fn par_17_headers_that_replace_the_method() {
    let mut trial = Trial::begin();
    for name in [
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
        "x-original-method",
    ] {
        let call = s3(&trial, "GET", "/bucket/key").with(name, "DELETE");
        trial.refused(name, &call.sign(&trial.session), BAD);
    }
    for method in ["TRACE", "OPTIONS", "PROPFIND", "get", "LOCK"] {
        let mut call = s3(&trial, "GET", "/bucket/key").sign(&trial.session);
        call.method = method.to_owned();
        trial.refused(method, &call, &[400, 403, 405, 501]);
    }
}

#[test]
fn par_20_what_a_client_says_of_itself_is_not_who_it_is() {
    let trial = Trial::begin();
    let call = Forged::dynamodb(&trial.host, "ListTables", r#"{"Limit":20}"#)
        .with("userid", "root")
        .with("groups", "admins")
        .with("x-forwarded-for", "10.0.0.1")
        .with("x-real-ip", "10.0.0.1")
        .with("x-portcullis-principal", "root")
        .sign(&trial.control());
    let arrived = trial.accepted("claims", &call);
    for name in ["x-forwarded-for", "x-real-ip"] {
        assert_eq!(arrived.header(name), None, "{name} was passed on");
    }
    let records = trial.ground.gateway.audit();
    let own = records
        .iter()
        .rfind(|record| record["connection"] == "controls")
        .unwrap();
    let text = own.to_string();
    assert!(text.contains("agent-power"), "{text}");
    assert!(
        !text.contains("10.0.0.1") && !text.contains("admins"),
        "{text}"
    );
}
