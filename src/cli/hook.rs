//! `dsops hook` prints what a shell runs at each prompt, and `dsops hook-env` is what it runs then.
//!
//! Two steps. The first, at each prompt, looks at the file and what is trusted, asks nobody, and says what to take
//! away and what has become of the file. The second asks the stores. What the first said is kept before the second
//! begins, so that one which fails or is interrupted is not begun again at each prompt.
//!
//! What the shell keeps between prompts are a stamp and names. Values that were replaced stay in variables of the
//! shell itself that are not exported.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use dsops::config::{self, Config};
use dsops::exit;
use dsops::statements::{self, Shell, is_name};
use dsops::trust::{Subject, Trusted, hex};
use dsops_providers::contract::{EnvSnapshot, SecretValue};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::env::{named, unwritable};
use super::environment::{ACTIVE, HOOK, VARIABLES, set_by_outer};
use super::session::Session;
use super::trust::shown;
use super::{Outcome, Stop};
use crate::diagnostics::Diagnostic;

/// What the shell remembers, given back at each prompt.
const STATE: &str = "DSOPS_HOOK_STATE";

/// The shells that have a hook.
const SHELLS: [&str; 4] = ["bash", "zsh", "fish", "nushell"];

/// Print what makes a shell load the environment of the directory it is in
///
/// At each prompt the nearest `dsops.yaml` is looked for. One that you allowed with `dsops trust` is loaded when you
/// enter its directory, loaded again when it changes and you allow it again, and taken away when you leave: variables
/// that it replaced get their values back. `DSOPS_ENV` says which environment, and `--env` where that is not set.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  eval \"$(dsops hook bash --env dev)\"        in ~/.bashrc\n  \
    eval \"$(dsops hook zsh --env dev)\"         in ~/.zshrc\n  \
    dsops hook fish --env dev | source         in ~/.config/fish/config.fish\n  \
    dsops hook nushell --env dev | save --force ($nu.user-autoload-dirs.0 | path join dsops.nu)")]
pub(crate) struct Hook {
    /// The shell
    #[arg(value_name = "SHELL", value_parser = SHELLS)]
    shell: String,
    /// The environment to load where `DSOPS_ENV` names none
    #[arg(long, short, value_name = "NAME")]
    env: Option<String>,
}

/// What the hook runs at each prompt; not for people
#[derive(Args, Debug)]
pub(crate) struct HookEnv {
    /// The shell
    #[arg(value_name = "SHELL", value_parser = SHELLS)]
    shell: String,
    /// The environment where `DSOPS_ENV` names none
    #[arg(long, value_name = "NAME")]
    default: Option<String>,
    /// Ask the stores
    #[arg(long)]
    load: bool,
}

impl Hook {
    pub(crate) fn run(&self, session: &Session) -> Outcome {
        let shell = shell_of(&self.shell);
        let text = match self.shell.as_str() {
            "bash" => concat!(include_str!("hook/posix.sh"), include_str!("hook/bash.sh")),
            "zsh" => concat!(include_str!("hook/posix.sh"), include_str!("hook/zsh.sh")),
            "fish" => include_str!("hook/fish.fish"),
            _ => include_str!("hook/nushell.nu"),
        };
        let quoted = |word: &str| match shell {
            Shell::Nu => serde_json::Value::from(word).to_string(),
            _ => statements::quoted(shell, word),
        };
        // The same program as now, also where an environment changes `PATH`.
        let program = std::env::current_exe()?;
        let default = self.env.as_ref().map(|name| quoted(&format!("--default={name}")));
        let quiet = session.output.quiet.then(|| quoted("--quiet"));
        let options = [default, quiet].into_iter().flatten().collect::<Vec<_>>().join(" ");
        let text = text.replace("@PROGRAM@", &quoted(&program.to_string_lossy()));
        session.output.stdout(text.replace("@OPTIONS@", &options).as_bytes())?;
        Ok(exit::OK)
    }
}

fn shell_of(name: &str) -> Shell {
    Shell::of_name(name).unwrap_or(Shell::Posix)
}

/// What the shell remembers: what the file was like, and which variables to take away.
#[derive(Debug, Default, PartialEq, Eq)]
struct State {
    stamp: String,
    names: Vec<String>,
}

impl State {
    fn of(env: &EnvSnapshot) -> Self {
        let (stamp, names) = env.get(STATE).unwrap_or_default().split_once('|').unwrap_or_default();
        let names = names.split(',').filter(|name| is_name(name)).map(str::to_owned).collect();
        Self { stamp: stamp.to_owned(), names }
    }

