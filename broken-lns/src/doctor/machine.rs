//! The machine: its kernel, and what this process may do.

use super::facts::Machine;
use super::finding::Finding;

/// What there is to say of the machine.
pub(super) fn check(machine: &Machine) -> Vec<Finding> {
    [
        kernel(machine),
        btf(machine),
        jit(machine),
        capabilities(machine),
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
        Some(_) => Finding::ok("JIT", "the kernel compiles BPF programs"),
        None => Finding::note(
            "JIT",
            "whether the kernel compiles BPF programs cannot be read, as by others than root",
        ),
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
            lockdown: None,
            cpus: 4,
        }
    }

    #[test]
    fn a_good_machine_has_nothing_to_do() {
        let findings = check(&machine());
        assert_eq!(findings.len(), 4);
        for finding in findings {
            assert_eq!((finding.state, finding.command), (State::Ok, None));
        }
    }

    #[test]
    fn only_what_is_known_of_the_jit_is_good() {
        for (known, state) in [
            (Some(1), State::Ok),
            (Some(0), State::Note),
            (None, State::Note),
        ] {
            let machine = Machine {
                jit: known,
                ..machine()
            };
            assert_eq!(jit(&machine).state, state, "{known:?}");
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
                ("lockdown", State::Note),
            ]
        );
        assert_eq!(
            findings[2].command.as_deref(),
            Some("sysctl net.core.bpf_jit_enable=1")
        );
    }
}
