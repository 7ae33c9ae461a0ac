//! `dsops render`: the variables of an environment as a file.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use dsops::config::Config;
use dsops::exit;
use dsops::render::{self, Format};

use super::session::Session;
use super::{Outcome, Stop};
use crate::diagnostics::Diagnostic;

/// Write the variables of an environment as a file, or to stdout
///
/// A file appears whole or not at all, readable by its owner only.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  dsops render --env dev --out .env\n  dsops render --env dev --format json | jq .\n  \
    dsops render --env dev --template app.conf.j2 --out app.conf"
)]
pub(crate) struct Render {
    /// The environment
    #[arg(long, short, env = "DSOPS_ENV", value_name = "NAME")]
    env: String,
    /// The file to write; stdout where this is absent or `-`
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// dotenv, shell, json, yaml or template; by the file's ending where this is absent, dotenv otherwise
    #[arg(long, short, value_name = "FORMAT", value_parser = format)]
    format: Option<Format>,
    /// The template to fill; implies `--format template`
    #[arg(long, short, value_name = "FILE")]
    template: Option<PathBuf>,
    /// The permissions of the file
    #[arg(long, value_name = "MODE", default_value = "0600", value_parser = mode)]
    permissions: u32,
    /// Write the file although required values are absent
    #[arg(long)]
    allow_missing: bool,
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
        let _ = dsops::exec::harden();
        let out = self.out.as_deref().filter(|path| *path != Path::new("-"));
        let format = self.format(out)?;
        let config = session.load()?;
        let environment = session.environment(&config, &self.env)?;
        let target = out.map(|path| allowed(&config, path)).transpose()?;
        let template = self.template.as_deref().map(read_template).transpose()?;
        let plan = session.plan(&config, environment)?;
        let cx = session.context(&config);
        let resolution = session.resolve(&config, &plan, &cx)?;
        session.stop_or_warn(&config, &resolution, self.allow_missing)?;
        let values: Vec<(&str, &dsops_providers::contract::SecretValue)> = resolution
            .values
            .iter()
            .map(|(name, resolved)| (name.as_str(), resolved.value.as_ref()))
            .collect();
        let options = render::Options { template: template.as_deref() };
        let rendered = render::render(format, &values, &options).map_err(|errors| {
            Stop::Reports(errors.iter().map(|error| failed(error, exit::TRANSFORM)).collect())
        })?;
        for note in &rendered.notes {
            session.output.remark(&format!("`{}`: {}", note.variable, note.message));
        }
        let text = rendered.text;
        match target {
            None => session.output.stdout(&text)?,
            Some(target) => {
                write(&target, &text, self.permissions).map_err(|error| {
                    let message = format!("`{}` cannot be written: {error}", target.display());
                    Diagnostic::new("dsops::output", exit::STORE, message)
                        .help("see the directory and its permissions")
                })?;
                let count = values.len();
                session.output.remark(&format!(
                    "wrote {count} variable{} to {}",
                    super::plan::plural(count),
                    target.display()
                ));
            }
        }
        Ok(exit::OK)
    }

    fn format(&self, out: Option<&Path>) -> Result<Format, Stop> {
        if self.template.is_some() {
            return match self.format {
                None | Some(Format::Template) => Ok(Format::Template),
                Some(_) => {
                    Err(usage("`--template` fills a template, and `--format` asks for something else"))
                }
            };
        }
        let format = match (self.format, out) {
            (Some(format), _) => format,
            (None, Some(path)) => Format::of_path(path).map_err(|error| failed(&error, exit::USAGE))?,
            (None, None) => Format::Dotenv,
        };
        if format == Format::Template {
            return Err(
                usage("the format `template` needs a template").help_with("name one with `--template FILE`")
            );
        }
        Ok(format)
    }
}

fn failed(error: &render::RenderError, exit: u8) -> Diagnostic {
    let diagnostic = Diagnostic::new(error.kind.code(), exit, error.message.clone());
    match &error.help {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}

fn usage(message: &str) -> Stop {
    Diagnostic::new("dsops::usage", exit::USAGE, message).into()
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

/// Returns the absolute path, without links or `..` in its directory, where the policies allow it.
fn allowed(config: &Config, path: &Path) -> Result<PathBuf, Stop> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let dir = fs::canonicalize(dir).map_err(|error| {
        let message = format!("the directory of `{}` cannot be used: {error}", path.display());
        Diagnostic::new("dsops::output", exit::STORE, message).help("make the directory first")
    })?;
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

/// Writes by rename: a reader sees the old file or the new one, and never one that others may read.
fn write(target: &Path, text: &[u8], mode: u32) -> std::io::Result<()> {
    let dir = target.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::Builder::new()
        .prefix(".dsops-")
        .permissions(fs::Permissions::from_mode(0o600))
        .tempfile_in(dir)?;
    file.write_all(text)?;
    file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    file.persist(target)?;
    Ok(())
}
