//! The operations the demo's AWS answers, in their native shapes.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderValue, LAST_MODIFIED};
use http::{Response, StatusCode};
use portcullis_core::call::{Call, Value as Param};
use quick_xml::escape::escape;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::ACCOUNT;
use super::store::Store;

/// Every stand-in resource was made at the epoch.
const CREATED: &str = "1970-01-01T00:00:00Z";

/// The answer to a verified call, or `None` for an operation the stand-in does not have.
pub(super) fn answer(store: &mut Store, call: &Call, body: &Bytes) -> Option<Response<Bytes>> {
    match call.service() {
        "dynamodb" => dynamodb(store, call, body),
        "ec2" => ec2(store, call),
        "iam" => iam(store, call),
        "s3" => s3(store, call, body),
        _ => None,
    }
}

fn dynamodb(store: &mut Store, call: &Call, body: &Bytes) -> Option<Response<Bytes>> {
    let input: Value = serde_json::from_slice(body).unwrap_or_default();
    let member = |name: &str| input.get(name).cloned().unwrap_or_default();
    if call.operation() == "ListTables" {
        let names: Vec<&String> = store.tables.keys().collect();
        return Some(json_answer(StatusCode::OK, &json!({ "TableNames": names })));
    }
    let name = member("TableName").as_str().unwrap_or_default().to_owned();
    let Some(items) = store.tables.get_mut(&name) else {
        return Some(json_answer(
            StatusCode::BAD_REQUEST,
            &json!({
                "__type": "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException",
                "message": format!("Requested resource not found: Table: {name} not found"),
            }),
        ));
    };
    let description = json!({
        "TableName": name,
        "TableStatus": "ACTIVE",
        "ItemCount": items.len(),
        "TableArn": format!("arn:aws:dynamodb:{}:{ACCOUNT}:table/{name}", call.reach()),
    });
    let output = match call.operation() {
        "DeleteTable" => {
            store.tables.remove(&name);
            json!({ "TableDescription": description })
        }
        "DescribeTable" => json!({ "Table": description }),
        "GetItem" => {
            let key = member("Key");
            let found = items.iter().find(|item| has_key(item, &key));
            found.map_or(json!({}), |item| json!({ "Item": item }))
        }
        "PutItem" => {
            items.push(member("Item"));
            json!({})
        }
        "Query" | "Scan" => {
            json!({ "Items": items, "Count": items.len(), "ScannedCount": items.len() })
        }
        _ => return None,
    };
    Some(json_answer(StatusCode::OK, &output))
}

fn has_key(item: &Value, key: &Value) -> bool {
    key.as_object().is_some_and(|key| {
        key.iter()
            .all(|(name, value)| item.get(name) == Some(value))
    })
}

fn ec2(store: &Store, call: &Call) -> Option<Response<Bytes>> {
    if call.operation() != "DescribeInstances" {
        return None;
    }
    let instances: String = store
        .instances
        .iter()
        .map(|(id, kind)| {
            format!(
                "<item><instanceId>{id}</instanceId><instanceType>{kind}</instanceType><instanceState><code>16</code><name>running</name></instanceState></item>"
            )
        })
        .collect();
    Some(xml(format!(
        "<DescribeInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>demo</requestId><reservationSet><item><reservationId>r-1</reservationId><instancesSet>{instances}</instancesSet></item></reservationSet></DescribeInstancesResponse>"
    )))
}

fn iam(store: &Store, call: &Call) -> Option<Response<Bytes>> {
    if call.operation() != "ListUsers" {
        return None;
    }
    let users: String = store
        .users
        .iter()
        .map(|user| {
            format!(
                "<member><Path>/</Path><UserName>{user}</UserName><UserId>AIDADEMO</UserId><Arn>arn:aws:iam::{ACCOUNT}:user/{user}</Arn><CreateDate>{CREATED}</CreateDate></member>"
            )
        })
        .collect();
    Some(xml(format!(
        "<ListUsersResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><ListUsersResult><IsTruncated>false</IsTruncated><Users>{users}</Users></ListUsersResult><ResponseMetadata><RequestId>demo</RequestId></ResponseMetadata></ListUsersResponse>"
    )))
}

