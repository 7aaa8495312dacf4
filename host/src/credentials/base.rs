//! A connection's own credential, from the one source its configuration names, and the STS client
//! that turns it into others.

use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::{StaticConfiguration, WebIdentityTokenCredentialsProvider};
use aws_credential_types::Credentials as AwsCredentials;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_credential_types::provider::error::CredentialsError;
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_sdk_sts::config::retry::RetryConfig;
use aws_sdk_sts::config::timeout::TimeoutConfig;
use aws_sdk_sts::config::{BehaviorVersion, Region, SharedHttpClient};
use portcullis_core::destination::Variant;

use super::assume::Assumption;
use super::http;
use crate::config::{Connection, CredentialSource};
use crate::upstream::Route;

/// For one exchange with STS, tries included.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(15);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// One connection towards AWS's identity services.
#[derive(Debug)]
pub(super) struct Base {
    source: CredentialSource,
    /// For exchanges that no call's region decides.
    region: Region,
    /// Instead of AWS's STS.
    endpoint: Option<String>,
    variant: Variant,
    http: SharedHttpClient,
}

impl Base {
    pub(super) fn new(connection: &Connection) -> anyhow::Result<Self> {
        let ca = connection.endpoint.as_ref().and_then(|it| it.ca.as_deref());
        let endpoint = connection
            .endpoint
            .as_ref()
            .map(|endpoint| Route::endpoint(endpoint, "sts", "").uri("", None));
        let first = connection.regions.as_ref().and_then(|all| all.first());
        let region = first.map_or_else(|| home(&connection.partition).to_owned(), Clone::clone);
        Ok(Self {
            source: connection.credentials.clone(),
            region: Region::new(region),
            endpoint,
            variant: connection.variant,
            http: http::client(ca)?,
        })
    }

    /// Reads or asks for the connection's own credential. Files are read anew each time.
    pub(super) async fn fetch(&self) -> Result<AwsCredentials, CredentialsError> {
        let config = ProviderConfig::without_region()
            .with_region(Some(self.region.clone()))
            .with_use_fips(Some(self.variant.is_fips()))
            .with_use_dual_stack(Some(self.variant.is_dual_stack()))
            .with_http_client(self.http.clone());
        match &self.source {
            CredentialSource::Environment => {
                EnvironmentVariableCredentialsProvider::new()
                    .provide_credentials()
                    .await
            }
            CredentialSource::Instance => {
                let provider = ImdsCredentialsProvider::builder()
                    .configure(&config)
                    .build();
                provider.provide_credentials().await
            }
            CredentialSource::Profile(name) => {
                let provider = ProfileFileCredentialsProvider::builder()
                    .configure(&config)
                    .profile_name(name);
                provider.build().provide_credentials().await
            }
            CredentialSource::StaticFile(file) => {
                let files = EnvConfigFiles::builder()
                    .with_file(EnvConfigFileKind::Credentials, file)
                    .build();
                let provider = ProfileFileCredentialsProvider::builder()
                    .configure(&config)
                    .profile_name("default")
                    .profile_files(files);
                provider.build().provide_credentials().await
            }
            CredentialSource::WebIdentity {
                role_arn,
                token_file,
            } => {
                let provider = WebIdentityTokenCredentialsProvider::builder()
                    .configure(&config)
                    .static_configuration(StaticConfiguration {
                        web_identity_token_file: token_file.clone(),
                        role_arn: role_arn.clone(),
                        session_name: "portcullis".to_owned(),
                    });
                provider.build().provide_credentials().await
            }
        }
    }

    /// Where STS is asked if no call says so.
    pub(super) fn region(&self) -> &str {
        self.region.as_ref()
    }

    /// Assumes a role with the connection's own credential.
    pub(super) async fn assume(
        &self,
        assumption: &Assumption,
        base: &AwsCredentials,
    ) -> Result<AwsCredentials, CredentialsError> {
        let timeouts = TimeoutConfig::builder()
            .operation_timeout(EXCHANGE_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build();
        let mut config = aws_sdk_sts::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(assumption.region.clone()))
            .use_fips(self.variant.is_fips())
            .use_dual_stack(self.variant.is_dual_stack())
            .credentials_provider(base.clone())
            .http_client(self.http.clone())
            .retry_config(RetryConfig::standard())
            .timeout_config(timeouts);
        if let Some(endpoint) = &self.endpoint {
            config = config.endpoint_url(endpoint);
        }
        let sts = aws_sdk_sts::Client::from_conf(config.build());
        assumption.request(&sts).await
    }
}

/// A region that every account of a partition has.
fn home(partition: &str) -> &'static str {
    match partition {
        "aws-cn" => "cn-north-1",
        "aws-us-gov" => "us-gov-west-1",
        "aws-iso" => "us-iso-east-1",
        "aws-iso-b" => "us-isob-east-1",
        "aws-iso-e" => "eu-isoe-west-1",
        "aws-iso-f" => "us-isof-south-1",
        "aws-eusc" => "eusc-de-east-1",
        _ => "us-east-1",
    }
}
