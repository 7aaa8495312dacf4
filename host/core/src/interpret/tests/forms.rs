//! Parameters of the query protocols, in bodies and in URLs: one reading, or none.

use super::refusals::Kind::{Ambiguous, InvalidInput, Malformed, UnknownOperation, Unsupported};
use super::refusals::check;
use super::*;

#[test]
fn forms_in_urls_have_one_reading() {
    let users = || Sent::new("iam", "GET", "/?Action=ListUsers&Version=2010-05-08");
    users().read().unwrap();
    let with = |query: &str| Sent {
        query: Some(query.to_owned()),
        ..users()
    };
    let form = "application/x-www-form-urlencoded";
    for (sent, expected) in [
        (users().body("Action=DeleteUser&UserName=u"), Ambiguous),
        (users().header("content-type", form), Unsupported),
        (
            users().header("x-amz-target", "DynamoDB_20120810.ListTables"),
            Ambiguous,
        ),
        (users().header("smithy-protocol", "rpc-v2-cbor"), Ambiguous),
        (users().header("x-amz-new-thing", "1"), InvalidInput),
        (users().header("x-http-method-override", "POST"), Ambiguous),
        (
            Sent {
                method: "HEAD",
                ..users()
            },
            Unsupported,
        ),
        (
            Sent {
                path: "/x".to_owned(),
                ..users()
            },
            Unsupported,
        ),
        (
            Sent {
                service: "lambda",
                ..users()
            },
            Ambiguous,
        ),
        (
            Sent {
                service: "s3",
                ..users()
            },
            Ambiguous,
        ),
        (
            with("Action=ListUsers&Action=DeleteUser&Version=2010-05-08"),
            Ambiguous,
        ),
        (
            with("Action=ListUsers&action=DeleteUser&Version=2010-05-08"),
            Ambiguous,
        ),
        (
            with("Action=ListUsers&%41ction=DeleteUser&Version=2010-05-08"),
            Ambiguous,
        ),
        (
            with("%41ction=ListUsers&Version=2010-05-08"),
            UnknownOperation,
        ),
        (
            with("Action=ListUsers&Version=2010-05-08&PathPrefix=a+b"),
            Ambiguous,
        ),
        (
            with("Action=ListUsers&Version=2010-05-08&Marker"),
            Malformed,
        ),
        (
            with("Action=ListUsers&Version=2010-05-08&New=1"),
            InvalidInput,
        ),
    ] {
        check(&sent, expected);
    }
}

#[test]
fn forms_have_one_reading() {
    let who = "Action=GetCallerIdentity&Version=2011-06-15";
    for (body, expected) in [
        (
            "Action=GetCallerIdentity&Action=GetSessionToken&Version=2011-06-15",
            Ambiguous,
        ),
        (
            "Action=GetCallerIdentity&action=GetSessionToken&Version=2011-06-15",
            Ambiguous,
        ),
        ("ACTION=GetCallerIdentity&Version=2011-06-15", Ambiguous),
        ("Action[]=GetCallerIdentity&Version=2011-06-15", Malformed),
        ("Action%00=GetCallerIdentity&Version=2011-06-15", Malformed),
        (
            "Action=GetCallerIdentity%00&Version=2011-06-15",
            UnknownOperation,
        ),
        (
            "Action=getCallerIdentity&Version=2011-06-15",
            UnknownOperation,
        ),
        ("Action=GetCallerIdentity&Version=2010-01-01", Ambiguous),
        ("Action=GetCallerIdentity", Malformed),
        ("", Malformed),
        (&format!("{who}&Extra=1"), InvalidInput),
        (&format!("{who}&"), Malformed),
    ] {
        check(&query("sts", body), expected);
    }
    let instances = "Action=DescribeInstances&Version=2016-11-15";
    for (rest, expected) in [
        ("InstanceId.1=a&InstanceId.1=b", Ambiguous),
        ("InstanceId.0=a", InvalidInput),
        ("InstanceId.2=a", InvalidInput),
        ("InstanceId.01=a", InvalidInput),
        ("InstanceId.1=a&InstanceId.3=b", InvalidInput),
        ("InstanceId=a", InvalidInput),
        ("InstanceId.1=a&InstanceId.1.X=b", InvalidInput),
        ("instanceId.1=a", InvalidInput),
        ("InstanceIds.1=a", InvalidInput),
        ("MaxResults=ten", InvalidInput),
        ("DryRun=True", InvalidInput),
        ("DryRun=true&DryRun=false", Ambiguous),
    ] {
        check(&query("ec2", &format!("{instances}&{rest}")), expected);
    }
}
