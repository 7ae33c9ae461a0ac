//! `dsops init`: a first `dsops.yaml`, that loads.

use std::fs::OpenOptions;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use dsops::config::{self, Code};
use dsops::exit;
use dsops::reference::parse_name;
use dsops_providers::ALL;
use dsops_providers::contract::Descriptor;

use super::session::Session;
use super::{Outcome, Stop};
use crate::diagnostics::Diagnostic;

/// Write a first `dsops.yaml`
///
/// Asks on a terminal; elsewhere, and with --yes, takes the flags and defaults. Never overwrites a file.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  dsops init\n  dsops init --type infisical --project-id 64f7e4d2-… --env dev --env production"
)]
pub(crate) struct Init {
    /// The type of the store; see `dsops stores --types`
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// The name of the store; its type where this is absent
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// An environment; can be given more than once
    #[arg(long, short, value_name = "NAME")]
    env: Vec<String>,
    /// For Infisical: the project's id
    #[arg(long, value_name = "ID")]
    project_id: Option<String>,
    /// For stores that have a server of their own: its address
    #[arg(long, value_name = "URL")]
    host: Option<String>,
    /// Ask nothing
    #[arg(long, short)]
    yes: bool,
}

/// What is asked for, or given by flags.
struct Answers {
    descriptor: &'static Descriptor,
    name: String,
    environments: Vec<String>,
    project_id: Option<String>,
}

impl Init {
    pub(crate) fn run(&self, session: &Session) -> Outcome {
        let path = session.config.clone().unwrap_or_else(|| PathBuf::from(config::FILE_NAME));
        if path.exists() {
            return Err(exists(&path));
        }
        let answers = self.answers(!self.yes && io::stdin().is_terminal())?;
        let text = self.text(&answers);
        // A file that does not load would be our mistake, and nobody's first impression.
        config::load_text(&path, text.clone())
            .map_err(|report| Stop::Reports(Diagnostic::report(&report)))?;
        let mut file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(|error| {
            if error.kind() == io::ErrorKind::AlreadyExists {
                return exists(&path);
            }
            let message = format!("`{}` cannot be written: {error}", path.display());
            Diagnostic::new("dsops::output", exit::STORE, message).into()
        })?;
        file.write_all(text.as_bytes())?;
        session.output.line(&format!("wrote {}", path.display()))?;
        if let Some(shadowed) = shadowed(session) {
            session.output.remark(&format!("it is now used here in place of {}", shadowed.display()));
        }
        session.output.line(&next_steps(&answers))?;
        Ok(exit::OK)
    }

    fn answers(&self, ask: bool) -> Result<Answers, Stop> {
        let kind = match &self.kind {
            Some(kind) => kind.clone(),
            None if ask => ask_kind()?,
            None => "local".to_owned(),
        };
        let Some(descriptor) =
            dsops_providers::find(&kind).or(if self.kind.is_none() { ALL.first() } else { None })
        else {
            let known = ALL.iter().map(|descriptor| descriptor.kind);
            let help = dsops::suggest::did_you_mean(&kind, known.clone())
                .unwrap_or_else(|| format!("this dsops has {}", dsops::suggest::and_ticked(known)));
            let message = format!("no type of store is named `{kind}`");
            return Err(Diagnostic::new(Code::UnknownType.as_str(), exit::USAGE, message).help(help).into());
        };
        let name = match &self.name {
            Some(name) => name.clone(),
            None if ask => ask_text("name of the store", descriptor.kind)?,
            None => descriptor.kind.to_owned(),
        };
        parse_name(&name)
            .map_err(|error| Diagnostic::new("dsops::usage", exit::USAGE, format!("`{name}`: {error}")))?;
        let mut environments = self.env.clone();
        if environments.is_empty() {
            let given = if ask {
                ask_text("environments, separated by spaces", "dev production")?
            } else {
                "dev".to_owned()
            };
            environments = given.split_whitespace().map(str::to_owned).collect();
        }
        let needs_project = descriptor.about.example.contains("project_id:");
        let project_id = match &self.project_id {
            None if ask && needs_project => {
                Some(ask_text("id of the project", "")?).filter(|id| !id.is_empty())
            }
            given => given.clone(),
        };
        Ok(Answers { descriptor, name, environments, project_id })
    }

