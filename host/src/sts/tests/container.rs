//! The container-credentials path.

use super::*;

#[tokio::test]
async fn container_credentials_have_the_shape_clients_read() {
    let fixture = Fixture::new().await;
    let token = fixture.agent();
    let bearer = format!("Bearer {token}");
    for authorization in [&token, &bearer] {
        let (session, response) = fixture
            .container("prod/readonly", Some(authorization))
            .await
            .unwrap();
        let body: Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(body["AccessKeyId"], session.access_key_id);
        assert_eq!(body["RoleArn"], "arn:aws:iam::222222222222:role/readonly");
        assert_eq!(body["Expiration"], "2026-03-01T13:00:00Z");
        let (opened, secret) = fixture
            .sts
            .keys
            .ring()
            .open(&session.access_key_id, body["Token"].as_str(), NOW)
            .unwrap();
        assert_eq!(body["SecretAccessKey"], secret.expose());
        assert_eq!(
            (opened.connection.as_str(), opened.name.as_str()),
            ("prod", "user-1")
        );
    }
}

#[tokio::test]
async fn container_role_must_be_one_role() {
    let fixture = Fixture::new().await;
    let token = fixture.agent();
    let open = async |role: &str| {
        fixture
            .container(role, Some(&token))
            .await
            .map(|(session, _)| format!("{}/{}", session.connection, session.role))
    };
    assert_eq!(open("deploy").await.as_deref(), Ok("prod/deploy"));
    assert_eq!(open("dev/readonly").await.as_deref(), Ok("dev/readonly"));
    let ambiguous = open("readonly").await.unwrap_err().to_string();
    assert!(ambiguous.contains("as in `dev/readonly`"), "{ambiguous}");
    for role in [
        "admin",
        "dev/admin",
        "dev/deploy",
        "",
        "/",
        "dev/",
        "x/y/z",
        "a\nb",
    ] {
        let refused = open(role).await;
        assert!(
            matches!(refused, Err(Refusal::RoleNotPermitted { .. })),
            "{role:?}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn container_credentials_need_a_token() {
    let fixture = Fixture::new().await;
    let refused = async |authorization| {
        fixture
            .container("deploy", authorization)
            .await
            .map(|(session, _)| session)
            .unwrap_err()
    };
    assert_eq!(refused(None).await, Refusal::Unsigned);
    for value in [
        "",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "AWS4-HMAC-SHA256 Credential=x",
    ] {
        assert!(
            matches!(refused(Some(value)).await, Refusal::IdentityInvalid(_)),
            "{value}"
        );
    }
}

#[test]
fn container_error_has_code_and_message() {
    let response = container_error(StatusCode::FORBIDDEN, "AccessDenied", "no");
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(text(&response), r#"{"code":"AccessDenied","message":"no"}"#);
}
