//! Where text leaves the program: what was asked for to stdout, everything else to stderr.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};

use comfy_table::{ContentArrangement, Table, presets};
use dsops_providers::contract::SecretValue;

use crate::diagnostics::{Diagnostic, Format, render};

/// How the program talks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// How errors are written.
    pub(crate) format: Format,
    /// Whether remarks are left out.
    pub(crate) quiet: bool,
    colour: Colour,
    width: usize,
    /// Whether stderr has a limit: somebody else's program reads it, and counts.
    limited: bool,
}

/// How much a helper of another program writes to stderr in all, in bytes: that program may count it with the answer.
pub(crate) const MOST_STDERR: usize = 4096;
/// How much it has written.
static WRITTEN: AtomicUsize = AtomicUsize::new(0);

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Output {
    pub(crate) fn new(
        format: Format,
        quiet: bool,
        colour: Colour,
        env: &dsops_providers::contract::EnvSnapshot,
    ) -> Self {
        let no_colour =
            env.get("NO_COLOR").is_some_and(|value| !value.is_empty()) || env.get("TERM") == Some("dumb");
        let colour = if colour == Colour::Auto && no_colour { Colour::Never } else { colour };
        let columns = env.get("COLUMNS").and_then(|columns| columns.parse().ok());
        let width = columns.or_else(terminal_width).unwrap_or(100).clamp(40, 160);
        Self { format, quiet, colour, width, limited: false }
    }

    /// Returns the way to talk to a program that started this one: a line for each error, and little of it.
    pub(crate) fn unattended(self) -> Self {
        let format = if self.format == Format::Human { Format::Line } else { self.format };
        Self { format, colour: Colour::Never, limited: true, ..self }
    }

    fn colours(self, terminal: bool) -> bool {
        match self.colour {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => terminal,
        }
    }

    /// Writes to stdout, and says whether anybody still reads it.
    pub(crate) fn stdout(self, bytes: &[u8]) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
        stdout.flush()
    }

    /// Writes a value to stdout, exact to the byte; on a terminal a newline follows.
    pub(crate) fn value(self, value: &SecretValue) -> io::Result<()> {
        self.stdout(value.expose())?;
        if self.to_terminal() { self.stdout(b"\n") } else { Ok(()) }
    }

    /// Writes a line of text to stdout.
    pub(crate) fn line(self, text: &str) -> io::Result<()> {
        self.stdout(format!("{text}\n").as_bytes())
    }

    /// Colours the words of one column of a table, where colours are wanted on stdout.
    ///
    /// Done once the table is laid out: the layout counts the bytes of a colour as width.
    pub(crate) fn coloured_column(
        self,
        table: &str,
        title: &str,
        style: impl Fn(&str) -> Option<owo_colors::Style>,
    ) -> String {
        let start = table.lines().next().and_then(|header| header.find(title));
        let Some(start) = start.filter(|_| self.colours(self.to_terminal())) else { return table.to_owned() };
        let coloured = |line: &str| {
            let (offset, _) = line.char_indices().nth(start)?;
            let (before, rest) = line.split_at_checked(offset)?;
            let (word, after) = rest.split_at_checked(rest.find(' ').unwrap_or(rest.len()))?;
            Some(format!("{before}{}{after}", style(word)?.style(word)))
        };
        let lines = table.lines().map(|line| coloured(line).unwrap_or_else(|| line.to_owned()));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Says whether stdout is a terminal.
    pub(crate) fn to_terminal(self) -> bool {
        io::stdout().is_terminal()
    }

    /// Writes a remark to stderr.
    pub(crate) fn remark(self, text: &str) {
        if !self.quiet {
            self.stderr(&format!("dsops: {text}\n"));
        }
    }

    /// Writes a remark to stderr that `--quiet` does not silence: what was asked for was not done in full.
    pub(crate) fn warn(self, text: &str) {
        self.stderr(&format!("dsops: {text}\n"));
    }

    /// Writes a report to stderr.
    pub(crate) fn diagnostic(self, diagnostic: &Diagnostic) {
        let colour = self.colours(io::stderr().is_terminal());
        self.stderr(&render(diagnostic, self.format, colour, self.width));
    }

    /// Writes one line for several reports.
    pub(crate) fn first_of(self, reports: &[Diagnostic]) {
        let more = match reports.len() {
            0 | 1 => String::new(),
            count => format!("; and {} more", count - 1),
        };
        if let Some(first) = reports.first() {
            self.warn(&format!("{}{more}", first.line()));
        }
    }

    fn stderr(mut self, text: &str) {
        // Nobody can be told that stderr is closed.
        let _ = self.write_all(text.as_bytes());
    }

    /// Lays out a table for stdout: a header, a rule, rows; no frame, so that lines can be cut and searched.
    pub(crate) fn table(self, header: &[&str], rows: Vec<Vec<String>>) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        if self.to_terminal() {
            table.set_content_arrangement(ContentArrangement::Dynamic);
        }
        if let Ok(width) = u16::try_from(self.width) {
            table.set_width(width);
        }
        table.set_header(header.iter().map(|title| title.to_uppercase()));
        table.add_rows(rows);
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        let text = table.to_string();
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        lines.join("\n")
    }
}

/// Writes to stderr, as much as there may be.
impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut stderr = io::stderr().lock();
        if self.limited {
            // Lines are written whole or not at all, but for a first one that is too long by itself.
            let before = WRITTEN.fetch_add(bytes.len(), Ordering::Relaxed);
            let cut = bytes.get(..MOST_STDERR - 1).filter(|_| before == 0);
            match before.saturating_add(bytes.len()) <= MOST_STDERR {
                true => stderr.write_all(bytes)?,
                false if cut.is_some() => stderr.write_all(&[cut.unwrap_or_default(), b"\n"].concat())?,
                false => {}
            }
            return Ok(bytes.len());
        }
        stderr.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

fn terminal_width() -> Option<usize> {
    terminal_size::terminal_size_of(io::stderr()).map(|(width, _)| usize::from(width.0))
}
