//! An issuer's keys: how long they are believed, when they are asked for, which are not used.

use super::*;

#[tokio::test]
async fn keys_are_kept_for_ten_minutes() {
    let (issuer, identity) = setup().await;
    let token = RSA.token(
        &header(),
        &with(issuer.claims(), json!({"exp": i64::from(u32::MAX)})),
    );
    let at = async |now| identity.authenticate(&token, now).await.unwrap();
    at(NOW).await;
    at(NOW + Duration::seconds(599)).await;
    assert_eq!(issuer.key_sets(), 1);
    at(NOW + Duration::seconds(601)).await;
    assert_eq!(issuer.key_sets(), 2);
    assert_eq!(issuer.questions(), 4);
}

#[tokio::test]
async fn shorter_max_age_is_honoured_within_reason() {
    let (issuer, identity) = setup().await;
    issuer.say_cache_control("public, max-age=5");
    let token = RSA.token(&header(), &issuer.claims());
    let at = async |seconds| {
        let now = NOW + Duration::seconds(seconds);
        identity.authenticate(&token, now).await.unwrap();
        issuer.key_sets()
    };
    assert_eq!(at(0).await, 1);
    assert_eq!(at(59).await, 1);
    assert_eq!(at(61).await, 2);
}

#[tokio::test]
async fn clock_set_back_does_not_keep_keys_for_ever() {
    let (issuer, identity) = setup().await;
    let claims = with(issuer.claims(), json!({"exp": i64::from(u32::MAX)}));
    let token = RSA.token(&header(), &claims);
    identity
        .authenticate(&token, NOW + Duration::days(700))
        .await
        .unwrap();
    identity.authenticate(&token, NOW).await.unwrap();
    assert_eq!(issuer.key_sets(), 2);
}

#[tokio::test]
async fn concurrent_sign_ins_ask_once() {
    let (issuer, identity) = setup().await;
    let identity = Arc::new(identity);
    let token = RSA.token(&header(), &issuer.claims());
    let mut sign_ins = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (identity, token) = (Arc::clone(&identity), token.clone());
        sign_ins.spawn(async move { identity.authenticate(&token, NOW).await.is_ok() });
    }
    assert!(
        sign_ins
            .join_all()
            .await
            .into_iter()
            .all(|signed_in| signed_in)
    );
    assert_eq!(issuer.key_sets(), 1);
}

#[tokio::test]
async fn new_key_is_found_and_a_flood_of_unknown_ones_is_bounded() {
    let (issuer, identity) = setup().await;
    let old = RSA.token(&header(), &issuer.claims());
    identity.authenticate(&old, NOW).await.unwrap();

    issuer.publish(vec![RSA.jwk("rsa"), OTHER_RSA.jwk("new")]);
    let new = OTHER_RSA.token(&with(header(), json!({"kid": "new"})), &issuer.claims());
    identity.authenticate(&new, NOW).await.unwrap();
    assert_eq!(issuer.key_sets(), 2);

    for n in 0..100 {
        let unknown = with(header(), json!({"kid": format!("unknown-{n}")}));
        let token = RSA.token_of("RS256", &unknown.to_string(), &issuer.claims().to_string());
        let now = NOW + Duration::milliseconds(150) * n;
        assert!(identity.authenticate(&token, now).await.is_err());
    }
    assert_eq!(issuer.key_sets(), 3, "15 s allow one more");
    identity.authenticate(&old, NOW).await.unwrap();
}

#[tokio::test]
async fn withdrawn_key_is_refused_once_keys_are_read_again() {
    let (issuer, identity) = setup().await;
    let claims = with(issuer.claims(), json!({"exp": i64::from(u32::MAX)}));
    let old = RSA.token(&header(), &claims);
    identity.authenticate(&old, NOW).await.unwrap();
    issuer.publish(vec![OTHER_RSA.jwk("new")]);
    let later = NOW + Duration::minutes(11);
    let reason = reason(identity.authenticate(&old, later).await);
    assert!(reason.contains("no such signing key"), "{reason}");
}

#[tokio::test]
async fn keys_that_could_be_confused_are_not_used() {
    let (issuer, identity) = setup().await;
    let check = async |keys: Vec<Value>, header_changes: Value, step: i64, good: bool| {
        issuer.publish(keys);
        let claims = with(issuer.claims(), json!({"exp": i64::from(u32::MAX)}));
        let token = RSA.token(&with(header(), header_changes), &claims);
        // Each step is past the keys' lifetime.
        let now = NOW + Duration::minutes(11 * step);
        let result = identity.authenticate(&token, now).await;
        assert_eq!(result.is_ok(), good, "step {step}: {result:?}");
    };
    let none = || json!({});
    let of = |changes: Value| with(RSA.jwk("rsa"), changes);
    check(vec![RSA.jwk("rsa"), OTHER_RSA.jwk("rsa")], none(), 1, false).await;
    check(vec![RSA.jwk("rsa"), P256.jwk("rsa")], none(), 2, true).await;
    check(
        vec![RSA.jwk("rsa"), OTHER_RSA.jwk("b")],
        json!({"kid": null}),
        3,
        false,
    )
    .await;
    check(
        vec![RSA.jwk("rsa"), P256.jwk("b")],
        json!({"kid": null}),
        4,
        true,
    )
    .await;
    check(
        vec![of(json!({"use": "enc"})), P256.jwk("b")],
        none(),
        5,
        false,
    )
    .await;
    check(vec![of(json!({"alg": "RS512"}))], none(), 6, false).await;
    check(vec![of(json!({"alg": "RS256"}))], none(), 7, true).await;
    check(
        vec![of(json!({"alg": "RSA-OAEP"})), P256.jwk("b")],
        none(),
        8,
        false,
    )
    .await;
    check(
        vec![of(json!({"key_ops": ["encrypt"]})), P256.jwk("b")],
        none(),
        9,
        false,
    )
    .await;
    check(vec![of(json!({"key_ops": ["verify"]}))], none(), 10, true).await;
    check(
        vec![of(json!({"n": "AQAB"})), P256.jwk("b")],
        none(),
        11,
        false,
    )
    .await;
    let unknown = json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"});
    check(vec![unknown, json!(1), RSA.jwk("rsa")], none(), 12, true).await;
}

