//! `broken-lns top`: a terminal view of a running responder, over its control socket.
//!
//! `poll` asks the responder, `model` makes rates of what it counted, `panel` makes rows of
//! those, and `view` draws them. `ui` is what keys change. All but `poll` and `screen` are without
//! input and output.

mod flow;
mod model;
mod panel;
mod poll;
mod screen;
mod ui;
mod view;

use std::io::IsTerminal as _;
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context as _, Result, ensure};
use ratatui::crossterm::event::Event;
use tokio::signal::unix::{SignalKind, signal};

pub use model::{Model, Sample};

use crate::cli::Which;
use crate::control::DIRECTORY;
use screen::Screen;
use ui::Ui;

/// Shows a running responder until its user has enough of it.
///
/// # Errors
///
/// Where there is no terminal, or no responder to begin with.
pub fn top(which: &Which) -> Result<()> {
    ensure!(
        std::io::stdin().is_terminal() && std::io::stdout().is_terminal(),
        "`top` needs a terminal to draw on and to read keys from; \
         for programs there is `broken-lns status --json`"
    );
    let (whom, directory) = (which.whom(), Path::new(DIRECTORY));
    // An error to begin with is better said than drawn.
    let first = poll::ask(&whom, directory)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let mut screen = Screen::take().context("cannot draw on the terminal")?;
        let mut events = screen::events();
        let mut samples = poll::follow(whom, directory);
        let mut model = Model::default();
        let mut ui = Ui::default();
        model.take(first);
        loop {
            screen
                .draw(|frame| view::draw(frame.buffer_mut(), &model, &mut ui))
                .context("cannot draw on the terminal")?;
            tokio::select! {
                _ = interrupt.recv() => return Ok(()),
                _ = terminate.recv() => return Ok(()),
                _ = hangup.recv() => return Ok(()),
                event = events.recv() => match event.context("no more keys can be read")? {
                    Ok(Event::Key(key)) => if ui.key(key, &model.panels()).is_break() {
                        return Ok(());
                    },
                    // Of another size it is drawn anew, like after everything else.
                    Ok(_) => {}
                    Err(error) => return Err(error).context("cannot read from the terminal"),
                },
                sample = samples.recv() => match sample.context("nobody asks any more")? {
                    Ok(_) if ui.is_paused() => {}
                    Ok(sample) => model.take(sample),
                    Err(error) => {
                        model.away(error.is_gone(), &error.to_string(), SystemTime::now());
                    }
                },
            }
        }
    })
}
