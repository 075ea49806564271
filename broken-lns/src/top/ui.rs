//! What keys change of the view.

use std::ops::ControlFlow;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::panel::Panel;

/// Rows that Page Up and Page Down go.
const PAGE: usize = 10;

/// The longest filter, in characters.
const FILTER_LEN: usize = 60;

/// What is shown, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ui {
    focus: Panel,
    /// Whether keys go to the filter of the panel with the focus.
    edits_filter: bool,
    is_paused: bool,
    shows_help: bool,
    panels: [PanelState; Panel::ALL.len()],
}

/// How one panel is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct PanelState {
    /// Which of its sorts it has.
    sort: usize,
    /// How many of its rows are above it.
    above: usize,
    /// What its rows have to contain.
    filter: String,
}

impl Ui {
    /// Does what a key is for, where these panels are shown; breaks to quit.
    pub(super) fn key(&mut self, key: KeyEvent, panels: &[Panel]) -> ControlFlow<()> {
        if key.kind == KeyEventKind::Release {
            return ControlFlow::Continue(());
        }
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if is_control => return ControlFlow::Break(()),
            _ if self.edits_filter => self.edit(key.code),
            // Any key takes it away, and does no more.
            _ if self.shows_help => self.shows_help = false,
            KeyCode::Char('q') => return ControlFlow::Break(()),
            KeyCode::Char('s') => {
                let sorts = self.focus.sorts().len();
                let state = self.state_mut(self.focus);
                state.sort = (state.sort + 1) % sorts;
            }
            KeyCode::Char('/') => self.edits_filter = true,
            KeyCode::Esc => self.state_mut(self.focus).filter.clear(),
            KeyCode::Char('p') => self.is_paused = !self.is_paused,
            KeyCode::Char('?') => self.shows_help = true,
            KeyCode::Tab => self.turn(panels, 1),
            KeyCode::BackTab => self.turn(panels, panels.len().saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') => self.scroll(|above| above + 1),
            KeyCode::Up | KeyCode::Char('k') => self.scroll(|above| above.saturating_sub(1)),
            KeyCode::PageDown => self.scroll(|above| above + PAGE),
            KeyCode::PageUp => self.scroll(|above| above.saturating_sub(PAGE)),
            KeyCode::Home => self.scroll(|_| 0),
            // The view knows where the end is.
            KeyCode::End => self.scroll(|_| usize::MAX / 2),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn edit(&mut self, code: KeyCode) {
        let filter = &mut self.state_mut(self.focus).filter;
        match code {
            KeyCode::Esc => filter.clear(),
            KeyCode::Backspace => {
                filter.pop();
            }
            KeyCode::Char(character) if filter.chars().count() < FILTER_LEN => {
                filter.push(character);
            }
            _ => {}
        }
        self.edits_filter = !matches!(code, KeyCode::Enter | KeyCode::Esc);
    }

    fn turn(&mut self, panels: &[Panel], by: usize) {
        let at = panels.iter().position(|panel| *panel == self.focus);
        let next = at.map_or(0, |at| (at + by) % panels.len());
        self.focus = panels.get(next).copied().unwrap_or_default();
    }

    fn scroll(&mut self, to: impl Fn(usize) -> usize) {
        let state = self.state_mut(self.focus);
        state.above = to(state.above);
    }

    fn state(&self, panel: Panel) -> &PanelState {
        &self.panels[panel as usize]
    }

    fn state_mut(&mut self, panel: Panel) -> &mut PanelState {
        &mut self.panels[panel as usize]
    }

    /// The panel that keys are for, and that has the room that others leave.
    pub(super) fn focus(&self) -> Panel {
        self.focus
    }

    /// What the rows of a panel have to contain.
    pub(super) fn filter(&self, panel: Panel) -> &str {
        &self.state(panel).filter
    }

    /// Whether keys go to the filter of the panel with the focus.
    pub(super) fn edits_filter(&self) -> bool {
        self.edits_filter
    }

    /// Whether nothing new is shown.
    pub(super) fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Whether the keys are explained.
    pub(super) fn shows_help(&self) -> bool {
        self.shows_help
    }

    /// The column that a panel is sorted by.
    pub(super) fn sort(&self, panel: Panel) -> usize {
        let sorts = panel.sorts();
        sorts.get(self.state(panel).sort).copied().unwrap_or(0)
    }

    /// The first row that is seen of `rows` where `seen` are, which is none beyond the last.
    pub(super) fn first_row(&mut self, panel: Panel, rows: usize, seen: usize) -> usize {
        let state = self.state_mut(panel);
        state.above = state.above.min(rows.saturating_sub(seen));
        state.above
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PANELS: [Panel; 3] = [Panel::Verdicts, Panel::Queues, Panel::Rules];

    fn press(ui: &mut Ui, codes: &[KeyCode]) -> ControlFlow<()> {
        codes
            .iter()
            .try_for_each(|code| ui.key(KeyEvent::from(*code), &PANELS))
    }

    #[test]
    fn it_is_quit_by_q_and_by_control_c() {
        use KeyCode::Char;
        assert!(press(&mut Ui::default(), &[Char('q')]).is_break());
        let interrupt = KeyEvent::new(Char('c'), KeyModifiers::CONTROL);
        assert!(Ui::default().key(interrupt, &PANELS).is_break());
        assert!(press(&mut Ui::default(), &[Char('c')]).is_continue());
        // In a filter it is a letter, but Ctrl-C is what it always is.
        let mut ui = Ui::default();
        assert!(press(&mut ui, &[Char('/'), Char('q')]).is_continue());
        assert_eq!(ui.filter(ui.focus()), "q");
        assert!(ui.key(interrupt, &PANELS).is_break());
    }

    #[test]
    fn a_filter_is_typed_kept_and_taken_away() {
        use KeyCode::{Backspace, Char, Enter, Esc};
        let mut ui = Ui::default();
        let _ = press(
            &mut ui,
            &[Char('/'), Char('z'), Char('s'), Backspace, Enter],
        );
        assert_eq!((ui.filter(ui.focus()), ui.edits_filter()), ("z", false));
        let _ = press(&mut ui, &[Esc]);
        assert_eq!(ui, Ui::default());
        let _ = press(&mut ui, &[Char('/'), Char('z'), Esc]);
        assert_eq!(ui, Ui::default());
        let _ = press(&mut ui, &[Char('/')]);
        let _ = press(&mut ui, &[Char('x'); 200]);
        assert_eq!(ui.filter(ui.focus()).len(), FILTER_LEN);
    }

    #[test]
    fn each_panel_has_its_sort_and_its_place() {
        use KeyCode::{BackTab, Char, Down, End, PageUp, Tab, Up};
        let mut ui = Ui::default();
        let _ = press(
            &mut ui,
            &[Char('s'), Tab, Tab, Char('s'), Char('s'), Down, Char('j')],
        );
        assert_eq!(ui.focus(), Panel::Rules);
        assert_eq!(PANELS.map(|panel| ui.sort(panel)), [2, 0, 1]);
        assert_eq!(ui.first_row(Panel::Rules, 100, 10), 2);
        assert_eq!(ui.first_row(Panel::Verdicts, 100, 10), 0);
        let _ = press(&mut ui, &[End]);
        assert_eq!(ui.first_row(Panel::Rules, 100, 10), 90);
        let _ = press(&mut ui, &[Up, PageUp]);
        assert_eq!(ui.first_row(Panel::Rules, 100, 10), 79);
        let _ = press(&mut ui, &[Char('s'), Tab]);
        assert_eq!((ui.sort(Panel::Rules), ui.focus()), (0, Panel::Verdicts));
        let _ = press(&mut ui, &[BackTab]);
        assert_eq!(ui.focus(), Panel::Rules);
    }

    #[test]
    fn a_panel_that_is_gone_has_no_focus() {
        let mut ui = Ui::default();
        let _ = press(&mut ui, &[KeyCode::Tab]);
        let _ = ui.key(
            KeyEvent::from(KeyCode::Tab),
            &[Panel::Verdicts, Panel::Rules],
        );
        assert_eq!(ui.focus(), Panel::Verdicts);
    }

    #[test]
    fn help_goes_with_any_key() {
        let mut ui = Ui::default();
        let _ = press(&mut ui, &[KeyCode::Char('?')]);
        assert!(ui.shows_help());
        let _ = press(&mut ui, &[KeyCode::Char('p')]);
        assert_eq!(ui, Ui::default());
        let _ = press(&mut ui, &[KeyCode::Char('p')]);
        assert!(ui.is_paused());
    }
}
