//! Messages of the kernel half, as lines for people.

use std::sync::mpsc::Sender;

use broken_lns_ebpf::verdict::Verdict;
use log::{Log, Metadata, Record};

/// Takes the messages of one interface's program, which come through aya-log.
///
/// The program says how a frame ended in three numbers, verdict, queue and
/// length, since it neither formats nor holds texts.
#[derive(Debug)]
pub struct KernelLog {
    interface: String,
    lines: Sender<String>,
}

impl KernelLog {
    /// A log whose lines go to `lines`.
    pub const fn new(interface: String, lines: Sender<String>) -> Self {
        Self { interface, lines }
    }
}

impl Log for KernelLog {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let message = record.args().to_string();
        let text = described(&message).unwrap_or(message);
        // Once nobody listens any more, the run is over.
        let _ = self.lines.send(format!("{}: {text}", self.interface));
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
    fn other_messages_stay_as_they_are() {
        for message in ["", "a message", "1", "1 2", "999 0 60"] {
            assert_eq!(described(message), None, "{message}");
        }
    }
}
