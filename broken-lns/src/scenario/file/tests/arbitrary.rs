//! Texts that may be anything.

use std::fs;

use proptest::collection::vec;
use proptest::prelude::*;
use xtask::lab::Scratch;

use super::*;
use crate::compile::Compiled;

/// What texts are made of that are nearly right.
const PIECES: &[&str] = &[
    "[default]",
    "[[lns]]",
    "[[lns.lac]]",
    "[[group]]",
    "name",
    "lac_name",
    "\"isp-*\"",
    "\n",
    "\n",
    "\n",
    " = ",
    " = ",
    "fault",
    "\"refuse\"",
    "\"cycle\"",
    "faults",
    "[",
    "]",
    "{",
    "}",
    ",",
    "\"garble\"",
    "kind",
    "\"wrong-ns\"",
    "address",
    "\"192.0.2.1/24\"",
    "\"::/0\"",
    "-1",
    "99999999999999999999999999999999999999999",
    "1e999",
    "nan",
    "0x7f",
    "true",
    "1979-05-27",
    "\"\"\"",
    "'",
    "\\u0000",
    "delay",
    "\"1s\"",
    "jitter",
    "then",
    "otherwise",
    "probability",
    "0.5",
    "first",
    "for",
    "\u{85}",
    "ü",
];

/// Some of them in any order.
fn pieces() -> impl Strategy<Value = String> {
    vec(prop::sample::select(PIECES), 0..60).prop_map(|pieces| pieces.concat())
}

/// The ready scenarios, which say nearly all that there is to say.
const READY: &[&str] = &[
    include_str!("../../../../scenarios/all-codes.toml"),
    include_str!("../../../../scenarios/cisco.toml"),
    include_str!("../../../../scenarios/dead.toml"),
    include_str!("../../../../scenarios/failover.toml"),
    include_str!("../../../../scenarios/flaky.toml"),
    include_str!("../../../../scenarios/garbled-zoo.toml"),
    include_str!("../../../../scenarios/juniper.toml"),
    include_str!("../../../../scenarios/nokia.toml"),
    include_str!("../../../../scenarios/refuse-three-times.toml"),
    include_str!("../../../../scenarios/slow.toml"),
];

/// One thing that befalls a text, at a share of its length.
#[derive(Clone, Debug)]
enum Edit {
    /// An octet is another one.
    Replace(u8),
    /// An octet comes in.
    Insert(u8),
    /// So many octets go.
    Delete(usize),
    /// So many octets come once more.
    Double(usize),
    /// A piece comes in.
    Piece(&'static str),
    /// The rest goes.
    Cut,
}

impl Edit {
    fn apply(&self, text: &mut Vec<u8>, share: f64) {
        let at = (text.len() as f64 * share) as usize;
        let up_to = |count: usize| at..text.len().min(at + count);
        match *self {
            Self::Replace(octet) => {
                if let Some(place) = text.get_mut(at) {
                    *place = octet;
                }
            }
            Self::Insert(octet) => text.insert(at, octet),
            Self::Delete(count) => drop(text.drain(up_to(count))),
            Self::Double(count) => text.extend_from_within(up_to(count)),
            Self::Piece(piece) => drop(text.splice(at..at, piece.bytes())),
            Self::Cut => text.truncate(at),
        }
    }
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        any::<u8>().prop_map(Edit::Replace),
        any::<u8>().prop_map(Edit::Insert),
        (1..100_usize).prop_map(Edit::Delete),
        (1..1000_usize).prop_map(Edit::Double),
        prop::sample::select(PIECES).prop_map(Edit::Piece),
        Just(Edit::Cut),
    ]
}

/// A ready scenario after some edits.
fn edited() -> impl Strategy<Value = Vec<u8>> {
    let edits = vec((edit(), 0.0..1.0), 1..8);
    (prop::sample::select(READY), edits).prop_map(|(text, edits)| {
        let mut text = text.as_bytes().to_vec();
        for (edit, share) in edits {
            edit.apply(&mut text, share);
        }
        text
    })
}

