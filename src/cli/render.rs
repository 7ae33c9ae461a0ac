//! `dsops render`: the variables of an environment as a file, or where else a format goes.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::Args;
use dsops::ci;
use dsops::config::Config;
use dsops::exit;
use dsops::plan::Plan;
use dsops::render::{self, Format, Place, RenderError, RenderErrorKind, Rendered, Variable, systemd_creds};
use dsops::resolve::{OpenStores, Resolution};

use super::ci::Stream;
use super::mask::masked;
use super::session::{Session, runtime};
use super::watch::{Fresh, Timing, Watch, Watched};
use super::{Outcome, Stop};
use crate::diagnostics::Diagnostic;

/// Write the variables of an environment as a file, or to stdout
///
/// A file appears whole or not at all, readable by its owner only.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  dsops render --env dev --out .env\n  dsops render --env dev --format json | jq .\n  \
    dsops render --env dev --template app.conf.j2 --out app.conf\n  dsops render --env dev --format k8s --name app | kubectl apply -f -"
)]
pub(crate) struct Render {
    /// The environment
    #[arg(long, short, env = "DSOPS_ENV", value_name = "NAME")]
    env: String,
    /// The file to write; stdout where this is `-`, and for most formats where it is absent. A
    /// directory for systemd-creds
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// dotenv, shell, json, yaml, toml, template, docker, k8s, systemd, systemd-creds, github, gitlab,
    /// circleci, buildkite or azure; by the file's ending where this is absent, dotenv otherwise
    #[arg(long, short, value_name = "FORMAT", value_parser = format)]
    format: Option<Format>,
    /// The template to fill; implies `--format template`
    #[arg(long, short, value_name = "FILE")]
    template: Option<PathBuf>,
    /// The permissions of the file
    #[arg(long, value_name = "MODE", default_value = "0600", value_parser = mode)]
    permissions: u32,
    /// Delete the file after this time, unless another is in its place: `90s`, `10m`
    #[arg(long, value_name = "TIME", value_parser = super::exec::duration, requires = "out")]
    ttl: Option<Duration>,
    /// Look again and again whether values have changed, and write the file again where they have
    #[arg(long, conflicts_with = "ttl")]
    watch: bool,
    #[command(flatten)]
    timing: Timing,
    /// Write the file although required values are absent
    #[arg(long)]
    allow_missing: bool,
    /// The name of the Secret, for k8s
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The namespace of the Secret, for k8s; the reader's own where this is absent
    #[arg(long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// The key to encrypt with, for systemd-creds: host, tpm2, host+tpm2, auto and what else systemd-creds knows
    #[arg(long, value_name = "KEY")]
    with_key: Option<String>,
}

/// Where the text goes.
enum Target {
    /// To stdout.
    Stdout,
    /// In the place of this file.
    File(PathBuf),
    /// At the end of this file, which is made where the runner leaves that to its jobs.
    EndOfFile { path: PathBuf, create: bool },
    /// To Buildkite's agent.
    Agent,
    /// A file for each variable in this directory.
    Directory(PathBuf),
}

fn format(text: &str) -> Result<Format, String> {
    Format::from_name(text).map_err(|error| error.message)
}

fn mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).map_err(|_| "write an octal mode such as `0600`".to_owned())?;
    if mode > 0o777 { Err("a mode is at most 0777".to_owned()) } else { Ok(mode) }
}

impl Render {
    pub(crate) fn run(&self, session: &Session) -> Outcome {
        let since = SystemTime::now();
        let _ = dsops::exec::harden();
        let format = self.format()?;
        self.check_options(format)?;
        let config = session.load()?;
        let environment = session.environment(&config, &self.env)?;
        let target = self.target(session, &config, format)?;
        let option = if self.watch { "--watch" } else { "--ttl" };
        if (self.watch || self.ttl.is_some()) && !matches!(target, Target::File(_)) {
            return Err(usage(&format!("`{option}` is about a file, and none is written"))
                .help_with("name the file with `--out FILE`"));
        }
        let template = self.template.as_deref().map(read_template).transpose()?;
        let plan = session.plan(&config, environment)?;
        refuse_files(&config, &plan, format)?;
        let cx = session.context(&config);
        let known = OpenStores::default();
        let resolution = session.resolve_with(&config, &plan, &cx, &known)?;
        session.stop_or_warn(&config, &resolution, self.allow_missing)?;
        let code =
            self.put(session, &config, (&plan, &resolution), (format, &target), template.as_deref())?;
        if !self.watch {
            return Ok(code);
        }
        drop(cx);
        self.watch(session, config, known, resolution, since, (format, &target))
    }

