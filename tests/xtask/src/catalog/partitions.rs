//! botocore's list of AWS partitions and their regions.

use std::collections::BTreeMap;

use anyhow::Context;
use portcullis_core::catalog::Partition;
use serde::Deserialize;
use serde_json::Value;

/// A `partitions.json`.
#[derive(Debug, Deserialize)]
pub(crate) struct Partitions {
    partitions: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    id: String,
    outputs: Outputs,
    regions: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outputs {
    dns_suffix: String,
    dual_stack_dns_suffix: String,
    implicit_global_region: String,
    #[serde(rename = "supportsFIPS")]
    supports_fips: bool,
    supports_dual_stack: bool,
}

impl Partitions {
    /// For the catalog. Pseudo-regions such as `aws-global` are left out: nobody signs for them.
    pub(crate) fn catalog(&self) -> Vec<Partition> {
        let partition = |entry: &Entry| Partition {
            name: entry.id.clone(),
            dns_suffix: entry.outputs.dns_suffix.clone(),
            dual_stack_dns_suffix: entry.outputs.dual_stack_dns_suffix.clone(),
            regions: entry.real_regions(),
        };
        self.partitions.iter().map(partition).collect()
    }

    /// What the rules' `aws.partition` answers. Only listed regions are ever asked for, so the
    /// language's matching of unlisted names is not needed.
    pub(crate) fn of_region(&self, region: &str) -> anyhow::Result<Value> {
        let mut entries = self.partitions.iter();
        let entry = entries.find(|entry| entry.regions.contains_key(region));
        let entry = entry.with_context(|| format!("no partition has region `{region}`"))?;
        Ok(serde_json::json!({
            "name": entry.id,
            "dnsSuffix": entry.outputs.dns_suffix,
            "dualStackDnsSuffix": entry.outputs.dual_stack_dns_suffix,
            "implicitGlobalRegion": entry.outputs.implicit_global_region,
            "supportsFIPS": entry.outputs.supports_fips,
            "supportsDualStack": entry.outputs.supports_dual_stack,
        }))
    }
}

impl Entry {
    fn real_regions(&self) -> Vec<String> {
        let names = self.regions.keys();
        names
            .filter(|name| !name.ends_with("-global"))
            .cloned()
            .collect()
    }
}
