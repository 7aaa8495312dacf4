//! `portcullis audit list`: which calls there were, one a line, newest last.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;
use clap::{Args, ValueEnum};
use portcullis_core::record::entry::Entry;
use portcullis_core::record::text;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::read::{Problems, Reader};
use super::table;

/// Which calls to list, and how.
#[derive(Args, Clone, Debug, Default)]
pub struct ListArgs {
    /// Only calls of principals with this text in their id (`<issuer>#<subject>`)
    #[arg(long, value_name = "TEXT")]
    pub principal: Option<String>,
    /// Only calls to this service, by botocore's name, e.g. `dynamodb`
    #[arg(long)]
    pub service: Option<String>,
    /// Only calls of this API operation, e.g. `DeleteTable`
    #[arg(long)]
    pub operation: Option<String>,
    /// Only calls that were decided so
    #[arg(long)]
    pub decision: Option<Verdict>,
    /// Only calls that arrived at this time or later: `2026-01-31T08:00:00Z`, or `90m`, `2h`, `7d` ago
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only calls that arrived before this time, written as for `--since`
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Only calls with this text anywhere in their record; case does not matter
    #[arg(long, value_name = "TEXT")]
    pub text: Option<String>,
    /// Only the newest N of them
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// List what happened beside calls (credentials issued, reloads, repairs) instead
    #[arg(long)]
    pub events: bool,
    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// A decision to select by.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Verdict {
    /// Sent to AWS
    Allow,
    /// Waiting for a person, or waited in vain
    Approval,
    /// Refused by policy
    Deny,
    /// Refused by the gateway before policy was asked
    Error,
    /// Nobody was signed in
    Unauthenticated,
}

/// Where lists go, and what that place can show.
pub struct Output<'a> {
    /// Usually standard output.
    pub out: &'a mut dyn Write,
    /// Usually standard error: what must not be mixed with a list.
    pub notes: &'a mut dyn Write,
    /// Columns of the terminal; `None` if it is not one, and then nothing is cut.
    pub width: Option<usize>,
    /// Whether colours are wanted.
    pub colours: Colours,
}

impl std::fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output")
            .field("width", &self.width)
            .field("colours", &self.colours)
            .finish_non_exhaustive()
    }
}

/// Whether output may have colours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Colours {
    /// Not on a terminal, or not wanted.
    Off,
    /// On a terminal that takes them.
    On,
}

/// Prints the calls of the log in `dir` that `args` selects. The problems returned were printed to
/// `notes` as well; a caller that scripts rely on should exit with an error if there are any.
///
/// # Errors
/// If an argument is malformed, or the log cannot be read, or the output cannot be written.
pub fn list(
    dir: &Path,
    args: &ListArgs,
    now: OffsetDateTime,
    output: &mut Output<'_>,
) -> anyhow::Result<Problems> {
    let filter = Filter::new(args, now)?;
    let mut reader = Reader::open(dir, filter.since)
        .with_context(|| format!("cannot read the audit log in `{}`", dir.display()))?;
    let mut printer = Printer::start(args, output)?;
    match args.limit {
        None => {
            while let Some(entry) = next(&mut reader, &filter)? {
                printer.print(&entry)?;
            }
        }
        Some(limit) => {
            for entry in newest(&mut reader, &filter, limit)? {
                printer.print(&entry)?;
            }
        }
    }
    printer.output.out.flush()?;
    report(reader.problems(), printer.output)?;
    Ok(reader.problems().clone())
}

/// Says on `notes` where the log is not what was written.
pub(super) fn report(problems: &Problems, output: &mut Output<'_>) -> io::Result<()> {
    for problem in problems.iter() {
        writeln!(output.notes, "warning: audit log: {problem}")?;
    }
    let more = problems.count() - problems.iter().count() as u64;
    if more > 0 {
        writeln!(output.notes, "warning: audit log: {more} more")?;
    }
    Ok(())
}

struct Printer<'a, 'b> {
    output: &'a mut Output<'b>,
    json: bool,
    layout: table::Layout,
}

