//! The AWS SDK for Rust as an agent uses it: everything it knows of the gateway comes from the
//! environment. Usage: `rust_sdk SCENARIO PREFIX`. Prints one JSON object per step.
//!
//! The number of attempts is the largest `attempt=` that left this process, seen by an interceptor.
#![expect(clippy::print_stdout, reason = "its output is what the tests read")]

mod matrix;

use std::env;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType,
    ScalarAttributeType,
};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    CompletedMultipartUpload, CompletedPart, Delete, Object, ObjectIdentifier,
};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const KEYS: [&str; 3] = ["a b/ü+~%2F&=?.txt", "..//x", "é/日本"];
const MEBIBYTE: usize = 1024 * 1024;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().collect();
    let [_, scenario, prefix] = arguments.as_slice() else {
        bail!("usage: rust_sdk SCENARIO PREFIX");
    };
    let https = Builder::new().build_with_connector_fn(|settings, runtime| {
        let mut connector = Connector::builder().proxy_config(ProxyConfig::from_env());
        connector
            .set_connector_settings(settings.cloned())
            .set_sleep_impl(runtime.and_then(RuntimeComponents::sleep_impl));
        let provider = Provider::Rustls(CryptoMode::AwsLc);
        connector.tls_provider(provider).build()
    });
    let config = aws_config::defaults(BehaviorVersion::latest())
        .http_client(https)
        .load()
        .await;
    let attempts = Attempts::default();
    match scenario.as_str() {
        "services" => services(&config, &attempts, prefix).await,
        "functions" => {
            functions(&config, &attempts, prefix).await;
            Ok(())
        }
        "metrics" => {
            metrics(&config, &attempts, prefix).await;
            Ok(())
        }
        "objects" => objects(&config, &attempts, prefix).await,
        "matrix" => matrix::objects(&config, prefix).await,
        "presign" => matrix::presign(&config, prefix).await,
        "denied" => denied(&config, &attempts, prefix).await,
        other => bail!("no scenario {other}"),
    }
}

#[derive(Clone, Debug, Default)]
struct Attempts(Arc<AtomicU32>);

impl Intercept for Attempts {
    fn name(&self) -> &'static str {
        "attempts"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

impl Attempts {
    fn say<T, E>(
        &self,
        step: &str,
        result: Result<T, SdkError<E>>,
        value: impl FnOnce(&T) -> Value,
    ) -> Option<T>
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let attempts = self.0.swap(0, Ordering::SeqCst);
        match result {
            Ok(answer) => {
                let value = value(&answer);
                println!(
                    "{}",
                    json!({"step": step, "ok": true, "attempts": attempts, "value": value})
                );
                Some(answer)
            }
            Err(error) => {
                let status = error
                    .raw_response()
                    .map(|response| response.status().as_u16());
                let message = error
                    .message()
                    .map_or_else(|| format!("{error:?}"), str::to_owned);
                println!(
                    "{}",
                    json!({"step": step, "ok": false, "attempts": attempts, "status": status, "code": error.code(), "message": message})
                );
                None
            }
        }
    }
}

fn null<T>(_: &T) -> Value {
    Value::Null
}

/// A client whose attempts are counted.
macro_rules! client {
    ($sdk:ident, $config:expr, $attempts:expr) => {
        $sdk::Client::from_conf(
            $sdk::config::Builder::from($config)
                .interceptor($attempts.clone())
                .build(),
        )
    };
}

async fn services(config: &SdkConfig, attempts: &Attempts, prefix: &str) -> Result<()> {
    tables(config, attempts, prefix).await?;
    queues(config, attempts, prefix).await?;
    machines(config, attempts, prefix).await;
    roles(config, attempts, prefix).await;
    secrets(config, attempts, prefix).await;
    Ok(())
}

async fn tables(config: &SdkConfig, attempts: &Attempts, prefix: &str) -> Result<()> {
    let tables = client!(aws_sdk_dynamodb, config, attempts);
    let table = format!("{prefix}-table");
    let key = KeySchemaElement::builder()
        .attribute_name("id")
        .key_type(KeyType::Hash)
        .build()?;
    let attribute = AttributeDefinition::builder()
        .attribute_name("id")
        .attribute_type(ScalarAttributeType::S)
        .build()?;
    let created = tables
        .create_table()
        .table_name(&table)
        .key_schema(key)
        .attribute_definitions(attribute)
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await;
    attempts.say("DynamoDB.CreateTable", created, null);
    let id = AttributeValue::S("é日本".to_owned());
    let put = tables
        .put_item()
        .table_name(&table)
        .item("id", id.clone())
        .send()
        .await;
    attempts.say("DynamoDB.PutItem", put, null);
    let got = tables
        .get_item()
        .table_name(&table)
        .key("id", id)
        .send()
        .await;
    attempts.say("DynamoDB.GetItem", got, |answer| {
        json!(answer.item().and_then(|item| item.get("id")?.as_s().ok()))
    });
    Ok(())
}

