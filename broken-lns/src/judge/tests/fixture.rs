//! Scenarios and outcomes, made by hand.

use std::net::IpAddr;

use crate::judge::{Expectations, Judge};
use crate::refusal::Refusal;
use crate::scenario::Scenario;
use crate::track::findings::{
    Acknowledgement, Conclusion, Doubt, FaultKey, Lockout, News, Next, Outcome, Reaction,
};

pub(crate) const MILLISECOND: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1_000 * MILLISECOND;

pub(crate) const FAILOVER: Conclusion = Conclusion::Reaction(Reaction::Failover);
pub(crate) const RETRY: Conclusion = Conclusion::Reaction(Reaction::RetrySame);
pub(crate) const GIVE_UP: Conclusion = Conclusion::Reaction(Reaction::GiveUp);
pub(crate) const IGNORE: Conclusion = Conclusion::Reaction(Reaction::Ignore);
pub(crate) const OPEN: Conclusion = Conclusion::Unknown(Doubt::StillOpen);

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

pub(crate) fn scenario(text: &str) -> Scenario {
    Scenario::parse("test.toml", text, &Refusal::default()).expect("all of this is right")
}

/// What that scenario expects.
pub(crate) fn expected(text: &str) -> Expectations {
    Expectations::of(&scenario(text))
}

/// A rule for 192.0.2.1 that refuses, and expects this.
pub(crate) fn refusing(expect: &str) -> String {
    format!("[[lns]]\naddress = \"192.0.2.1\"\nfault = \"refuse\"\nresult = 2\nexpect = {expect}\n")
}

/// Rule 1 of scenario 0, at 192.0.2.1.
pub(crate) const FAULT: FaultKey = FaultKey {
    scenario: 0,
    rule: 1,
    lns: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
};

/// An attempt of 10.0.0.1 that began after 10 s of the clock, was refused at once, and ended so
/// for all that is known.
pub(crate) fn outcome(conclusion: Conclusion) -> Outcome {
    Outcome {
        lac: address("10.0.0.1"),
        fault: FAULT,
        tunnel_id: 7,
        port: 1701,
        began: 10 * SECOND,
        last: 10 * SECOND,
        answered: Some(10 * SECOND),
        retransmissions_before: 0,
        retransmissions_after: 0,
        acknowledgement: Acknowledgement::Zlb,
        round_trip: None,
        lockout: None,
        conclusion,
        next: None,
        quiet: None,
    }
}

impl Outcome {
    /// The next attempt was at that LNS, after so long.
    pub(crate) fn then(self, lns: &str, after: u64) -> Self {
        let (lns, at) = (address(lns), self.began + after);
        Self {
            next: Some(Next { lns, at, after }),
            ..self
        }
    }

    /// There was none for so long.
    pub(crate) fn quiet(self, quiet: u64) -> Self {
        Self {
            quiet: Some(quiet),
            ..self
        }
    }

    pub(crate) fn acknowledged(self, acknowledgement: Acknowledgement) -> Self {
        Self {
            acknowledgement,
            ..self
        }
    }

    /// The LAC had stayed away from the LNS for so long because of that fault.
    pub(crate) fn back(self, fault: FaultKey, length: u64) -> Self {
        Self {
            lockout: Some(Lockout { fault, length }),
            ..self
        }
    }

    /// There was no answer.
    pub(crate) fn unanswered(self) -> Self {
        Self {
            answered: None,
            acknowledgement: Acknowledgement::None,
            ..self
        }
    }
}

impl Judge {
    /// An attempt ended so.
    pub(crate) fn concluded(&mut self, outcome: &Outcome) {
        self.hear(&News::Concluded(*outcome));
    }
}

/// A judge of that scenario, who has heard these outcomes; the run started after 9 s of the
/// clock.
pub(crate) fn judged(text: &str, outcomes: &[Outcome]) -> Judge {
    let mut judge = Judge::new(9 * SECOND);
    judge.enter(0, expected(text));
    outcomes.iter().for_each(|outcome| judge.concluded(outcome));
    judge
}
