use xtask::lab;

use super::*;

/// Every input to begin with gets through its target.
fn seeds_of(target: &Target) {
    let seeds = (target.seeds)().expect(target.name);
    assert!(!seeds.is_empty(), "{} begins with nothing", target.name);
    for seed in seeds {
        run(target, &seed);
    }
    // And what is hardly an input at all.
    for data in [&[][..], &[0], &[0xff; 64]] {
        run(target, data);
    }
}

#[test]
fn frames() {
    // The kernel half itself needs root, and is left out without.
    assert!(
        lab::obstacle(&[]).is_none() || std::env::var_os(lab::TEST_ALL).is_none(),
        "cannot test without root"
    );
    seeds_of(&frames::TARGET);
}

#[test]
fn worker() {
    seeds_of(&worker::TARGET);
}

#[test]
fn scenario() {
    seeds_of(&scenario::TARGET);
}

#[test]
fn control() {
    seeds_of(&control::TARGET);
}

#[test]
fn report() {
    seeds_of(&report::TARGET);
}

#[test]
fn an_input_is_taken_apart_to_its_end() {
    let mut input = Input(&[1, 2, 3, 4, 5]);
    assert_eq!((input.octet(), input.number()), (1, 0x0302));
    assert_eq!((input.octets(9), input.is_empty()), (&[4, 5][..], true));
    assert_eq!((input.octet(), input.number()), (0, 0));
}

#[test]
fn a_dictionary_has_any_octets() {
    assert_eq!(quoted(b"a\"\n"), "\"\\x61\\x22\\x0A\"\n");
}
