//! The terminal: taken for the view, and given back as it was on every way out.

use std::io;
use std::mem::ManuallyDrop;
use std::thread;

use ratatui::crossterm::event::{self, Event};
use ratatui::{DefaultTerminal, Frame};
use tokio::sync::mpsc;

/// The terminal while it is ours: it does not echo, and shows another screen than before.
///
/// What it holds is never dropped: that would complain to a terminal which has gone away.
#[derive(Debug)]
pub(super) struct Screen(ManuallyDrop<DefaultTerminal>);

/// Gives the terminal back when dropped.
struct GivenBack;

impl Screen {
    /// Takes it. A panic gives it back before it prints anything.
    pub(super) fn take() -> io::Result<Self> {
        // A failure may come when half of it is done.
        let given_back = GivenBack;
        let terminal = ratatui::try_init()?;
        std::mem::forget(given_back);
        Ok(Self(ManuallyDrop::new(terminal)))
    }

    /// Draws what differs from what is there.
    pub(super) fn draw(&mut self, view: impl FnOnce(&mut Frame)) -> io::Result<()> {
        self.0.draw(view).map(|_| ())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.0.show_cursor();
        drop(GivenBack);
    }
}

impl Drop for GivenBack {
    fn drop(&mut self) {
        // A terminal that has gone away wants nothing back.
        let _ = ratatui::try_restore();
    }
}

/// Keys and changes of size, as they come.
pub(super) fn events() -> mpsc::Receiver<io::Result<Event>> {
    let (sender, events) = mpsc::channel(16);
    thread::spawn(move || {
        loop {
            let event = event::read();
            let is_last = event.is_err();
            if sender.blocking_send(event).is_err() || is_last {
                return;
            }
        }
    });
    events
}
