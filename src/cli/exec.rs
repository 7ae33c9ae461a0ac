//! `dsops exec`: fetch what an environment needs, and become the command.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::Args;
use dsops::config::{Config, parse_duration};
use dsops::environment::{ChildEnvironment, Source};
use dsops::exec::{self, Change, Changes, ExecError, KILL_AFTER, Supervision};
use dsops::exit;
use dsops::mask::Mask;
use dsops::plan::Plan;
use dsops::resolve::{OpenStores, Resolution};
use dsops_providers::contract::Context;
use futures::StreamExt as _;
use nix::sys::signal::Signal;

use super::environment::{Inherited, Start, Values};
use super::plan::plural;
use super::session::Session;
use super::watch::{Fresh, Timing, Watch, Watched};
use super::{Outcome, Stop, ci};
use crate::diagnostics::Diagnostic;

/// Run a command with the variables of an environment
///
/// The command takes the place of dsops: same process, signals and exit code. It starts with every
/// value, exact to the byte, or it does not start.
#[derive(Args, Debug)]
#[command(after_help = "Example: dsops exec --env production -- ./deploy.sh\n\n\
    The exit code is the command's own. 125: dsops failed and nothing was started; 126: the command cannot be\n\
    executed; 127: there is no such command; 124: --timeout passed.")]
pub(crate) struct Exec {
    #[command(flatten)]
    values: Values,
    #[command(flatten)]
    inherited: Inherited,
    /// The command and its arguments
    #[arg(last = true, value_name = "COMMAND", required_unless_present = "print")]
    command: Vec<OsString>,
    /// Stay beside the command instead of becoming it; also implied by what needs it
    #[arg(long)]
    supervise: bool,
    /// End the command after this time: `90s`, `5m`
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,
    /// The time between SIGTERM and SIGKILL where dsops ends the command; 5 s where this is absent
    #[arg(long, value_name = "TIME", value_parser = duration)]
    kill_after: Option<Duration>,
    /// Look again and again whether values have changed, and start the command again where they have
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    timing: Timing,
    /// Where values have changed, send this signal to the command instead of starting it again: `HUP`
    #[arg(long, value_name = "SIGNAL", value_parser = signal, requires = "watch", conflicts_with = "mask")]
    signal: Option<Signal>,
    /// Start the command in this directory
    #[arg(long, value_name = "DIR")]
    working_dir: Option<PathBuf>,
    /// Put the files of `type: file` variables below this directory, and stay until the command ends
    #[arg(long, value_name = "DIR")]
    files_dir: Option<PathBuf>,
    /// Take the values out of what the command prints
    #[arg(long)]
    mask: bool,
    /// Show the names and sources of the variables, no part of a value, and start nothing
    #[arg(long)]
    print: bool,
    /// Say on stderr how many requests were made
    #[arg(long)]
    stats: bool,
    /// Do not tell the CI system to mask the values: for a stderr that goes elsewhere than its log
    #[arg(long)]
    no_ci_mask: bool,
}

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text)
        .filter(|time| !time.is_zero())
        .ok_or_else(|| "write a time such as `90s` or `5m`".to_owned())
}

fn signal(text: &str) -> Result<Signal, String> {
    let name = text.to_uppercase();
    let name = if name.starts_with("SIG") { name } else { format!("SIG{name}") };
    match name.parse() {
        Ok(Signal::SIGKILL | Signal::SIGSTOP) => Err("no command can take notice of this signal".to_owned()),
        parsed => parsed.map_err(|_| "write the name of a signal, such as `HUP` or `USR1`".to_owned()),
    }
}

