//! One interface: what a run on it would meet.

use std::fmt::Display;

use broken_lns_ebpf::maps;

use super::facts::Machine;
use super::finding::Finding;
use crate::cli::DEFAULT_BATCH_SIZE;
use crate::interface::{AttachedProgram, Interface, InterfaceError, VlanTagsNow, mac_text};
use crate::mode::{Path, XdpMode};
use crate::plan::{Attempt, Hazards, plan};
use crate::queue::{ring_len, umem_len};

/// The finding about an interface that cannot be used at all.
pub(super) fn unusable(error: &impl Display) -> Finding {
    Finding::problem("interface", error.to_string())
}

/// What there is to say of it. `occupants` are the programs that are attached already.
pub(super) fn check(
    interface: &Interface,
    occupants: Result<Vec<AttachedProgram>, InterfaceError>,
    tags_now: &VlanTagsNow,
    machine: &Machine,
) -> Vec<Finding> {
    [
        link(interface),
        driver(interface),
        stack(interface),
        mode(interface),
        zero_copy(interface),
        queues(interface, machine),
        locked_memory(interface, machine),
        mtu(interface),
    ]
    .into_iter()
    .chain(tags(tags_now))
    .chain(programs(interface, occupants))
    .collect()
}

fn link(interface: &Interface) -> Finding {
    const CHECK: &str = "link";
    let name = &interface.name;
    if !interface.up {
        Finding::problem(CHECK, "it is down").typing(format!("ip link set {name} up"))
    } else if !interface.carrier {
        Finding::problem(
            CHECK,
            "it has no carrier: is the cable in, and the other end up?",
        )
        .typing(format!("ethtool {name}"))
    } else {
        let mac = mac_text(interface.mac);
        Finding::ok(
            CHECK,
            format!("it is up, has a carrier, and its MAC address is {mac}"),
        )
    }
}

fn driver(interface: &Interface) -> Finding {
    let driver = interface.driver.as_deref().unwrap_or("unknown");
    let kind = interface.kind.as_deref().map(|kind| format!(", a {kind}"));
    Finding::ok("driver", format!("{driver}{}", kind.unwrap_or_default()))
}

/// Whether other interfaces stand above or below it.
fn stack(interface: &Interface) -> Finding {
    const CHECK: &str = "stack";
    match (interface.check_stack(), interface.stack_remark()) {
        (Err(error), _) => Finding::problem(CHECK, error.to_string()),
        (Ok(()), Some(remark)) => Finding::note(CHECK, remark),
        (Ok(()), None) => Finding::ok(CHECK, "no bond, bridge or team takes its frames"),
    }
}

/// The way in which `run` would attach without --path and --xdp-mode.
fn mode(interface: &Interface) -> Finding {
    const CHECK: &str = "XDP mode";
    let chosen = plan(
        Path::Auto,
        XdpMode::Auto,
        Hazards {
            native_transmit: interface.native_transmit(),
            checksums: interface.checksums(),
            starves_workers: interface.starves_workers(),
        },
    );
    let Attempt { mode, path } = match chosen {
        Ok(plan) => plan.first,
        Err(cause) => return Finding::problem(CHECK, cause.to_string()),
    };
    let path = match path {
        maps::Path::Redirect => "redirect",
        maps::Path::Rewrite | maps::Path::RewriteElseRedirect => "rewrite",
    };
    match interface.xdp {
        Some(features) if !features.native => Finding::note(
            CHECK,
            "generic, since the driver has no native XDP: the kernel makes a socket buffer of \
             each frame first, which is several times as slow",
        ),
        Some(_) => Finding::ok(CHECK, format!("{}, on the {path} path", mode.label())),
        None => Finding::ok(
            CHECK,
            format!(
                "{} is tried first, on the {path} path; this kernel does not tell what a driver \
                 can (Linux 6.3 and later do)",
                mode.label()
            ),
        ),
    }
}

