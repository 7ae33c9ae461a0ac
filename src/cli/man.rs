//! `dsops man`: manual pages, from the same source as the help texts.

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::{Args, Command, CommandFactory as _};
use clap_mangen::Man as Page;
use dsops::exit;

use super::session::Session;
use super::{Cli, Outcome, Stop};
use crate::diagnostics::Diagnostic;

/// Print a manual page, or write them all
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  dsops man exec | man -l -\n  dsops man --out ~/.local/share/man/man1")]
pub(crate) struct Man {
    /// The command, with its own below it: `exec`, `local set`; dsops itself where this is absent
    #[arg(value_name = "COMMAND", conflicts_with = "out")]
    command: Vec<String>,
    /// Write the pages of all commands into this directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Man {
    pub(crate) fn run(&self, session: &Session) -> Outcome {
        let mut root = without_help(Cli::command());
        root.build();
        let pages = pages(&root, "dsops");
        let Some(dir) = &self.out else {
            let name = ["dsops"]
                .into_iter()
                .chain(self.command.iter().map(String::as_str))
                .collect::<Vec<_>>()
                .join("-");
            let Some((_, page)) = pages.iter().find(|(page, _)| *page == name) else {
                let names = pages.iter().map(|(page, _)| page.as_str());
                let help = dsops::suggest::did_you_mean(&name, names)
                    .unwrap_or_else(|| "see `dsops --help`".to_owned());
                let message = format!("there is no page `{name}`");
                return Err(Diagnostic::new("dsops::usage", exit::USAGE, message).help(help).into());
            };
            session.output.stdout(&render(page)?)?;
            return Ok(exit::OK);
        };
        fs::create_dir_all(dir).map_err(|error| failed(dir, &error))?;
        for (name, command) in &pages {
            let path = dir.join(format!("{name}.1"));
            fs::write(&path, render(command)?).map_err(|error| failed(&path, &error))?;
        }
        session.output.remark(&format!("wrote {} pages to {}", pages.len(), dir.display()));
        Ok(exit::OK)
    }
}

fn failed(path: &std::path::Path, error: &std::io::Error) -> Stop {
    let message = format!("`{}` cannot be written: {error}", path.display());
    Diagnostic::new("dsops::output", exit::STORE, message).into()
}

/// Returns every command that has a page, with the page's name.
fn pages(command: &Command, name: &str) -> Vec<(String, Command)> {
    let named = command.clone().name(name.to_owned());
    let below = command.get_subcommands().filter(|sub| !sub.is_hide_set());
    let below = below.flat_map(|sub| pages(sub, &format!("{name}-{}", sub.get_name())));
    [(name.to_owned(), named)].into_iter().chain(below).collect()
}

/// Takes out the commands `help`, which have no page that another could name.
fn without_help(command: Command) -> Command {
    let below: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    let command = command.disable_help_subcommand(true);
    below.into_iter().fold(command, |command, name| command.mut_subcommand(name, without_help))
}

fn render(command: &Command) -> Result<Vec<u8>, Stop> {
    let mut page = Vec::new();
    let name = command.get_name();
    let sections = Page::new(command.clone());
    // The library leaves the empty date out, and what follows slips into its place.
    writeln!(page, ".TH \"{name}\" \"1\" \"\" \"dsops {}\" \"dsops\"", env!("CARGO_PKG_VERSION"))?;
    sections.render_name_section(&mut page)?;
    // The usage of the help text, which says what belongs together and what can be repeated.
    writeln!(page, ".SH SYNOPSIS\n.nf")?;
    let usage = command.clone().render_usage().to_string();
    let lines = usage.lines().map(|line| line.trim_start_matches("Usage:").trim());
    for line in lines.filter(|line| !line.is_empty()) {
        writeln!(page, "{}", escaped(line))?;
    }
    writeln!(page, ".fi")?;
    sections.render_description_section(&mut page)?;
    sections.render_options_section(&mut page)?;
    if command.has_subcommands() {
        sections.render_subcommands_section(&mut page)?;
    }
    if let Some(text) = command.get_after_help() {
        after_help(&mut page, &text.to_string())?;
    }
    if name == "dsops" {
        exit_status(&mut page)?;
    } else {
        writeln!(page, ".SH \"SEE ALSO\"\n\\fBdsops\\fR(1)")?;
    }
    Ok(page)
}

/// Writes what stands below the help text. Commands keep their lines.
fn after_help(page: &mut Vec<u8>, text: &str) -> io::Result<()> {
    let heading = if text.starts_with("Example") { "EXAMPLES" } else { "NOTES" };
    writeln!(page, ".SH {heading}")?;
    for line in text.lines() {
        let example = line.strip_prefix("Example: ").or_else(|| line.strip_prefix("  "));
        match (example, line) {
            (Some(example), _) => writeln!(page, ".nf\n    {}\n.fi", escaped(example))?,
            (None, "Examples:") => {}
            (None, "") => writeln!(page, ".PP")?,
            (None, line) => writeln!(page, "{}", escaped(line))?,
        }
    }
    Ok(())
}

fn exit_status(page: &mut Vec<u8>) -> io::Result<()> {
    writeln!(page, ".SH \"EXIT STATUS\"")?;
    for (code, _, meaning) in exit::ALL {
        writeln!(page, ".TP\n{code}\n{}", escaped(&meaning.replace('`', "")))?;
    }
    Ok(())
}

/// Text in which nothing is a command of roff, and dashes can be copied.
fn escaped(line: &str) -> String {
    let text = line.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}
