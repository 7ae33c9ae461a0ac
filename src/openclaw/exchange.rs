//! One exchange with a provider's program, with the limits that OpenClaw has.
//!
//! What comes back is looked at where it lies and forgotten: of a value it is said whether OpenClaw would take it.

use std::cell::Cell;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use dsops_providers::contract::EnvSnapshot;
use indexmap::IndexMap;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep_until, timeout};
use zeroize::Zeroizing;

use super::{Provider, REDACTED};
use crate::transform::buffer::Buffer;

/// How much of stderr is kept.
const MOST_REMARKS: usize = 4096;
/// How long a killed program may take to go.
const BURIAL: Duration = Duration::from_secs(1);
/// The longest code that is told.
const MOST_CODE: usize = 40;

/// How an exchange went.
pub struct Exchange {
    /// How long it took.
    pub took: Duration,
    /// How many bytes came on stdout and stderr.
    pub written: usize,
    /// What the program wrote to stderr, from its beginning. It may hold a value, unless the program is this one.
    pub remarks: Zeroizing<Vec<u8>>,
    /// What came of each id, or why OpenClaw would take nothing of it.
    pub outcome: Result<IndexMap<String, Outcome>, Failure>,
}

/// What came of one id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A value that OpenClaw takes.
    Given,
    /// An error with this code.
    Refused(String),
    /// Neither a value nor an error.
    Missing,
    /// An empty value.
    Empty,
    /// Something else than a string.
    NoText,
    /// What stands in OpenClaw's settings in the place of a value that it does not show.
    Redacted,
}

/// Why OpenClaw would take nothing of an answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The system could not start the program.
    #[error("the program could not be started: {0}")]
    NotStarted(io::Error),
    /// The connection broke.
    #[error("the connection to the program broke: {0}")]
    Broken(io::Error),
    /// `timeoutMs` passed.
    #[error("the program was not done after {} ms, and was ended", .0.as_millis())]
    TimedOut(Duration),
    /// `noOutputTimeoutMs` passed without a byte.
    #[error("the program wrote nothing for {} ms, and was ended", .0.as_millis())]
    Silent(Duration),
    /// More than `maxOutputBytes` came.
    #[error("the program wrote more than {0} bytes, and was ended")]
    TooMuch(usize),
    /// It ended with another code than 0.
    #[error("the program ended with code {0}")]
    Code(i32),
    /// A signal ended it.
    #[error("signal {0} ended the program")]
    Signal(i32),
    /// What came on stdout is not an answer.
    #[error("the program {0}")]
    NoAnswer(&'static str),
}

/// Starts a provider's program as OpenClaw does, asks it for these ids and reads its answer.
pub async fn exchange(provider: &Provider, ids: &[&str], env: &EnvSnapshot) -> Exchange {
    let start = Instant::now();
    let watch = Watch { start, last: Cell::new(start), written: Cell::new(0), provider };
    let mut remarks = Zeroizing::new(Vec::with_capacity(MOST_REMARKS));
    let outcome = match spawn(provider, env) {
        Ok(child) => converse(child, &watch, &request(provider, ids), &mut remarks).await,
        Err(error) => Err(Failure::NotStarted(error)),
    };
    let outcome = outcome.and_then(|answer| read(&answer, ids));
    Exchange { took: start.elapsed(), written: watch.written.get(), remarks, outcome }
}

fn request(provider: &Provider, ids: &[&str]) -> Vec<u8> {
    serde_json::json!({ "protocolVersion": 1, "provider": provider.name, "ids": ids })
        .to_string()
        .into_bytes()
}

/// The environment holds what the provider names and nothing else; the work directory is the program's own.
fn spawn(provider: &Provider, env: &EnvSnapshot) -> io::Result<Child> {
    let passed = provider.pass_env.iter().filter_map(|name| Some((name, env.get_os(name)?)));
    Command::new(&provider.command)
        .args(&provider.args)
        .env_clear()
        .envs(passed)
        .envs(provider.env.iter().map(|(name, value)| (name, value)))
        .current_dir(provider.command.parent().unwrap_or(Path::new("/")))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// What is counted while a program runs.
struct Watch<'a> {
    start: Instant,
    last: Cell<Instant>,
    written: Cell<usize>,
    provider: &'a Provider,
}

