//! The start on an interface: the program and its workers, attached in the way that works there.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use broken_lns_ebpf::answer::Answer;
use broken_lns_ebpf::maps;
use broken_lns_ebpf::sccrq::Policy;
use broken_lns_ebpf::wire::ethernet::MacAddress;

use super::delivery::Delivery;
use super::watch::Watch;
use super::workers::{WorkerOrder, Workers};
use super::{Responder, ResponderError, ResponderOptions, check_rewritable};
use crate::compile::Compiled;
use crate::interface::{
    Checksums, Condition, DriverStatistics, Exceptions, Interface, Promiscuous, loses_vlan_tags,
};
use crate::mode::Path;
use crate::plan::{Attempt, Hazards, Plan, plan, remarks};
use crate::play::{Follow, Orders};
use crate::program::{AttachError, Program, ProgramSettings};

impl Responder {
    /// Starts the workers, then attaches the program.
    ///
    /// # Errors
    ///
    /// [`ResponderError`]; nothing stays attached then.
    pub fn start(
        mut interface: Interface,
        compiled: &Arc<Compiled>,
        options: &ResponderOptions,
        announcements: Option<&SyncSender<Answer>>,
    ) -> Result<Self, ResponderError> {
        if options.path == Path::Rewrite {
            check_rewritable(compiled)?;
        }
        let (path, mode) = (options.path, options.xdp_mode);
        let hazards = Hazards {
            native_transmit: interface.native_transmit(),
            checksums: interface.checksums(),
            starves_workers: interface.starves_workers(),
        };
        let plan = plan(path, mode, hazards);
        let Plan { first, fallback } = plan.map_err(|cause| ResponderError::Impossible {
            interface: interface.name.clone(),
            cause,
        })?;
        let driver = DriverStatistics::start(&interface);
        // Before anything is there that another process should not have.
        let mut attempts = [first].into_iter().chain(fallback);
        let loses = attempts.any(|attempt| loses_vlan_tags(attempt.mode, attempt.has_workers()));
        let tags = interface.keep_vlan_tags(loses);

        let start = |attempt| attach(&interface, compiled, options, attempt, announcements);
        let mut failed = None;
        let (attempt, attached) = match (start(first), fallback) {
            (Err(ResponderError::NotNative { cause, help, .. }), Some(fallback)) => {
                failed = Some(format!(
                    "generic mode, since native mode fails: {cause}{help}"
                ));
                (fallback, start(fallback)?)
            }
            (result, _) => (first, result?),
        };
        let of_attempt = remarks(path, mode, hazards, attempt).map(str::to_owned);
        let mut remarks: Vec<String> = failed.into_iter().chain(of_attempt).collect();
        remarks.extend(interface.stack_remark());
        if options.verify_checksum && hazards.checksums == Checksums::MayBeUnfinished {
            remarks.push(
                "--verify-checksum drops what comes with an unfinished UDP checksum, as it may \
                 here from senders on this machine or its host: leave it out, or have them finish \
                 their sums: ethtool -K NAME tx off"
                    .to_owned(),
            );
        }
        let promiscuous = options.any_mac.then(|| Promiscuous::join(&interface));
        let promiscuous = promiscuous.transpose().unwrap_or_else(|error| {
            remarks.push(format!(
                "promiscuous mode is not possible, and the NIC may drop what is to another MAC \
                 address: {error}"
            ));
            None
        });
        remarks.extend(tags.remarks);
        remarks.extend(interface.vlan_tags_beside(attempt.mode, attempt.has_workers()));
        let Attached {
            program,
            workers,
            condition,
        } = attached;
        let exceptions = if attempt.path == maps::Path::Redirect {
            None
        } else {
            let counting = Exceptions::of_program(program.id());
            counting.map(Some).unwrap_or_else(|cause| {
                remarks.push(format!(
                    "replies that XDP_TX loses are counted by the driver alone, if at all, since \
                     the tracepoint xdp:xdp_exception cannot be read: {cause}"
                ));
                None
            })
        };
        interface.rx_queues = condition.rx_queues;
        let mut responder = Self {
            attempt,
            any_mac: options.any_mac,
            replace: options.replace,
            keep_attached: options.keep_attached,
            remarks,
            program,
            workers,
            driver,
            exceptions,
            // What changed in between is noticed at the first look.
            watch: Watch::new(Condition {
                mac: Some(interface.mac),
                mtu: interface.mtu,
                ..condition
            }),
            delivery: Delivery::default(),
            ended: None,
            promiscuous,
            _keeper: tags.keeper,
            scenarios: vec![Arc::clone(compiled)],
            interface,
        };
        responder.set_mtu(responder.interface.mtu)?;
        Ok(responder)
    }
}

/// What is attached.
struct Attached {
    program: Program,
    workers: Workers,
    /// What the interface was like right after that.
    condition: Condition,
}

/// Loads the program, starts the workers, and attaches.
fn attach(
    interface: &Interface,
    compiled: &Arc<Compiled>,
    options: &ResponderOptions,
    attempt: Attempt,
    announcements: Option<&SyncSender<Answer>>,
) -> Result<Attached, ResponderError> {
    if attempt.path == maps::Path::Rewrite {
        check_rewritable(compiled)?;
    }
    let mac = (!options.any_mac).then_some(interface.mac);
    let settings = ProgramSettings {
        path: attempt.path,
        mac,
        mtu: interface.mtu,
        verify_checksum: options.verify_checksum,
        limit: options.limit,
        sample: options.sample,
        events_size: options.events_size,
        capture: options.capture,
        announce: options.announce,
        log_level: options.log_level,
    };
    let occupants = interface.attached_programs()?;
    if let Some(program) = occupants.first().filter(|_| !options.replace) {
        return Err(ResponderError::occupied(interface, program));
    }
    let mut program = Program::load(&settings, compiled)
        .map_err(|cause| ResponderError::load(interface, cause))?;
    let orders = Orders {
        policy: Policy {
            mac: mac.map(MacAddress::new),
            verify_checksum: options.verify_checksum,
            avp_limit: u32::MAX,
        },
        compiled: Arc::clone(compiled),
        scenario: 0,
        rate_limit: program
            .rate_limit()
            .map_err(|cause| ResponderError::Limit {
                interface: interface.name.clone(),
                cause,
            })?,
        follow: Follow {
            sample: options.sample,
            capture: options.capture,
        },
    };
    let order = WorkerOrder {
        interface,
        orders,
        options,
        attempt,
        announcements,
    };
    let mut workers = Workers::default();
    let has_workers = attempt.has_workers();
    if has_workers {
        workers.start(&mut program, &order, interface.rx_queues)?;
    }
    for occupant in &occupants {
        interface.detach(occupant)?;
    }
    match program.attach(interface, attempt.mode) {
        Ok(()) => {}
        Err(AttachError::Busy(refused)) => {
            return Err(match interface.attached_programs()?.first() {
                Some(program) => ResponderError::occupied(interface, program),
                None => {
                    let cause = AttachError::Busy(refused);
                    ResponderError::attach(interface, attempt.mode, cause)
                }
            });
        }
        Err(cause) => return Err(ResponderError::attach(interface, attempt.mode, cause)),
    }
    let condition = interface.condition()?;
    let condition = condition.ok_or_else(|| ResponderError::Gone(interface.name.clone()))?;
    if has_workers {
        // Some drivers take more queues for a program than they had without one.
        workers.start(&mut program, &order, condition.rx_queues)?;
    }
    Ok(Attached {
        program,
        workers,
        condition,
    })
}