impl<'a, 'b> Printer<'a, 'b> {
    fn start(args: &ListArgs, output: &'a mut Output<'b>) -> io::Result<Self> {
        let layout = table::Layout::new(output.width, output.colours);
        if !args.json && !args.events {
            layout.write_head(output.out)?;
        }
        Ok(Self {
            output,
            json: args.json,
            layout,
        })
    }

    fn print(&mut self, entry: &Entry) -> io::Result<()> {
        if self.json {
            write_json(self.output.out, entry)
        } else if entry.text("event").is_some() {
            self.layout.write_event(self.output.out, entry)
        } else {
            self.layout.write_call(self.output.out, entry)
        }
    }
}

/// One entry as one line of JSON that is harmless on a terminal.
pub(super) fn write_json(out: &mut dyn Write, entry: &Entry) -> io::Result<()> {
    let line = serde_json::to_string(entry)?;
    writeln!(out, "{}", table::escape_json(&line))
}

fn newest(reader: &mut Reader, filter: &Filter, limit: usize) -> io::Result<VecDeque<Entry>> {
    let mut kept = VecDeque::new();
    while let Some(entry) = next(reader, filter)? {
        kept.push_back(entry);
        if kept.len() > limit {
            kept.pop_front();
        }
    }
    kept.make_contiguous().sort_by_key(Entry::sequence);
    Ok(kept)
}

fn next(reader: &mut Reader, filter: &Filter) -> io::Result<Option<Entry>> {
    while let Some(entry) = reader.next_entry()? {
        if filter.matches(&entry) {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}

struct Filter {
    principal: Option<String>,
    service: Option<String>,
    operation: Option<String>,
    decision: Option<&'static str>,
    since: Option<OffsetDateTime>,
    since_text: Option<String>,
    until_text: Option<String>,
    text: Option<String>,
    events: bool,
}

impl Filter {
    fn new(args: &ListArgs, now: OffsetDateTime) -> anyhow::Result<Self> {
        let since = time_of("--since", args.since.as_deref(), now)?;
        let until = time_of("--until", args.until.as_deref(), now)?;
        // Records hold times in one form only, so they compare as text.
        let written = |time: OffsetDateTime| text::Time(time).to_string();
        Ok(Self {
            principal: args.principal.clone(),
            service: args.service.clone(),
            operation: args.operation.clone(),
            decision: args.decision.map(Verdict::word),
            since,
            since_text: since.map(written),
            until_text: until.map(written),
            text: args.text.as_ref().map(|text| text.to_lowercase()),
            events: args.events,
        })
    }

    fn matches(&self, entry: &Entry) -> bool {
        let member = |name| entry.text(name).unwrap_or_default();
        let equals = |wanted: Option<&str>, name| {
            wanted.is_none_or(|wanted| member(name).eq_ignore_ascii_case(wanted))
        };
        entry.text("event").is_some() == self.events
            && self
                .principal
                .as_ref()
                .is_none_or(|part| member("principal").contains(part))
            && equals(self.service.as_deref(), "service")
            && equals(self.operation.as_deref(), "operation")
            && equals(self.decision, "decision")
            && self
                .since_text
                .as_ref()
                .is_none_or(|since| member("time") >= since.as_str())
            && self
                .until_text
                .as_ref()
                .is_none_or(|until| member("time") < until.as_str())
            && self.text.as_ref().is_none_or(|text| contains(entry, text))
    }
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Approval => "approval",
            Self::Deny => "deny",
            Self::Error => "error",
            Self::Unauthenticated => "unauthenticated",
        }
    }
}

fn contains(entry: &Entry, text: &str) -> bool {
    serde_json::to_string(entry).is_ok_and(|line| line.to_lowercase().contains(text))
}

fn time_of(
    name: &str,
    text: Option<&str>,
    now: OffsetDateTime,
) -> anyhow::Result<Option<OffsetDateTime>> {
    let Some(text) = text else {
        return Ok(None);
    };
    if let Ok(time) = OffsetDateTime::parse(text, &Rfc3339) {
        return Ok(Some(time));
    }
    let ago = humantime::parse_duration(text).with_context(|| {
        format!(
            "`{name} {text}`: write a time as `2026-01-31T08:00:00Z`, or as `90m`, `2h`, `7d` ago"
        )
    })?;
    Ok(now.checked_sub(ago.try_into()?))
}
