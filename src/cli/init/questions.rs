//! What `dsops init` wants to know: from flags, from the terminal, from defaults.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use dsops::config::Code;
use dsops::exit;
use dsops::reference::parse_name;
use dsops_providers::contract::Descriptor;
use dsops_providers::{ALL, find};
use schemars::generate::SchemaSettings;

use super::discover::Found;
use super::{Init, Stop};
use crate::cli::infisical::access::KIND;
use crate::cli::session::Session;
use crate::diagnostics::Diagnostic;

/// What the file is made from.
pub(super) struct Answers {
    /// The type of the store.
    pub(super) descriptor: &'static Descriptor,
    /// Its name.
    pub(super) name: String,
    /// At least one, and none twice.
    pub(super) environments: Vec<String>,
    /// Options of the store, with their values.
    pub(super) options: Vec<(&'static str, String)>,
    /// What a login showed.
    pub(super) found: Option<Found>,
}

impl Init {
    /// Takes what flags give. Asks for the rest on a terminal, and takes defaults elsewhere.
    pub(super) fn answers(&self, session: &Session) -> Result<Answers, Stop> {
        let ask = !self.yes && io::stdin().is_terminal();
        let given = self.kind.as_deref().map(descriptor).transpose()?;
        self.check_flags(given)?;
        let descriptor = match given {
            Some(descriptor) => descriptor,
            None if ask => ask_type()?,
            None => default_type()?,
        };
        self.check_flags(Some(descriptor))?;
        let name = match &self.name {
            Some(name) => name.clone(),
            None if ask => ask_until("name of the store", descriptor.kind, |name| {
                store_name(name).map(|()| name.to_owned())
            })?,
            None => descriptor.kind.to_owned(),
        };
        let found = match descriptor.kind == KIND && !self.offline {
            true => super::discover::find(self, session, ask)?,
            false => None,
        };
        if let Some(found) = found {
            let environments = found.environments.iter().map(|known| known.name.clone()).collect();
            return Ok(Answers { descriptor, name, environments, options: Vec::new(), found: Some(found) });
        }
        let environments = match self.env.as_slice() {
            [] if ask => ask_until("environments, separated by spaces", "dev production", |names| {
                let names: Vec<&str> = names.split_whitespace().collect();
                names.iter().try_for_each(|name| environment_name(name)).map(|()| once_each(&names))
            })?,
            [] => vec!["dev".to_owned()],
            given => once_each(&given.iter().map(String::as_str).collect::<Vec<_>>()),
        };
        let options = self.options(descriptor, ask)?;
        Ok(Answers { descriptor, name, environments, options, found: None })
    }

    /// Checks what was given before anything is asked.
    fn check_flags(&self, descriptor: Option<&'static Descriptor>) -> Result<(), Stop> {
        let wrong = |message: String| Stop::from(Diagnostic::new("dsops::usage", exit::USAGE, message));
        if let Some(name) = &self.name {
            store_name(name).map_err(|why| wrong(format!("`{name}`: {why}")))?;
        }
        for name in &self.env {
            environment_name(name).map_err(|why| wrong(format!("`{}`: {why}", name.escape_default())))?;
        }
        for (flag, option, value) in self.option_flags() {
            let Some(value) = value else { continue };
            option_value(value).map_err(|why| wrong(format!("`{flag}`: {why}")))?;
            if let Some(descriptor) = descriptor.filter(|descriptor| !takes(descriptor, option)) {
                let message = format!("`{flag}` means nothing to a store of type `{}`", descriptor.kind);
                let with = ALL.iter().filter(|other| takes(other, option)).map(|other| other.kind);
                let help = format!("leave it out; it is for {}", dsops::suggest::and_ticked(with));
                return Err(Diagnostic::new("dsops::usage", exit::USAGE, message).help(help).into());
            }
        }
        if self.project.is_some() && descriptor.is_some_and(|descriptor| descriptor.kind != KIND) {
            return Err(wrong(format!("`--project` means nothing but to a store of type `{KIND}`")));
        }
        Ok(())
    }

    fn option_flags(&self) -> [(&'static str, &'static str, Option<&String>); 2] {
        [("--project-id", "project_id", self.project_id.as_ref()), ("--host", "host", self.host.as_ref())]
    }

