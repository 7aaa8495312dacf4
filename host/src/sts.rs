//! The gateway's own STS: exchanges a web identity token for gateway credentials, exchanges those
//! for others of the same principal, and tells agents who they are. No AWS credential is involved.
//!
//! A session lasts as long as its role allows and, unlike AWS's, no longer than the token or the
//! session it was given for.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use portcullis_core::access::{Principal, Session};
use portcullis_core::directory_bucket::{self, SessionRequest};
use portcullis_core::refusal::Refusal;
use portcullis_core::sts::{
    self, AssumedRole, Identified, RoleArn, SessionName, SignIn, WebIdentityToken, timestamp,
};
use portcullis_core::token::{GatewayCredentials, NewSession, RANDOMNESS};
use serde_json::json;
use time::{Duration, OffsetDateTime};

use crate::config::{Config, Connection, Role};
use crate::identity::{Authenticated, Identity, IssuerState};
use crate::key_ring::KeyRingFile;

/// AWS's default for `DurationSeconds`.
const DEFAULT_DURATION: Duration = Duration::HOUR;

/// Answers STS requests.
#[derive(Debug)]
pub struct Sts {
    identity: Arc<Identity>,
    keys: Arc<KeyRingFile>,
    config: Arc<Config>,
}

/// What a call is answered with besides its own bytes.
#[derive(Clone, Copy, Debug)]
pub struct Occasion<'a> {
    /// When the call arrived.
    pub now: OffsetDateTime,
    /// Fresh random bytes, for this call alone.
    pub randomness: [u8; RANDOMNESS],
    /// The id that the agent may quote.
    pub request_id: &'a str,
}

/// What `AssumeRole` asks for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The role.
    pub role: &'a RoleArn,
    /// The agent's own name for the session.
    pub session_name: &'a SessionName,
    /// Seconds, where the agent asked for a length.
    pub duration: Option<u32>,
}

/// Another session in the same role, with the seconds it was asked for.
#[derive(Clone, Copy, Debug)]
pub enum Again<'a> {
    /// `GetFederationToken`, under a name.
    Federated(&'a SessionName, Option<u32>),
    /// `GetSessionToken`.
    Token(Option<u32>),
}

/// A role somebody may use, and where.
struct Opening<'a> {
    connection: &'a Connection,
    role: &'a Role,
}

impl Sts {
    /// Answers from these issuers, keys and roles.
    pub fn new(identity: Arc<Identity>, keys: Arc<KeyRingFile>, config: Arc<Config>) -> Self {
        Self {
            identity,
            keys,
            config,
        }
    }

    /// What is known of each issuer.
    pub fn issuers(&self) -> Vec<IssuerState> {
        self.identity.states()
    }

    /// Answers an unsigned STS request: the body of a POST of
    /// `application/x-www-form-urlencoded`, of [`sts::MAX_FORM`] bytes at most.
    ///
    /// # Errors
    /// Those of [`sts::parse`] and [`Identity::authenticate`], [`Refusal::RoleNotPermitted`] for
    /// every role that the principal may not use, and [`Refusal::InvalidInput`] for a duration
    /// above the role's.
    pub async fn assume_role_with_web_identity(
        &self,
        form: &[u8],
        occasion: Occasion<'_>,
    ) -> Result<(Session, Response<Bytes>), Refusal> {
        let SignIn {
            role,
            session_name,
            token,
            duration,
        } = sts::parse(form)?;
        let who = self.authenticate(&token, occasion.now).await?;
        let opening = self.by_arn(&role, &who.principal)?;
        let length = opening.length(duration)?;
        let new = opening.session(&who, &session_name, occasion.now, length);
        let how = Identified::WebIdentity {
            audience: &who.audience,
        };
        self.issue(how, &opening, new, occasion)
    }

    /// A session in the role of that ARN for the principal of another session, which it does not
    /// outlive.
    ///
    /// # Errors
    /// [`Refusal::RoleNotPermitted`] for every role that the principal may not use, and
    /// [`Refusal::InvalidInput`] for a duration above the role's.
    pub fn assume_role(
        &self,
        parent: &Session,
        wanted: Wanted<'_>,
        occasion: Occasion<'_>,
    ) -> Result<(Session, Response<Bytes>), Refusal> {
        let opening = self.by_arn(wanted.role, &parent.principal)?;
        let length = opening.length(wanted.duration)?;
        let name = wanted.session_name.as_str();
        let new = opening.chained(parent, name, occasion.now, length);
        self.issue(Identified::Role, &opening, new, occasion)
    }

    /// Another session in the same role for the principal of a session, which it does not outlive.
    ///
    /// # Errors
    /// [`Refusal::RoleNotPermitted`] when the role is no longer configured or open.
    pub fn same_role(
        &self,
        parent: &Session,
        again: Again<'_>,
        occasion: Occasion<'_>,
    ) -> Result<(Session, Response<Bytes>), Refusal> {
        let name = format!("{}/{}", parent.connection, parent.role);
        let opening = self.by_name(&name, &parent.principal)?;
        let (how, name, duration) = match again {
            Again::Federated(name, duration) => (Identified::Federated, name.as_str(), duration),
            Again::Token(duration) => (Identified::Token, parent.name.as_str(), duration),
        };
        let longest = opening.longest()?;
        let length = duration.map_or(longest, |seconds| {
            longest.min(Duration::seconds(seconds.into()))
        });
        let new = opening.chained(parent, name, occasion.now, length);
        self.issue(how, &opening, new, occasion)
    }

