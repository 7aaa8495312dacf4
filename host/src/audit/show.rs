//! `portcullis audit show`: everything the log says of one call.

use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, bail};
use clap::Args;
use portcullis_core::record::entry::{Entry, MEMBERS};
use serde_json::Value;

use super::list::{Output, report, write_json};
use super::read::{Problems, Reader};
use super::table;

/// The shortest part of an id that is looked for.
const SHORTEST: usize = 6;

/// Which call to show, and how.
#[derive(Args, Clone, Debug)]
pub struct ShowArgs {
    /// The call's id, or its end as `audit list` prints it
    pub id: String,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Prints the call that `args` names.
///
/// # Errors
/// If no call or more than one has that id, or the log cannot be read, or the output written.
pub fn show(dir: &Path, args: &ShowArgs, output: &mut Output<'_>) -> anyhow::Result<Problems> {
    if args.id.len() < SHORTEST {
        bail!(
            "`{}` is too short: give at least the last {SHORTEST} characters of the id",
            args.id
        );
    }
    let mut reader = Reader::open(dir, None)
        .with_context(|| format!("cannot read the audit log in `{}`", dir.display()))?;
    let wanted = args.id.to_ascii_lowercase();
    let mut found: Option<Entry> = None;
    while let Some(entry) = reader.next_entry()? {
        if !entry.id().is_some_and(|id| id.ends_with(&wanted)) {
            continue;
        }
        if found.is_some() {
            bail!("more than one call has an id that ends in `{wanted}`; give more of it");
        }
        found = Some(entry);
    }
    let Some(entry) = found else {
        bail!("no call has the id `{wanted}`; `portcullis audit list` shows what there is");
    };
    if args.json {
        write_json(output.out, &entry)?;
    } else {
        write_members(output.out, &entry)?;
    }
    output.out.flush()?;
    report(reader.problems(), output)?;
    Ok(reader.problems().clone())
}

fn write_members(out: &mut dyn Write, entry: &Entry) -> io::Result<()> {
    for name in MEMBERS {
        if let Some(value) = entry.get(name) {
            write_member(out, name, value)?;
        }
    }
    for (name, value) in entry.members() {
        // `pairs` says again what `actions` and `resources` say, for those who match them up.
        if !MEMBERS.contains(&name) && name != "pairs" {
            write_member(out, name, value)?;
        }
    }
    Ok(())
}

fn write_member(out: &mut dyn Write, name: &str, value: &Value) -> io::Result<()> {
    let label = format!("{}:", name.replace('_', " "));
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            let texts: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            texts.join("\n")
        }
        Value::Array(_) | Value::Object(_) => serde_json::to_string_pretty(value)?,
        Value::Bool(_) | Value::Null | Value::Number(_) => value.to_string(),
    };
    for (index, line) in text.lines().enumerate() {
        let label = if index == 0 { label.as_str() } else { "" };
        writeln!(out, "{label:<18}{}", table::escape(line))?;
    }
    Ok(())
}
