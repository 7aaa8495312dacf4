//! What agents do with objects beyond storing and fetching them, as the AWS SDK for Rust does it:
//! bodies of every payload mode, ranges, copies, `select`, and URLs for somebody else.

use std::fmt::Debug;
use std::path::Path;
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, ExpressionType, InputSerialization,
    JsonInput, JsonOutput, JsonType, OutputSerialization, SelectObjectContentEventStream,
};
use serde_json::{Value, json};

use super::{MEBIBYTE, pattern};

const SIZES: [usize; 6] = [0, 1, 64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1, MEBIBYTE];

/// Everything, in a bucket of its own.
///
/// # Errors
/// The first step that failed.
pub(crate) async fn objects(config: &SdkConfig, bucket: &str) -> Result<()> {
    let client = Client::new(config);
    client.create_bucket().bucket(bucket).send().await?;
    for size in SIZES {
        modes(config, bucket, size).await?;
    }
    // From the tunnel's end on, both ways are one.
    if env::var_os("HTTPS_PROXY").is_none() {
        modes(config, bucket, 256 * MEBIBYTE).await?;
    }
    let body = pattern(7 * MEBIBYTE);
    put(&client, bucket, "whole ü", body.clone().into()).await?;
    let range = client.get_object().bucket(bucket).key("whole ü");
    let range = range.range("bytes=1000-1999").send().await?;
    let range = range.body.collect().await?.into_bytes();
    ensure!(body.get(1000..2000) == Some(&*range), "another range");
    say("range", Value::Null);
    copies(&client, bucket, &body).await?;
    say("select", json!(select(&client, bucket).await?));
    Ok(())
}

/// URLs for an object and the parts of an upload.
///
/// # Errors
/// The first step that failed.
pub(crate) async fn presign(config: &SdkConfig, bucket: &str) -> Result<()> {
    let client = Client::new(config);
    let expires = || PresigningConfig::expires_in(Duration::from_secs(300));
    let key = "a b/é+%.bin";
    let put = client.put_object().bucket(bucket).key(key);
    say_url("put", &put.presigned(expires()?).await?);
    let get = |key: &str| client.get_object().bucket(bucket).key(key);
    say_url("get", &get(key).presigned(expires()?).await?);
    let created = client.create_multipart_upload().bucket(bucket);
    let created = created.key("in parts").send().await?;
    for number in [1, 2] {
        let part = client.upload_part().bucket(bucket).key("in parts");
        let part = part.set_upload_id(created.upload_id.clone());
        let part = part.part_number(number).presigned(expires()?).await?;
        say_url(&format!("part {number}"), &part);
    }
    say_url("get parts", &get("in parts").presigned(expires()?).await?);
    say("upload", json!(created.upload_id));
    Ok(())
}

/// By its digest, unsigned, with a checksum in a header and, as a stream, behind it.
async fn modes(config: &SdkConfig, bucket: &str, size: usize) -> Result<()> {
    let client = Client::new(config);
    let quiet = aws_sdk_s3::config::Builder::from(config)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired);
    let quiet = Client::from_conf(quiet.build());
    let body = pattern(size);
    put(&quiet, bucket, "digest", body.clone().into()).await?;
    came_back(&client, bucket, "digest", &body).await?;
    let unsigned = quiet.put_object().bucket(bucket).key("unsigned");
    let unsigned = unsigned.body(body.clone().into()).customize();
    unsigned.disable_payload_signing().send().await?;
    came_back(&client, bucket, "unsigned", &body).await?;
    if size > MEBIBYTE {
        // moto reads frames in quadratic time.
        return Ok(());
    }
    let home = env::var("HOME").context("no home")?;
    let file = Path::new(&home).join("body");
    fs::write(&file, &body)?;
    for algorithm in ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"] {
        let algorithm = ChecksumAlgorithm::from(algorithm);
        for body in [body.clone().into(), ByteStream::from_path(&file).await?] {
            let put = client.put_object().bucket(bucket).key("checked");
            let put = put.checksum_algorithm(algorithm.clone()).body(body);
            put.send()
                .await
                .with_context(|| format!("{algorithm} of {size} bytes"))?;
        }
        came_back(&client, bucket, "checked", &body).await?;
    }
    fs::remove_file(&file)?;
    Ok(())
}

async fn copies(client: &Client, bucket: &str, body: &[u8]) -> Result<()> {
    let source = format!("{bucket}/whole%20%C3%BC");
    let copy = client.copy_object().bucket(bucket).key("copy");
    copy.copy_source(&source).send().await?;
    came_back(client, bucket, "copy", body).await?;
    let created = client.create_multipart_upload().bucket(bucket);
    let created = created.key("copied part").send().await?;
    let id = created.upload_id.context("no upload")?;
    let part = client.upload_part_copy().bucket(bucket).key("copied part");
    let part = part.upload_id(&id).part_number(1).copy_source(&source);
    let (first, _) = body.split_at(6 * MEBIBYTE);
    let last = first.len() - 1;
    let part = part.copy_source_range(format!("bytes=0-{last}"));
    let copied = part.send().await?.copy_part_result.context("no part")?;
    let part = CompletedPart::builder().part_number(1);
    let part = part.set_e_tag(copied.e_tag).build();
    let parts = CompletedMultipartUpload::builder().parts(part).build();
    let complete = client.complete_multipart_upload().bucket(bucket);
    let complete = complete.key("copied part").upload_id(&id);
    complete.multipart_upload(parts).send().await?;
    came_back(client, bucket, "copied part", first).await
}

async fn select(client: &Client, bucket: &str) -> Result<String> {
    let table = ByteStream::from_static(b"{\"a\": 1}\n{\"a\": 2}\n");
    put(client, bucket, "table", table).await?;
    let lines = JsonInput::builder().r#type(JsonType::Lines).build();
    let input = InputSerialization::builder().json(lines).build();
    let output = OutputSerialization::builder().json(JsonOutput::builder().build());
    let answer = client
        .select_object_content()
        .bucket(bucket)
        .key("table")
        .expression("SELECT count(*) FROM s3object s")
        .expression_type(ExpressionType::Sql)
        .input_serialization(input)
        .output_serialization(output.build());
    let mut events = answer.send().await?.payload;
    let mut text = String::new();
    while let Some(event) = events.recv().await? {
        if let SelectObjectContentEventStream::Records(records) = event {
            let payload = records.payload.unwrap_or_default();
            text.push_str(&String::from_utf8_lossy(payload.as_ref()));
        }
    }
    Ok(text)
}

async fn put(client: &Client, bucket: &str, key: &str, body: ByteStream) -> Result<()> {
    let put = client.put_object().bucket(bucket).key(key).body(body);
    put.send().await.with_context(|| format!("storing {key}"))?;
    Ok(())
}

async fn came_back(client: &Client, bucket: &str, key: &str, body: &[u8]) -> Result<()> {
    let got = client.get_object().bucket(bucket).key(key).send().await?;
    let same = got.body.collect().await?.into_bytes() == body;
    ensure!(same, "{key} of {} bytes came back changed", body.len());
    say(&format!("{key} of {} bytes", body.len()), Value::Null);
    Ok(())
}

fn say_url(step: &str, request: &PresignedRequest) {
    say(step, json!(request.uri()));
}

#[expect(clippy::print_stdout, reason = "its output is what the tests read")]
fn say(step: &str, value: impl Into<Value> + Debug) {
    println!(
        "{}",
        json!({"step": step, "ok": true, "value": value.into()})
    );
}
