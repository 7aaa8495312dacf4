//! How calls look on a terminal. Everything an agent had a hand in is escaped: a record must not
//! be able to move the cursor, hide a line or turn text around.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

use clap::builder::styling::{AnsiColor, Style};
use portcullis_core::record::entry::Entry;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::list::Colours;

const TIME: usize = 19;
const ID: usize = 8;
const DECISION: usize = 8;
const STATUS: usize = 6;

/// What the fixed columns and the gaps between all seven take.
const FIXED: usize = TIME + ID + DECISION + STATUS + 6 * GAP;
const GAP: usize = 2;

/// Below this width a line has no room for the principal and the year.
const NARROW: usize = 110;
const YEAR: usize = 5;

/// What a principal and a call take where nothing limits them; a resource goes to the line's end.
const UNLIMITED: [usize; 3] = [32, 40, 0];

const HEADS: [&str; 7] = [
    "TIME (UTC)",
    "ID",
    "DECISION",
    "STATUS",
    "PRINCIPAL",
    "CALL",
    "RESOURCE",
];

/// Columns for one width.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    colours: Colours,
    width: Option<usize>,
    /// Of the columns of [`HEADS`]; `None` leaves the column out.
    columns: [Option<usize>; 7],
}

impl Layout {
    pub(super) fn new(width: Option<usize>, colours: Colours) -> Self {
        let [principal, call, resource] = UNLIMITED.map(Some);
        let (time, [principal, call, resource]) = match width {
            None => (TIME, [principal, call, resource]),
            Some(width) if width < NARROW => {
                let free = (width + YEAR + GAP).saturating_sub(FIXED).max(20);
                (TIME - YEAR, [None, Some(free / 2), Some(free - free / 2)])
            }
            Some(width) => {
                let free = width - FIXED;
                let (principal, call) = (free / 4, free * 7 / 20);
                (TIME, [principal, call, free - principal - call].map(Some))
            }
        };
        let fixed = [time, ID, DECISION, STATUS].map(Some);
        let [time, id, decision, status] = fixed;
        Self {
            colours,
            width,
            columns: [time, id, decision, status, principal, call, resource],
        }
    }

    pub(super) fn write_head(&self, out: &mut dyn Write) -> io::Result<()> {
        self.write_styled(out, Style::new().bold(), &self.line(HEADS))
    }

    pub(super) fn write_call(&self, out: &mut dyn Write, entry: &Entry) -> io::Result<()> {
        let decision = entry.text("decision").unwrap_or("?");
        let line = self.line([
            &self.seconds(entry),
            tail(entry.id().unwrap_or_default(), ID),
            shown_decision(decision),
            &status(entry),
            principal(entry),
            &call(entry),
            &resource(entry),
        ]);
        self.write_styled(out, style(decision, entry), &line)?;
        match (
            decision,
            entry.text("reason").or_else(|| entry.text("error_message")),
        ) {
            ("allow", _) | (_, None) => Ok(()),
            (_, Some(reason)) => self.write_reason(out, reason),
        }
    }

    pub(super) fn write_event(&self, out: &mut dyn Write, entry: &Entry) -> io::Result<()> {
        let mut line = format!(
            "{}  {}",
            self.seconds(entry),
            entry.text("event").unwrap_or("?")
        );
        for (name, value) in entry.members() {
            if name == "time" || name == "event" {
                continue;
            }
            let shown = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            // Writing to a string does not fail.
            let _infallible = write!(line, "  {name}={shown}");
        }
        writeln!(out, "{}", self.cut(&escape(&line), self.width.unwrap_or(0)))
    }

    fn write_reason(&self, out: &mut dyn Write, reason: &str) -> io::Result<()> {
        let indent = self.time_width() + GAP;
        let room = self
            .width
            .map_or(0, |width| width.saturating_sub(indent).max(20));
        let text = escape(reason);
        writeln!(out, "{:indent$}{}", "", self.cut(&text, room))
    }

