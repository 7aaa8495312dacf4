//! One `AssumeRole`: every input of it, which is also its cache key.

use std::time::Duration;

use aws_credential_types::Credentials as AwsCredentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::types::Tag;
use portcullis_core::access::Session;

use super::names;
use crate::config::Role;

/// STS gives no more to a role assumed by a role, and the gateway renews anyway.
const LONGEST: Duration = Duration::from_secs(60 * 60);
const SHORTEST: Duration = Duration::from_secs(15 * 60);

/// Everything that goes into an assumed credential.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Assumption {
    connection: String,
    /// Whose credential assumes the role.
    base_access_key: String,
    /// Where STS is asked.
    pub(super) region: String,
    role_arn: String,
    principal: String,
    session_name: String,
    source_identity: String,
    tags: Vec<(&'static str, String)>,
    duration: Duration,
}

impl Assumption {
    pub(super) fn of(
        session: &Session,
        role: &Role,
        (arn, region): (&str, &str),
        base: &AwsCredentials,
    ) -> Self {
        let principal = &session.principal;
        let tag = |key, value: &str| (key, names::tag_value(value));
        Self {
            connection: session.connection.clone(),
            base_access_key: base.access_key_id().to_owned(),
            region: region.to_owned(),
            role_arn: arn.to_owned(),
            principal: principal.to_string(),
            session_name: names::session_name(principal),
            source_identity: names::source_identity(principal),
            tags: vec![
                tag("portcullis:issuer", &principal.issuer),
                tag("portcullis:role", &session.role),
                tag(
                    "portcullis:session",
                    session.access_key_id.trim_start_matches("PCAK"),
                ),
                tag("portcullis:session-name", &session.name),
                tag("portcullis:subject", &principal.subject),
            ],
            duration: role.duration.clamp(SHORTEST, LONGEST),
        }
    }

    /// Asks STS.
    pub(super) async fn request(
        &self,
        sts: &aws_sdk_sts::Client,
    ) -> Result<AwsCredentials, CredentialsError> {
        let mut request = sts
            .assume_role()
            .role_arn(&self.role_arn)
            .role_session_name(&self.session_name)
            .source_identity(&self.source_identity)
            .duration_seconds(i32::try_from(self.duration.as_secs()).unwrap_or(3600));
        for (key, value) in &self.tags {
            let tag = Tag::builder().key(*key).value(value).build();
            request = request.tags(tag.map_err(CredentialsError::invalid_configuration)?);
        }
        let answer = request
            .send()
            .await
            .map_err(CredentialsError::provider_error)?;
        let found = answer
            .credentials
            .ok_or_else(|| CredentialsError::unhandled("STS sent no credentials"))?;
        let end = found
            .expiration
            .try_into()
            .map_err(CredentialsError::unhandled)?;
        Ok(AwsCredentials::new(
            found.access_key_id,
            found.secret_access_key,
            Some(found.session_token),
            Some(end),
            "portcullis",
        ))
    }
}