    /// Puts what was fetched where it goes.
    fn put(
        &self,
        session: &Session,
        config: &Config,
        (plan, resolution): (&Plan, &Resolution),
        (format, target): (Format, &Target),
        template: Option<&str>,
    ) -> Outcome {
        let values = resolution.values.iter();
        let variables: Vec<Variable<'_>> =
            values.map(|(name, resolved)| (name.as_str(), resolved.value.as_ref())).collect();
        if let Target::Directory(directory) = target {
            return self.encrypt(session, config, directory, &variables);
        }
        let options =
            render::Options { template, name: self.name.as_deref(), namespace: self.namespace.as_deref() };
        let rendered = render::render(format, &variables, &options).map_err(all_failed)?;
        remark(session, &rendered);
        announce(session, format, target, &masked(plan, resolution).collect::<Vec<_>>())?;
        self.deliver(session, target, &rendered, variables.len())
    }

    /// Writes the file again each time that values have changed. It ends with a signal.
    fn watch(
        &self,
        session: &Session,
        config: Config,
        known: OpenStores,
        resolution: Resolution,
        since: SystemTime,
        place: (Format, &Target),
    ) -> Outcome {
        let watched = Watched {
            session,
            environment: &self.env,
            prefix: "",
            allow_missing: self.allow_missing,
            timing: &self.timing,
            goes_on: "the file stays as it is",
        };
        let mut watch = Watch::new(watched, config, known, &resolution, since)?;
        drop(resolution);
        let watching = async {
            loop {
                let Some(Fresh { plan, resolution, changed }) = watch.look().await else { continue };
                let template = self.template.as_deref().map(read_template).transpose();
                let written = template.and_then(|template| {
                    let fetched = (&plan, &resolution);
                    refuse_files(watch.config(), &plan, place.0)?;
                    self.put(session, watch.config(), fetched, place, template.as_deref())
                });
                match written {
                    Ok(_) => session.output.remark(&format!("changed: {}", changed.join(", "))),
                    Err(stop) => watch.fail(stop),
                }
            }
        };
        runtime()?.block_on(dsops::exec::interruptible(watching))
    }

    /// Puts the text where it goes.
    fn deliver(&self, session: &Session, target: &Target, rendered: &Rendered, count: usize) -> Outcome {
        let count = format!("{count} variable{}", super::plan::plural(count));
        match target {
            Target::Stdout | Target::Directory(_) => session.output.stdout(&rendered.text)?,
            Target::File(path) => {
                write(path, &rendered.text, self.permissions, self.ttl)?;
                let end = self.ttl.map(|ttl| format!(", which is deleted in {ttl:?}")).unwrap_or_default();
                session.output.remark(&format!("wrote {count} to {}{end}", path.display()));
            }
            Target::EndOfFile { path, create } => {
                render::write::append(path, &rendered.text, *create)
                    .map_err(|error| cannot_write(path, &error))?;
                session.output.remark(&format!("added {count} to {}", path.display()));
            }
            Target::Agent => {
                ci::set(&session.env, &rendered.text).map_err(|error| {
                    let advice = "run it in a job of Buildkite, whose agent has the job API on";
                    Diagnostic::new("dsops::render::program", exit::STORE, error.to_string()).help(advice)
                })?;
                session.output.remark(&format!("set {count} for the later phases of the job"));
            }
        }
        Ok(exit::OK)
    }

