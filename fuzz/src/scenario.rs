//! Any text as a scenario: it is one that can be played, and that is the same once it was printed
//! and read again, or it has mistakes that are in the text.

use anyhow::{Context as _, Result, bail, ensure};
use broken_lns::compile::Compiled;
use broken_lns::refusal::Refusal;
use broken_lns::scenario::fault::FaultName;
use broken_lns::scenario::garble::GarbleKind;
use broken_lns::scenario::modifiers::MODIFIERS;
use broken_lns::scenario::{Place, Scenario, ScenarioError};

use crate::Target;

/// A scenario file.
pub const TARGET: Target = Target {
    name: "scenario",
    seeds,
    words,
    run,
};

/// The ready scenarios, which say nearly all that there is to say.
pub(crate) const READY: [&str; 10] = [
    include_str!("../../broken-lns/scenarios/all-codes.toml"),
    include_str!("../../broken-lns/scenarios/cisco.toml"),
    include_str!("../../broken-lns/scenarios/dead.toml"),
    include_str!("../../broken-lns/scenarios/failover.toml"),
    include_str!("../../broken-lns/scenarios/flaky.toml"),
    include_str!("../../broken-lns/scenarios/garbled-zoo.toml"),
    include_str!("../../broken-lns/scenarios/juniper.toml"),
    include_str!("../../broken-lns/scenarios/nokia.toml"),
    include_str!("../../broken-lns/scenarios/refuse-three-times.toml"),
    include_str!("../../broken-lns/scenarios/slow.toml"),
];

/// What the ready ones leave out.
const OTHERS: [&str; 3] = [
    "assigned_tunnel_id = 7\nseed = 3\n[default]\nfault = \"unreachable\"\ncode = \"host\"\n\
     from_address = \"192.0.2.1\"\ndelay = \"1s\"\njitter = \"5ms\"\nrepeat = 3\nloss = 0.25\n\
     [[group]]\nname = \"a\"\nlns = [\"192.0.2.1\", \"2001:db8::/32\"]\n",
    "[[lns]]\naddress = [\"192.0.2.0/24\", \"::1\"]\n[[lns.lac]]\nlac_name = \"isp-?*\"\n\
     fault = \"refuse\"\nresult = \"general-error\"\nerror = \"none\"\nretransmit = true\n\
     expect = { reaction = [\"failover\", \"give-up\"], to = \"192.0.2.2\", within = \"5s\", \
     acknowledge = true, lockout = { min = \"55s\", max = \"65s\" } }\n",
    "[default]\nfault = \"refuse\"\nfirst = 3\nfor = \"30s\"\n\
     then = { fault = \"silent\", probability = 0.5, otherwise = { fault = \"cycle\", \
     faults = [\"pass\", { fault = \"garble\", kind = \"wrong-ns\" }] } }\nexpect = \"junos\"\n",
];

fn run(data: &[u8]) -> Result<()> {
    // What is no text is no scenario, and does not get as far as this.
    let Ok(text) = str::from_utf8(data) else {
        return Ok(());
    };
    match parse(text) {
        Ok(scenario) => printed(&scenario),
        Err(ScenarioError::Mistakes { mistakes, .. }) => {
            ensure!(!mistakes.is_empty(), "refused without a mistake");
            let places = mistakes.iter().map(|mistake| mistake.place);
            ensure!(
                places.is_sorted_by_key(|place| (place.line, place.column)),
                "mistakes in no order"
            );
            for mistake in &mistakes {
                let Place { line, column } = mistake.place;
                let found = text.split('\n').nth(line.saturating_sub(1));
                let length = found.map(|line| line.chars().count());
                ensure!(
                    length.is_some_and(|length| (1..=length + 1).contains(&column)),
                    "`{mistake}` is nowhere in the text"
                );
                let said = format!("{mistake}{}", mistake.excerpt.replace('\n', ""));
                ensure!(
                    !said.contains(char::is_control),
                    "{said:?} is more than a line"
                );
            }
            Ok(())
        }
        Err(error) => bail!("neither a scenario nor mistakes: {error}"),
    }
}

fn parse(text: &str) -> Result<Scenario, ScenarioError> {
    Scenario::parse("fuzz.toml", text, &Refusal::default())
}

fn printed(scenario: &Scenario) -> Result<()> {
    let compiled = Compiled::new(scenario).context("it cannot be played")?;
    let text = scenario.to_string();
    let again = parse(&text).with_context(|| format!("printed and not read again:\n{text}"))?;
    ensure!(again.to_string() == text, "printed differently:\n{text}");
    ensure!(
        again.summary() == scenario.summary() && again.groups == scenario.groups,
        "something else is printed:\n{text}"
    );
    let recompiled = Compiled::new(&again).context("it cannot be played again")?;
    ensure!(
        recompiled.rules().len() == compiled.rules().len(),
        "not as many rules:\n{text}"
    );
    let treatments = scenario.treatments().map(|(_, treatment)| treatment);
    ensure!(
        again
            .treatments()
            .map(|(_, treatment)| treatment)
            .eq(treatments),
        "other treatments:\n{text}"
    );
    Ok(())
}

fn seeds() -> Result<Vec<Vec<u8>>> {
    let all = READY.iter().chain(&OTHERS);
    Ok(all.map(|text| text.as_bytes().to_vec()).collect())
}

/// What stands in such a file.
pub(crate) fn words() -> Vec<Vec<u8>> {
    const STRUCTURE: [&str; 28] = [
        "[default]\n",
        "[[lns]]\n",
        "[[lns.lac]]\n",
        "[[group]]\n",
        "address = \"192.0.2.1\"\n",
        "address = \"::/0\"\n",
        "lac_name = \"*\"\n",
        "fault = \"",
        "faults = [",
        "kind = \"",
        "result = ",
        "error = ",
        "message = \"",
        "code = \"",
        "from_address = \"",
        "assigned_tunnel_id = ",
        "seed = ",
        "name = \"a\"\n",
        "lns = [\"192.0.2.1\"]\n",
        "expect = { ",
        "reaction = \"failover\"",
        "within = \"5s\"",
        "acknowledge = true",
        "lockout = { min = \"1s\" }",
        "\"1s\"",
        "0.5",
        "\"\"\"",
        "\\u0000",
    ];
    let faults = FaultName::ALL.iter().map(|fault| fault.name());
    let garbles = GarbleKind::ALL.iter().map(|kind| kind.name());
    let knobs = MODIFIERS.iter().map(|knob| knob.key);
    let words = STRUCTURE
        .into_iter()
        .chain(faults)
        .chain(garbles)
        .chain(knobs);
    words.map(|word| word.as_bytes().to_vec()).collect()
}
