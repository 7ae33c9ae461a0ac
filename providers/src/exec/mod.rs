//! `exec`: an outside program that speaks JSON on stdin and stdout.

mod config;
mod protocol;
mod requests;
#[cfg(test)]
#[cfg(unix)]
mod tests;

use std::ffi::OsString;
use std::time::Instant;

use async_trait::async_trait;

pub use self::config::{CommandLine, ExecConfig, Silence};
use self::protocol::Answer;
use self::requests::{MAX_REQUEST, Requests};
use crate::contract::{
    About, Answers, Backend, Context, Cost, DecodeError, FetchError, FetchErrorKind, Finding, Locator,
    LocatorError, LocatorPart, Node, Parts, Provider, SecretValue,
};
use crate::process::{Invocation, Output, Program, bad_end, passed};

/// An opened `exec` store.
pub struct Exec {
    config: ExecConfig,
}

/// Tells a program, which may be dsops, how many of its kind are running above it.
const DEPTH: &str = "DSOPS_DEPTH";
/// How many there may be: a circle ends somewhere.
const MAX_DEPTH: u32 = 4;

#[async_trait]
impl Provider for Exec {
    async fn fetch(&self, cx: &Context, locators: &[Locator]) -> Answers {
        let program = match self.program(cx) {
            Ok(program) if !locators.is_empty() => program,
            Ok(_) => return Answers::lookup(locators, |locator| Err(protocol::unanswered(&locator.path))),
            Err(error) => return Answers::all_failed(locators, &error),
        };
        let requests =
            Requests::of(locators.iter().map(|locator| locator.path.as_str()), self.config.max_ids);
        let mut outputs: Vec<Result<Output, FetchError>> = Vec::new();
        // One after the other: programs log in and take locks, and one that is started several times at once would
        // log in as often, or wait for itself. What one run gave stays when a later one fails, after which nothing
        // is started any more.
        for ids in requests.runs() {
            let output = match outputs.last() {
                Some(Err(error)) => Err(error.clone()),
                _ => self.run(cx, &program, ids).await,
            };
            outputs.push(output);
        }
        let answers: Vec<Result<Answer<'_>, FetchError>> =
            outputs.iter().map(|output| read(&program, output.as_ref().map_err(Clone::clone)?)).collect();
        Answers::lookup(locators, |locator| {
            match requests.run_of(&locator.path).and_then(|run| answers.get(run)) {
                Some(Ok(answer)) => answer.about(&locator.path),
                Some(Err(error)) => Err(error.clone()),
                None => Err(too_long()),
            }
        })
    }

    async fn check(&self, cx: &Context) -> Vec<Finding> {
        let program = match self.program(cx) {
            Ok(program) => program,
            Err(error) => return vec![Finding::failed("program", &error)],
        };
        let found = Finding::ok("program", format!("found `{}`", program.path().display()));
        let start = Instant::now();
        let output = self.run(cx, &program, &[]).await;
        let spoken = match output.and_then(|output| read(&program, &output).map(drop)) {
            Ok(()) => Finding::ok("protocol", "answers a request for nothing"),
            Err(error) => Finding::failed("protocol", &error),
        };
        vec![found, spoken.took(start.elapsed())]
    }
}

impl Exec {
    /// Runs the program once for these ids, and returns what it left if it ended well.
    async fn run(&self, cx: &Context, program: &Program, ids: &[&str]) -> Result<Output, FetchError> {
        let request = protocol::request(cx.store(), ids);
        if request.len() > MAX_REQUEST {
            return Err(FetchError::new(FetchErrorKind::Unsupported, "the request would be too long")
                .help("give the store a shorter name"));
        }
        let invocation = Invocation {
            program,
            args: self.args().map(OsString::from).collect(),
            env: self.env(cx)?,
            stdin: request,
            max_output: self.config.max_output,
            silence: self.config.silence.map(|Silence(time)| time),
        };
        let output = invocation.run(cx).await.map_err(|error| match error.kind() {
            FetchErrorKind::Malformed => error
                .help("raise `max_output` on the store, or make the program answer only what it is asked"),
            _ => error,
        })?;
        let Some(end) = bad_end(output.status) else { return Ok(output) };
        let message = format!("`{}` {end}", program.path().display());
        Err(FetchError::new(FetchErrorKind::Unavailable, message)
            .temporary(false)
            .help("run the program by hand: what it writes to stderr may hold a value and is not shown"))
    }

    fn program(&self, cx: &Context) -> Result<Program, FetchError> {
        Program::find(self.config.command.0.first().map_or("", String::as_str), cx)
    }

    fn args(&self) -> impl Iterator<Item = &String> {
        self.config.command.0.iter().skip(1).chain(&self.config.args)
    }

    /// Returns the program's environment: what is passed on, and over it what the options set.
    fn env(&self, cx: &Context) -> Result<Vec<(OsString, OsString)>, FetchError> {
        let depth = cx.env().get(DEPTH).and_then(|depth| depth.parse().ok()).unwrap_or(0_u32);
        if depth >= MAX_DEPTH {
            let message = format!(
                "{MAX_DEPTH} programs of `exec` stores are running, each started by the one before it"
            );
            return Err(FetchError::new(FetchErrorKind::Unsupported, message)
                .help("look for a store whose program is dsops with a file that has the same store"));
        }
        let mut env = passed(cx, &self.config.pass_env);
        env.push((DEPTH.into(), (depth + 1).to_string().into()));
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

/// Reads what a program left.
fn read<'a>(program: &Program, output: &'a Output) -> Result<Answer<'a>, FetchError> {
    Answer::read(&output.stdout).map_err(|unusable| {
        let message = format!("`{}` {}", program.path().display(), unusable.message);
        FetchError::new(FetchErrorKind::Malformed, message).help(unusable.help)
    })
}

const TOO_LONG: &str = "the id is longer than a request may be";

fn too_long() -> FetchError {
    FetchError::new(FetchErrorKind::Unsupported, TOO_LONG).help(SHORTEN)
}

const SHORTEN: &str = "name the secret by an id of less than 250 KiB";

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
        if config.max_ids == 0 {
            return Err(DecodeError::at(at("max_ids"), "`max_ids` leaves nothing to ask for")
                .help("give it a number of ids, or take it out"));
        }
        if config.silence.is_some_and(|Silence(time)| time.is_zero()) {
            return Err(DecodeError::at(at("silence"), "`silence` leaves no time to write anything")
                .help("give it a time such as `2s`, or take it out"));
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
        let (message, help) = match locator.path.as_str() {
            "" => ("no id", "name what the program is to be asked for"),
            id if !requests::fits(id) => (TOO_LONG, SHORTEN),
            _ => return Ok(()),
        };
        Err(LocatorError {
            part: LocatorPart::Path,
            message: message.to_owned(),
            help: Some(help.to_owned()),
        })
    }

    fn cost(config: &ExecConfig, locators: &[Locator], _: &[String]) -> Cost {
        let requests = Requests::of(locators.iter().map(|locator| locator.path.as_str()), config.max_ids);
        Cost { processes: requests.runs().len(), ..Cost::default() }
    }

    fn open(config: ExecConfig, _: &Context) -> Result<Self, FetchError> {
        Ok(Self { config })
    }
}
