//! `dsops man`: manual pages, from the same source as the help texts.

use std::fs;
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
        let mut root = Cli::command();
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
    let below = command.get_subcommands().filter(|sub| sub.get_name() != "help" && !sub.is_hide_set());
    let below = below.flat_map(|sub| pages(sub, &format!("{name}-{}", sub.get_name())));
    [(name.to_owned(), named)].into_iter().chain(below).collect()
}

fn render(command: &Command) -> Result<Vec<u8>, Stop> {
    let mut page = Vec::new();
    Page::new(command.clone()).manual("dsops").render(&mut page)?;
    Ok(page)
}
