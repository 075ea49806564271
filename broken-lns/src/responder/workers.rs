//! The workers of one interface: a thread for each queue, with its socket in the map.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::Duration;

use broken_lns_ebpf::answer::Answer;
use broken_lns_ebpf::maps;

use super::{ResponderError, ResponderOptions};
use crate::interface::Interface;
use crate::plan::Attempt;
use crate::play::{KernelHalf, Orders, Player, Remote};
use crate::program::Program;
use crate::queue::{QueueError, Socket, Worker, WorkerOptions, cpus, ring_len};
use crate::rate_limit::RateLimit;

/// How often a busy queue is tried again.
const BIND_RETRIES: u32 = 20;
/// How long it is left alone in between.
const BIND_PAUSE: Duration = Duration::from_millis(50);

/// The workers of an interface; they end when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Workers {
    pub(super) sockets: Vec<Socket>,
    pub(super) players: Vec<Remote>,
    pub(super) threads: Vec<JoinHandle<io::Result<()>>>,
    /// The limit that they keep to.
    pub(super) rate_limit: Option<RateLimit>,
    stop: Arc<AtomicBool>,
}

/// What all workers of an interface are told.
pub(super) struct WorkerOrder<'o> {
    pub(super) interface: &'o Interface,
    pub(super) orders: Orders,
    pub(super) options: &'o ResponderOptions,
    pub(super) attempt: Attempt,
    pub(super) announcements: Option<&'o SyncSender<Answer>>,
}

impl Workers {
    /// Starts a worker for each of so many queues that has none, and gives the program their
    /// sockets.
    pub(super) fn start(
        &mut self,
        program: &mut Program,
        order: &WorkerOrder<'_>,
        rx_queues: u32,
    ) -> Result<(), ResponderError> {
        let WorkerOrder {
            interface,
            orders,
            options,
            attempt,
            announcements,
        } = order;
        let most = rx_queues.min(maps::MAX_QUEUES);
        let queues = options.queues.unwrap_or(most);
        if queues > most {
            return Err(ResponderError::TooManyQueues {
                interface: interface.name.clone(),
                has: rx_queues,
                most,
            });
        }
        let worker_options = WorkerOptions {
            batch_size: options.batch_size,
            wait: options.wait,
            force_copy: attempt.needs_copies(),
            ring_len: ring_len(queues, options.batch_size),
        };
        let cpus = cpus();
        self.rate_limit.clone_from(&orders.rate_limit);
        for queue in self.sockets.len() as u32..queues {
            let bind = || {
                let (player, remote) = Player::new(orders.clone(), kernel_half(program));
                let (worker, socket) = Worker::bind(
                    &interface.name,
                    interface.index,
                    queue,
                    player,
                    worker_options,
                    announcements.cloned(),
                )?;
                Ok((worker, socket, remote))
            };
            let (worker, socket, player) = unless_busy(bind)?;
            let failed = |cause| ResponderError::WorkerEnded {
                interface: interface.name.clone(),
                queue,
                cause,
            };
            program
                .add_socket(queue, &socket)
                .map_err(|error| failed(io::Error::other(error)))?;
            let cpu = cpus.get(queue as usize % cpus.len().max(1)).copied();
            let name = format!("{}-{queue}", interface.name);
            let thread = worker.spawn(name, cpu, Arc::clone(&self.stop));
            self.threads.push(thread.map_err(failed)?);
            self.sockets.push(socket);
            self.players.push(player);
        }
        Ok(())
    }

    /// Has the workers answer what was handed over to them, and end.
    pub(super) fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // An error of a worker that ends anyway changes nothing any more.
            let _ = thread.join();
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.end();
    }
}

/// Binds, again and again while the queue is busy, for a second: the kernel
/// sets a queue free some time after its last socket was closed.
fn unless_busy<T>(bind: impl Fn() -> Result<T, QueueError>) -> Result<T, QueueError> {
    for _ in 0..BIND_RETRIES {
        match bind() {
            Err(error) if error.is_busy() => std::thread::sleep(BIND_PAUSE),
            result => return result,
        }
    }
    bind()
}

/// The way of a worker to the kernel half.
fn kernel_half(program: &Program) -> Option<KernelHalf> {
    let (mut marks, awaited) = (program.marks().ok()?, program.awaited().ok()?);
    Some(KernelHalf {
        leave_to_host: Box::new(move |mark, rule| marks.set(mark, rule.index() as u32).is_ok()),
        acknowledgements: Box::new(awaited),
    })
}
