use std::time::{Duration, UNIX_EPOCH};

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent};
use ratatui::style::Modifier;

use super::*;
use crate::capture::CaptureCounts;
use crate::control::protocol::tests::rule;
use crate::top::model::tests::{reactions, sample};

/// What is on a screen of that size, its lines without the spaces at their ends.
fn screen(width: u16, height: u16, model: &Model, ui: &mut Ui) -> (Vec<String>, Buffer) {
    let terminal = Terminal::new(TestBackend::new(width, height));
    let mut terminal = terminal.expect("memory does not fail");
    terminal
        .draw(|frame| draw(frame.buffer_mut(), model, ui))
        .expect("memory does not fail");
    let buffer = terminal.backend().buffer().clone();
    let rows = buffer.content().chunks(usize::from(width).max(1));
    let lines = rows.map(|row| {
        let line: String = row.iter().map(|cell| cell.symbol()).collect();
        line.trim_end().to_owned()
    });
    (lines.collect(), buffer)
}

fn lines(model: &Model, ui: &mut Ui) -> Vec<String> {
    screen(80, 24, model, ui).0
}

fn model() -> Model {
    let mut model = Model::default();
    for (seconds, answered) in [(7, 12_000), (8, 12_100), (9, 12_300), (10, 12_700)] {
        model.take(sample(seconds, answered));
    }
    model
}

fn press(ui: &mut Ui, model: &Model, codes: &[KeyCode]) {
    for code in codes {
        assert!(ui.key(KeyEvent::from(*code), &model.panels()).is_continue());
    }
}

#[test]
fn everything_fits_eighty_by_twenty_four() {
    assert_eq!(
        lines(&model(), &mut Ui::default()),
        [
            "broken-lns 0.1.0 on eth1, process 4711, running for 10.0 s",
            "slow.toml: 4 LNS rules, 0 LAC rules, default silent; 4 treatments need the redir",
            "received 13,707 (400/s)  answered 12,700 (400/s)",
            "",
            "verdict▼                      frames      a second rate so far",
            "answered                      12,700           400                           ▂▄█",
            "zlb                            1,005             0",
            "length-too-long                    2             0",
            "other-traffic                     77             0",
            "queue▼                       answers      a second     dropped rate so far",
            "eth1 queue 0                  12,700           400           9               ▂▄█",
            "rule▼             hits    a second lns                      treatment",
            "default          6,350         200 any other                fault = \"refuse\", re",
            "3:1              6,350         200 192.0.2.0/24 and 1 more  LAC 10.0.0.0/8: faul",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            "q quit  s sort  / filter  Tab panel  ↑↓ scroll  p pause  ? help",
        ]
    );
}

#[test]
fn the_focus_has_the_room_that_others_leave() {
    let mut some = sample(11, 13_000);
    let rules = (4..60).map(|line| rule(Some((line, 1)), &["192.0.2.4"], &[], line as u64));
    some.rules.extend(rules);
    some.reactions = Some(reactions());
    let mut model = model();
    model.take(some);
    let mut ui = Ui::default();
    // Of 19 lines, 5 are of the verdicts, 2 of the queue, 3 of the LACs and 2 of reactions.
    let titles = |lines: &[String]| -> Vec<(usize, String)> {
        let lines = lines.iter().enumerate();
        let titles = lines.filter(|(_, line)| line.contains('▼'));
        titles
            .map(|(at, line)| (at, line.split_whitespace().next().unwrap_or("").to_owned()))
            .collect()
    };
    let at = |places: [usize; 5]| -> Vec<(usize, String)> {
        let names = ["verdict▼", "queue▼", "rule▼", "lac", "after▼"];
        places.into_iter().zip(names.map(str::to_owned)).collect()
    };
    let shown = lines(&model, &mut ui);
    assert_eq!(titles(&shown), at([4, 9, 11, 18, 21]));
    assert_eq!(
        shown[17],
        "7:1                  7           0 192.0.2.4                fault = \"refuse\", re"
    );
    assert_eq!(
        shown[19],
        "2001:db8:a::2                                    3,400            -"
    );
    assert_eq!(
        shown[22],
        "    3.5 s 198.51.100.2           192.0.2.1              failover to 192.0.2.2 af"
    );

    press(&mut ui, &model, &[KeyCode::Tab, KeyCode::Tab, KeyCode::End]);
    let shown = lines(&model, &mut ui);
    assert_eq!(titles(&shown), at([4, 8, 10, 18, 21]));
    assert!(
        shown[17].starts_with("59:1                59"),
        "{}",
        shown[17]
    );
    press(&mut ui, &model, &[KeyCode::Up]);
    let shown = lines(&model, &mut ui);
    assert!(
        shown[17].starts_with("58:1                58"),
        "{}",
        shown[17]
    );
}

#[test]
fn a_panel_is_sorted_by_the_column_with_the_mark() {
    let model = model();
    let mut ui = Ui::default();
    press(&mut ui, &model, &[KeyCode::Char('s'), KeyCode::Char('s')]);
    let shown = lines(&model, &mut ui);
    assert_eq!(
        shown[4],
        "verdict                      frames▼      a second rate so far"
    );
    let names: Vec<_> = shown[5..9]
        .iter()
        .map(|line| line.split(' ').next())
        .collect();
    let sorted = ["answered", "zlb", "other-traffic", "length-too-long"];
    assert_eq!(names, sorted.map(Some));
}