    fn text(&self, answers: &Answers) -> String {
        let section = answers.descriptor.about.example.trim_end().lines().map(|line| {
            let given = [("project_id:", &answers.project_id), ("host:", &self.host)];
            let replaced = given.into_iter().find_map(|(key, value)| {
                let value = value.as_ref().filter(|_| line.trim_start().starts_with(key))?;
                let indent = line.len() - line.trim_start().len();
                Some(format!("{}{key} {}", " ".repeat(indent), quoted(value)))
            });
            format!("    {}", replaced.unwrap_or_else(|| line.to_owned())).trim_end().to_owned()
        });
        let mut lines = vec![
            "# Which stores hold secrets, and which variables each environment needs.".to_owned(),
            "# `dsops validate` checks this file, `dsops schema` prints the schema for editors.".to_owned(),
            "version: 1".to_owned(),
            String::new(),
            "secretStores:".to_owned(),
            format!("  {}:", quoted(&answers.name)),
        ];
        lines.extend(section);
        if let Some(host) = &self.host
            && !answers.descriptor.about.example.contains("host:")
        {
            lines.push(format!("    host: {}", quoted(host)));
        }
        lines.extend([String::new(), "envs:".to_owned()]);
        for environment in &answers.environments {
            lines.push(format!("  {}:", quoted(environment)));
            lines.push("    LOG_LEVEL: {literal: info}".to_owned());
            lines.push(format!("    # DATABASE_URL: {{from: {{store: {}/DATABASE_URL}}}}", answers.name));
        }
        lines.push(String::new());
        lines.join("\n")
    }
}

/// A name as YAML takes it: in quotes where it would be read as something else.
fn quoted(text: &str) -> String {
    serde_yaml::to_string(text).map_or_else(|_| text.to_owned(), |yaml| yaml.trim_end().to_owned())
}

fn exists(path: &Path) -> Stop {
    Diagnostic::new("dsops::init::exists", exit::PROBLEMS, format!("`{}` is there already", path.display()))
        .help("edit it, or name another file with `--config`")
        .into()
}

/// Returns the file that a parent directory has.
fn shadowed(session: &Session) -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    let home = session.env.get_os("HOME").map(Path::new);
    if session.config.is_some() || Some(here.as_path()) == home || here.join(".git").exists() {
        return None;
    }
    config::discover(here.parent()?, home).ok()
}

fn next_steps(answers: &Answers) -> String {
    let environment = answers.environments.first().map_or("dev", String::as_str);
    let mut steps = Vec::new();
    if answers.descriptor.kind == "local" {
        steps.push("dsops local init                 make the encrypted file and an identity".to_owned());
        steps.push("dsops local set DATABASE_URL     put a secret into it".to_owned());
    }
    for variable in config::variables_in(answers.descriptor.about.example) {
        steps.push(format!("export {variable}=…"));
    }
    steps.push("dsops doctor                     see that the store can be used".to_owned());
    steps.push(format!("dsops exec --env {environment} -- env"));
    let steps: Vec<String> = steps.into_iter().map(|step| format!("  {step}")).collect();
    format!("\nnext:\n{}", steps.join("\n"))
}

fn ask_kind() -> Result<String, Stop> {
    let mut stderr = io::stderr().lock();
    for (index, descriptor) in ALL.iter().enumerate() {
        writeln!(stderr, "  {:>2}  {:<12} {}", index + 1, descriptor.kind, descriptor.about.summary)?;
    }
    drop(stderr);
    let answer = ask_text("which store", "local")?;
    let by_number = answer.parse::<usize>().ok().and_then(|number| ALL.get(number.checked_sub(1)?));
    Ok(by_number.map_or(answer, |descriptor| descriptor.kind.to_owned()))
}

/// Asks on the terminal. An empty answer is the default.
fn ask_text(label: &str, default: &str) -> Result<String, Stop> {
    let mut stderr = io::stderr().lock();
    if default.is_empty() {
        write!(stderr, "{label}: ")?
    } else {
        write!(stderr, "{label} [{default}]: ")?
    }
    stderr.flush()?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    let answer = line.trim();
    Ok(if answer.is_empty() { default } else { answer }.to_owned())
}
