//! A connection's choice of endpoints is where its calls go.

use portcullis_core::call::Call;
use portcullis_core::catalog::Catalog;
use portcullis_core::interpret::{Place, Witness, interpret};

use super::*;
use crate::upstream::prepare::route;

fn list_tables() -> Call {
    let headers = [
        ("content-type", "application/x-amz-json-1.0"),
        ("x-amz-target", "DynamoDB_20120810.ListTables"),
    ];
    let head = head(Method::POST, "/", None, &headers);
    let own = Route::aws("gw.example", Addressing::Path, "dynamodb", "us-west-2");
    let seen = received(&sign(outgoing(head, own, PayloadMode::Absent, b"{}")));
    let signed = SignedRequest::parse(seen).unwrap();
    let secret = SigningSecret::new(SECRET.to_owned());
    let body = Payload::Whole(Bytes::from_static(b"{}"));
    let place = Place {
        partition: "aws".to_owned(),
        account: "123456789012".to_owned(),
        hostnames: vec!["gw.example".to_owned()],
        unknown_members: Vec::new(),
    };
    let verified = signed.verify(&secret, body, now()).unwrap();
    let witness = Witness {
        secret: &secret,
        now: now(),
    };
    interpret(Catalog::embedded(), &verified, &place, witness).unwrap()
}

#[test]
fn fips_and_dual_stack_are_not_lost_on_the_way() {
    let call = list_tables();
    let mut connection = config(None).connections.remove(0);
    let mut host = |variant| {
        connection.variant = variant;
        route(&connection, &call, None).unwrap().host().to_owned()
    };
    assert_eq!(host(Variant::Plain), "dynamodb.us-west-2.amazonaws.com");
    assert_eq!(host(Variant::Fips), "dynamodb-fips.us-west-2.amazonaws.com");
    assert_eq!(host(Variant::DualStack), "dynamodb.us-west-2.api.aws");
    assert_eq!(
        host(Variant::FipsDualStack),
        "dynamodb-fips.us-west-2.api.aws"
    );
}
