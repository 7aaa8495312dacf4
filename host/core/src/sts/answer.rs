//! The XML that STS clients read. The names and their nesting are AWS's.

use quick_xml::escape::escape;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use time::format_description::FormatItem;
use time::macros::format_description;

use crate::access::Session;
use crate::token::GatewayCredentials;

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
const TIMESTAMP: &[FormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// A session's place in AWS's terms.
#[derive(Clone, Copy, Debug)]
pub struct AssumedRole<'a> {
    /// The session.
    pub session: &'a Session,
    /// The connection's partition.
    pub partition: &'a str,
    /// The connection's account.
    pub account: &'a str,
}

impl AssumedRole<'_> {
    /// `arn:<partition>:sts::<account>:assumed-role/<role>/<session name>`.
    #[must_use]
    pub fn arn(&self) -> String {
        format!(
            "arn:{}:sts::{}:assumed-role/{}/{}",
            self.partition, self.account, self.session.role, self.session.name
        )
    }

    /// `<role id>:<session name>`, where the role id is stable, as long as AWS's and visibly none
    /// of them.
    #[must_use]
    pub fn id(&self) -> String {
        let digest = Sha256::new()
            .chain_update(&self.session.connection)
            .chain_update([0])
            .chain_update(&self.session.role)
            .finalize();
        let mut role_id = data_encoding::BASE32_NOPAD.encode(&digest);
        role_id.truncate(16);
        format!("PCRO{role_id}:{}", self.session.name)
    }
}

/// How a session came about, which is what the answer that carries it says beside the credentials.
#[derive(Clone, Copy, Debug)]
pub enum Identified<'a> {
    /// By `AssumeRole`.
    Role,
    /// By `GetFederationToken`.
    Federated,
    /// By `GetSessionToken`.
    Token,
    /// By `AssumeRoleWithWebIdentity`.
    WebIdentity {
        /// The token's audience.
        audience: &'a str,
    },
}

/// The answer that carries a session's credentials.
#[must_use]
pub fn issued(
    how: Identified<'_>,
    role: AssumedRole<'_>,
    credentials: &GatewayCredentials,
    request_id: &str,
) -> String {
    let principal = &role.session.principal;
    let user = |id: &str| element(id, &role.id()) + &element("Arn", &role.arn());
    let keys = nested("Credentials", &keys(credentials));
    let (operation, result) = match how {
        Identified::Federated => {
            let user = nested("FederatedUser", &user("FederatedUserId"));
            ("GetFederationToken", keys + &user)
        }
        Identified::Role => {
            let user = nested("AssumedRoleUser", &user("AssumedRoleId"));
            ("AssumeRole", keys + &user)
        }
        Identified::Token => ("GetSessionToken", keys),
        Identified::WebIdentity { audience } => {
            let who = [
                element("SubjectFromWebIdentityToken", &principal.subject),
                element("Audience", audience),
                nested("AssumedRoleUser", &user("AssumedRoleId")),
                keys,
                element("Provider", &principal.issuer),
            ];
            ("AssumeRoleWithWebIdentity", who.concat())
        }
    };
    document(operation, &result, request_id)
}

/// The answer to `GetAccessKeyInfo`.
#[must_use]
pub fn access_key_info(account: &str, request_id: &str) -> String {
    document("GetAccessKeyInfo", &element("Account", account), request_id)
}

/// The answer to `GetCallerIdentity`.
#[must_use]
pub fn caller_identity(role: AssumedRole<'_>, request_id: &str) -> String {
    let result = [
        element("Arn", &role.arn()),
        element("UserId", &role.id()),
        element("Account", role.account),
    ]
    .concat();
    document("GetCallerIdentity", &result, request_id)
}

/// A time as STS and container credentials write it.
#[must_use]
pub fn timestamp(time: OffsetDateTime) -> String {
    // Formatting into a string fails only for components the time lacks, and it has them all.
    time.to_offset(time::UtcOffset::UTC)
        .format(TIMESTAMP)
        .unwrap_or_default()
}

fn keys(credentials: &GatewayCredentials) -> String {
    [
        element("AccessKeyId", &credentials.access_key_id),
        element("SecretAccessKey", credentials.secret_access_key.expose()),
        element("SessionToken", credentials.session_token.expose()),
        element("Expiration", &timestamp(credentials.expires_at)),
    ]
    .concat()
}

fn document(operation: &str, result: &str, request_id: &str) -> String {
    let result = nested(&format!("{operation}Result"), result);
    let metadata = nested("ResponseMetadata", &element("RequestId", request_id));
    format!("<{operation}Response xmlns=\"{NAMESPACE}\">{result}{metadata}</{operation}Response>")
}

fn element(name: &str, text: &str) -> String {
    nested(name, &escape(text))
}

fn nested(name: &str, content: &str) -> String {
    format!("<{name}>{content}</{name}>")
}