impl Exec {
    pub(crate) fn run(&self, session: &Session) -> Outcome {
        let since = SystemTime::now();
        let hardened = exec::harden();
        if self.kill_after.is_some() && self.timeout.is_none() && !self.watch {
            let message = "`--kill-after` is about commands that dsops ends, and it would end none";
            let report = Diagnostic::new("dsops::usage", exit::USAGE, message);
            return Err(report.help("add `--timeout TIME` or `--watch`, or leave it out").into());
        }
        let config = session.load()?;
        let plan = self.values.plan(session, &config)?;
        self.find_early(session, &plan)?;
        let cx = session.context(&config);
        let known = OpenStores::default();
        let resolution = session.resolve_with(&config, &plan, &cx, &known)?;
        self.values.check(session, &config, &resolution)?;
        if self.stats {
            session.output.remark(&stats(&cx));
        }
        let child = self.values.child(session, &config, &plan, &resolution, self.beginning(!self.print))?;
        if self.files_dir.is_some() && !child.has_files() {
            let name = self.values.name();
            session
                .output
                .remark(&format!("--files-dir is not used: no variable of `{name}` is of `type: file`"));
        }
        if self.print {
            session.output.line(&print(session, &child, &resolution, &plan.prefix))?;
            return Ok(exit::OK);
        }
        self.mask_in_ci(session, &plan, &resolution);
        drop(cx);
        if !self.stays(&child) {
            drop(resolution);
            let Err(error) = exec::replace(self.command(session, child), &hardened);
            return Err(failed(&error));
        }
        let mask = self.mask(session, &plan, &resolution);
        let changes =
            if self.watch { Some(self.changes(session, config, known, &resolution, since)?) } else { None };
        drop(resolution);
        let kill_after = self.kill_after.unwrap_or(KILL_AFTER);
        let supervision = Supervision {
            timeout: self.timeout,
            kill_after,
            mask,
            tell: &|text| session.output.warn(text),
            changes,
        };
        let ended = exec::supervise(self.command(session, child), &hardened, supervision);
        ended.map_err(|error| failed(&error))?.end_alike()
    }

    /// Has the CI system mask the values before the command is there to print them.
    fn mask_in_ci(&self, session: &Session, plan: &Plan, resolution: &Resolution) {
        if !self.no_ci_mask {
            let values = super::mask::masked(plan, resolution);
            // Stdout belongs to the command, so it comes second.
            let _ = ci::mask(session, values, &[ci::Stream::Stderr, ci::Stream::Stdout]);
        }
    }

    /// Returns what is taken out of the output of a command that starts with these values.
    fn mask(&self, session: &Session, plan: &Plan, resolution: &Resolution) -> Option<Mask> {
        self.mask.then(|| super::mask::of_values(session, plan, resolution))
    }

    /// Says whether dsops stays beside the command.
    fn stays(&self, environment: &ChildEnvironment) -> bool {
        // Whoever names a directory for files wants them gone from it at the end.
        let files = self.files_dir.is_some() && environment.has_files();
        self.supervise || self.timeout.is_some() || self.watch || self.mask || files
    }