#[tokio::test]
async fn issuer_without_usable_keys_signs_nobody_in() {
    let faults = [
        Fault::EmptySet,
        Fault::Error,
        Fault::Garbage,
        Fault::Huge,
        Fault::ManyKeys,
        Fault::OtherIssuer,
        Fault::Redirect,
        Fault::SchemeChange,
        Fault::Silence,
    ];
    for fault in faults {
        let issuer = TestIssuer::start(&[("rsa", &RSA)]).await;
        let identity = match fault {
            Fault::Silence => impatient_identity_of(&issuer),
            _ => identity_of(&issuer),
        };
        issuer.break_with(fault);
        let token = RSA.token(&header(), &issuer.claims());
        let result = identity.authenticate(&token, NOW).await;
        assert_eq!(
            result,
            Err(Refusal::IdentityProviderUnavailable),
            "{fault:?}"
        );
        let questions = issuer.questions();
        assert!(questions <= 2, "{fault:?}");

        let soon = NOW + Duration::seconds(9);
        assert!(identity.authenticate(&token, soon).await.is_err());
        assert_eq!(
            issuer.questions(),
            questions,
            "{fault:?}: asked again too soon"
        );

        let state = identity.states().remove(0);
        assert!(
            state.failure.is_some() && state.keys_read_at.is_none(),
            "{fault:?}"
        );

        issuer.break_with(Fault::None);
        let later = NOW + Duration::seconds(11);
        assert!(
            identity.authenticate(&token, later).await.is_ok(),
            "{fault:?}"
        );
        assert_eq!(identity.states().remove(0).failure, None);
    }
}

#[tokio::test]
async fn issuer_that_is_down_keeps_its_keys_for_an_hour() {
    let (issuer, identity) = setup().await;
    let claims = with(issuer.claims(), json!({"exp": i64::from(u32::MAX)}));
    let token = RSA.token(&header(), &claims);
    identity.authenticate(&token, NOW).await.unwrap();
    issuer.break_with(Fault::Error);
    let at = async |minutes| {
        identity
            .authenticate(&token, NOW + Duration::minutes(minutes))
            .await
    };
    assert!(at(11).await.is_ok());
    assert!(at(59).await.is_ok());
    assert_eq!(at(61).await, Err(Refusal::IdentityProviderUnavailable));
    let unknown = RSA.token(&with(header(), json!({"kid": "new"})), &claims);
    let result = identity
        .authenticate(&unknown, NOW + Duration::minutes(20))
        .await;
    assert_eq!(result, Err(Refusal::IdentityProviderUnavailable));
    issuer.break_with(Fault::None);
    assert!(at(70).await.is_ok());
}

#[tokio::test]
async fn agent_that_goes_away_does_not_make_the_next_one_ask_again() {
    let issuer = TestIssuer::start(&[("rsa", &RSA)]).await;
    let identity = impatient_identity_of(&issuer);
    issuer.break_with(Fault::Silence);
    let token = RSA.token(&header(), &issuer.claims());
    for _ in 0..5 {
        let sign_in = identity.authenticate(&token, NOW);
        let impatient = tokio::time::timeout(StdDuration::ZERO, sign_in);
        assert!(impatient.await.is_err());
    }
    let result = identity.authenticate(&token, NOW).await;
    assert_eq!(result, Err(Refusal::IdentityProviderUnavailable));
    assert_eq!(issuer.questions(), 1);
}

#[tokio::test]
async fn slow_issuer_costs_only_its_own_users() {
    let slow = TestIssuer::start(&[("rsa", &RSA)]).await;
    let good = TestIssuer::start(&[("rsa", &RSA)]).await;
    slow.break_with(Fault::Silence);
    let identity = Arc::new(Identity::new(&[config(&slow.url()), config(&good.url())]).unwrap());
    let token = RSA.token(&header(), &slow.claims());
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..WAITING {
        let (identity, token) = (Arc::clone(&identity), token.clone());
        waiting.spawn(async move { identity.authenticate(&token, NOW).await.is_ok() });
    }
    while identity.issuers[0].waiting.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        identity.authenticate(&token, NOW).await,
        Err(Refusal::Overloaded("sign-ins"))
    );
    let token = RSA.token(&header(), &good.claims());
    assert!(identity.authenticate(&token, NOW).await.is_ok());
}
