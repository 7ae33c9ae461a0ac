//! `exec`: an outside program that speaks JSON on stdin and stdout.

mod config;
mod protocol;
#[cfg(test)]
#[cfg(unix)]
mod tests;

use std::collections::HashSet;
use std::ffi::OsString;
use std::time::Instant;

use async_trait::async_trait;

pub use self::config::{CommandLine, ExecConfig};
use self::protocol::Answer;
use crate::contract::{
    About, Answers, Backend, Context, Cost, DecodeError, FetchError, FetchErrorKind, Finding, Locator,
    LocatorError, LocatorPart, Node, Parts, Provider, SecretValue,
};
use crate::process::{Invocation, Output, Program, bad_end, passed};

/// An opened `exec` store.
pub struct Exec {
    config: ExecConfig,
}

#[async_trait]
impl Provider for Exec {
    async fn fetch(&self, cx: &Context, locators: &[Locator]) -> Answers {
        if locators.is_empty() {
            return Answers::lookup(locators, |locator| Err(protocol::unanswered(&locator.path)));
        }
        match self.ask(cx, locators).await {
            Ok(answers) => answers,
            Err(error) => Answers::all_failed(locators, &error),
        }
    }

    async fn check(&self, cx: &Context) -> Vec<Finding> {
        let program = match self.program(cx) {
            Ok(program) => program,
            Err(error) => return vec![Finding::failed("program", &error)],
        };
        let found = Finding::ok("program", format!("found `{}`", program.path().display()));
        let start = Instant::now();
        let spoken = match self.ask(cx, &[]).await {
            Ok(_) => Finding::ok("protocol", "answers a request for nothing"),
            Err(error) => Finding::failed("protocol", &error),
        };
        vec![found, spoken.took(start.elapsed())]
    }
}

impl Exec {
    /// Runs the program once for all ids, each of which it is asked only once.
    async fn ask(&self, cx: &Context, locators: &[Locator]) -> Result<Answers, FetchError> {
        let program = self.program(cx)?;
        let mut seen = HashSet::new();
        let ids: Vec<&str> =
            locators.iter().map(|locator| locator.path.as_str()).filter(|id| seen.insert(*id)).collect();
        let invocation = Invocation {
            program: &program,
            args: self.args().map(OsString::from).collect(),
            env: self.env(cx)?,
            stdin: protocol::request(cx.store(), &ids),
            max_output: self.config.max_output,
        };
        let output = invocation.run(cx).await.map_err(|error| match error.kind() {
            FetchErrorKind::Malformed => error
                .help("raise `max_output` on the store, or make the program answer only what it is asked"),
            _ => error,
        })?;
        let answer = read(&program, &output)?;
        Ok(Answers::lookup(locators, |locator| answer.about(&locator.path)))
    }

    fn program(&self, cx: &Context) -> Result<Program, FetchError> {
        Program::find(self.config.command.0.first().map_or("", String::as_str), cx)
    }

    fn args(&self) -> impl Iterator<Item = &String> {
        self.config.command.0.iter().skip(1).chain(&self.config.args)
    }

    /// Returns the program's environment: what is passed on, and over it what the options set.
    fn env(&self, cx: &Context) -> Result<Vec<(OsString, OsString)>, FetchError> {
        let mut env = passed(cx, &self.config.pass_env);
        for (name, credential) in &self.config.env {
            let value = os_string(credential.value()).ok_or_else(|| {
                FetchError::new(
                    FetchErrorKind::Unsupported,
                    format!("the value of `{name}` cannot be a program's variable"),
                )
                .help("encode the value as base64, since NUL cannot be passed on")
            })?;
            env.push((name.into(), value));
        }
        Ok(env)
    }
}

/// Reads what a program left, if it ended well.
fn read<'a>(program: &Program, output: &'a Output) -> Result<Answer<'a>, FetchError> {
    let path = program.path().display();
    if let Some(end) = bad_end(output.status) {
        return Err(FetchError::new(FetchErrorKind::Unavailable, format!("`{path}` {end}"))
            .temporary(false)
            .help("run the program by hand: what it writes to stderr may hold a value and is not shown"));
    }
    Answer::read(&output.stdout).map_err(|unusable| {
        FetchError::new(FetchErrorKind::Malformed, format!("`{path}` {}", unusable.message))
            .help(unusable.help)
    })
}

/// Returns a value as the system passes it on, or `None` where it cannot.
fn os_string(value: &SecretValue) -> Option<OsString> {
    if value.expose().contains(&0) {
        return None;
    }
    #[cfg(unix)]
    return Some(std::os::unix::ffi::OsStringExt::from_vec(value.expose().to_vec()));
    #[cfg(not(unix))]
    value.expose_str().map(OsString::from)
}

impl Backend for Exec {
    type Config = ExecConfig;

    const KIND: &'static str = "exec";

    const ABOUT: About = About {
        title: "Program",
        summary: "an outside program that speaks JSON on stdin and stdout",
        parts: Parts { folders: false, fields: false, versions: false },
        own_env: &[],
        example: "type: exec\ncommand: [./secrets.sh]\n",
        readme: include_str!("README.md"),
    };

    fn validate(config: &ExecConfig, node: &Node) -> Result<(), DecodeError> {
        let at = |name: &str| node.get(name).map_or(node.span, |node| node.span);
        if config.command.0.first().is_none_or(String::is_empty) {
            return Err(DecodeError::at(at("command"), "no program in `command`")
                .help("name a program on `PATH`, or a path with a slash"));
        }
        if config.max_output == 0 {
            return Err(DecodeError::at(at("max_output"), "`max_output` leaves no room for an answer")
                .help("give it a number of bytes, or take it out"));
        }
        let set = config.env.keys().map(|name| ("env", name));
        let passed = config.pass_env.iter().map(|name| ("pass_env", name));
        match set.chain(passed).find(|(_, name)| name.is_empty() || name.contains(['=', '\0'])) {
            Some((option, _)) => {
                Err(DecodeError::at(at(option), format!("not the name of a variable in `{option}`"))
                    .help("leave `=` and NUL out of the name"))
            }
            None => Ok(()),
        }
    }

    fn accept(_: &ExecConfig, locator: &Locator) -> Result<(), LocatorError> {
        if !locator.path.is_empty() {
            return Ok(());
        }
        Err(LocatorError {
            part: LocatorPart::Path,
            message: "no id".to_owned(),
            help: Some("name what the program is to be asked for".to_owned()),
        })
    }

    fn cost(_: &ExecConfig, locators: &[Locator], _: &[String]) -> Cost {
        Cost { processes: usize::from(!locators.is_empty()), ..Cost::default() }
    }

    fn open(config: ExecConfig, _: &Context) -> Result<Self, FetchError> {
        Ok(Self { config })
    }
}
