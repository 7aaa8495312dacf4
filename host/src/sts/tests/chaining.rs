//! From one session to the next.

use super::*;

fn wanted<'a>(role: &'a RoleArn, name: &'a SessionName, duration: Option<u32>) -> Wanted<'a> {
    Wanted {
        role,
        session_name: name,
        duration,
    }
}

impl Fixture {
    fn chain(&self, parent: &Session, arn: &str, asked: Option<u32>) -> Result<Session, Refusal> {
        let role = RoleArn::parse(arn).unwrap();
        let name = SessionName::parse("next").unwrap();
        let wanted = wanted(&role, &name, asked);
        let issued = self.sts.assume_role(parent, wanted, occasion());
        issued.map(|(session, _)| session)
    }
}

#[tokio::test]
async fn a_chained_session_is_the_same_principal_s_and_names_its_parent() {
    let fixture = Fixture::new().await;
    let parent = fixture.assume(DEV, &fixture.agent(), "").await.unwrap();
    let role = RoleArn::parse("arn:aws:iam::222222222222:role/deploy").unwrap();
    let name = SessionName::parse("next").unwrap();
    let wanted = wanted(&role, &name, None);
    let (child, response) = fixture
        .sts
        .assume_role(&parent, wanted, occasion())
        .unwrap();
    assert_eq!(child.principal, parent.principal);
    assert_eq!(child.parent.as_ref(), Some(&parent.access_key_id));
    assert_eq!(
        (
            child.connection.as_str(),
            child.role.as_str(),
            child.name.as_str()
        ),
        ("prod", "deploy", "next")
    );
    let xml = text(&response);
    assert_eq!(
        between(xml, "Arn"),
        "arn:aws:sts::222222222222:assumed-role/deploy/next"
    );
    let ring = fixture.sts.keys.ring();
    let (opened, _) = ring
        .open(
            between(xml, "AccessKeyId"),
            Some(between(xml, "SessionToken")),
            NOW,
        )
        .unwrap();
    assert_eq!(opened, child);
    assert_ne!(child.access_key_id, parent.access_key_id);
}

#[tokio::test]
async fn a_chain_reaches_no_role_that_the_principal_may_not_use() {
    let fixture = Fixture::new().await;
    let parent = fixture.assume(DEV, &fixture.agent(), "").await.unwrap();
    for arn in [
        "arn:aws:iam::111111111111:role/admin",
        "arn:aws:iam::111111111111:role/absent",
        "arn:aws:iam::333333333333:role/readonly",
        "arn:aws-cn:iam::222222222222:role/deploy",
    ] {
        let role = arn.to_owned();
        assert_eq!(
            fixture.chain(&parent, arn, None),
            Err(Refusal::RoleNotPermitted { role })
        );
    }
}

#[tokio::test]
async fn no_session_outlives_its_parent_or_its_role() {
    let fixture = Fixture::new().await;
    let token = fixture.agent();
    let parent = fixture
        .assume(DEV, &token, "&DurationSeconds=1800")
        .await
        .unwrap();
    let long = "arn:aws:iam::111111111111:role/long";
    let short = "arn:aws:iam::111111111111:role/short";
    let end = |session: Result<Session, Refusal>| {
        session.map(|session| (session.expires_at - NOW).whole_seconds())
    };
    assert_eq!(end(fixture.chain(&parent, long, Some(43_200))), Ok(1800));
    assert_eq!(end(fixture.chain(&parent, long, Some(900))), Ok(900));
    assert_eq!(end(fixture.chain(&parent, short, None)), Ok(900));
    assert!(fixture.chain(&parent, short, Some(901)).is_err());
    let again = |again| {
        let issued = fixture.sts.same_role(&parent, again, occasion());
        end(issued.map(|(session, _)| session))
    };
    assert_eq!(again(Again::Token(None)), Ok(1800));
    assert_eq!(again(Again::Token(Some(129_600))), Ok(1800));
    assert_eq!(again(Again::Token(Some(900))), Ok(900));
    let grandchild = fixture.chain(&parent, long, Some(900)).unwrap();
    assert_eq!(end(fixture.chain(&grandchild, long, Some(43_200))), Ok(900));
}

#[tokio::test]
async fn a_session_of_the_same_role_is_no_wider() {
    let fixture = Fixture::new().await;
    let parent = fixture.assume(DEV, &fixture.agent(), "").await.unwrap();
    let name = SessionName::parse("bob").unwrap();
    for (again, expected, operation) in [
        (Again::Token(None), "claude", "GetSessionToken"),
        (Again::Federated(&name, None), "bob", "GetFederationToken"),
    ] {
        let (session, response) = fixture.sts.same_role(&parent, again, occasion()).unwrap();
        assert!(text(&response).contains(&format!("<{operation}Result>")));
        let parts = (session.name.as_str(), session.parent.as_deref());
        assert_eq!(parts, (expected, Some(parent.access_key_id.as_str())));
        let same = Session {
            name: parent.name.clone(),
            access_key_id: parent.access_key_id.clone(),
            parent: None,
            confined_to: None,
            ..session
        };
        assert_eq!(same, parent);
    }
    let outcast = Session {
        principal: Principal {
            groups: vec!["other".to_owned()],
            ..parent.principal.clone()
        },
        ..parent
    };
    let refused = fixture
        .sts
        .same_role(&outcast, Again::Token(None), occasion());
    assert!(matches!(refused, Err(Refusal::RoleNotPermitted { .. })));
}

/// Its parent may be of a time when the role allowed more.
#[tokio::test]
async fn a_session_of_the_same_role_is_no_longer_than_the_role_allows() {
    let fixture = Fixture::new().await;
    let parent = fixture.assume(DEV, &fixture.agent(), "").await.unwrap();
    let parent = Session {
        expires_at: NOW + Duration::hours(12),
        ..parent
    };
    let name = SessionName::parse("bob").unwrap();
    for (again, seconds) in [
        (Again::Token(None), 3600),
        (Again::Token(Some(900)), 900),
        (Again::Token(Some(7200)), 3600),
        (Again::Federated(&name, Some(7200)), 3600),
    ] {
        let issued = fixture.sts.same_role(&parent, again, occasion());
        let (session, _) = issued.unwrap();
        assert_eq!(session.expires_at, NOW + Duration::seconds(seconds));
    }
}

#[tokio::test]
async fn an_access_key_is_explained_to_its_holder_only() {
    let fixture = Fixture::new().await;
    let session = fixture.assume(DEV, &fixture.agent(), "").await.unwrap();
    let ask = |key: &str| fixture.sts.access_key_info(&session, key, "request-2");
    let answer = ask(&session.access_key_id).unwrap();
    assert_eq!(between(text(&answer), "Account"), "111111111111");
    for other in ["AKIAIOSFODNN7EXAMPLE", "PCAKA4DQOBYHA4DQOBYH", ""] {
        assert!(
            matches!(ask(other), Err(Refusal::InvalidInput(_))),
            "{other}"
        );
    }
}
