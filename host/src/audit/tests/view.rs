//! What people see.

use clap::Parser;

use super::super::list::{Colours, ListArgs, Output, list};
use super::super::show::{ShowArgs, show};
use super::*;

#[derive(Parser)]
struct List {
    #[command(flatten)]
    args: ListArgs,
}

/// What `audit list` with those arguments prints on a terminal of that width.
fn listed(dir: &Path, width: Option<usize>, words: &[&str]) -> String {
    let args = List::parse_from(["list"].iter().chain(words)).args;
    let (mut out, mut notes) = (Vec::new(), Vec::new());
    let mut output = Output {
        out: &mut out,
        notes: &mut notes,
        width,
        colours: Colours::Off,
    };
    list(dir, &args, clock::now(), &mut output).unwrap();
    assert_eq!(String::from_utf8(notes).unwrap(), "");
    String::from_utf8(out).unwrap()
}

/// The end of an id, as lists print it.
fn short(id: &str) -> &str {
    id.get(28..).unwrap()
}

async fn three_calls(dir: &Path) -> [String; 3] {
    let mut sample = Sample::new();
    let audit = open(dir);
    let first = sample.call(&audit).await.unwrap();
    let second = request_id(clock::now()).unwrap();
    let denied = Intent {
        reason: Some("Deleting needs a person.\u{1b}[2J\u{202e}"),
        ..sample.intent(second, Decision::Deny)
    };
    let outcome = Outcome {
        status: Some(400),
        ..Outcome::new(End::NotSent, clock::now())
    };
    audit.refused(&denied, &outcome).await.unwrap();
    sample.user_agent = "evil\r\n\u{1b}]0;owned\u{7} \u{9b}31m".to_owned();
    let third = sample.call(&audit).await.unwrap();
    [first, second, third].map(|id| id.to_string())
}

#[tokio::test]
async fn json_is_one_object_a_line_with_the_promised_members() {
    let dir = scratch();
    let ids = three_calls(dir.path()).await;
    let text = listed(dir.path(), None, &["--json"]);
    let entries: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        entries.iter().map(|entry| &entry["id"]).collect::<Vec<_>>(),
        ids.each_ref()
    );
    for entry in &entries {
        for member in portcullis_core::record::entry::MEMBERS {
            assert!(entry.get(member).is_some(), "{member}");
        }
    }
    assert_eq!(entries[0]["service"], "dynamodb");
    assert_eq!(entries[0]["decision"], "allow");
    assert_eq!(entries[1]["decision"], "deny");
    assert!(
        entries[2]["user_agent"]
            .as_str()
            .unwrap()
            .contains('\u{9b}')
    );
}

#[tokio::test]
async fn nothing_an_agent_wrote_can_act_on_a_terminal() {
    let dir = scratch();
    let ids = three_calls(dir.path()).await;
    let mut shown = Vec::new();
    for json in [false, true] {
        let args = ShowArgs {
            id: ids[2].clone(),
            json,
        };
        let mut output = Output {
            out: &mut shown,
            notes: &mut Vec::new(),
            width: Some(80),
            colours: Colours::Off,
        };
        show(dir.path(), &args, &mut output).unwrap();
    }
    let all = [
        listed(dir.path(), Some(100), &[]),
        listed(dir.path(), None, &["--json"]),
        String::from_utf8(shown).unwrap(),
    ]
    .concat();
    let acting = |character: &char| {
        (character.is_control() && *character != '\n') || *character == '\u{202e}'
    };
    assert_eq!(all.chars().find(acting), None);
    assert!(all.contains("\\u{1b}[2J"), "{all}");
}

#[tokio::test]
async fn a_table_fits_its_terminal_and_shows_denials() {
    let dir = scratch();
    let ids = three_calls(dir.path()).await;
    for width in [80, 100, 160] {
        let text = listed(dir.path(), Some(width), &[]);
        assert!(
            text.lines().all(|line| line.chars().count() <= width),
            "{text}"
        );
        assert!(text.contains("DENY"), "{text}");
        assert!(text.contains("Deleting needs a person."), "{text}");
        assert!(text.contains(short(&ids[0])), "{text}");
    }
}

#[tokio::test]
async fn filters_select_and_a_limit_takes_the_newest() {
    let dir = scratch();
    let ids = three_calls(dir.path()).await;
    let selected = |words: &[&str]| -> Vec<String> {
        listed(dir.path(), None, &[words, &["--json"]].concat())
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .map(|entry| entry["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = || ids.to_vec();
    for (words, expected) in [
        (vec!["--decision", "deny"], vec![ids[1].clone()]),
        (
            vec!["--decision", "allow"],
            vec![ids[0].clone(), ids[2].clone()],
        ),
        (vec!["--limit", "2"], ids[1..].to_vec()),
        (vec!["--limit", "0"], vec![]),
        (vec!["--service", "dynamodb"], all()),
        (vec!["--service", "s3"], vec![]),
        (vec!["--operation", "getitem"], all()),
        (vec!["--principal", "#robot"], all()),
        (vec!["--principal", "nobody"], vec![]),
        (vec!["--text", "OWNED"], vec![ids[2].clone()]),
        (vec!["--since", "1h"], all()),
        (vec!["--until", "1h"], vec![]),
        (vec!["--since", "2020-01-01T00:00:00Z"], all()),
        (vec!["--since", "2120-01-01T00:00:00Z"], vec![]),
    ] {
        assert_eq!(selected(&words), expected, "{words:?}");
    }
}

#[tokio::test]
async fn a_call_is_shown_by_the_end_of_its_id_and_a_wrong_one_is_an_error() {
    let dir = scratch();
    let ids = three_calls(dir.path()).await;
    for (id, found) in [(short(&ids[0]), true), ("abc", false), ("zzzzzzzz", false)] {
        let mut out = Vec::new();
        let args = ShowArgs {
            id: id.to_owned(),
            json: false,
        };
        let mut output = Output {
            out: &mut out,
            notes: &mut Vec::new(),
            width: None,
            colours: Colours::Off,
        };
        let shown = show(dir.path(), &args, &mut output);
        assert_eq!(shown.is_ok(), found, "{id}");
        assert_eq!(String::from_utf8(out).unwrap().contains(&ids[0]), found);
    }
}