    /// Returns what the command is to hear of while it runs.
    fn changes<'a>(
        &'a self,
        session: &'a Session,
        config: Config,
        known: OpenStores,
        resolution: &Resolution,
        since: SystemTime,
    ) -> Result<Changes<'a>, Stop> {
        let watched = Watched {
            session,
            environment: self.values.name(),
            prefix: self.values.prefix(),
            allow_missing: self.values.allow_missing,
            timing: &self.timing,
            goes_on: "the command goes on with those it has",
        };
        let watch = Watch::new(watched, config, known, resolution, since)?;
        let fetching = watch.fetching();
        let stream = futures::stream::unfold(watch, move |mut watch| async move {
            let change = match watch.look().await {
                Some(fresh) => self.change(session, &mut watch, &fresh),
                None => Change::Nothing,
            };
            Some((change, watch))
        });
        Ok(Changes { stream: stream.boxed_local(), fetching })
    }

    /// Returns what the command hears of values that have changed.
    fn change<'a>(&self, session: &'a Session, watch: &mut Watch<'_>, fresh: &Fresh) -> Change<'a> {
        self.mask_in_ci(session, &fresh.plan, &fresh.resolution);
        let changed = fresh.changed.join(", ");
        let output = session.output;
        let Fresh { plan, resolution, .. } = fresh;
        let start = self.beginning(false);
        let environment = match self.values.child(session, watch.config(), plan, resolution, start) {
            Ok(environment) => environment,
            Err(stop) => {
                watch.fail(stop);
                return Change::Nothing;
            }
        };
        match self.signal {
            Some(signal) => {
                output.remark(&format!("changed: {changed}; the command gets {signal}"));
                let refused = Box::new(move |error: &ExecError| {
                    output
                        .warn(&format!("the command gets no signal and its files are as they were: {error}"));
                });
                Change::Signal { signal, environment, refused }
            }
            None => {
                output.remark(&format!("changed: {changed}; the command starts again"));
                let refused = Box::new(move |error: &ExecError| {
                    output.warn(&format!("the command cannot start again and goes on as it is: {error}"));
                });
                let mask = self.mask(session, &fresh.plan, &fresh.resolution);
                Change::Restart { command: self.command(session, environment), mask, refused }
            }
        }
    }

    /// Finds the command before any store is asked, where nothing fetched can change where it is.
    fn find_early(&self, session: &Session, plan: &Plan) -> Result<(), Stop> {
        let Some(program) = self.command.first().filter(|_| !plan.may_set("PATH")) else {
            return Ok(());
        };
        let here = std::env::current_dir()?;
        let dir = self.working_dir.as_ref().map_or(here.clone(), |dir| here.join(dir));
        // A directory that is not there is told as such when the command is started.
        if !dir.is_dir() {
            return Ok(());
        }
        exec::find(program, session.env.get_os("PATH"), &dir).map(drop).map_err(|error| failed(&error))
    }

    /// Returns what is started with the values.
    fn beginning(&self, tell: bool) -> Start<'_> {
        Start { inherited: &self.inherited, command: &self.command, set: &[], tell }
    }

    fn command(&self, session: &Session, environment: ChildEnvironment) -> exec::Command {
        let runtime_dir = session.env.get_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let mut words = self.command.iter().cloned();
        exec::Command {
            program: words.next().unwrap_or_default(),
            args: words.collect(),
            working_dir: self.working_dir.clone(),
            environment,
            files: exec::Place { named: self.files_dir.clone(), runtime_dir },
        }
    }
}

pub(super) fn failed(error: &ExecError) -> Stop {
    let mut message = error.to_string();
    if let Some(cause) = std::error::Error::source(error) {
        message = format!("{message}: {cause}");
    }
    let diagnostic = Diagnostic::new(error.code(), error.exit_code(), message);
    match error.advice() {
        Some(help) => diagnostic.help(help).into(),
        None => diagnostic.into(),
    }
}

fn stats(cx: &Context) -> String {
    let meter = cx.meter();
    let (requests, logins, processes) = (meter.requests(), meter.logins(), meter.processes());
    let mut text =
        format!("{requests} request{}, {logins} of them login{}", plural(requests), plural(logins));
    if processes > 0 {
        text.push_str(&format!(", {processes} outside program{}", plural(processes)));
    }
    text
}

/// Names and sources only: neither a value, nor a part of one, nor its length.
fn print(session: &Session, child: &ChildEnvironment, resolution: &Resolution, prefix: &str) -> String {
    let planned = |name: &str| resolution.values.get(name.strip_prefix(prefix)?);
    let resolved = child.variables().filter(|variable| variable.source == Source::Resolved);
    let mut rows: Vec<Vec<String>> = resolved
        .map(|variable| {
            let name = variable.name.to_string_lossy().into_owned();
            let source = planned(&name).map_or_else(String::new, |resolved| resolved.source.clone());
            let file = variable.file.map(|file| format!("a file, {}", file.mode_text()));
            let overrides = variable.overrides.then(|| "replaces an inherited one".to_owned());
            vec![name, source, file.into_iter().chain(overrides).collect::<Vec<_>>().join("; ")]
        })
        .collect();
    let names = resolution.values.keys().map(|name| format!("{prefix}{name}"));
    let kept = names.filter(|name| {
        !child
            .variables()
            .any(|variable| variable.source == Source::Resolved && variable.name == name.as_str())
    });
    rows.extend(kept.map(|name| vec![name, "inherited".to_owned(), "--allow-override".to_owned()]));
    rows.extend(
        resolution
            .absent
            .iter()
            .map(|name| vec![format!("{prefix}{name}"), String::new(), "absent, optional".to_owned()]),
    );
    rows.extend(child.stripped().iter().map(|name| {
        vec![name.clone(), "inherited".to_owned(), "taken out: a store's credential".to_owned()]
    }));
    session.output.table(&["variable", "source", "note"], rows)
}
