use super::fixture::lac;
use crate::report::lac::{choices, sentence};
use crate::track::findings::{Selection, Selections};

#[test]
fn how_a_lac_chooses_is_said_as_far_as_it_was_seen() {
    let one = vec!["192.0.2.1".parse().expect("an address")];
    let two = lac().order;
    for (selection, order, said) in [
        (Selection::Unknown, &one, "asked 192.0.2.1"),
        (
            Selection::Unknown,
            &two,
            "asked 192.0.2.1, 192.0.2.2, in this order at first",
        ),
        (Selection::Single, &one, "asks 192.0.2.1 and no other LNS"),
        (
            Selection::Preference,
            &two,
            "prefers 192.0.2.1, 192.0.2.2, in this order",
        ),
        (
            Selection::RoundRobin,
            &two,
            "asks 192.0.2.1, 192.0.2.2 in turn",
        ),
    ] {
        let mut lac = lac();
        (lac.selection, lac.order) = (selection, order.clone());
        assert_eq!(sentence(&lac).clauses[1], said);
    }
    let mut many = lac();
    many.order = (1..=11).map(|lns| [192, 0, 2, lns].into()).collect();
    assert!(sentence(&many).clauses[1].contains(" 192.0.2.8 and 3 more, in this order"));
}

#[test]
fn what_makes_a_lac_doubtful_is_said() {
    let mut lac = lac();
    (lac.retransmissions, lac.parallel) = (0, true);
    lac.order.clear();
    assert_eq!(
        sentence(&lac).to_string(),
        "LAC 10.0.0.7: 3 attempts, several tunnels at once, so that little is known of its \
         reactions, events of it may have been lost"
    );
}

#[test]
fn choices_are_counted_where_any_is_known() {
    let none = Selections {
        unknown: 7,
        ..Selections::default()
    };
    assert_eq!(choices(&none), None);
    let all = Selections {
        unknown: 1,
        single: 2,
        preference: 3_000,
        round_robin: 4,
    };
    let said = "3,000 by preference, 4 in turn, 2 only one, 1 unknown";
    assert_eq!(choices(&all).as_deref(), Some(said));
}