async fn queues(config: &SdkConfig, attempts: &Attempts, prefix: &str) -> Result<()> {
    let queues = client!(aws_sdk_sqs, config, attempts);
    let queue = queues
        .create_queue()
        .queue_name(format!("{prefix}-queue"))
        .send()
        .await;
    let queue = attempts.say("SQS.CreateQueue", queue, null);
    let url = queue
        .and_then(|queue| queue.queue_url)
        .context("no queue was created")?;
    let sent = queues
        .send_message()
        .queue_url(&url)
        .message_body("a=b&c d\n<e>")
        .send()
        .await;
    attempts.say("SQS.SendMessage", sent, null);
    let received = queues.receive_message().queue_url(&url).send().await;
    attempts.say("SQS.ReceiveMessage", received, |answer| {
        json!(answer.messages().first().and_then(|message| message.body()))
    });
    Ok(())
}

async fn machines(config: &SdkConfig, attempts: &Attempts, prefix: &str) {
    let machines = client!(aws_sdk_ec2, config, attempts);
    let networks = machines.describe_vpcs().send().await;
    attempts.say("EC2.DescribeVpcs", networks, |answer| {
        json!(answer.vpcs().len())
    });
    let filter = aws_sdk_ec2::types::Filter::builder()
        .name("tag:a b")
        .values("x&y")
        .values("é")
        .build();
    let found = machines
        .describe_instances()
        .filters(filter)
        .max_results(5)
        .send()
        .await;
    attempts.say("EC2.DescribeInstances", found, |answer| {
        json!(answer.reservations().len())
    });
    let group = machines
        .create_security_group()
        .group_name(format!("{prefix} group"))
        .description("a & b = c")
        .send()
        .await;
    attempts.say("EC2.CreateSecurityGroup", group, null);
}