/// Reads a text, which has to end in one of two ways: in a scenario that can be played, and printed
/// and read again as the same one; or in mistakes that have their places in the text, in its order,
/// and write nothing to a terminal but lines.
fn try_to_read(text: &str) -> Result<(), TestCaseError> {
    let mistakes = match read(text) {
        Ok(scenario) => {
            prop_assert!(Compiled::new(&scenario).is_ok());
            let printed = scenario.to_string();
            match read(&printed) {
                Ok(again) => prop_assert_eq!(again.to_string(), printed),
                Err(error) => prop_assert!(false, "{}\n{}", error, printed),
            }
            return Ok(());
        }
        Err(ScenarioError::Mistakes { mistakes, .. }) => mistakes,
        Err(error) => return Err(TestCaseError::fail(error.to_string())),
    };
    prop_assert!(!mistakes.is_empty());
    let places = mistakes.iter().map(|mistake| mistake.place);
    prop_assert!(places.is_sorted_by_key(|place| (place.line, place.column)));
    for mistake in &mistakes {
        let Place { line, column } = mistake.place;
        let found = text.split('\n').nth(line - 1);
        let length = found.map(|line| line.chars().count());
        prop_assert!(
            length.is_some_and(|length| (1..=length + 1).contains(&column)),
            "{} is nowhere in {:?}",
            mistake,
            text
        );
        prop_assert!(!mistake.to_string().contains(char::is_control));
        let excerpt = mistake.excerpt.replace('\n', "");
        prop_assert!(!excerpt.contains(char::is_control), "{}", excerpt);
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_text_is_a_scenario_or_not(text in "\\PC*|(.|\n)*") {
        try_to_read(&text)?;
    }

    #[test]
    fn any_octets_are_a_scenario_or_not(octets in vec(any::<u8>(), 0..2000)) {
        try_to_read(&String::from_utf8_lossy(&octets))?;
    }

    #[test]
    fn any_text_of_likely_pieces_is_a_scenario_or_not(text in pieces()) {
        try_to_read(&text)?;
    }

    #[test]
    fn any_text_that_was_a_scenario_is_one_or_not(text in edited()) {
        try_to_read(&String::from_utf8_lossy(&text))?;
    }

    #[test]
    fn any_file_is_text_or_not(octets in edited()) {
        let files = Scratch::new("scenario").expect("room for a file");
        let path = files.file("any.toml");
        fs::write(&path, &octets)?;
        match (Scenario::read(&path), std::str::from_utf8(&octets)) {
            (Ok(text), Ok(expected)) => prop_assert_eq!(text, expected),
            (Err(ScenarioError::Mistakes { mistakes, .. }), Err(error)) => {
                let [Mistake { place, reason: Reason::NotText, .. }] = &*mistakes else {
                    return Err(TestCaseError::fail(format!("{mistakes:?}")));
                };
                let before = &octets[..error.valid_up_to()];
                let lines = before.iter().filter(|octet| **octet == b'\n').count();
                prop_assert_eq!(place.line, lines + 1);
            }
            (read, expected) => prop_assert!(false, "{:?} instead of {:?}", read, expected),
        }
    }

    #[test]
    fn any_value_behind_any_key_is_right_or_not(
        key in prop::sample::select(&["fault", "result", "error", "message", "kind", "code",
            "from_address", "faults", "delay", "jitter", "repeat", "retransmit", "loss",
            "probability", "otherwise", "first", "for", "then", "assigned_tunnel_id"][..]),
        fault in prop::sample::select(&["refuse", "silent", "unreachable", "cycle", "garble"][..]),
        value in prop::sample::select(&["1", "-1", "0.5", "\"\"", "\"silent\"", "[]", "[1]", "{}",
            "true", "1979-05-27", "nan", "\"99999999999999y\"", "{ fault = \"pass\" }",
            "99999999999999999999999999999999999999999999"][..]),
    ) {
        let text = format!("[default]\nfault = \"{fault}\"\n{key} = {value}\n");
        try_to_read(&text)?;
    }
}
