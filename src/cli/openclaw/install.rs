//! `dsops openclaw install`: a copy of this program that OpenClaw takes, and the settings for it.

use std::path::Path;

use clap::Args;
use dsops::exit;
use dsops::openclaw::{self, Installed, MOST_TIMEOUT, is_passable};

use super::{COPY, EXPOSED, Outcome, Session, Stop, Wanted, remedy, timeout_for, unfit};
use crate::diagnostics::Diagnostic;

/// Copy this program to where OpenClaw runs it, and print the settings
///
/// The settings go to stdout, as JSON that `openclaw config patch --stdin` takes. Run this again after an update of dsops
/// or of `dsops.yaml`, as the user that OpenClaw runs as.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  dsops openclaw install\n  \
    dsops openclaw install --config ~/secrets/dsops.yaml --env production")]
pub(crate) struct Install {
    #[command(flatten)]
    wanted: Wanted,
}

impl Install {
    pub(crate) fn run(&self, session: &Session) -> Outcome {
        let path = std::path::absolute(session.config_path()?)?;
        let config = session.load()?;
        let profile = self.wanted.profile(&config)?;
        let needs = profile.needs(&session.env);
        let wanted = self.wanted.directory(session)?;
        // Read before anything is written.
        let _ = self.wanted.provider(&path, &profile, &needs, &wanted)?;
        let directory = openclaw::private_directory(&wanted).map_err(|error| {
            unfit(
                format!("the directory {} cannot be made: {error}", wanted.display()),
                "name another with `--dir`",
            )
        })?;
        openclaw::check_directories(&directory).map_err(|breach| {
            unfit(
                format!("{breach}: whoever may write there can put another program in the place of the copy"),
                "take the right away with `chmod go-w`, or name another directory with `--dir`",
            )
        })?;
        let provider = self.wanted.provider(&path, &profile, &needs, &directory)?;
        let installed = install(&provider.command)?;
        openclaw::check_command(&provider.command, &provider.trusted_dirs)
            .map_err(|breach| unfit(breach.message, "name another directory with `--dir`"))?;
        let shown = provider.command.display();
        session.output.remark(&match installed {
            Installed::New => format!("copied to {shown}"),
            Installed::Replaced => format!("replaced {shown}"),
            Installed::UpToDate => format!("{shown} is up to date"),
        });
        if directory != wanted {
            session.output.remark(&format!("{} is {}", wanted.display(), directory.display()));
        }
        if let Err(breach) = openclaw::check_file(&path) {
            let told = format!("{breach}: {EXPOSED}");
            session.output.warn(&format!("{told}; {}", remedy(breach)));
        }
        let told = |names: &mut dyn Iterator<Item = &String>| {
            names.map(String::as_str).collect::<Vec<_>>().join(", ")
        };
        let unset = told(&mut needs.unset.iter());
        if !unset.is_empty() {
            session.output.warn(&format!("not set here, and needed in the environment of OpenClaw: {unset}"));
        }
        let unpassable = told(&mut needs.names.iter().filter(|name| !is_passable(name)));
        if !unpassable.is_empty() {
            session.output.warn(&format!(
                "OpenClaw passes no variable of this name on, only capitals, digits and `_`: {unpassable}"
            ));
        }
        if profile.deadline().is_some_and(|deadline| deadline > MOST_TIMEOUT * 4 / 5) {
            let most = timeout_for(profile.deadline()).as_secs();
            session.output.warn(&format!("`deadline` is cut: OpenClaw gives no program more than {most} s"));
        }
        session.output.line(&format!("{:#}", openclaw::document(&provider)))?;
        session.output.remark(
            "put this into OpenClaw's settings (`openclaw config patch --stdin` takes it), then try it with \
             `dsops openclaw check`",
        );
        Ok(exit::OK)
    }
}

fn install(copy: &Path) -> Result<Installed, Stop> {
    let program = std::env::current_exe()?;
    openclaw::install(&program, copy).map_err(|error| {
        let message = format!("{} cannot be copied to {}: {error}", program.display(), copy.display());
        let help = format!("see whether there is room, and whether {COPY} there is a file of yours");
        Diagnostic::new("dsops::openclaw::copy", exit::STORE, message).help(help).into()
    })
}