impl Watch<'_> {
    /// Ends when a limit of time is passed.
    async fn limit(&self) -> Failure {
        let Provider { timeout, silence, .. } = *self.provider;
        loop {
            let (end, quiet) = (self.start + timeout, self.last.get() + silence);
            sleep_until(end.min(quiet)).await;
            let now = Instant::now();
            if now >= end {
                return Failure::TimedOut(timeout);
            }
            if now >= self.last.get() + silence {
                return Failure::Silent(silence);
            }
        }
    }

    fn saw(&self, bytes: usize) -> Result<(), Failure> {
        self.last.set(Instant::now());
        self.written.set(self.written.get() + bytes);
        if self.written.get() > self.provider.max_output {
            return Err(Failure::TooMuch(self.provider.max_output));
        }
        Ok(())
    }

    async fn collect(
        &self,
        pipe: Option<impl AsyncRead + Unpin>,
        mut keep: impl FnMut(&[u8]),
    ) -> Result<(), Failure> {
        let Some(mut pipe) = pipe else { return Ok(()) };
        let mut chunk = Zeroizing::new(vec![0; 16 << 10]);
        loop {
            let read = pipe.read(&mut chunk).await.map_err(Failure::Broken)?;
            if read == 0 {
                return Ok(());
            }
            self.saw(read)?;
            keep(chunk.get(..read).unwrap_or_default());
        }
    }
}

async fn converse(
    mut child: Child,
    watch: &Watch<'_>,
    request: &[u8],
    remarks: &mut Vec<u8>,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let mut answer = Buffer::with_capacity(64 << 10);
    let feed = async {
        if let Some(mut stdin) = stdin {
            // Who reads no further says so in the answer.
            let _ = stdin.write_all(request).await;
        }
        Ok(())
    };
    let talk = async {
        let ((), (), (), status) = tokio::try_join!(
            feed,
            watch.collect(stdout, |bytes| answer.extend(bytes)),
            watch.collect(stderr, |bytes| {
                // The capacity is never passed, so that no growth leaves a copy behind.
                let room = MOST_REMARKS.saturating_sub(remarks.len());
                remarks.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
            }),
            async { child.wait().await.map_err(Failure::Broken) },
        )?;
        Ok(status)
    };
    let status = tokio::select! {
        status = talk => status,
        failure = watch.limit() => Err(failure),
    };
    if status.is_err() {
        if let Some(group) = group {
            let _ = killpg(group, Signal::SIGKILL);
        }
        let _ = child.start_kill();
        let _ = timeout(BURIAL, child.wait()).await;
    }
    ended(status?)?;
    Ok(answer.into_bytes())
}

fn ended(status: ExitStatus) -> Result<(), Failure> {
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(Failure::Code(code)),
        (None, signal) => Err(Failure::Signal(signal.unwrap_or_default())),
    }
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(rename = "protocolVersion", borrow)]
    version: Option<&'a RawValue>,
    #[serde(borrow)]
    values: Option<&'a RawValue>,
    #[serde(borrow)]
    errors: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Refusal {
    code: Option<String>,
}

fn read(answer: &[u8], ids: &[&str]) -> Result<IndexMap<String, Outcome>, Failure> {
    if answer.trim_ascii().is_empty() {
        return Err(Failure::NoAnswer("wrote nothing to stdout"));
    }
    let answer: Answer<'_> =
        serde_json::from_slice(answer).map_err(|_| Failure::NoAnswer("did not write one object of JSON"))?;
    if answer.version.is_none_or(|version| version.get() != "1") {
        return Err(Failure::NoAnswer("answered in another version of the protocol than 1"));
    }
    // Borrowed as they stand, so that no value is copied.
    let values: IndexMap<String, &RawValue> = answer
        .values
        .and_then(|values| serde_json::from_str(values.get()).ok())
        .ok_or(Failure::NoAnswer("answered without an object `values`"))?;
    let errors: IndexMap<String, &RawValue> =
        answer.errors.and_then(|errors| serde_json::from_str(errors.get()).ok()).unwrap_or_default();
    let outcome = |id: &str| match (errors.get(id), values.get(id)) {
        (Some(error), _) => Outcome::Refused(code_of(error)),
        (None, Some(value)) => judged(value.get()),
        (None, None) => Outcome::Missing,
    };
    Ok(ids.iter().map(|id| ((*id).to_owned(), outcome(id))).collect())
}

/// Returns the code of an error, where it looks like one: others' programs may write anything there.
fn code_of(error: &RawValue) -> String {
    let code = serde_json::from_str::<Refusal>(error.get()).ok().and_then(|refusal| refusal.code);
    let is_plain = |code: &String| {
        code.len() <= MOST_CODE && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
    };
    code.filter(is_plain).unwrap_or_else(|| "an error without a code".to_owned())
}