#[test]
fn a_filter_leaves_what_contains_it() {
    let model = model();
    let mut ui = Ui::default();
    press(
        &mut ui,
        &model,
        &[KeyCode::Tab, KeyCode::Tab, KeyCode::Char('/')],
    );
    press(&mut ui, &model, &['L', 'A', 'c'].map(KeyCode::Char));
    let shown = lines(&model, &mut ui);
    assert_eq!(shown[23], "filter: LAc_  (Enter keeps it, Esc ends it)");
    // It is of this panel alone.
    assert!(shown[5].starts_with("answered "), "{shown:?}");
    assert!(shown[11].starts_with("rule▼ "), "{shown:?}");
    assert!(shown[11].ends_with(" treatment (filtered)"), "{shown:?}");
    assert!(shown[12].starts_with("3:1 "), "{shown:?}");
    assert_eq!(shown[13], "");
    press(&mut ui, &model, &[KeyCode::Enter]);
    let shown = lines(&model, &mut ui);
    assert!(
        shown[23].starts_with("filter: LAc  (Esc ends it)  q quit"),
        "{shown:?}"
    );
    press(&mut ui, &model, &[KeyCode::Tab]);
    assert!(lines(&model, &mut ui)[23].starts_with("q quit"));
}

#[test]
fn a_responder_that_is_gone_is_said_to_be() {
    let mut model = model();
    let before = lines(&model, &mut Ui::default());
    let since = UNIX_EPOCH + Duration::from_secs(14 * 3600 + 3 * 60 + 22);
    model.away(
        true,
        "there is no control socket /run/broken-lns/eth1.sock; is it running?",
        since,
    );
    let (shown, buffer) = screen(120, 24, &model, &mut Ui::default());
    assert_eq!(
        shown[1],
        "the responder is gone since 14:03:22 UTC \
         (there is no control socket /run/broken-lns/eth1.sock)"
    );
    assert!(buffer[(0, 1)].modifier.contains(Modifier::REVERSED));
    // What it said last stays.
    let shown = lines(&model, &mut Ui::default());
    assert!(
        shown[1].starts_with("the responder is gone since"),
        "{shown:?}"
    );
    assert_eq!((&shown[0], &shown[2..]), (&before[0], &before[2..]));
    model.away(false, "it did not answer within 10s", since);
    let shown = lines(&model, &mut Ui::default());
    assert_eq!(
        shown[1],
        "the responder does not answer since 14:03:22 UTC (it did not answer within 10s)"
    );
}

#[test]
fn a_pause_and_help_are_said() {
    let model = model();
    let mut ui = Ui::default();
    press(&mut ui, &model, &[KeyCode::Char('p'), KeyCode::Char('?')]);
    let shown = lines(&model, &mut ui);
    assert_eq!(
        shown[0],
        "broken-lns 0.1.0 on eth1, process 4711, running for 10.0 s -- paused"
    );
    assert_eq!(shown[4..18], HELP);
    assert!(HELP.iter().all(|line| line.chars().count() <= 80));
}

#[test]
fn lost_events_and_captured_frames_are_said() {
    let mut sample = sample(10, 12_700);
    let counters = &mut sample.status.counters;
    counters.interfaces[0].events_lost = 1_234;
    counters.capture = Some(CaptureCounts {
        written: 5,
        lost: 7,
        failed: 3,
    });
    let mut model = Model::default();
    model.take(sample);
    let (lines, buffer) = screen(80, 24, &model, &mut Ui::default());
    assert_eq!(
        lines[3],
        "events lost 1,234  captured frames lost 7  captured frames failed 3"
    );
    assert_eq!(buffer[(0, 3)].fg, ALARMING.fg.expect("it has a colour"));
}

#[test]
fn the_focus_stands_out_and_so_does_a_loss() {
    let model = model();
    let mut ui = Ui::default();
    press(&mut ui, &model, &[KeyCode::Tab]);
    let (_, buffer) = screen(80, 24, &model, &mut ui);
    let reversed = |y| buffer[(79, y)].modifier.contains(Modifier::REVERSED);
    assert!(reversed(9) && !reversed(4) && !reversed(11));
    assert_eq!(buffer[(0, 10)].fg, Color::Yellow);
    assert_eq!(buffer[(0, 5)].fg, Color::Reset);
}

#[test]
fn no_screen_is_too_small() {
    let mut some = sample(11, 13_000);
    some.reactions = Some(reactions());
    let mut model = model();
    model.take(some);
    for focus in 0..5 {
        let mut ui = Ui::default();
        press(&mut ui, &model, &vec![KeyCode::Tab; focus]);
        for width in [0, 1, 2, 7, 20, 39, 40, 79] {
            for height in 0..26 {
                let _ = screen(width, height, &model, &mut ui);
                let _ = screen(width, height, &Model::default(), &mut ui);
            }
        }
    }
    let mut ui = Ui::default();
    assert_eq!(
        screen(24, 8, &model, &mut ui).0,
        [
            "broken-lns 0.1.0 on eth1",
            "slow.toml: 4 LNS rules,",
            "received 14,007 (300/s)",
            "",
            "verdict▼             fra",
            "answered             13,",
            "zlb                  1,0",
            "q quit  s sort  / filter",
        ]
    );
}

#[test]
fn room_is_given_to_the_focus_first() {
    for (needs, focus, room, expected) in [
        (&[5, 2, 3][..], 0, 19, &[5, 2, 3][..]),
        (&[30, 2, 100], 0, 19, &[13, 2, 4]),
        (&[30, 2, 100], 2, 19, &[4, 2, 13]),
        (&[30, 2, 6], 1, 19, &[13, 2, 4]),
        (&[30, 30, 30], 1, 6, &[2, 4, 0]),
        (&[30, 30, 30], 1, 0, &[0, 0, 0]),
        (&[], 0, 19, &[]),
    ] {
        assert_eq!(
            heights(needs, focus, room),
            expected,
            "{needs:?} {focus} {room}"
        );
    }
}
