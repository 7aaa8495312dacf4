//! What the demo's AWS holds: a few tables, buckets and instances, in memory.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};

/// The stand-in's state.
pub(super) struct Store {
    /// DynamoDB tables and their items, each as it was put.
    pub(super) tables: BTreeMap<String, Vec<Value>>,
    /// S3 buckets and their objects.
    pub(super) buckets: BTreeMap<String, BTreeMap<String, Bytes>>,
    /// EC2 instances: id and type.
    pub(super) instances: Vec<(&'static str, &'static str)>,
    /// IAM user names.
    pub(super) users: Vec<&'static str>,
}

impl Store {
    /// Something to look at and something worth protecting.
    pub(super) fn sample() -> Self {
        let order = json!({ "id": { "S": "1001" }, "total": { "N": "42" } });
        let report = Bytes::from_static(b"region,orders\neu-west-1,1001\n");
        Self {
            tables: BTreeMap::from([
                ("dev-orders".to_owned(), vec![order.clone()]),
                ("prod-orders".to_owned(), vec![order]),
            ]),
            buckets: BTreeMap::from([
                (
                    "demo-reports".to_owned(),
                    BTreeMap::from([("2026/orders.csv".to_owned(), report)]),
                ),
                ("demo-uploads".to_owned(), BTreeMap::new()),
            ]),
            instances: vec![("i-0123456789abcdef0", "t3.micro")],
            users: vec!["alice"],
        }
    }
}