async fn roles(config: &SdkConfig, attempts: &Attempts, prefix: &str) {
    let roles = client!(aws_sdk_iam, config, attempts);
    let name = format!("{prefix}-role");
    let created = roles
        .create_role()
        .role_name(&name)
        .assume_role_policy_document(r#"{"Version":"2012-10-17","Statement":[]}"#)
        .send()
        .await;
    attempts.say("IAM.CreateRole", created, null);
    let got = roles.get_role().role_name(&name).send().await;
    attempts.say("IAM.GetRole", got, |answer| {
        json!(answer.role().map(|role| role.role_name()))
    });
}

async fn metrics(config: &SdkConfig, attempts: &Attempts, prefix: &str) {
    let metrics = client!(aws_sdk_cloudwatch, config, attempts);
    let datum = aws_sdk_cloudwatch::types::MetricDatum::builder()
        .metric_name("calls")
        .value(1.5)
        .build();
    let put = metrics
        .put_metric_data()
        .namespace(prefix)
        .metric_data(datum)
        .send()
        .await;
    attempts.say("CloudWatch.PutMetricData", put, null);
    let listed = metrics.list_metrics().namespace(prefix).send().await;
    attempts.say("CloudWatch.ListMetrics", listed, |answer| {
        json!(answer.metrics().len())
    });
}

async fn secrets(config: &SdkConfig, attempts: &Attempts, prefix: &str) {
    let secrets = client!(aws_sdk_secretsmanager, config, attempts);
    let name = format!("{prefix}/secret");
    let created = secrets
        .create_secret()
        .name(&name)
        .secret_string("not a real secret")
        .send()
        .await;
    attempts.say("SecretsManager.CreateSecret", created, null);
    let got = secrets.get_secret_value().secret_id(&name).send().await;
    attempts.say("SecretsManager.GetSecretValue", got, |answer| {
        json!(answer.secret_string())
    });
}

async fn functions(config: &SdkConfig, attempts: &Attempts, prefix: &str) {
    let functions = client!(aws_sdk_lambda, config, attempts);
    let listed = functions.list_functions().max_items(10).send().await;
    attempts.say("Lambda.ListFunctions", listed, |answer| {
        json!(answer.functions().len())
    });
    let layers = functions.list_layers().send().await;
    attempts.say("Lambda.ListLayers", layers, |answer| {
        json!(answer.layers().len())
    });
    let missing = functions
        .get_function()
        .function_name(format!("{prefix}-no-such-function"))
        .send()
        .await;
    attempts.say("Lambda.GetFunction", missing, null);
}

async fn objects(config: &SdkConfig, attempts: &Attempts, prefix: &str) -> Result<()> {
    let client = client!(aws_sdk_s3, config, attempts);
    let bucket = format!("{prefix}-bucket");
    let created = client.create_bucket().bucket(&bucket).send().await;
    attempts.say("S3.CreateBucket", created, null);
    for key in KEYS {
        let body = ByteStream::from_static(key.as_bytes());
        let put = client
            .put_object()
            .bucket(&bucket)
            .key(key)
            .body(body)
            .send()
            .await;
        attempts.say("S3.PutObject", put, null);
        let got = client.get_object().bucket(&bucket).key(key).send().await;
        let came_back = got.map(|answer| answer.body);
        if let Some(body) = attempts.say("S3.GetObject", came_back, null) {
            let same = body.collect().await?.into_bytes() == key.as_bytes();
            println!(
                "{}",
                json!({"step": "S3.SameBytes", "ok": same, "value": key})
            );
        }
        let head = client.head_object().bucket(&bucket).key(key).send().await;
        attempts.say("S3.HeadObject", head, |answer| {
            json!(answer.content_length())
        });
    }
    let listed = client.list_objects_v2().bucket(&bucket).send().await;
    attempts.say("S3.ListObjectsV2", listed, |answer| {
        json!(
            answer
                .contents()
                .iter()
                .filter_map(Object::key)
                .collect::<Vec<_>>()
        )
    });
    for (name, size) in [("empty", 0), ("single", 8 * MEBIBYTE)] {
        let body = pattern(size);
        let put = client
            .put_object()
            .bucket(&bucket)
            .key(name)
            .body(body.clone().into())
            .send()
            .await;
        attempts.say("S3.PutObject", put, null);
        came_back(&client, &bucket, name, &body).await?;
    }
    multipart(&client, attempts, &bucket).await?;
    let names = KEYS.into_iter().chain(["empty", "single", "multipart"]);
    let identifiers = names
        .map(|key| ObjectIdentifier::builder().key(key).build())
        .collect::<Result<Vec<_>, _>>()?;
    let delete = Delete::builder().set_objects(Some(identifiers)).build()?;
    let deleted = client
        .delete_objects()
        .bucket(&bucket)
        .delete(delete)
        .send()
        .await;
    attempts.say("S3.DeleteObjects", deleted, |answer| {
        json!(answer.deleted().len())
    });
    let left = client.list_objects_v2().bucket(&bucket).send().await;
    attempts.say("S3.ListObjectsV2", left, |answer| json!(answer.key_count()));
    Ok(())
}

async fn multipart(client: &aws_sdk_s3::Client, attempts: &Attempts, bucket: &str) -> Result<()> {
    let body = pattern(64 * MEBIBYTE);
    let target = || (bucket.to_owned(), "multipart".to_owned());
    let (name, key) = target();
    let created = client
        .create_multipart_upload()
        .bucket(name)
        .key(key)
        .send()
        .await;
    let id = attempts
        .say("S3.CreateMultipartUpload", created, null)
        .and_then(|created| created.upload_id)
        .context("no upload was created")?;
    let mut parts = Vec::new();
    for (number, part) in (1..).zip(body.chunks(16 * MEBIBYTE)) {
        let sent = client
            .upload_part()
            .bucket(bucket)
            .key("multipart")
            .upload_id(&id)
            .part_number(number)
            .body(part.to_vec().into())
            .send()
            .await;
        let sent = attempts
            .say("S3.UploadPart", sent, null)
            .context("a part failed")?;
        parts.push(
            CompletedPart::builder()
                .part_number(number)
                .set_e_tag(sent.e_tag)
                .set_checksum_crc32(sent.checksum_crc32)
                .build(),
        );
    }
    let upload = CompletedMultipartUpload::builder()
        .set_parts(Some(parts))
        .build();
    let (name, key) = target();
    let completed = client
        .complete_multipart_upload()
        .bucket(name)
        .key(key)
        .upload_id(&id)
        .multipart_upload(upload)
        .send()
        .await;
    attempts.say("S3.CompleteMultipartUpload", completed, null);
    came_back(client, bucket, "multipart", &body).await
}

async fn came_back(
    client: &aws_sdk_s3::Client,
    bucket: &str,
    key: &str,
    body: &[u8],
) -> Result<()> {
    let got = client.get_object().bucket(bucket).key(key).send().await?;
    let bytes = got.body.collect().await?.into_bytes();
    let same = Sha256::digest(&bytes) == Sha256::digest(body);
    println!(
        "{}",
        json!({"step": format!("S3.RoundTrip.{key}"), "ok": same, "value": body.len()})
    );
    Ok(())
}

/// Bytes that no period of a buffer size can hide a mix-up in.
fn pattern(size: usize) -> Vec<u8> {
    (0..size)
        .map(|at| (at % 251) as u8 ^ (at / 65_537) as u8)
        .collect()
}

async fn denied(config: &SdkConfig, attempts: &Attempts, prefix: &str) -> Result<()> {
    let tables = client!(aws_sdk_dynamodb, config, attempts);
    let table = format!("{prefix}-table");
    let deleted = tables.delete_table().table_name(table).send().await;
    attempts.say("DynamoDB.DeleteTable", deleted, null);
    let queue = client!(aws_sdk_sqs, config, attempts)
        .create_queue()
        .queue_name(format!("{prefix}-queue"))
        .send()
        .await;
    attempts.say("SQS.CreateQueue", queue, null);
    let alarms = client!(aws_sdk_cloudwatch, config, attempts)
        .delete_alarms()
        .alarm_names(format!("{prefix}-alarm"))
        .send()
        .await;
    attempts.say("CloudWatch.DeleteAlarms", alarms, null);
    let put = client!(aws_sdk_s3, config, attempts)
        .put_object()
        .bucket(format!("{prefix}-bucket"))
        .key("k")
        .body(ByteStream::from_static(b"never stored"))
        .send()
        .await;
    attempts.say("S3.PutObject", put, null);
    Ok(())
}
