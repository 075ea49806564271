//! The machine: its kernel, what this process may do, and how much memory it may lock.

use broken_lns_ebpf::maps;

use super::facts::Machine;
use super::finding::Finding;

/// What there is to say of the machine.
pub(super) fn check(machine: &Machine) -> Vec<Finding> {
    [
        kernel(machine),
        btf(machine),
        jit(machine),
        capabilities(machine),
        locked_memory(machine),
    ]
    .into_iter()
    .chain(lockdown(machine))
    .collect()
}

fn kernel(machine: &Machine) -> Finding {
    match &machine.supported {
        Ok(()) => Finding::ok("kernel", format!("Linux {}", machine.kernel)),
        Err(reason) => Finding::problem("kernel", reason.clone()),
    }
}

fn btf(machine: &Machine) -> Finding {
    if machine.btf {
        Finding::ok("BTF", "the kernel has its type information")
    } else {
        Finding::note(
            "BTF",
            "the kernel has no type information (CONFIG_DEBUG_INFO_BTF): bpftool and bpftrace \
             show less",
        )
    }
}

fn jit(machine: &Machine) -> Finding {
    match machine.jit {
        Some(0) => Finding::note(
            "JIT",
            "the kernel interprets BPF programs, which is several times as slow",
        )
        .typing("sysctl net.core.bpf_jit_enable=1"),
        Some(_) | None => Finding::ok("JIT", "the kernel compiles BPF programs"),
    }
}

fn capabilities(machine: &Machine) -> Finding {
    match &machine.privilege {
        Ok(()) => Finding::ok(
            "capabilities",
            "this user may attach, load and open sockets",
        ),
        Err(missing) => Finding::problem("capabilities", missing.clone()),
    }
}

fn locked_memory(machine: &Machine) -> Finding {
    const CHECK: &str = "locked memory";
    let one = machine.worker_memory;
    match machine.lockable {
        None => Finding::ok(CHECK, "no limit for the frames of workers"),
        Some(limit) if limit < one => Finding::problem(
            CHECK,
            format!(
                "{} KiB may be locked, and a worker needs {} KiB",
                limit >> 10,
                one >> 10
            ),
        )
        .typing("ulimit -l unlimited, or grant CAP_IPC_LOCK"),
        Some(limit) => Finding::note(
            CHECK,
            format!(
                "{} KiB may be locked, which is enough for {} workers",
                limit >> 10,
                (limit / one).min(maps::MAX_QUEUES.into())
            ),
        )
        .typing("ulimit -l unlimited, or grant CAP_IPC_LOCK"),
    }
}

/// Lockdown in confidentiality mode keeps even root from BPF programs that read memory.
fn lockdown(machine: &Machine) -> Option<Finding> {
    let chosen = machine.lockdown.as_deref()?;
    Some(match chosen {
        "confidentiality" => Finding::note(
            "lockdown",
            "the kernel is locked down for confidentiality: it may refuse BPF programs",
        ),
        mode => Finding::ok("lockdown", format!("the mode is {mode}")),
    })
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    fn machine() -> Machine {
        Machine {
            kernel: "6.12.43+deb13-amd64".to_owned(),
            supported: Ok(()),
            btf: true,
            jit: Some(1),
            privilege: Ok(()),
            lockable: None,
            worker_memory: 16 << 20,
            lockdown: None,
            cpus: 4,
        }
    }

    #[test]
    fn a_good_machine_has_nothing_to_do() {
        let findings = check(&machine());
        assert_eq!(findings.len(), 5);
        for finding in findings {
            assert_eq!((finding.state, finding.command), (State::Ok, None));
        }
    }

    #[test]
    fn locked_memory_has_to_hold_one_worker() {
        for (lockable, state, found) in [
            (None, State::Ok, "no limit for the frames of workers"),
            (
                Some(8 << 20),
                State::Problem,
                "8192 KiB may be locked, and a worker needs 16384 KiB",
            ),
            (
                Some(64 << 20),
                State::Note,
                "65536 KiB may be locked, which is enough for 4 workers",
            ),
        ] {
            let finding = locked_memory(&Machine {
                lockable,
                ..machine()
            });
            assert_eq!((finding.state, finding.found.as_str()), (state, found));
        }
    }

    #[test]
    fn what_is_missing_is_said_with_the_way_out() {
        let bare = Machine {
            supported: Err("this kernel is 5.10.0, too old".to_owned()),
            btf: false,
            jit: Some(0),
            privilege: Err("CAP_BPF is missing; run with sudo".to_owned()),
            lockdown: Some("confidentiality".to_owned()),
            ..machine()
        };
        let findings = check(&bare);
        let states: Vec<_> = findings.iter().map(|it| (it.check, it.state)).collect();
        assert_eq!(
            states,
            [
                ("kernel", State::Problem),
                ("BTF", State::Note),
                ("JIT", State::Note),
                ("capabilities", State::Problem),
                ("locked memory", State::Ok),
                ("lockdown", State::Note),
            ]
        );
        assert_eq!(
            findings[2].command.as_deref(),
            Some("sysctl net.core.bpf_jit_enable=1")
        );
    }
}