    /// Writes an encrypted file for each variable.
    fn encrypt(
        &self,
        session: &Session,
        config: &Config,
        directory: &Path,
        variables: &[Variable<'_>],
    ) -> Outcome {
        systemd_creds::check(variables).map_err(all_failed)?;
        let mut files = Vec::with_capacity(variables.len());
        for (name, value) in variables {
            let path = allowed(config, &directory.join(name))?;
            let encrypted = systemd_creds::encrypt(&session.env, (name, value), self.with_key.as_deref())
                .map_err(|error| failed(&error))?;
            files.push((path, encrypted));
        }
        for (path, encrypted) in &files {
            render::write::replace(path, encrypted, self.permissions)
                .map_err(|error| cannot_write(path, &error))?;
        }
        let count = files.len();
        session.output.remark(&format!(
            "wrote {count} credential{} to {}",
            super::plan::plural(count),
            directory.display()
        ));
        Ok(exit::OK)
    }

    /// The file of `--out`; none where it stands for stdout.
    fn out(&self) -> Option<&Path> {
        self.out.as_deref().filter(|path| *path != Path::new("-"))
    }

    fn format(&self) -> Result<Format, Stop> {
        if self.template.is_some() {
            return match self.format {
                None | Some(Format::Template) => Ok(Format::Template),
                Some(_) => {
                    Err(usage("`--template` fills a template, and `--format` asks for something else"))
                }
            };
        }
        let format = match (self.format, self.out()) {
            (Some(format), _) => format,
            (None, Some(path)) => Format::of_path(path).map_err(|error| failed(&error))?,
            (None, None) => Format::Dotenv,
        };
        if format == Format::Template {
            return Err(
                usage("the format `template` needs a template").help_with("name one with `--template FILE`")
            );
        }
        Ok(format)
    }

    /// Refuses options that the format would not use, and asks for those that it needs.
    fn check_options(&self, format: Format) -> Result<(), Stop> {
        let named = |option: &str, wanted: Format| {
            Err(usage(&format!("`{option}` is for the format `{}` only", wanted.name())))
        };
        if format != Format::K8s {
            if self.name.is_some() {
                return named("--name", Format::K8s);
            }
            if self.namespace.is_some() {
                return named("--namespace", Format::K8s);
            }
        } else if self.name.is_none() {
            return Err(usage("the format `k8s` needs the name of the Secret")
                .help_with("name it with `--name NAME`"));
        }
        if format != Format::SystemdCreds && self.with_key.is_some() {
            return named("--with-key", Format::SystemdCreds);
        }
        Ok(())
    }

    /// Finds where the text goes, before anything is fetched.
    fn target(&self, session: &Session, config: &Config, format: Format) -> Result<Target, Stop> {
        match (format.place(), &self.out, self.out()) {
            (Place::Directory, _, Some(path)) => {
                let path = fs::canonicalize(path).map_err(|error| unusable(path, &error))?;
                if path.is_dir() {
                    Ok(Target::Directory(path))
                } else {
                    Err(usage(
                        "`systemd-creds` writes a file for each variable, and `--out` names no directory",
                    ))
                }
            }
            (Place::Directory, ..) => Err(usage("`systemd-creds` writes a file for each variable")
                .help_with("name a directory with `--out DIR`")),
            (_, _, Some(path)) => allowed(config, path).map(Target::File),
            (_, Some(_), None) | (Place::Stdout, None, None) => Ok(Target::Stdout),
            (Place::Agent, None, None) => Ok(Target::Agent),
            (Place::EndOfFile(variable), None, None) => end_of_file(session, config, format, variable),
        }
    }
}

/// Finds the file that the runner has made for its job.
fn end_of_file(session: &Session, config: &Config, format: Format, variable: &str) -> Result<Target, Stop> {
    let instead = "run it in a job, or name a file with `--out FILE`, or stdout with `--out -`";
    let stop = |why: String| Stop::from(failed(&RenderError::target(&why, instead)));
    let Some(path) = session.env.get_os(variable).filter(|path| !path.is_empty()) else {
        let why = format!(
            "the format `{}` goes to the file that `{variable}` names, and the variable is not set",
            format.name()
        );
        return Err(stop(why));
    };
    let path = allowed(config, Path::new(path))?;
    // CircleCI names a file that the first job that has variables makes.
    let create = format == Format::CircleCi;
    if !create && !path.exists() {
        return Err(stop(format!("`{variable}` names `{}`, which is not there", path.display())));
    }
    Ok(Target::EndOfFile { path, create })
}

/// Has the values masked before they are where a later step may print them, and does not put them there where that
/// cannot be.
fn announce(
    session: &Session,
    format: Format,
    target: &Target,
    variables: &[Variable<'_>],
) -> Result<(), Stop> {
    let is_for_ci = matches!(
        format,
        Format::GitHub | Format::GitLab | Format::CircleCi | Format::Buildkite | Format::Azure
    );
    // Azure masks a variable that it is told is secret.
    if !is_for_ci || format == Format::Azure {
        return Ok(());
    }
    let streams: &[Stream] = match target {
        Target::Stdout => &[Stream::Stderr],
        _ => &[Stream::Stdout, Stream::Stderr],
    };
    let is_told = super::ci::mask(session, variables.iter().copied(), streams);
    match target {
        Target::EndOfFile { .. } if !is_told => {}
        Target::Agent if !is_told => {
            let message = "later steps would get values that the log does not mask, so that they get none";
            return Err(Diagnostic::new("dsops::render::program", exit::STORE, message)
                .help("see that `buildkite-agent redactor add` works: agents know it from 3.67 on")
                .into());
        }
        _ => return Ok(()),
    }
    let why = format!(
        "later steps would get values that the log does not mask, so that `{}` writes none",
        format.name()
    );
    Err(failed(&RenderError::target(&why, "leave its stdout or its stderr to the runner")).into())
}

fn remark(session: &Session, rendered: &Rendered) {
    for note in &rendered.notes {
        match note.variable.as_str() {
            "" => session.output.remark(&note.message),
            name => session.output.remark(&format!("`{name}`: {}", note.message)),
        }
    }
}

fn all_failed(errors: Vec<RenderError>) -> Stop {
    Stop::Reports(errors.iter().map(failed).collect())
}

fn failed(error: &RenderError) -> Diagnostic {
    let exit = match error.kind {
        RenderErrorKind::Format | RenderErrorKind::Target => exit::USAGE,
        RenderErrorKind::Name | RenderErrorKind::Value | RenderErrorKind::Template => exit::TRANSFORM,
        RenderErrorKind::Program => exit::STORE,
    };
    let diagnostic = Diagnostic::new(error.kind.code(), exit, error.message.clone());
    match &error.help {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}

fn usage(message: &str) -> Stop {
    Diagnostic::new("dsops::usage", exit::USAGE, message).into()
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Stop {
    let message = format!("`{}` cannot be written: {error}", path.display());
    Diagnostic::new("dsops::output", exit::STORE, message)
        .help("see the directory and its permissions")
        .into()
}

fn unusable(path: &Path, error: &std::io::Error) -> Stop {
    let message = format!("the directory of `{}` cannot be used: {error}", path.display());
    Diagnostic::new("dsops::output", exit::STORE, message).help("make the directory first").into()
}

impl Stop {
    fn help_with(self, help: &str) -> Self {
        match self {
            Self::Reports(reports) => {
                Self::Reports(reports.into_iter().map(|report| report.help(help)).collect())
            }
            other => other,
        }
    }
}

fn read_template(path: &Path) -> Result<String, Stop> {
    fs::read_to_string(path).map_err(|error| {
        let message = format!("the template `{}` cannot be read: {error}", path.display());
        Diagnostic::new("dsops::render::template", exit::CONFIGURATION, message).into()
    })
}

/// Refuses variables that the command gets as a path, which leads nowhere once the command has ended.
fn refuse_files(config: &Config, plan: &dsops::plan::Plan, format: Format) -> Result<(), Stop> {
    let files =
        plan.variables.iter().map(|planned| &planned.variable).filter(|variable| variable.file.is_some());
    let reports: Vec<Diagnostic> = files
        .map(|variable| {
            let name = &variable.name;
            let message =
                format!("`{name}` is a file, and a path in a file of the format `{}` would lead nowhere", format.name());
            Diagnostic::new("dsops::render::file_variable", exit::CONFIGURATION, message)
                .variable(variable, &config.source)
                .help(format!(
                    "write its content with `dsops get --env {} {name} > FILE`, or render an environment without it",
                    plan.environment
                ))
        })
        .collect();
    if format.holds_files() || reports.is_empty() { Ok(()) } else { Err(Stop::Reports(reports)) }
}

/// Writes the file, and sees to its end where it is to have one.
fn write(target: &Path, text: &[u8], mode: u32, ttl: Option<Duration>) -> Result<(), Stop> {
    let cannot = |what: &str, error: std::io::Error| {
        let message = format!("`{}` cannot be {what}: {error}", target.display());
        Stop::from(Diagnostic::new("dsops::output", exit::STORE, message))
    };
    let written = |result: std::io::Result<()>| result.map_err(|error| cannot_write(target, &error));
    let Some(ttl) = ttl else { return written(render::write::replace(target, text, mode)) };
    // It has to be there before the file is: there is no file that nobody deletes.
    let mut keeper = dsops::exec::Keeper::of_file(target)
        .map_err(|error| cannot("deleted later, and is not written", error))?;
    let announce = &mut |file| keeper.announce(file, ttl);
    written(render::write::replace_announced(target, text, mode, announce))?;
    keeper.leave().map_err(|error| {
        let _ = fs::remove_file(target);
        cannot("deleted later, and was deleted now", error)
    })
}

/// Returns the absolute path, without links or `..` in its directory, where the policies allow it.
fn allowed(config: &Config, path: &Path) -> Result<PathBuf, Stop> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let dir = fs::canonicalize(dir).map_err(|error| unusable(path, &error))?;
    let Some(name) = path.file_name() else { return Err(usage("`--out` names no file")) };
    let target = dir.join(name);
    if target.is_dir() {
        return Err(usage("`--out` names a directory"));
    }
    // The file takes the place of what is there, and must not take that of `/dev/null` or `/dev/stdout`.
    let leads_to_device = fs::read_link(&target).is_ok_and(|path| path.starts_with("/proc"));
    if leads_to_device || fs::metadata(&target).is_ok_and(|metadata| !metadata.is_file()) {
        return Err(usage("`--out` names a pipe or a device, which the file would replace")
            .help_with("leave `--out` out, and redirect stdout there: `> PATH`"));
    }
    config
        .policies
        .check_path(&target.to_string_lossy())
        .map_err(|error| Stop::from(Diagnostic::config(&error, Some(&config.source))))?;
    Ok(target)
}