fn s3(store: &mut Store, call: &Call, body: &Bytes) -> Option<Response<Bytes>> {
    let text = |name: &str| call.params().get(name).and_then(Param::as_str);
    if call.operation() == "ListBuckets" {
        return Some(list_buckets(store));
    }
    let bucket = text("Bucket").unwrap_or_default();
    let Some(objects) = store.buckets.get_mut(bucket) else {
        return Some(s3_error(
            "NoSuchBucket",
            "The specified bucket does not exist",
        ));
    };
    let key = text("Key").unwrap_or_default();
    match call.operation() {
        "DeleteObject" => {
            objects.remove(key);
            Some(empty(StatusCode::NO_CONTENT))
        }
        "GetObject" | "HeadObject" => Some(match objects.get(key) {
            Some(object) => object_answer(object),
            None => s3_error("NoSuchKey", "The specified key does not exist."),
        }),
        "ListObjects" | "ListObjectsV2" => {
            let prefix = text("Prefix").unwrap_or_default();
            let objects = objects
                .iter()
                .map(|(key, object)| (key.as_str(), object.len()));
            Some(list_objects(bucket, prefix, text("Delimiter"), objects))
        }
        "PutObject" => {
            objects.insert(key.to_owned(), body.clone());
            let mut response = empty(StatusCode::OK);
            let etag = HeaderValue::from_static("\"demo\"");
            response.headers_mut().insert(ETAG, etag);
            Some(response)
        }
        _ => None,
    }
}

fn list_buckets(store: &Store) -> Response<Bytes> {
    let buckets: String = store
        .buckets
        .keys()
        .map(|name| {
            format!("<Bucket><Name>{name}</Name><CreationDate>{CREATED}</CreationDate></Bucket>")
        })
        .collect();
    xml(format!(
        "<ListAllMyBucketsResult><Owner><ID>demo</ID></Owner><Buckets>{buckets}</Buckets></ListAllMyBucketsResult>"
    ))
}

fn list_objects<'a>(
    bucket: &str,
    prefix: &str,
    delimiter: Option<&str>,
    objects: impl Iterator<Item = (&'a str, usize)>,
) -> Response<Bytes> {
    let mut folders = BTreeSet::new();
    let mut contents = String::new();
    let mut count = 0;
    for (key, size) in objects {
        let Some(rest) = key.strip_prefix(prefix) else {
            continue;
        };
        count += 1;
        let folder =
            delimiter.and_then(|delimiter| Some((rest.split_once(delimiter)?.0, delimiter)));
        if let Some((folder, delimiter)) = folder {
            folders.insert(format!("{prefix}{folder}{delimiter}"));
            continue;
        }
        contents.push_str(&format!(
            "<Contents><Key>{}</Key><LastModified>{CREATED}</LastModified><ETag>\"demo\"</ETag><Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>",
            escape(key)
        ));
    }
    for folder in folders {
        contents.push_str(&format!(
            "<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>",
            escape(folder.as_str())
        ));
    }
    xml(format!(
        "<ListBucketResult><Name>{bucket}</Name><Prefix>{}</Prefix><KeyCount>{count}</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>",
        escape(prefix)
    ))
}

fn object_answer(object: &Bytes) -> Response<Bytes> {
    let mut response = Response::new(object.clone());
    let headers = response.headers_mut();
    headers.insert(ETAG, HeaderValue::from_static("\"demo\""));
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("binary/octet-stream"),
    );
    headers.insert(CONTENT_LENGTH, HeaderValue::from(object.len()));
    let epoch = HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT");
    headers.insert(LAST_MODIFIED, epoch);
    response
}

/// An XML answer.
pub(super) fn xml(body: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    let kind = HeaderValue::from_static("text/xml");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// ISO 8601 without fractions, as AWS writes it.
pub(super) fn timestamp(time: OffsetDateTime) -> String {
    time.replace_nanosecond(0)
        .unwrap_or(time)
        .format(&Rfc3339)
        .unwrap_or_default()
}

fn json_answer(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/x-amz-json-1.0");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn s3_error(code: &str, message: &str) -> Response<Bytes> {
    let mut response = xml(format!(
        "<Error><Code>{code}</Code><Message>{message}</Message><RequestId>demo</RequestId></Error>"
    ));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

fn empty(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}
