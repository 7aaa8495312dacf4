//! Calls that boto3 presigns inside others, and other calls in their place.

use proptest::prelude::*;

use super::super::interpret;
use super::*;
use crate::reach::Reach;
use crate::sigv4::tests::support::{Sample, now, secret};

const COPY: &str = "Action=CopySnapshot&Version=2016-11-15&SourceRegion=eu-west-1\
                    &SourceSnapshotId=snap-0123456789abcdef0&Encrypted=true";
const RDS_COPY: &str = "Action=CopyDBSnapshot&Version=2014-10-31&TargetDBSnapshotIdentifier=b\
                        &SourceDBSnapshotIdentifier=arn%3Aaws%3Ards%3Aeu-west-1%3A123456789012%3Asnapshot%3Aa";

fn place() -> Place {
    Place {
        partition: "aws".to_owned(),
        account: "123456789012".to_owned(),
        hostnames: vec!["gw.example".to_owned()],
        unknown_members: Vec::new(),
    }
}

/// The inner call as botocore presigns it.
fn inner(service: &str, form: &str) -> Sample {
    Sample {
        region: "eu-west-1",
        ..Sample::new(
            service,
            "GET",
            &format!("/?{form}&DestinationRegion=us-east-1"),
        )
    }
}

fn url(sample: &Sample) -> String {
    let (head, _) = sample.presign(3600);
    format!("https://{}/?{}", head.authority, head.query.unwrap())
}

fn form_of(outer: &str, member: &str, url: &str) -> String {
    let url = percent_encoding::utf8_percent_encode(url, crate::sigv4::COMPONENT);
    format!("{outer}&{member}={url}")
}

fn read_form(service: &str, form: &str) -> Result<Call, Refusal> {
    let mut sample = Sample::new(service, "POST", "/").with_header("content-type", FORM);
    sample.body = form.as_bytes().to_vec();
    let (head, payload) = sample.sign();
    let verified = SignedRequest::parse(head)?.verify(&secret(), payload, now())?;
    let secret = secret();
    let witness = Witness {
        secret: &secret,
        now: now(),
    };
    interpret(Catalog::embedded(), &verified, &place(), witness)
}

fn copy_with(url: &str) -> Result<Call, Refusal> {
    let outer = format!("{COPY}&DestinationRegion=us-east-1");
    read_form("ec2", &form_of(&outer, "PresignedUrl", url))
}

#[test]
fn the_inner_call_is_judged_with_the_outer() {
    let call = copy_with(&url(&inner("ec2", COPY))).unwrap();
    assert_eq!(
        call.reaches().map(Reach::as_str).collect::<Vec<_>>(),
        ["us-east-1", "eu-west-1"]
    );
    let inner_call = call.embedded().unwrap();
    assert_eq!(inner_call.call().operation(), "CopySnapshot");
    for action in inner_call.call().actions() {
        assert!(call.actions().contains(action), "{action:?}");
    }
    let shown = call.params().get("PresignedUrl").unwrap().as_str().unwrap();
    assert_eq!(
        shown,
        format!("https://ec2.eu-west-1.amazonaws.com/?{COPY}&DestinationRegion=us-east-1")
    );

    let rds = form_of(RDS_COPY, "PreSignedUrl", &url(&inner("rds", RDS_COPY)));
    let call = read_form("rds", &rds).unwrap();
    assert_eq!(call.reaches().nth(1), Some(&"eu-west-1".into()));
    assert!(read_form("rds", RDS_COPY).unwrap().embedded().is_none());
}

#[test]
fn its_host_is_the_gateways_or_aws_own() {
    for (host, taken) in [
        ("gw.example:8443", true),
        ("ec2.eu-west-1.amazonaws.com", true),
        ("ec2.us-east-1.amazonaws.com", false),
        ("rds.eu-west-1.amazonaws.com", false),
        ("evil.example", false),
    ] {
        let sample = Sample {
            host,
            ..inner("ec2", COPY)
        };
        assert_eq!(copy_with(&url(&sample)).is_ok(), taken, "{host}");
    }
}

