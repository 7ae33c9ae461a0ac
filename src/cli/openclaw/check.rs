//! `dsops openclaw check`: the rules for the program's path, and one exchange as OpenClaw would have it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use dsops::config::{self, Config};
use dsops::exit;
use dsops::openclaw::{
    self, Exchange, Failure, Id, MOST_IDS, Outcome as Came, Profile, Provider, Settings, TIMEOUT, is_passable,
};
use dsops_providers::contract::{Finding, Status};

use super::report::{Report, advice_for, came, document, text};
use super::{EXPOSED, Outcome, Session, Stop, Wanted, remedy};
use crate::cli::helper::called_as;
use crate::cli::session::runtime;
use crate::diagnostics::Diagnostic;

/// `exec-provider` writes a line feed each second while it waits; a shorter limit on silence ends it.
const LEAST_SILENCE: Duration = Duration::from_millis(1100);

/// How every report of dsops on one line starts.
const PREFIX: &str = "dsops: ";

/// Try the set-up as OpenClaw does: every rule for the program, and one real exchange
///
/// Starts the copy with the environment, the limits and the work directory that OpenClaw gives it, and asks for every id
/// that the file names. Says of each whether OpenClaw gets it. No value is shown. Run it as the user that OpenClaw runs
/// as, with the environment that OpenClaw has.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  dsops openclaw check\n  \
    dsops openclaw check --settings ~/.openclaw/openclaw.json\n\nExits with 1 where something failed.")]
pub(crate) struct Check {
    #[command(flatten)]
    wanted: Wanted,
    /// Check the providers in this settings file of OpenClaw that run `dsops exec-provider`, and the ids that it names
    #[arg(long, value_name = "FILE", conflicts_with_all = ["env", "profile", "provider", "dir"])]
    settings: Option<PathBuf>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(crate) fn run(&self, session: &Session) -> Outcome {
        let _hardened = dsops::exec::harden();
        let reports = match &self.settings {
            Some(path) => configured(session, path)?,
            None => vec![self.wanted(session)?],
        };
        let is_ok =
            reports.iter().flat_map(|report| &report.findings).all(|found| found.status != Status::Failed);
        let text =
            if self.json { format!("{:#}", document(&reports, is_ok)) } else { text(session, &reports) };
        session.output.line(&text)?;
        Ok(if is_ok { exit::OK } else { exit::PROBLEMS })
    }

    /// Checks what `install` with the same options makes.
    fn wanted(&self, session: &Session) -> Result<Report, Stop> {
        let path = std::path::absolute(session.config_path()?)?;
        let config = session.load()?;
        let profile = self.wanted.profile(&config)?;
        let named = self.wanted.directory(session)?;
        // `install` prints the path without links.
        let directory = std::fs::canonicalize(&named).unwrap_or(named);
        let provider = self.wanted.provider(&path, &profile, &profile.needs(&session.env), &directory)?;
        let mut subject = Subject::new(session, &provider);
        subject.loaded(&path);
        subject.profile(&profile);
        subject.exchange(&[])?;
        Ok(subject.into_report())
    }
}

/// Checks the providers of OpenClaw's own settings.
fn configured(session: &Session, path: &Path) -> Result<Vec<Report>, Stop> {
    let unreadable = |message: String, help: &str| {
        Stop::from(Diagnostic::new("dsops::openclaw::settings", exit::CONFIGURATION, message).help(help))
    };
    let mut settings = Settings::read(path).map_err(|error| {
        let message = format!("{} cannot be read: {error}", path.display());
        unreadable(
            message,
            "name the file that `openclaw config file` prints; `openclaw config validate` checks it",
        )
    })?;
    // Under the names of helpers, which are another command, it is not `exec-provider` that runs.
    settings.providers.retain(|configured| {
        let command = [configured.provider.command.clone().into_os_string()];
        called_as::arguments(command).len() == 1
    });
    if settings.includes {
        session.output.warn("what `$include` names in the settings is not read");
    }
    if settings.providers.is_empty() {
        let message = format!("{} has no provider that runs `dsops exec-provider`", path.display());
        return Err(unreadable(message, "put in what `dsops openclaw install` prints"));
    }
    let mut reports = Vec::new();
    for configured in &settings.providers {
        let provider = &configured.provider;
        let mut subject = Subject::new(session, provider);
        if !openclaw::is_provider_name(&provider.name) {
            subject.failed(
                "provider",
                "OpenClaw takes no provider of this name",
                "use small letters, digits, `_` and `-`",
            );
        }
        subject.limits();
        if let Some(config) = subject.file() {
            match Profile::of(
                &config,
                argument(&provider.args, "--profile"),
                argument(&provider.args, "--env"),
            ) {
                Ok(profile) => subject.profile(&profile),
                Err(unknown) => {
                    subject.failed("file", unknown.to_string(), "run `dsops openclaw install` again")
                }
            }
        }
        subject.exchange(&configured.ids)?;
        reports.push(subject.into_report());
    }
    Ok(reports)
}