fn zero_copy(interface: &Interface) -> Finding {
    Finding::ok(
        "zero copy",
        match interface.xdp {
            Some(features) if features.zero_copy => {
                "the driver has it, for workers on the redirect path"
            }
            Some(_) => "the driver has none: frames are copied to workers",
            None => "this kernel does not tell",
        },
    )
}

fn queues(interface: &Interface, machine: &Machine) -> Finding {
    const CHECK: &str = "receive queues";
    let (queues, name) = (interface.rx_queues, &interface.name);
    let cpus = machine.cpus;
    if queues > maps::MAX_QUEUES {
        Finding::problem(
            CHECK,
            format!(
                "{queues}, of which {} can have a worker: what comes on the others goes to the \
                 host",
                maps::MAX_QUEUES
            ),
        )
        .typing(format!("ethtool -L {name} combined {cpus}"))
    } else if usize::try_from(queues).is_ok_and(|queues| queues > cpus) {
        Finding::note(
            CHECK,
            format!("{queues}, for {cpus} CPUs: several workers share a CPU"),
        )
        .typing(format!("ethtool -L {name} combined {cpus}"))
    } else {
        Finding::ok(CHECK, format!("{queues}, for {cpus} CPUs"))
    }
}

/// Whether the frames of the workers may be locked in memory.
fn locked_memory(interface: &Interface, machine: &Machine) -> Finding {
    const CHECK: &str = "locked memory";
    let workers = interface.rx_queues.min(maps::MAX_QUEUES);
    let each = umem_len(ring_len(workers, DEFAULT_BATCH_SIZE));
    let needed = u64::from(workers) * each;
    let (mib, whose) = (
        needed >> 20,
        match workers {
            1 => "its worker".to_owned(),
            many => format!("its {many} workers"),
        },
    );
    match machine.lockable {
        Some(limit) if limit < needed => Finding::problem(
            CHECK,
            format!("{whose} may lock {} of {mib} MiB", limit >> 20),
        )
        .typing("ulimit -l unlimited, or grant CAP_IPC_LOCK"),
        _ => Finding::ok(CHECK, format!("{whose} may lock {mib} MiB")),
    }
}

fn tags(now: &VlanTagsNow) -> Vec<Finding> {
    const CHECK: &str = "VLAN tags";
    if !now.remarks.is_empty() {
        let remarks = now.remarks.iter();
        return remarks.map(|remark| Finding::note(CHECK, remark)).collect();
    }
    vec![Finding::ok(
        CHECK,
        match now.would_switch.as_slice() {
            [] => "they stay in the frame".to_owned(),
            switched => format!(
                "they stay in the frame: a run switches {} off until its end",
                switched.join(" and ")
            ),
        },
    )]
}

fn mtu(interface: &Interface) -> Finding {
    const CHECK: &str = "MTU";
    /// What fits a page with the headroom of XDP and the kernel's own data behind it, in octets.
    const SINGLE_BUFFER: u32 = 3_498;
    let mtu = interface.mtu;
    let multi_buffer = interface.xdp.is_some_and(|features| features.multi_buffer);
    if mtu > SINGLE_BUFFER && !multi_buffer {
        Finding::note(
            CHECK,
            format!("{mtu} octets: many drivers refuse native mode above {SINGLE_BUFFER}"),
        )
        .typing(format!("ip link set {} mtu 1500", interface.name))
    } else {
        Finding::ok(CHECK, format!("{mtu} octets"))
    }
}

