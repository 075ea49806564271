//! Messages of the kernel half, as lines for people.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use aya_log::EbpfLogger;
use broken_lns_ebpf::verdict::Verdict;
use log::{Log, Metadata, Record};

/// How often messages are fetched.
const INTERVAL: Duration = Duration::from_millis(100);

/// Lines that wait to be shown.
const WAITING: usize = 4096;

/// The messages of all interfaces.
///
/// The kernel half may make more of them than anybody fetches, without end. So each interface has a
/// thread that fetches them, and what comes too fast to be shown is counted.
#[derive(Debug)]
pub struct KernelMessages {
    sender: SyncSender<String>,
    lines: Receiver<String>,
    left_out: Arc<AtomicU64>,
    threads: Vec<(Sender<()>, JoinHandle<()>)>,
}

/// Takes the messages of one interface's program, which come through aya-log.
///
/// The program says how a frame ended in three numbers, verdict, queue and
/// length, since it neither formats nor holds texts.
#[derive(Debug)]
pub struct KernelLog {
    interface: String,
    lines: SyncSender<String>,
    left_out: Arc<AtomicU64>,
}

impl Default for KernelMessages {
    fn default() -> Self {
        let (sender, lines) = sync_channel(WAITING);
        Self {
            sender,
            lines,
            left_out: Arc::default(),
            threads: Vec::new(),
        }
    }
}

impl KernelMessages {
    /// A log for the messages of an interface.
    pub fn log(&self, interface: String) -> KernelLog {
        KernelLog {
            interface,
            lines: self.sender.clone(),
            left_out: Arc::clone(&self.left_out),
        }
    }

    /// Fetches these messages from now on.
    ///
    /// # Errors
    ///
    /// Where there is no thread for it.
    pub fn follow(&mut self, messages: EbpfLogger<KernelLog>) -> io::Result<()> {
        let (end, is_over) = channel();
        let thread = thread::Builder::new()
            .name("messages".to_owned())
            .spawn(move || fetch(messages, &is_over))?;
        self.threads.push((end, thread));
        Ok(())
    }

    /// The lines that came since the last time.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        // Those that come meanwhile are for the next time.
        self.lines.try_iter().take(WAITING)
    }

    /// A line that says how many were left out since the last time, if any were.
    pub fn left_out(&self) -> Option<String> {
        match self.left_out.swap(0, Ordering::Relaxed) {
            0 => None,
            count => Some(format!(
                "{} messages of the kernel half came too fast to be shown",
                crate::output::thousands(count)
            )),
        }
    }

    /// Fetches the last messages. The programs have to be detached, or there are ever more.
    pub fn end(&mut self) {
        for (end, thread) in self.threads.drain(..) {
            drop(end);
            // One that panicked has nothing more to tell.
            let _ = thread.join();
        }
    }
}

/// Fetches messages until it is over.
fn fetch(mut messages: EbpfLogger<KernelLog>, is_over: &Receiver<()>) {
    loop {
        let wait = is_over.recv_timeout(INTERVAL);
        messages.flush();
        if !matches!(wait, Err(RecvTimeoutError::Timeout)) {
            return;
        }
    }
}

impl Log for KernelLog {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let message = record.args().to_string();
        let text = described(&message).unwrap_or(message);
        let line = format!("{}: {text}", self.interface);
        if self.lines.try_send(line).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flush(&self) {}
}

/// The three numbers of a message in words.
fn described(message: &str) -> Option<String> {
    let mut numbers = message.split(' ').map(str::parse::<usize>);
    let verdict = Verdict::ALL.get(numbers.next()?.ok()?)?;
    let (queue, length) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    Some(format!(
        "queue {queue}, {length} octets: {} ({})",
        verdict.label(),
        verdict.meaning()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_words() {
        let zlb = Verdict::Zlb as u32;
        assert_eq!(
            described(&format!("{zlb} 3 60")).as_deref(),
            Some("queue 3, 60 octets: zlb (ZLB acknowledgement)")
        );
    }

    #[test]
    fn what_comes_too_fast_is_counted() {
        let messages = KernelMessages::default();
        let log = messages.log("eth1".to_owned());
        for _ in 0..WAITING + 1_234 {
            log.log(&Record::builder().args(format_args!("a message")).build());
        }
        let lines: Vec<_> = messages.lines().collect();
        assert_eq!(lines, vec!["eth1: a message"; WAITING]);
        assert_eq!(
            messages.left_out().as_deref(),
            Some("1,234 messages of the kernel half came too fast to be shown")
        );
        assert_eq!(messages.left_out(), None);
    }

    #[test]
    fn other_messages_stay_as_they_are() {
        for message in ["", "a message", "1", "1 2", "999 0 60"] {
            assert_eq!(described(message), None, "{message}");
        }
    }
}
