//! Principals in the words STS takes: session names, source identities and tags have alphabets and
//! lengths of their own, and two principals must never become one.

use portcullis_core::access::Principal;
use sha2::{Digest as _, Sha256};

/// Of `RoleSessionName` and `SourceIdentity`.
const MAX_NAME: usize = 64;
/// Of a session tag's value.
const MAX_TAG: usize = 256;
/// Enough that no two principals collide by chance or, within a company, on purpose.
const FINGERPRINT_BYTES: usize = 8;

/// `SourceIdentity`: readable, and the same for a principal in all its sessions. It ends with a
/// digest of issuer and subject because its alphabet cannot carry an issuer's URL.
pub(super) fn source_identity(principal: &Principal) -> String {
    fingerprinted(&principal.subject, principal)
}

/// `RoleSessionName`: what CloudTrail shows first, so the e-mail address where there is one.
pub(super) fn session_name(principal: &Principal) -> String {
    let shown = principal.email.as_ref().unwrap_or(&principal.subject);
    fingerprinted(shown, principal)
}

/// A tag value: the characters tags may not have become `_`.
pub(super) fn tag_value(text: &str) -> String {
    // STS allows more letters than ASCII, but not every resource that copies the tags does.
    let allowed = |char: char| char.is_ascii_alphanumeric() || " _.:/=+-@".contains(char);
    replaced(text, allowed).chars().take(MAX_TAG).collect()
}

fn fingerprinted(shown: &str, principal: &Principal) -> String {
    let digest = Sha256::digest(principal.to_string().as_bytes());
    let print: String = hex::encode(digest)
        .chars()
        .take(FINGERPRINT_BYTES * 2)
        .collect();
    let allowed = |char: char| char.is_ascii_alphanumeric() || "_+=,.@-".contains(char);
    let room = MAX_NAME - print.len() - 1;
    let shown: String = replaced(shown, allowed).chars().take(room).collect();
    format!("{shown}-{print}")
}

fn replaced(text: &str, allowed: impl Fn(char) -> bool) -> String {
    let keep = |char| if allowed(char) { char } else { '_' };
    text.chars().map(keep).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn principal(issuer: &str, subject: &str) -> Principal {
        Principal {
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
            email: None,
            groups: Vec::new(),
        }
    }

    #[test]
    fn names_are_readable_and_tell_issuers_apart() {
        let one = source_identity(&principal("https://a.example", "alice@example.com"));
        let other = source_identity(&principal("https://b.example", "alice@example.com"));
        assert!(one.starts_with("alice@example.com-"), "{one}");
        assert_ne!(one, other);
    }

    proptest! {
        #[test]
        fn names_always_fit(issuer in ".{0,80}", subject in ".{0,200}", email in proptest::option::of(".{0,200}")) {
            let mut principal = principal(&issuer, &subject);
            principal.email = email;
            for name in [source_identity(&principal), session_name(&principal)] {
                prop_assert!((2..=64).contains(&name.len()));
                let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
                prop_assert!(name.bytes().all(fits));
            }
            prop_assert!(tag_value(&subject).len() <= 256);
        }

        #[test]
        fn principals_that_differ_have_names_that_differ(a in ".{0,100}", b in ".{0,100}") {
            prop_assume!(a != b);
            let name = |subject: &str| source_identity(&principal("https://idp.example", subject));
            prop_assert_ne!(name(&a), name(&b));
        }
    }
}