    /// Another session in the same role for the objects of one directory bucket.
    ///
    /// # Errors
    /// As [`Self::same_role`].
    pub fn directory_session(
        &self,
        parent: &Session,
        wanted: &SessionRequest,
        occasion: Occasion<'_>,
    ) -> Result<(Session, Response<Bytes>), Refusal> {
        let name = format!("{}/{}", parent.connection, parent.role);
        let opening = self.by_name(&name, &parent.principal)?;
        let length = directory_bucket::LIFETIME.min(opening.longest()?);
        let new = NewSession {
            confined_to: Some(wanted.confinement().clone()),
            ..opening.chained(parent, &parent.name, occasion.now, length)
        };
        let (session, credentials) = self.keys.ring().issue(new, occasion.randomness)?;
        let xml = directory_bucket::session(&credentials);
        Ok((session, xml_response(xml, occasion.request_id)))
    }

    /// Answers `GetAccessKeyInfo`: a gateway's access key says nothing by itself, so only who
    /// holds it can ask about it.
    ///
    /// # Errors
    /// [`Refusal::InvalidInput`] for any other access key.
    pub fn access_key_info(
        &self,
        session: &Session,
        access_key_id: &str,
        request_id: &str,
    ) -> Result<Response<Bytes>, Refusal> {
        if access_key_id != session.access_key_id {
            return Err(Refusal::InvalidInput(
                "the gateway can tell the account of the access key that signs the call only"
                    .to_owned(),
            ));
        }
        let connection = self
            .config
            .connection(&session.connection)
            .ok_or_else(|| not_permitted(&session.role))?;
        let xml = sts::access_key_info(&connection.account, request_id);
        Ok(xml_response(xml, request_id))
    }

    fn issue(
        &self,
        how: Identified<'_>,
        opening: &Opening<'_>,
        new: NewSession,
        occasion: Occasion<'_>,
    ) -> Result<(Session, Response<Bytes>), Refusal> {
        let (session, credentials) = self.keys.ring().issue(new, occasion.randomness)?;
        let role = opening.assumed(&session);
        let xml = sts::issued(how, role, &credentials, occasion.request_id);
        Ok((session, xml_response(xml, occasion.request_id)))
    }

    /// Answers a verified `GetCallerIdentity`.
    ///
    /// # Errors
    /// [`Refusal::RoleNotPermitted`] when the session's connection is no longer configured.
    pub fn caller_identity(
        &self,
        session: &Session,
        request_id: &str,
    ) -> Result<Response<Bytes>, Refusal> {
        let connection = self
            .config
            .connection(&session.connection)
            .ok_or_else(|| not_permitted(&session.role))?;
        let role = AssumedRole {
            session,
            partition: &connection.partition,
            account: &connection.account,
        };
        let xml = sts::caller_identity(role, request_id);
        Ok(xml_response(xml, request_id))
    }

    /// Answers a container-credentials request for `role`, which is a role's name or
    /// `connection/name`. `authorization` is the header's value: an OIDC token, with or without
    /// `Bearer `.
    ///
    /// # Errors
    /// Those of [`Self::assume_role_with_web_identity`]; [`Refusal::Unsigned`] without a token;
    /// [`Refusal::Ambiguous`] for a name that stands for several roles.
    pub async fn container_credentials(
        &self,
        role: &str,
        authorization: Option<&str>,
        occasion: Occasion<'_>,
    ) -> Result<(Session, Response<Bytes>), Refusal> {
        let token = bearer(authorization)?;
        let who = self.authenticate(&token, occasion.now).await?;
        let opening = self.by_name(role, &who.principal)?;
        let length = opening.length(None)?;
        let name = SessionName::resembling(
            who.principal
                .email
                .as_deref()
                .unwrap_or(&who.principal.subject),
        );
        let new = opening.session(&who, &name, occasion.now, length);
        let (session, credentials) = self.keys.ring().issue(new, occasion.randomness)?;
        let response = container_response(&opening.assumed(&session), &credentials);
        Ok((session, response))
    }

    async fn authenticate(
        &self,
        token: &WebIdentityToken,
        now: OffsetDateTime,
    ) -> Result<Authenticated, Refusal> {
        let who = self.identity.authenticate(token.expose(), now).await?;
        // The identity check allows for clocks that differ; a session is made of a token that
        // holds by this clock.
        if now >= who.expires_at {
            return Err(Refusal::IdentityExpired);
        }
        Ok(who)
    }