/// Returns the value of an option among arguments.
fn argument<'a>(args: &'a [String], name: &str) -> Option<&'a str> {
    let pairs = args.iter().zip(args.iter().skip(1));
    let apart = pairs.filter(|(option, _)| *option == name).map(|(_, value)| value.as_str());
    let joined = args.iter().filter_map(|arg| arg.strip_prefix(name)?.strip_prefix('='));
    apart.chain(joined).next()
}

/// Returns why the program ended, in its own words: the first line of stderr, where it is a report of dsops that came
/// before any value was there. What comes later may repeat what a store's program said, which nobody knows.
fn remark_of(failure: &Failure, remarks: &[u8]) -> Option<String> {
    let Failure::Code(code) = failure else { return None };
    let is_early = [exit::USAGE, exit::CONFIGURATION].iter().any(|early| i32::from(*early) == *code);
    let line = remarks.split(|byte| *byte == b'\n').next().filter(|_| is_early)?;
    Some(std::str::from_utf8(line).ok()?.trim_end().to_owned()).filter(|line| line.starts_with(PREFIX))
}

/// One provider that is looked at.
struct Subject<'a> {
    session: &'a Session,
    provider: &'a Provider,
    ids: Vec<Id>,
    findings: Vec<Finding>,
}

impl<'a> Subject<'a> {
    fn new(session: &'a Session, provider: &'a Provider) -> Self {
        Self { session, provider, ids: Vec::new(), findings: Vec::new() }
    }