    fn options(&self, descriptor: &Descriptor, ask: bool) -> Result<Vec<(&'static str, String)>, Stop> {
        let mut options = Vec::new();
        for (_, option, given) in self.option_flags() {
            let label = match option {
                "project_id" => "id of the project, from its settings; empty to fill in later",
                _ => "address of the server; empty for the default",
            };
            let value = match given {
                Some(given) => given.clone(),
                None if ask && takes(descriptor, option) => ask_until(label, "", |value| match value {
                    "" => Ok(String::new()),
                    value => option_value(value).map(|()| value.to_owned()),
                })?,
                None => continue,
            };
            if !value.is_empty() {
                options.push((option, value));
            }
        }
        Ok(options)
    }
}

fn descriptor(kind: &str) -> Result<&'static Descriptor, Stop> {
    find(kind).ok_or_else(|| {
        let message = format!("no type of store is named `{kind}`");
        Diagnostic::new(Code::UnknownType.as_str(), exit::USAGE, message).help(meant(kind)).into()
    })
}

fn meant(kind: &str) -> String {
    let known = ALL.iter().map(|descriptor| descriptor.kind);
    dsops::suggest::did_you_mean(kind, known.clone())
        .unwrap_or_else(|| format!("this dsops has {}", dsops::suggest::and_ticked(known)))
}

/// Returns the type that needs no server, as far as this build has one.
fn default_type() -> Result<&'static Descriptor, Stop> {
    find("local").map_or_else(|| descriptor("literal"), Ok)
}

fn store_name(name: &str) -> Result<(), String> {
    parse_name(name).map(drop).map_err(|error| error.message)
}

fn environment_name(name: &str) -> Result<(), String> {
    if name.trim().is_empty() || name.chars().any(char::is_control) {
        return Err("an environment has a name, without control characters".to_owned());
    }
    Ok(())
}

fn option_value(value: &str) -> Result<(), String> {
    if value.trim().is_empty() || value.chars().any(char::is_control) {
        return Err("give a value without control characters, or leave it out".to_owned());
    }
    Ok(())
}

fn once_each(names: &[&str]) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for name in names {
        if !kept.iter().any(|known| known == name) {
            kept.push((*name).to_owned());
        }
    }
    kept
}

/// Says whether a type of store has an option, by the schema that it declares.
fn takes(descriptor: &Descriptor, option: &str) -> bool {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let options = (descriptor.schema)(&mut generator);
    let definitions = generator.take_definitions(true);
    let name = options.get("$ref").and_then(|path| path.as_str()?.rsplit('/').next());
    let definition = name.and_then(|name| definitions.get(name)).unwrap_or(options.as_value());
    definition.pointer(&format!("/properties/{option}")).is_some()
}

fn ask_type() -> Result<&'static Descriptor, Stop> {
    let mut stderr = io::stderr().lock();
    for (index, descriptor) in ALL.iter().enumerate() {
        let about = descriptor.about;
        writeln!(stderr, "  {}  {:<12} {}: {}", index + 1, descriptor.kind, about.title, about.summary)?;
    }
    drop(stderr);
    let default = default_type()?.kind;
    ask_until("type of the store, or its number", default, |answer| {
        let by_number = answer.parse::<usize>().ok().and_then(|number| ALL.get(number.checked_sub(1)?));
        by_number
            .or_else(|| find(answer))
            .ok_or_else(|| format!("no type of store is named `{answer}`: {}", meant(answer)))
    })
}

/// Asks on the terminal until the answer can be used. An empty answer is the default.
pub(super) fn ask_until<T>(
    label: &str,
    default: &str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<T, Stop> {
    loop {
        let mut stderr = io::stderr().lock();
        if default.is_empty() {
            write!(stderr, "{label}: ")?;
        } else {
            write!(stderr, "{label} [{default}]: ")?;
        }
        stderr.flush()?;
        let mut line = String::new();
        if io::stdin().lock().read_line(&mut line)? == 0 {
            writeln!(stderr)?;
            let diagnostic =
                Diagnostic::new("dsops::usage", exit::USAGE, "nothing is written without answers");
            return Err(diagnostic.help("answer, or give flags and `--yes`").into());
        }
        let answer = if line.trim().is_empty() { default } else { line.trim() };
        match read(answer) {
            Ok(value) => return Ok(value),
            Err(why) => writeln!(stderr, "  {why}")?,
        }
    }
}