fn judged(raw: &str) -> Outcome {
    match raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')) {
        None => Outcome::NoText,
        Some("") => Outcome::Empty,
        Some(text) if text == REDACTED => Outcome::Redacted,
        Some(_) => Outcome::Given,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn shell(script: &str) -> Provider {
        Provider {
            name: "dsops".to_owned(),
            command: PathBuf::from("/bin/sh"),
            args: vec!["-c".to_owned(), script.to_owned()],
            env: vec![("GIVEN".into(), "given".into())],
            pass_env: vec!["PASSED".to_owned(), "ABSENT".to_owned()],
            timeout: Duration::from_secs(20),
            silence: Duration::from_secs(20),
            max_output: 1000,
            trusted_dirs: Vec::new(),
        }
    }

    fn run(provider: &Provider, ids: &[&str]) -> Exchange {
        let env: EnvSnapshot = [("PASSED", "passed"), ("OTHER", "other")].into_iter().collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(exchange(provider, ids, &env))
    }

    fn failure(provider: &Provider) -> Failure {
        run(provider, &["A"]).outcome.unwrap_err()
    }

    #[test]
    fn each_id_has_an_outcome() {
        let answer = r#"{"protocolVersion":1,"values":{"A":"x","B":"","C":1,"D":"__OPENCLAW_REDACTED__","E":"x","Z":"z"},
            "errors":{"E":{"code":"NOT_FOUND"},"F":{"code":"a value"},"G":7}}"#;
        let found = run(
            &shell(&format!("cat >/dev/null; echo '{answer}'")),
            &["A", "B", "C", "D", "E", "F", "G", "H"],
        );
        let no_code = || Outcome::Refused("an error without a code".to_owned());
        let wanted = [
            Outcome::Given,
            Outcome::Empty,
            Outcome::NoText,
            Outcome::Redacted,
            Outcome::Refused("NOT_FOUND".to_owned()),
            no_code(),
            no_code(),
            Outcome::Missing,
        ];
        assert_eq!(found.outcome.unwrap().into_values().collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn the_program_gets_what_is_named_and_the_request() {
        let script = "[ \"$PASSED$GIVEN$OTHER\" = passedgiven ] || exit 3; [ \"$(pwd -P)\" = \"$(cd /bin; pwd -P)\" ] || exit 4
            [ \"$(cat)\" = '{\"protocolVersion\":1,\"provider\":\"dsops\",\"ids\":[\"A\"]}' ] || exit 5
            echo remark >&2; echo '{\"protocolVersion\":1,\"values\":{\"A\":\"x\"}}'";
        let found = run(&shell(script), &["A"]);
        assert_eq!(found.remarks.as_slice(), b"remark\n");
        assert_eq!(found.outcome.unwrap().get("A"), Some(&Outcome::Given));
    }

    #[test]
    fn what_is_no_answer_is_none() {
        for (script, told) in [
            ("exit 3", "ended with code 3"),
            ("kill -9 $$", "signal 9"),
            ("true", "wrote nothing"),
            ("echo x", "one object of JSON"),
            ("echo '{\"values\":{}}'", "version"),
            ("echo '{\"protocolVersion\":\"1\",\"values\":{}}'", "version"),
            ("echo '{\"protocolVersion\":1}'", "without an object"),
            ("echo '{\"protocolVersion\":1,\"values\":[]}'", "without an object"),
            ("echo '{\"protocolVersion\":1,\"values\":{}} x'", "one object of JSON"),
            ("head -c 600 /dev/zero; head -c 600 /dev/zero >&2", "more than 1000 bytes"),
        ] {
            let found = failure(&shell(script)).to_string();
            assert!(found.contains(told), "{script}: {found}");
        }
        let none = Provider { command: PathBuf::from("/bin/no-such-program"), ..shell("") };
        assert!(matches!(failure(&none), Failure::NotStarted(_)));
    }

    #[test]
    fn silence_and_time_end_the_program_and_what_it_started() {
        let place = tempfile::tempdir().unwrap();
        let pid = place.path().join("pid");
        let script = format!("sleep 300 & echo $! > {}; wait", pid.display());
        let silent = Provider { silence: Duration::from_millis(300), ..shell(&script) };
        assert!(matches!(failure(&silent), Failure::Silent(_)));
        let started = std::fs::read_to_string(&pid).unwrap();
        let state = std::fs::read_to_string(format!("/proc/{}/stat", started.trim())).unwrap_or_default();
        assert!(state.is_empty() || state.contains(") Z") || state.contains(") X"), "{state}");
        let slow = Provider {
            timeout: Duration::from_millis(700),
            silence: Duration::from_millis(500),
            ..shell("while :; do echo; sleep 0.1; done")
        };
        assert!(matches!(failure(&slow), Failure::TimedOut(_)));
    }
}