fn programs(
    interface: &Interface,
    occupants: Result<Vec<AttachedProgram>, InterfaceError>,
) -> Vec<Finding> {
    const CHECK: &str = "XDP program";
    let name = &interface.name;
    match occupants {
        Ok(programs) if programs.is_empty() => vec![Finding::ok(CHECK, "none is attached")],
        Ok(programs) => programs
            .iter()
            .map(|program| {
                Finding::problem(CHECK, format!("{program} is attached already")).typing(format!(
                    "ip link set {name} xdp off, or broken-lns run --replace"
                ))
            })
            .collect(),
        Err(error) => vec![Finding::problem(CHECK, error.to_string())],
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;
    use crate::interface::XdpFeatures;

    fn machine() -> Machine {
        Machine {
            kernel: "6.12".to_owned(),
            supported: Ok(()),
            btf: true,
            jit: None,
            privilege: Ok(()),
            lockable: None,
            lockdown: None,
            cpus: 4,
        }
    }

    fn nic() -> Interface {
        Interface {
            name: "eth1".to_owned(),
            mac: [2, 0, 0, 0, 0, 1],
            mtu: 1500,
            up: true,
            carrier: true,
            driver: Some("ixgbe".to_owned()),
            rx_queues: 4,
            xdp: Some(XdpFeatures {
                native: true,
                redirect: true,
                redirect_target: true,
                zero_copy: true,
                multi_buffer: false,
            }),
            ..Interface::by_name("lo").expect("every network namespace has one")
        }
    }

    #[test]
    fn a_good_interface_has_nothing_to_do() {
        for finding in check(&nic(), Ok(Vec::new()), &VlanTagsNow::default(), &machine()) {
            assert_eq!((finding.state, finding.command), (State::Ok, None));
        }
    }

    #[test]
    fn what_stands_in_the_way_comes_with_a_command() {
        let features = nic().xdp.expect("it has them");
        let generic = XdpFeatures {
            native: false,
            ..features
        };
        for (interface, check, state, command) in [
            (
                Interface { up: false, ..nic() },
                link as fn(&Interface) -> Finding,
                State::Problem,
                Some("ip link set eth1 up"),
            ),
            (
                Interface {
                    carrier: false,
                    ..nic()
                },
                link,
                State::Problem,
                Some("ethtool eth1"),
            ),
            (
                Interface {
                    xdp: Some(generic),
                    ..nic()
                },
                mode,
                State::Note,
                None,
            ),
            (
                Interface { mtu: 9000, ..nic() },
                mtu,
                State::Note,
                Some("ip link set eth1 mtu 1500"),
            ),
        ] {
            let finding = check(&interface);
            assert_eq!(
                (finding.state, finding.command.as_deref()),
                (state, command)
            );
        }
    }

    #[test]
    fn the_frames_of_all_workers_have_to_be_locked() {
        for (lockable, state, found) in [
            (None, State::Ok, "its 4 workers may lock 64 MiB"),
            (Some(64 << 20), State::Ok, "its 4 workers may lock 64 MiB"),
            (
                Some(8 << 20),
                State::Problem,
                "its 4 workers may lock 8 of 64 MiB",
            ),
        ] {
            let machine = Machine {
                lockable,
                ..machine()
            };
            let finding = locked_memory(&nic(), &machine);
            assert_eq!((finding.state, finding.found.as_str()), (state, found));
        }
    }

    #[test]
    fn what_is_switched_for_tags_is_no_trouble() {
        let text = |text: &str| vec![text.to_owned()];
        for (would_switch, remarks, state, found) in [
            (vec![], vec![], State::Ok, "they stay in the frame"),
            (
                text("rx-vlan-filter of eth1"),
                vec![],
                State::Ok,
                "they stay in the frame: a run switches rx-vlan-filter of eth1 off until its end",
            ),
            (
                vec![],
                text("they may not arrive"),
                State::Note,
                "they may not arrive",
            ),
        ] {
            let findings = tags(&VlanTagsNow {
                would_switch,
                remarks,
            });
            let [finding] = findings.as_slice() else {
                panic!("{findings:?}");
            };
            assert_eq!((finding.state, finding.found.as_str()), (state, found));
        }
    }

    #[test]
    fn queues_want_a_cpu_each() {
        for (rx_queues, state) in [
            (1, State::Ok),
            (4, State::Ok),
            (5, State::Note),
            (300, State::Problem),
        ] {
            let finding = queues(&Interface { rx_queues, ..nic() }, &machine());
            assert_eq!(finding.state, state, "{rx_queues}");
        }
    }
}
