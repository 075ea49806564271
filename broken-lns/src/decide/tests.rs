use std::num::NonZeroU32;

use super::*;
use crate::refusal::Refusal;
use crate::scenario::modifiers::{Chance, Phase, Probability};
use crate::scenario::{Fault, Scenario, Treatment};

const SECOND: u64 = 1_000_000_000;
const REQUEST: Request = Request {
    lac: [0x0100_000a, 0],
    lns: [0x0102_00c0, 0],
    tunnel_id: 7,
    ns: 0,
    name: 0,
};

/// The default treatment of a scenario, played for some LACs.
struct Play {
    plan: Plan,
    treatment: TreatmentId,
    attempts: Attempts,
    frame: u32,
}

impl Play {
    fn new(text: &str) -> Self {
        Self::with_seed(1, text)
    }

    fn with_seed(seed: u64, text: &str) -> Self {
        let text = format!("seed = {seed}\n[default]\n{text}");
        let scenario = Scenario::parse("test", &text, &Refusal::default()).expect(&text);
        let mut plan = Plan::new(scenario.seed);
        // What stands before it in the plan must not matter.
        let other = Scenario::parse("other", OTHER, &Refusal::default()).expect(OTHER);
        plan.add(&other.default).expect("small");
        let treatment = plan.add(&scenario.default).expect("small");
        Self {
            plan,
            treatment,
            attempts: Attempts::new(NonZeroU32::new(1000).expect("not zero")),
            frame: 0,
        }
    }

    fn decide(&mut self, seconds: u64, request: &Request) -> Decision {
        self.frame += 1;
        let (plan, frame) = (&self.plan, self.frame);
        let now = seconds * SECOND;
        let decision = plan.decide(self.treatment, request, now, frame, &mut self.attempts);
        decision.expect("a treatment of the plan")
    }

    /// What an SCCRQ with that tunnel id meets: the result code, or the name of a fault without one.
    fn met(&mut self, seconds: u64, tunnel_id: u16) -> String {
        let request = Request {
            tunnel_id,
            ..REQUEST
        };
        let leaf = self.decide(seconds, &request).leaf;
        match self.plan.fault(leaf).expect("a leaf of the plan") {
            Fault::Refuse(refusal) => refusal.result().0.to_string(),
            fault => fault.name().to_string(),
        }
    }

    fn check(mut self, requests: &[(u64, u16, &str)]) {
        for (seconds, tunnel_id, expected) in requests {
            let met = self.met(*seconds, *tunnel_id);
            assert_eq!(met, *expected, "tunnel {tunnel_id} at {seconds} s");
        }
    }
}

const OTHER: &str = r#"
    [default]
    fault = "cycle"
    faults = ["silent", { fault = "refuse", probability = 0.5, otherwise = "pass" }]
"#;