    fn text(&self) -> String {
        if self.stamp.is_empty() && self.names.is_empty() {
            return String::new();
        }
        format!("{}|{}", self.stamp, self.names.join(","))
    }
}

/// The file of the directory, as it is seen from outside.
struct Here {
    path: PathBuf,
    environment: Option<String>,
    stamp: String,
}

impl HookEnv {
    pub(crate) fn run(&self, session: &Session) -> Outcome {
        let state = State::of(&session.env);
        let shell = shell_of(&self.shell);
        // A shell inside `dsops shell`, or with the statements of `dsops env`, has its environment already.
        let is_others = session.env.get_os(ACTIVE).is_some() && session.env.get_os(HOOK).is_none();
        if is_others && state == State::default() {
            return Ok(exit::OK);
        }
        let here = self.here(session);
        if self.load {
            return match here {
                Some(here) => load(session, shell, &here),
                None => Ok(exit::OK),
            };
        }
        let stamp = here.as_ref().map_or("", |here| here.stamp.as_str());
        // A shell that was started inside another knows nothing of what it inherited, except by the marks.
        let inherited: Vec<String> = match state == State::default() && session.env.get_os(HOOK).is_some() {
            true => set_by_outer(&session.env).chain([ACTIVE, VARIABLES, HOOK]).map(str::to_owned).collect(),
            false => Vec::new(),
        };
        if stamp == state.stamp && inherited.is_empty() {
            return Ok(exit::OK);
        }
        let is_wanted = here.as_ref().is_some_and(|here| is_wanted(session, here));
        let next = State { stamp: stamp.to_owned(), names: Vec::new() };
        let gone = state.names.iter().chain(&inherited);
        let text = answer(shell, &gone.map(String::as_str).collect::<Vec<_>>(), &next, is_wanted);
        session.output.stdout(text.as_bytes())?;
        Ok(exit::OK)
    }

    fn here(&self, session: &Session) -> Option<Here> {
        let start = std::env::current_dir().ok()?;
        let home = session.env.get_os("HOME").map(Path::new);
        let path = fs::canonicalize(config::discover(&start, home).ok()?).ok()?;
        let found = fs::metadata(&path).ok()?;
        let named = session.env.get("DSOPS_ENV").filter(|name| !name.is_empty());
        let environment = named.or(self.default.as_deref()).map(str::to_owned);
        let trust = Trusted::of(&session.env).and_then(|trusted| trusted.stamp(&path));
        let seen = format!(
            "{path:?} {environment:?} {} {} {} {} {} {:?} {:?} {trust:?}",
            found.dev(),
            found.ino(),
            found.size(),
            found.mode(),
            found.uid(),
            (found.mtime(), found.mtime_nsec()),
            (found.ctime(), found.ctime_nsec()),
        );
        let sum = hex(&Sha256::digest(seen));
        let stamp = sum.get(..32).unwrap_or_default().to_owned();
        Some(Here { path, environment, stamp })
    }
}

/// Says whether the file is to be loaded, and says on stderr why it is not.
fn is_wanted(session: &Session, here: &Here) -> bool {
    let path = shown(&here.path);
    let say = |text: String| {
        session.output.warn(&text);
        false
    };
    let subject = match Subject::read(&here.path) {
        Ok(subject) => subject,
        Err(unfit) => return say(format!("{path} is not loaded: {unfit}")),
    };
    let Some((_, true)) = judged(session, &subject) else {
        let is_known =
            Trusted::of(&session.env).is_some_and(|trusted| trusted.stamp(&subject.path).is_some());
        let what = if is_known { "has changed since it was trusted" } else { "is not trusted" };
        return say(format!("{path} {what}; run `dsops trust` to look at it and allow it"));
    };
    if here.environment.is_none() {
        return say(format!("{path} is not loaded: set DSOPS_ENV, or give the hook `--env NAME`"));
    }
    true
}

/// Returns what the file means, and whether it is trusted as it is. A file that was never trusted is not read
/// any further than that takes.
fn judged(session: &Session, subject: &Subject) -> Option<(Config, bool)> {
    let trusted = Trusted::of(&session.env)?;
    trusted.stamp(&subject.path)?;
    let config = config::load_text(&subject.path, subject.text.clone()).ok()?;
    let digest = subject.digest(&config);
    let is_trusted = trusted.has(&subject.path, &digest);
    Some((config, is_trusted))
}

