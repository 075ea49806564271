//! What the service manager is told: the protocol of sd_notify(3), and its watchdog.
//!
//! Nothing here waits. A manager that does not read misses what it is told, and nothing else
//! happens.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use tokio::time::{Interval, MissedTickBehavior, interval};

/// The service manager, if one started this process.
#[derive(Debug)]
pub struct ServiceManager {
    socket: Option<UnixDatagram>,
    watchdog: Option<Interval>,
    /// The status that it was told last.
    status: String,
}

/// Where the service manager cannot be told anything.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot speak to the service manager at NOTIFY_SOCKET={place}: {cause}; unset it where none is"
)]
pub struct Unreachable {
    place: String,
    cause: io::Error,
}

impl ServiceManager {
    /// The one that the environment names, as systemd does for a unit of Type=notify and one with
    /// WatchdogSec=. This has to be within a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`Unreachable`], where it names one that is not there.
    pub fn from_environment() -> Result<Self, Unreachable> {
        let place = env::var_os("NOTIFY_SOCKET").filter(|place| !place.is_empty());
        let socket = place.map(|place| {
            connect(&place).map_err(|cause| Unreachable {
                place: place.to_string_lossy().into_owned(),
                cause,
            })
        });
        let text = |name| env::var(name).ok();
        let period = watchdog_period(
            text("WATCHDOG_USEC").as_deref(),
            text("WATCHDOG_PID").as_deref(),
            std::process::id(),
        );
        Ok(Self {
            socket: socket.transpose()?,
            watchdog: period.map(|period| {
                // Half the time: one that is late is no reason to be killed.
                let mut interval = interval(period / 2);
                interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
                interval
            }),
            status: String::new(),
        })
    }

    /// Everything is attached, or a reload is over.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// A reload begins, which [`ready`](Self::ready) ends.
    pub fn reloading(&self) {
        // Every Linux has this clock.
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={}", now.as_micros()));
    }

    /// The end begins.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// What `systemctl status` shows: one line.
    pub fn status(&mut self, status: String) {
        if self.socket.is_some() && self.status != status {
            self.tell(&format!("STATUS={}", status.replace('\n', " ")));
            self.status = status;
        }
    }

    /// Returns when it is time to show that we live; never without a watchdog.
    pub async fn watchdog_due(&mut self) {
        match &mut self.watchdog {
            Some(interval) => {
                interval.tick().await;
            }
            None => std::future::pending().await,
        }
    }

    /// We live.
    pub fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    fn tell(&self, message: &str) {
        if let Some(socket) = &self.socket {
            // A manager that is gone or does not read needs not know.
            let _ = socket.send(message.as_bytes());
        }
    }
}

/// A socket that reaches the manager and never waits.
fn connect(place: &OsStr) -> io::Result<UnixDatagram> {
    let address = match place.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        [b'/', ..] => SocketAddr::from_pathname(Path::new(place))?,
        _ => {
            return Err(io::Error::other(
                "it is neither a path nor an abstract name",
            ));
        }
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect_addr(&address)?;
    Ok(socket)
}

/// The time within which the manager wants to hear of the process `own`, by what it says of that
/// in microseconds and to which process.
fn watchdog_period(period: Option<&str>, process: Option<&str>, own: u32) -> Option<Duration> {
    let period = period?.parse().ok().filter(|period| *period > 0)?;
    let is_ours = process.is_none_or(|process| process.parse() == Ok(own));
    is_ours.then(|| Duration::from_micros(period))
}

#[cfg(test)]
mod tests {
    use xtask::lab::Scratch;

    use super::*;

    fn told(reader: &UnixDatagram) -> Vec<String> {
        reader.set_nonblocking(true).expect("ours");
        let mut octets = [0; 4096];
        let mut told = Vec::new();
        while let Ok(len) = reader.recv(&mut octets) {
            told.push(String::from_utf8_lossy(&octets[..len]).into_owned());
        }
        told
    }

    fn manager(place: &OsStr) -> ServiceManager {
        ServiceManager {
            socket: Some(connect(place).expect("somebody listens")),
            watchdog: None,
            status: String::new(),
        }
    }

    #[test]
    fn the_manager_is_told_in_its_own_words() {
        let scratch = Scratch::new("notify").expect("a directory");
        let path = scratch.file("notify.sock");
        let name = format!("broken-lns-test-{}", std::process::id());
        let abstracted = SocketAddr::from_abstract_name(&name).expect("short enough");
        for (place, reader) in [
            (path.clone().into_os_string(), UnixDatagram::bind(&path)),
            (
                format!("@{name}").into(),
                UnixDatagram::bind_addr(&abstracted),
            ),
        ] {
            let reader = reader.expect("the name is free");
            let mut manager = manager(&place);
            manager.ready();
            for status in ["3 of 6 answered", "3 of 6 answered", "two\nlines"] {
                manager.status(status.to_owned());
            }
            manager.alive();
            manager.reloading();
            manager.stopping();
            let told = told(&reader);
            let (reloading, told): (Vec<_>, Vec<_>) = told
                .into_iter()
                .partition(|line| line.starts_with("RELOADING=1\nMONOTONIC_USEC="));
            assert_eq!(
                told,
                [
                    "READY=1",
                    "STATUS=3 of 6 answered",
                    "STATUS=two lines",
                    "WATCHDOG=1",
                    "STOPPING=1"
                ]
            );
            assert_eq!(reloading.len(), 1);
        }
    }

    #[test]
    fn a_manager_that_does_not_read_holds_nobody_up() {
        let scratch = Scratch::new("notify").expect("a directory");
        let path = scratch.file("notify.sock");
        let reader = UnixDatagram::bind(&path).expect("the name is free");
        let manager = manager(path.as_os_str());
        // Far more than any socket holds.
        for _ in 0..100_000 {
            manager.alive();
        }
        assert!(!told(&reader).is_empty());
        drop(reader);
        manager.alive();
    }

    #[test]
    fn a_place_that_is_none_is_an_error() {
        for place in ["/nowhere/notify.sock", "relative", ""] {
            assert!(connect(OsStr::new(place)).is_err(), "{place}");
        }
    }

    #[test]
    fn the_watchdog_is_for_the_process_that_it_names() {
        let period = Some(Duration::from_secs(30));
        for (microseconds, process, expected) in [
            (Some("30000000"), Some("7"), period),
            (Some("30000000"), None, period),
            (Some("30000000"), Some("8"), None),
            (Some("0"), Some("7"), None),
            (Some("soon"), None, None),
            (None, Some("7"), None),
        ] {
            assert_eq!(watchdog_period(microseconds, process, 7), expected);
        }
    }
}
