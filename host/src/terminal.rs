//! What commands print for people: the one place that writes to standard output.

use std::fmt::Arguments;
use std::io::{IsTerminal, Write};

/// Prints a line. A closed pipe (`| head`) ends output quietly.
pub fn line(text: Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{text}").is_err() {
        std::process::exit(0);
    }
}

/// Prints a line to standard error.
pub fn error(text: Arguments<'_>) {
    let mut out = std::io::stderr().lock();
    drop(writeln!(out, "{text}"));
}

/// Columns of the terminal on standard output; `None` if it is not one.
pub fn width() -> Option<usize> {
    let out = std::io::stdout();
    if !out.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(&out).ok()?;
    Some(usize::from(size.ws_col).max(40))
}

/// Text from outside, with control characters made visible so that it cannot move the cursor,
/// change colours or forge a line.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}'..='\u{200f}' => {
                '\u{fffd}'
            }
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}
