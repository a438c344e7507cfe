//! How far something is, in the last line of a terminal: it is written over until something else is said. Where lines cannot
//! be written over, there is no bar.

use std::io::{IsTerminal, Write, stdout};

use super::{label, table};
use crate::run::Share;

/// Cells of the bar itself.
const CELLS: usize = 24;
/// Columns of a terminal that does not say how many it has (VT100).
const COLUMNS: usize = 80;
/// What stands before the text: a label of 14 columns, and a blank.
const BEFORE: usize = 15;

/// The last line.
pub(super) struct Bar {
    on: bool,
    drawn: bool,
}

impl Bar {
    /// One for standard output.
    pub(super) fn of_stdout() -> Bar {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Bar { on: stdout().is_terminal() && !dumb, drawn: false }
    }

    /// Writes over what it said before; false where that cannot be.
    pub(super) fn draw(&mut self, text: &str, share: Share) -> bool {
        if self.on {
            self.drawn = true;
            let room = columns().saturating_sub(BEFORE);
            // Blanks to the end: what stood there was longer perhaps.
            anstream::print!("\r{} {:<room$}", label("fermata"), line(text, share, room));
            let _ = anstream::stdout().flush();
        }
        self.on
    }

    /// The line is free for something else.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.drawn) {
            anstream::print!("\r{}\r", " ".repeat(columns()));
        }
    }
}

/// How many there are, but for the last: whoever writes there begins another line on some terminals.
fn columns() -> usize {
    let size = rustix::termios::tcgetwinsize(stdout()).ok();
    size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0).unwrap_or(COLUMNS) - 1
}

/// The text, a bar and the figures, within so many columns: what does not fit is left out, figures last.
fn line(text: &str, share: Share, columns: usize) -> String {
    let cells = CELLS * usize::from(share.percent) / 100;
    let bar = format!("{}{}", "━".repeat(cells), "─".repeat(CELLS - cells));
    let percent = format!("{:>3} %", share.percent);
    let figures = format!("{percent}  {} of {}", table::bytes(share.done), table::bytes(share.total));
    let forms = [format!("{text} {bar} {figures}"), format!("{text} {bar} {percent}"), format!("{text} {percent}")];
    let fits = |form: &&String| form.chars().count() <= columns;
    forms.iter().find(fits).cloned().unwrap_or_else(|| forms[2].chars().take(columns).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_as_long_as_there_are_columns() {
        let share = Share { done: 3_400_000, total: 10_000_000, percent: 34, is_tenth: false };
        let lines = [80, 51, 30, 10].map(|columns| line("web: pulling redis:7", share, columns));
        assert_eq!(
            lines,
            [
                "web: pulling redis:7 ━━━━━━━━────────────────  34 %  3.4 MB of 10.0 MB",
                "web: pulling redis:7 ━━━━━━━━────────────────  34 %",
                "web: pulling redis:7  34 %",
                "web: pulli",
            ]
        );
    }
}