    fn line(&self, cells: [&str; 7]) -> String {
        let mut line = String::new();
        for (cell, width) in cells.into_iter().zip(self.columns) {
            let Some(width) = width else {
                continue;
            };
            if !line.is_empty() {
                line.push_str("  ");
            }
            let cell = escape(cell);
            let cell = self.cut(&cell, width);
            line.push_str(&cell);
            line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.width())));
        }
        line.truncate(line.trim_end().len());
        line
    }

    /// The time, without its year where that has no room.
    fn seconds(&self, entry: &Entry) -> String {
        let time = entry.text("time").unwrap_or_default();
        let width = self.time_width();
        let shown: String = time.chars().take(TIME).skip(TIME - width).collect();
        shown.replace('T', " ")
    }

    fn time_width(&self) -> usize {
        let [time, ..] = self.columns;
        time.unwrap_or(TIME)
    }

    /// Cuts to `width` columns, keeping the end of what is longer: ARNs and operations differ there.
    fn cut<'a>(&self, text: &'a str, width: usize) -> Cow<'a, str> {
        if self.width.is_none() || width == 0 || text.width() <= width {
            return Cow::Borrowed(text);
        }
        let mut kept: Vec<char> = Vec::new();
        let mut used = 1;
        for character in text.chars().rev() {
            used += character.width().unwrap_or(0);
            if used > width {
                break;
            }
            kept.push(character);
        }
        Cow::Owned(std::iter::once('…').chain(kept.into_iter().rev()).collect())
    }

    fn write_styled(&self, out: &mut dyn Write, style: Style, line: &str) -> io::Result<()> {
        match self.colours {
            Colours::Off => writeln!(out, "{line}"),
            Colours::On => writeln!(out, "{style}{line}{style:#}"),
        }
    }
}

/// Text with everything a terminal would act on, or the eye would not see, spelled out.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(acts) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::new();
    for character in text.chars() {
        if acts(character) {
            escaped.extend(character.escape_unicode());
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

/// The same for a line of JSON, which stays the same JSON. `serde_json` escapes only up to U+001F.
pub(super) fn escape_json(line: &str) -> Cow<'_, str> {
    if !line.chars().any(acts) {
        return Cow::Borrowed(line);
    }
    let mut escaped = String::new();
    for character in line.chars() {
        if !acts(character) {
            escaped.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to a string does not fail.
            let _infallible = write!(escaped, "\\u{unit:04x}");
        }
    }
    Cow::Owned(escaped)
}

/// Controls, invisible marks, and the marks that change direction (Unicode TR 36 §3.1).
fn acts(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn style(decision: &str, entry: &Entry) -> Style {
    let colour = match (decision, entry.text("outcome")) {
        ("deny" | "error" | "unauthenticated", _) => AnsiColor::Red,
        ("approval", _) => AnsiColor::Yellow,
        (_, Some("answered")) => return Style::new(),
        (_, _) => AnsiColor::Yellow,
    };
    Style::new().fg_color(Some(colour.into()))
}

fn shown_decision(decision: &str) -> &str {
    match decision {
        "deny" => "DENY",
        "unauthenticated" => "NOBODY",
        "error" => "REFUSED",
        "approval" => "APPROVAL",
        other => other,
    }
}

/// The HTTP status, or what became of the call where the agent was given none.
fn status(entry: &Entry) -> String {
    if let Some(status) = entry.get("status").and_then(serde_json::Value::as_u64) {
        return status.to_string();
    }
    match entry.text("outcome") {
        None => "open",
        Some("abandoned") => "gone",
        Some("interrupted") => "cut",
        Some("not-sent") => "unsent",
        Some("unknown") => "?",
        Some(_) => "",
    }
    .to_owned()
}

fn principal(entry: &Entry) -> &str {
    entry
        .text("principal")
        .or_else(|| entry.text("source_ip"))
        .unwrap_or("-")
}

fn call(entry: &Entry) -> String {
    match (entry.text("service"), entry.text("operation")) {
        (Some(service), Some(operation)) => format!("{service}:{operation}"),
        (_, _) => entry.text("error_code").unwrap_or("-").to_owned(),
    }
}

fn resource(entry: &Entry) -> String {
    let mut resources = entry.texts("resources");
    let first = resources.next().unwrap_or("-");
    match resources.count() {
        0 => first.to_owned(),
        more => format!("{first} +{more}"),
    }
}

fn tail(text: &str, length: usize) -> &str {
    let start = text.len().saturating_sub(length);
    text.get(start..).unwrap_or(text)
}