    fn found(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    fn failed(&mut self, step: &'static str, message: impl Into<String>, help: impl Into<String>) {
        self.found(Finding { status: Status::Failed, ..Finding::warning(step, message, help) });
    }

    fn into_report(self) -> Report {
        Report { provider: self.provider.name.clone(), findings: self.findings }
    }

    /// Checks the limits that the settings have.
    fn limits(&mut self) {
        let Provider { timeout, silence, args, .. } = self.provider;
        let told = argument(args, "--timeout").map_or(Some(TIMEOUT), config::parse_duration);
        if told.is_some_and(|told| told > *timeout) {
            let millis = timeout.as_millis();
            let message = format!(
                "OpenClaw ends the program after {millis} ms, and its arguments say that it has longer"
            );
            self.failed("limits", message, format!("set `--timeout {millis}ms` in `args`"));
        } else if *silence < LEAST_SILENCE {
            let message = format!(
                "`noOutputTimeoutMs` is {} ms, and signs of life come each second",
                silence.as_millis()
            );
            self.failed("limits", message, format!("set `noOutputTimeoutMs` to {}", timeout.as_millis()));
        } else {
            self.found(Finding::ok("limits", format!("{} ms", timeout.as_millis())));
        }
    }

    /// Loads the file that the arguments name.
    fn file(&mut self) -> Option<Config> {
        let again = "run `dsops openclaw install`, and take its `args`";
        let Some(path) =
            argument(&self.provider.args, "--config").or_else(|| argument(&self.provider.args, "-c"))
        else {
            let message =
                "`args` name no file, so that its place depends on variables that OpenClaw does not pass on";
            self.found(Finding::warning("file", message, again));
            return None;
        };
        if !Path::new(path).is_absolute() {
            self.failed("file", format!("{path} is not an absolute path"), again);
            return None;
        }
        match config::load(Path::new(path)) {
            Ok(config) => {
                self.loaded(Path::new(path));
                Some(config)
            }
            Err(report) => {
                for diagnostic in Diagnostic::report(&report) {
                    self.session.output.diagnostic(&diagnostic);
                }
                self.failed(
                    "file",
                    format!("{path} does not load"),
                    format!("see `dsops validate --config {path}`"),
                );
                None
            }
        }
    }

    /// Notes a file that loads, and whether others could change it: it says which programs run.
    fn loaded(&mut self, path: &Path) {
        match openclaw::check_file(path) {
            Ok(()) => self.found(Finding::ok("file", path.display().to_string())),
            Err(breach) => self.failed("file", format!("{breach}: {EXPOSED}"), remedy(breach)),
        }
    }

    /// Notes what a profile gives, and what its stores need.
    fn profile(&mut self, profile: &Profile<'_>) {
        self.ids = profile.ids();
        let unaskable = profile.unaskable();
        if !unaskable.is_empty() {
            let message =
                format!("OpenClaw cannot ask for these, whose names are no ids: {}", unaskable.join(", "));
            let help = "give them an alias in `ids`: letters, digits and `._:/#-`, with a letter or digit at the start";
            self.found(Finding::warning("ids", message, help));
        }
        if profile.is_open() {
            let message =
                "what imports bring, and paths in stores, is asked for only where the settings name it";
            self.found(Finding::ok("ids", message));
        }
        let needs = profile.needs(&self.session.env);
        let given = |name: &String| {
            self.provider.pass_env.contains(name)
                || self.provider.env.iter().any(|(given, _)| **given == **name)
        };
        let kept: Vec<&str> = needs.names.iter().filter(|name| !given(name)).map(String::as_str).collect();
        let unset: Vec<&str> = needs.unset.iter().filter(|name| given(name)).map(String::as_str).collect();
        let finding = if kept.iter().any(|name| !is_passable(name)) {
            let names = kept.join(", ");
            let help = "give the variable a name in capitals, digits and `_`";
            Finding::warning(
                "environment",
                format!("needed, and OpenClaw passes no such name on: {names}"),
                help,
            )
        } else if !kept.is_empty() {
            let names = kept.join(", ");
            let message = format!("set or needed here, and not passed on: {names}");
            Finding::warning(
                "environment",
                message,
                "add what is needed to `passEnv`, or run `dsops openclaw install` again",
            )
        } else if !unset.is_empty() {
            let message = format!("needed, and not set here: {}", unset.join(", "));
            Finding::warning(
                "environment",
                message,
                "set it in the environment of OpenClaw, and here for this check",
            )
        } else {
            Finding::ok("environment", format!("{} variables are passed on", self.provider.pass_env.len()))
        };
        self.found(finding);
    }

    /// Checks the program, and where OpenClaw would start it, starts it and asks for all ids.
    fn exchange(&mut self, referenced: &[String]) -> Result<(), Stop> {
        if !self.is_program() {
            self.found(Finding::skipped("answer", "OpenClaw would not start the program"));
            return Ok(());
        };
        let mut ids: Vec<Id> = self.ids.iter().filter(|id| !referenced.contains(&id.id)).cloned().collect();
        ids.extend(referenced.iter().map(|id| Id { id: id.clone(), optional: false }));
        if ids.len() > MOST_IDS {
            let message = format!(
                "{} ids, of which the first {MOST_IDS} are tried: OpenClaw asks for no more at once",
                ids.len()
            );
            self.found(Finding::warning("ids", message, "name with `allow` what OpenClaw may ask for"));
            ids.truncate(MOST_IDS);
        }
        let names: Vec<&str> = ids.iter().map(|id| id.id.as_str()).collect();
        let exchange = openclaw::exchange(self.provider, &names, &self.session.env);
        let exchange = runtime()?.block_on(dsops::exec::interruptible(exchange));
        self.answer(&exchange, &ids);
        Ok(())
    }

    /// Checks the program. It is started only where it is this one.
    fn is_program(&mut self) -> bool {
        let Provider { command, trusted_dirs, .. } = self.provider;
        if let Err(breach) = openclaw::check_command(command, trusted_dirs) {
            let whose = if breach.is_openclaws { "OpenClaw refuses it" } else { "not safe, or of no use" };
            let help = "run `dsops openclaw install` as the user that OpenClaw runs as, and take its `command` and `trustedDirs`";
            self.failed("program", format!("{breach}: {whose}"), help);
            return false;
        }
        let is_copy = std::env::current_exe().and_then(|program| openclaw::is_copy(&program, command));
        let shown = command.display();
        let message = match is_copy {
            Ok(true) => {
                self.found(Finding::ok("program", shown.to_string()));
                return true;
            }
            Ok(false) => format!("{shown} is another version than this program, or another program"),
            Err(error) => format!("{shown} cannot be compared with this program: {error}"),
        };
        self.failed("program", message, "run `dsops openclaw install`, which replaces the copy");
        false
    }

    fn answer(&mut self, exchange: &Exchange, ids: &[Id]) {
        let limit = self.provider.timeout.as_millis().max(1);
        match &exchange.outcome {
            Err(failure) => {
                let remark = remark_of(failure, &exchange.remarks)
                    .map_or_else(String::new, |remark| format!(" ({remark})"));
                let message = format!("{failure}{remark}");
                self.failed("answer", message, advice_for(failure));
                if let Some(last) = self.findings.last_mut() {
                    last.latency = Some(exchange.took);
                }
            }
            Ok(outcomes) => {
                let share = exchange.took.as_millis() * 100 / limit;
                let message = format!("{} ids, {share} % of {limit} ms", outcomes.len());
                // Where a store does not answer, all of the time is waited.
                let is_waiting = outcomes.values().any(|came| matches!(came, Came::Refused(code) if code == "TIMED_OUT" || code == "UNAVAILABLE"));
                let finding = if share > 50 && !is_waiting {
                    let help = "raise `deadline` in the profile and run `dsops openclaw install` again: OpenClaw waits longer then";
                    Finding::warning("answer", message, help)
                } else {
                    Finding::ok("answer", message)
                };
                self.found(finding.took(exchange.took));
                for id in ids {
                    self.found(came(id, outcomes.get(&id.id).unwrap_or(&Came::Missing)));
                }
            }
        }
    }
}