/// Asks the stores, and writes what sets the variables. Whatever goes wrong is one line, and nothing is set.
fn load(session: &Session, shell: Shell, here: &Here) -> Outcome {
    let _ = dsops::exec::harden();
    let Some(name) = here.environment.as_deref() else { return Ok(exit::OK) };
    // The file may have changed since the first step, and is loaded as it is read here or not at all.
    let subject = Subject::read(&here.path).ok();
    let Some((config, true)) = subject.and_then(|subject| judged(session, &subject)) else {
        return Ok(exit::OK);
    };
    match fetched(session, shell, here, name, &config) {
        Ok(text) => {
            session.output.stdout(&text)?;
            Ok(exit::OK)
        }
        Err(Stop::Reports(reports)) => {
            let first = reports.first();
            let message = first.map_or_else(String::new, ToString::to_string);
            let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
            let more = match reports.len() {
                0 | 1 => String::new(),
                count => format!(" (and {} more)", count - 1),
            };
            session
                .output
                .warn(&format!("`{name}` is not loaded: {message}{more}; again with `dsops reload`"));
            Ok(first.map_or(exit::BUG, Diagnostic::exit))
        }
        Err(stop) => Err(stop),
    }
}

fn fetched(
    session: &Session,
    shell: Shell,
    here: &Here,
    name: &str,
    config: &Config,
) -> Result<Zeroizing<Vec<u8>>, Stop> {
    let environment = session.environment(config, name)?;
    let plan = session.plan(config, environment)?;
    let cx = session.context_that_asks_nobody(config);
    let resolution = session.resolve(config, &plan, &cx)?;
    session.stop_or_warn(config, &resolution, false)?;
    let given = named(session, &plan, &resolution);
    let count = given.len();
    let list = given.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(",");
    let marks = [
        (ACTIVE.to_owned(), SecretValue::from(name.to_owned())),
        (VARIABLES.to_owned(), SecretValue::from(list)),
        (HOOK.to_owned(), SecretValue::from("1".to_owned())),
    ];
    let marks = marks.iter().map(|(name, value)| (name.clone(), value));
    let all: Vec<(String, &SecretValue)> = given.into_iter().chain(marks).collect();
    let variables: Vec<(&str, &SecretValue)> =
        all.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let export = statements::export(shell, &variables).map_err(|errors| unwritable(&errors))?;
    let names = variables.iter().map(|(name, _)| (*name).to_owned()).collect();
    let state = State { stamp: here.stamp.clone(), names };
    session.output.remark(&format!(
        "`{name}`: {count} variable{} from {}",
        super::plan::plural(count),
        shown(&here.path)
    ));
    Ok(setting(session, shell, &variables, &state, &export))
}

/// Writes what the first step says.
fn answer(shell: Shell, gone: &[&str], next: &State, is_wanted: bool) -> String {
    if shell == Shell::Nu {
        let answer = serde_json::json!({ "gone": gone, "state": next.text(), "load": is_wanted });
        return format!("{answer}\n");
    }
    let mut text: String = gone.iter().map(|name| format!("_dsops_restore {name}\n")).collect();
    text.push_str(&remember(shell, next));
    if is_wanted {
        text.push_str("_dsops_load\n");
    }
    text
}

fn remember(shell: Shell, state: &State) -> String {
    let text = statements::quoted(shell, &state.text());
    match shell {
        Shell::Fish => format!("set -g _dsops_state {text}\n"),
        Shell::Posix | Shell::Nu => format!("_dsops_state={text}\n"),
    }
}

/// Writes what the second step says: keep what is replaced, set, and remember.
fn setting(
    session: &Session,
    shell: Shell,
    variables: &[(&str, &SecretValue)],
    state: &State,
    export: &[u8],
) -> Zeroizing<Vec<u8>> {
    let (before, after) = match shell {
        Shell::Nu => {
            let state = serde_json::Value::from(state.text());
            (String::from("{\"set\": "), format!(", \"state\": {state}}}\n"))
        }
        Shell::Posix | Shell::Fish => {
            // What the shell exports is seen here, and is exported again when it is given back.
            let saves = variables.iter().map(|(name, _)| {
                let is_exported = session.env.get_os(name).is_some();
                format!("_dsops_save {name} {}\n", if is_exported { "e" } else { "p" })
            });
            (saves.collect(), remember(shell, state))
        }
    };
    // The capacity is exact, so that no growth leaves a copy of the values behind.
    let mut text = Zeroizing::new(Vec::with_capacity(before.len() + export.len() + after.len()));
    text.extend_from_slice(before.as_bytes());
    text.extend_from_slice(export);
    text.extend_from_slice(after.as_bytes());
    text
}