    fn by_arn(&self, arn: &RoleArn, principal: &Principal) -> Result<Opening<'_>, Refusal> {
        self.only(&arn.to_string(), principal, |opening| {
            opening.connection.account == arn.account
                && opening.connection.partition == arn.partition
                && opening.role.name == arn.name
        })
    }

    fn by_name(&self, name: &str, principal: &Principal) -> Result<Opening<'_>, Refusal> {
        let (connection, role) = match name.split_once('/') {
            Some((connection, role)) => (Some(connection), role),
            None => (None, name),
        };
        self.only(name, principal, |opening| {
            connection.is_none_or(|connection| opening.connection.name == connection)
                && opening.role.name == role
        })
    }

    /// The one role that is asked for and open to the principal. A role that is closed to it
    /// looks like one that does not exist.
    fn only(
        &self,
        asked: &str,
        principal: &Principal,
        wanted: impl Fn(&Opening<'_>) -> bool,
    ) -> Result<Opening<'_>, Refusal> {
        let mut found = self
            .config
            .connections
            .iter()
            .flat_map(|connection| {
                let opening = move |role| Opening { connection, role };
                connection.roles.iter().map(opening)
            })
            .filter(|opening| wanted(opening) && opening.is_open_to(principal));
        let opening = found.next().ok_or_else(|| not_permitted(asked))?;
        match found.next() {
            None => Ok(opening),
            Some(other) => Err(Refusal::Ambiguous(format!(
                "role `{role}` exists on connections `{first}` and `{second}`; name one, as in `{first}/{role}`",
                role = opening.role.name,
                first = opening.connection.name,
                second = other.connection.name,
            ))),
        }
    }
}

impl Opening<'_> {
    fn is_open_to(&self, principal: &Principal) -> bool {
        self.role
            .groups
            .iter()
            .any(|group| principal.groups.contains(group))
    }

    fn length(&self, asked: Option<u32>) -> Result<Duration, Refusal> {
        let longest = self.longest()?;
        let Some(asked) = asked else {
            return Ok(DEFAULT_DURATION.min(longest));
        };
        let asked = Duration::seconds(asked.into());
        if asked > longest {
            return Err(Refusal::InvalidInput(format!(
                "`DurationSeconds` is above this role's limit of {} seconds",
                longest.whole_seconds()
            )));
        }
        Ok(asked)
    }

    fn longest(&self) -> Result<Duration, Refusal> {
        Duration::try_from(self.role.duration).map_err(|_| Refusal::Internal)
    }

    fn session(
        &self,
        who: &Authenticated,
        name: &SessionName,
        now: OffsetDateTime,
        length: Duration,
    ) -> NewSession {
        NewSession {
            principal: who.principal.clone(),
            name: name.as_str().to_owned(),
            connection: self.connection.name.clone(),
            role: self.role.name.clone(),
            parent: None,
            confined_to: None,
            issued_at: now,
            // A session never outlives the token it was given for.
            expires_at: (now + length).min(who.expires_at),
        }
    }

    fn chained(
        &self,
        parent: &Session,
        name: &str,
        now: OffsetDateTime,
        length: Duration,
    ) -> NewSession {
        NewSession {
            principal: parent.principal.clone(),
            name: name.to_owned(),
            connection: self.connection.name.clone(),
            role: self.role.name.clone(),
            parent: Some(parent.access_key_id.clone()),
            confined_to: None,
            issued_at: now,
            expires_at: (now + length).min(parent.expires_at),
        }
    }

    fn assumed<'a>(&'a self, session: &'a Session) -> AssumedRole<'a> {
        AssumedRole {
            session,
            partition: &self.connection.partition,
            account: &self.connection.account,
        }
    }
}

/// An error as container-credentials clients read it.
pub fn container_error(status: StatusCode, code: &str, message: &str) -> Response<Bytes> {
    let body = json!({ "code": code, "message": message });
    secret_response(status, "application/json", body.to_string())
}

/// The members that AWS's container-credentials clients know.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>
fn container_response(role: &AssumedRole<'_>, credentials: &GatewayCredentials) -> Response<Bytes> {
    let body = json!({
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key.expose(),
        "Token": credentials.session_token.expose(),
        "Expiration": timestamp(credentials.expires_at),
        "RoleArn": format!(
            "arn:{}:iam::{}:role/{}",
            role.partition, role.account, role.session.role
        ),
    });
    secret_response(StatusCode::OK, "application/json", body.to_string())
}

fn xml_response(xml: String, request_id: &str) -> Response<Bytes> {
    let mut response = secret_response(StatusCode::OK, "text/xml", xml);
    if let Ok(id) = HeaderValue::from_str(request_id) {
        response
            .headers_mut()
            .insert(HeaderName::from_static("x-amzn-requestid"), id);
    }
    response
}

fn secret_response(status: StatusCode, media_type: &'static str, body: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn bearer(authorization: Option<&str>) -> Result<WebIdentityToken, Refusal> {
    let value = authorization.ok_or(Refusal::Unsigned)?.trim();
    let token = match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        Some(_) | None => value,
    };
    Ok(WebIdentityToken::new(token.to_owned()))
}

/// What was asked for may be of any length; the answer repeats a readable part of it.
fn not_permitted(role: &str) -> Refusal {
    let role = role.chars().filter(|c| !c.is_control()).take(128).collect();
    Refusal::RoleNotPermitted { role }
}

#[cfg(test)]
mod tests;