#[test]
fn another_call_inside_is_refused() {
    let ambiguous = |what: &str, seen: Result<Call, Refusal>| {
        assert!(
            matches!(seen, Err(Refusal::Ambiguous(_))),
            "{what}: {seen:?}"
        );
    };
    let other = COPY.replace("snap-0123456789abcdef0", "snap-0aaaaaaaaaaaaaaa0");
    ambiguous("another snapshot", copy_with(&url(&inner("ec2", &other))));
    let more = format!("{COPY}&Description=x");
    ambiguous("one more parameter", copy_with(&url(&inner("ec2", &more))));
    let less = COPY.replace("&Encrypted=true", "");
    ambiguous("one less", copy_with(&url(&inner("ec2", &less))));
    let image = "Action=CopyImage&Version=2016-11-15&SourceRegion=eu-west-1&SourceImageId=a&Name=b";
    ambiguous("another operation", copy_with(&url(&inner("ec2", image))));
    let region = Sample {
        region: "us-east-1",
        ..inner("ec2", COPY)
    };
    ambiguous("the region of the copy", copy_with(&url(&region)));
    let region = Sample {
        region: "eu-central-1",
        ..inner("ec2", COPY)
    };
    ambiguous("a region that is not the source", copy_with(&url(&region)));
    for end in [
        "",
        "&DestinationRegion=us-west-2",
        "&DestinationRegion=us-east-1&DestinationRegion=us-east-1",
    ] {
        let sample = Sample {
            target: format!("/?{COPY}{end}"),
            ..inner("ec2", COPY)
        };
        ambiguous("another destination", copy_with(&url(&sample)));
    }
    let service = form_of(RDS_COPY, "PreSignedUrl", &url(&inner("neptune", RDS_COPY)));
    assert!(read_form("rds", &service).is_err());
}

#[test]
fn a_url_that_proves_nothing_is_refused() {
    let good = url(&inner("ec2", COPY));
    let (_, signature) = good.split_once("X-Amz-Signature=").unwrap();
    let signature: String = signature.chars().take(64).collect();
    let forged = good.replace(&signature, &"0".repeat(64));
    assert_eq!(copy_with(&forged).err(), Some(Refusal::SignatureMismatch));
    let stranger = good.replace("PCAKEXAMPLE", "PCAKSTRANGER");
    assert_eq!(copy_with(&stranger).err(), Some(Refusal::SessionInvalid));
    let token = good.replace("sealed.session", "another.session");
    assert_ne!(token, good);
    assert_eq!(copy_with(&token).err(), Some(Refusal::SessionInvalid));
    let path = good.replace("/?", "/x?");
    assert!(copy_with(&path).is_err());
    for url in [
        "",
        "x",
        "https://ec2.eu-west-1.amazonaws.com/",
        &good.replace("https:", "http:"),
        &good.replace("https://", "https://user@"),
    ] {
        assert!(copy_with(url).is_err(), "{url}");
    }
}

proptest! {
    /// What is sent decodes to what was judged, but for the URL.
    #[test]
    fn only_the_url_changes(
        description in "\\PC{0,20}",
        position in 0usize..6,
        escaped in any::<bool>(),
        new in "https://[a-z.]{1,20}/\\?[ -~]{0,60}",
    ) {
        let description = percent_encoding::utf8_percent_encode(&description, crate::sigv4::COMPONENT);
        let copy = format!("{COPY}&Description={description}");
        let inner = url(&inner("ec2", &copy));
        let name = if escaped { "Presigned%55rl" } else { "PresignedUrl" };
        let own = form_of("", name, &inner);
        let mut pairs: Vec<&str> = copy.split('&').collect();
        pairs.push("DestinationRegion=us-east-1");
        pairs.insert(position, own.trim_start_matches('&'));
        let form = pairs.join("&");
        let call = read_form("ec2", &form).unwrap();
        let sent = call.embedded().unwrap().replace(&form.clone().into(), &new).unwrap();
        let decoded = form::body(&sent).unwrap();
        let judged = form::body(form.as_bytes()).unwrap();
        prop_assert_eq!(decoded.len(), judged.len());
        for (sent, judged) in decoded.iter().zip(&judged) {
            prop_assert_eq!(&sent.0, &judged.0);
            let value = if judged.0 == "PresignedUrl" { &new } else { &judged.1 };
            prop_assert_eq!(&sent.1, value);
        }
    }
}