#[test]
fn a_fault_is_met_as_it_is() {
    let mut play = Play::new(r#"fault = "silent""#);
    let decision = play.decide(0, &REQUEST);
    assert_eq!(
        decision,
        Decision {
            leaf: decision.leaf,
            delay: 0,
            copies: 1,
            lost: 0,
            retransmit: false,
            healed: false,
        }
    );
    assert_eq!(play.plan.fault(decision.leaf), Some(&Fault::Silent));
    assert_eq!(decision.leaf.index(), 3);
    assert!(play.attempts.is_empty(), "nothing has to be remembered");
}

#[test]
fn phases_follow_each_other() {
    Play::new(
        r#"
        fault = "refuse"
        result = 1
        first = 2
        then = { fault = "refuse", result = 2, for = "30s", then = "silent" }
        "#,
    )
    .check(&[
        (0, 1, "1"),
        (1, 1, "1"),
        (10, 2, "1"),
        (20, 3, "2"),
        // Retransmissions stay where their attempts began.
        (21, 2, "1"),
        (49, 4, "2"),
        (50, 5, "silent"),
        (51, 4, "2"),
        (52, 6, "silent"),
    ]);
}

#[test]
fn a_cycle_takes_the_next_fault_for_each_attempt() {
    Play::new(
        r#"
        fault = "cycle"
        faults = ["silent", { fault = "refuse", result = 2 }, "acknowledge"]
        "#,
    )
    .check(&[
        (0, 1, "silent"),
        (1, 1, "silent"),
        (2, 2, "2"),
        (3, 3, "acknowledge"),
        (4, 2, "2"),
        (5, 4, "silent"),
    ]);
}

#[test]
fn a_cycle_begins_with_its_phase() {
    Play::new(
        r#"
        fault = "refuse"
        result = 1
        first = 1
        then = { fault = "cycle", faults = ["silent", "acknowledge"] }
        "#,
    )
    .check(&[
        (0, 1, "1"),
        (1, 2, "silent"),
        (2, 3, "acknowledge"),
        (3, 4, "silent"),
        (4, 1, "1"),
    ]);
}

#[test]
fn a_lac_is_healed_once_then_led_to_pass_for_good() {
    for (treatment, expected) in [
        (
            r#"fault = "refuse"
            first = 1
            then = "pass""#,
            [false, true, true],
        ),
        (
            r#"fault = "pass"
            first = 1
            then = "pass""#,
            [false, true, true],
        ),
        (r#"fault = "pass""#, [false, false, false]),
        (
            r#"fault = "refuse"
            first = 1
            then = { fault = "pass", first = 1, then = "silent" }"#,
            [false, false, false],
        ),
        (
            r#"fault = "refuse"
            first = 1
            then = { fault = "pass", probability = 0.5, otherwise = "silent" }"#,
            [false, false, false],
        ),
        (
            r#"fault = "cycle"
            faults = ["pass"]"#,
            [false, false, false],
        ),
    ] {
        let mut play = Play::new(treatment);
        let healed = [1, 2, 3].map(|tunnel_id| {
            let request = Request {
                tunnel_id,
                ..REQUEST
            };
            play.decide(0, &request).healed
        });
        assert_eq!(healed, expected, "{treatment}");
    }
}

#[test]
fn a_retransmission_from_before_is_not_healed() {
    let mut play = Play::new("fault = \"silent\"\nfirst = 1\nthen = \"pass\"");
    let second = Request {
        tunnel_id: 8,
        ..REQUEST
    };
    assert!(!play.decide(0, &REQUEST).healed);
    assert!(play.decide(1, &second).healed);
    assert!(!play.decide(2, &REQUEST).healed);
}

/// The number of 10,000 attempts that meet a fault of that name.
fn share(text: &str, name: &str) -> usize {
    let mut play = Play::new(text);
    let met = (1..=10_000).filter(|tunnel_id| play.met(0, *tunnel_id) == name);
    met.count()
}

#[test]
fn a_probability_is_the_share_of_the_attempts() {
    let text = r#"
        fault = "silent"
        probability = 0.1
        otherwise = { fault = "acknowledge", probability = 0.5, otherwise = "pass" }
    "#;
    // Three standard deviations are 90 and 150.
    assert!((910..1090).contains(&share(text, "silent")));
    assert!((4350..4650).contains(&share(text, "acknowledge")));
    assert!((4350..4650).contains(&share(text, "pass")));
    for (probability, expected) in [("0", 0), ("1", 10_000)] {
        let text =
            format!("fault = \"silent\"\nprobability = {probability}\notherwise = \"acknowledge\"");
        assert_eq!(share(&text, "silent"), expected);
    }
}

#[test]
fn a_phase_decides_before_chance_does() {
    let mut play = Play::new(
        r#"
        fault = "silent"
        probability = 0.5
        otherwise = "acknowledge"
        first = 20
        then = { fault = "refuse", result = 3 }
        "#,
    );
    let met: Vec<_> = (1..=22).map(|tunnel_id| play.met(0, tunnel_id)).collect();
    let (before, after) = met.split_at(20);
    assert_eq!(after, ["3", "3"]);
    assert!(
        before
            .iter()
            .all(|met| met == "silent" || met == "acknowledge")
    );
    assert!(before.contains(&"silent".to_owned()));
    assert!(before.contains(&"acknowledge".to_owned()));
}

#[test]
fn a_run_can_be_repeated_exactly() {
    let text = r#"
        fault = "refuse"
        delay = "2s"
        jitter = "1s"
        repeat = 10
        loss = 0.5
        probability = 0.5
        otherwise = "silent"
    "#;
    let run = |seed| {
        let mut play = Play::with_seed(seed, text);
        let requests = (1..=100).map(|tunnel_id| Request {
            tunnel_id,
            ..REQUEST
        });
        requests
            .map(|request| play.decide(0, &request))
            .collect::<Vec<_>>()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn a_delay_is_uniform_and_the_same_for_a_retransmission() {
    let mut play = Play::new("fault = \"refuse\"\ndelay = \"250ms\"\njitter = \"50ms\"");
    let mut tenths = [0; 10];
    for tunnel_id in 1..=10_000 {
        let request = Request {
            tunnel_id,
            ..REQUEST
        };
        let delay = play.decide(0, &request).delay;
        assert!((200_000_000..=300_000_000).contains(&delay), "{delay}");
        assert_eq!(play.decide(1, &request).delay, delay);
        tenths[((delay - 200_000_000) / 10_000_001) as usize] += 1;
    }
    // Four standard deviations are 120.
    assert!(
        tenths.iter().all(|tenth| (880..1120).contains(tenth)),
        "{tenths:?}"
    );

    let mut play = Play::new("fault = \"refuse\"\ndelay = \"250ms\"");
    assert_eq!(play.decide(0, &REQUEST).delay, 250_000_000);
}

#[test]
fn every_copy_is_lost_for_itself() {
    let mut play = Play::new("fault = \"refuse\"\nrepeat = 3\nloss = 0.5\nretransmit = true");
    let mut lost = [0; 4];
    for _ in 0..8000 {
        // One and the same SCCRQ again and again.
        let decision = play.decide(0, &REQUEST);
        assert_eq!(decision.copies + decision.lost, 3);
        assert!(decision.retransmit);
        lost[usize::from(decision.lost)] += 1;
    }
    // 1, 3, 3 and 1 of 8; four standard deviations are 118 and 173.
    let bounds = [880..1120, 2825..3175, 2825..3175, 880..1120];
    for (lost, bounds) in lost.iter().zip(bounds) {
        assert!(bounds.contains(lost), "{lost}");
    }
}

#[test]
fn a_reply_that_is_sent_again_is_lost_for_itself() {
    let mut play = Play::new("fault = \"refuse\"\nloss = 0.25");
    let leaf = play.decide(0, &REQUEST).leaf;
    let lost = (0..8000).map(|frame| u32::from(play.plan.lost(leaf, &REQUEST, frame, 1)));
    // Four standard deviations are 155.
    assert!((1845..2155).contains(&lost.sum::<u32>()));
}

#[test]
fn no_copies_are_lost_unless_there_is_a_loss() {
    for (loss, expected) in [("0", (100, 0)), ("1", (0, 100))] {
        let mut play = Play::new(&format!("fault = \"refuse\"\nrepeat = 100\nloss = {loss}"));
        let decision = play.decide(0, &REQUEST);
        assert_eq!((decision.copies, decision.lost), expected);
    }
}

#[test]
fn choices_within_a_treatment_are_apart() {
    let mut play = Play::new(
        r#"
        fault = "cycle"
        faults = [
            { fault = "silent", probability = 0.5, otherwise = "pass" },
            { fault = "silent", probability = 0.5, otherwise = "pass" },
        ]
        probability = 0.5
        otherwise = { fault = "silent", probability = 0.5, otherwise = "pass" }
        "#,
    );
    let salts = |id| match play.plan.node(id) {
        Some(Node::Choice {
            salt, otherwise, ..
        }) => (salt, otherwise),
        node => panic!("{node:?} is no choice"),
    };
    let [root] = play.plan.roots(play.treatment) else {
        panic!("more than one phase");
    };
    let (outer, otherwise) = salts(*root);
    let (inner, _) = salts(otherwise);
    // Two are within the cycle.
    assert_eq!((outer, inner), (Draw::Choice.salt(0), Draw::Choice.salt(3)));
    let met = play.met(0, 1);
    assert!(met == "silent" || met == "pass");
}

#[test]
fn what_nothing_counts_cannot_be_planned() {
    let phase = Phase {
        first: NonZeroU32::new(1),
        lasting: None,
        then: Box::new(Fault::Silent.into()),
    };
    let mut phased = Treatment::from(Fault::Silent);
    phased.modifiers.phase = Some(phase);
    let mut otherwise = Treatment::from(Fault::Silent);
    otherwise.modifiers.chance = Some(Chance {
        probability: Probability::NEVER,
        otherwise: Box::new(phased.clone()),
    });
    let cycle = |members| Treatment::from(Fault::Cycle(members));
    for (treatment, expected) in [
        (phased.clone(), None),
        (otherwise, Some(PlanError::NestedPhase)),
        (cycle(vec![phased]), Some(PlanError::NestedPhase)),
        (cycle(Vec::new()), Some(PlanError::EmptyCycle)),
    ] {
        assert_eq!(Plan::new(1).add(&treatment).err(), expected);
    }
}

#[test]
fn a_treatment_of_another_plan_is_not_decided_on() {
    let Play {
        treatment,
        mut attempts,
        ..
    } = Play::new("fault = \"silent\"");
    let decision = Plan::new(1).decide(treatment, &REQUEST, 0, 0, &mut attempts);
    assert_eq!(decision, None);
}
