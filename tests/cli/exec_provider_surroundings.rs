//! `dsops exec-provider` where it is started with nothing: no environment, no directory, no streams.

use std::fs;
use std::path::PathBuf;

use crate::exec_provider_asker::{Answer, ask, provider, refused, request};
use crate::support::Dsops;

const CONFIG: &str = "\
secretStores:
  lit: {type: literal, values: {KEY: from the store}}
envs:
  dev: {A: {from: lit/KEY}}
agents:
  openclaw: {env: dev}
";

/// A file that lives as long as it is needed.
struct Kept(tempfile::TempDir);

impl Kept {
    fn new(yaml: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("dsops.yaml"), yaml).expect("a file");
        Self(dir)
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("dsops.yaml")
    }

    /// Prepares a shell script in which `ask` stands for the command.
    fn script(&self, script: &str) -> Dsops {
        let program = env!("CARGO_BIN_EXE_dsops");
        let command = format!("'{program}' exec-provider --config '{}'", self.path().display());
        let shell = Dsops::new().instead("/bin/sh").without_env("HOME").without_env("COLUMNS");
        shell.args(["-c", &script.replace("ASK", &command)])
    }
}

#[test]
fn an_empty_environment_is_enough() {
    let kept = Kept::new(CONFIG);
    let run = kept.script("exec env -i ASK");
    assert_eq!(ask(run, &["A"]).value("A"), "from the store");
    // As OpenClaw starts it: nothing but what the caller names.
    assert_eq!(ask(provider(CONFIG), &["A"]).value("A"), "from the store");
    let odd = provider(CONFIG)
        .env("HOME", "/no/such/home")
        .env("PATH", "")
        .env("LANG", "xx_YY.broken")
        .env("TERM", "");
    assert_eq!(ask(odd, &["A"]).value("A"), "from the store");
}

#[test]
fn any_directory_will_do_also_one_that_is_gone() {
    let kept = Kept::new(CONFIG);
    for script in [
        "cd /; exec ASK",
        "cd /proc/self; exec ASK",
        "mkdir gone; cd gone; rmdir ../gone; exec ASK",
        "mkdir closed; cd closed; chmod 000 .; exec ASK",
    ] {
        assert_eq!(ask(kept.script(script), &["A"]).value("A"), "from the store", "{script}");
    }
}

#[test]
fn files_and_nothing_at_all_do_as_streams() {
    let kept = Kept::new(CONFIG);
    let asking = |script: &str| kept.script(script).file("request", request(&["A"]));
    let answer = |script: &str| Answer::of(asking(script).run(), &["A"]);
    assert_eq!(answer("exec ASK < request").value("A"), "from the store");
    assert_eq!(answer("ASK < request > answer && cat answer").value("A"), "from the store");
    assert_eq!(answer("exec ASK < request 2>&-").value("A"), "from the store");
    assert_eq!(answer("exec ASK < request 2>/dev/null").value("A"), "from the store");
    assert_eq!(answer("ASK < request 2>&1 | cat").value("A"), "from the store");
    assert_eq!(answer("mkfifo pipe; cat request > pipe & exec ASK < pipe").value("A"), "from the store");
    let _ = refused(asking("exec ASK < /dev/null").run(), 2);
    let _ = refused(asking("exec ASK <&-").run(), 2);
    let _ = refused(asking("exec ASK < .").run(), 2);
    // Nobody can read an answer, and nothing else gets it.
    for script in ["exec ASK < request >&-", "exec ASK < request >/dev/null", "exec ASK <&- >&- 2>&-"] {
        let output = asking(script).run().stdout_empty();
        assert!(output.exit_code().is_some_and(|code| code != 70 && code != 101), "{script}\n{output}");
        let _ = output.stderr_lacks("panicked").stderr_lacks("from the store");
    }
    let full = asking("exec ASK < request > /dev/full").run();
    assert!(full.exit_code().is_some_and(|code| code != 70 && code != 101), "{full}");
    let _ = full.stderr_lacks("panicked").stderr_lacks("from the store");
}

#[test]
fn a_file_is_named_by_its_whole_path_and_never_looked_for_where_the_program_runs() {
    let own = CONFIG.replace("from the store", "of the directory");
    let asking = |run: Dsops| run.file("dsops.yaml", &own).stdin(request(&["A"]));
    for relative in ["dsops.yaml", "./dsops.yaml", "below/../dsops.yaml"] {
        let by_option = Dsops::new().args(["exec-provider", "--config", relative]);
        let output = asking(by_option).run();
        assert!(matches!(output.exit_code(), Some(2 | 3)), "{output}");
        let code = output.exit_code().expect("a code");
        let _ = refused(output, code).never_shows("of the directory");
        let by_variable = Dsops::new().env("DSOPS_CONFIG", relative).args(["exec-provider"]);
        let output = asking(by_variable).run();
        assert!(matches!(output.exit_code(), Some(2 | 3)), "{output}");
        let code = output.exit_code().expect("a code");
        let _ = refused(output, code).never_shows("of the directory");
    }
    let nothing = asking(Dsops::new().args(["exec-provider"])).directory("below").run();
    let _ = refused(nothing, 3).never_shows("of the directory");

    let kept = Kept::new(CONFIG);
    let by_variable = Dsops::new().env("DSOPS_CONFIG", kept.path()).args(["exec-provider"]);
    assert_eq!(Answer::of(asking(by_variable).run(), &["A"]).value("A"), "from the store");
    let at_home = Dsops::new().file("../home/.config/dsops/dsops.yaml", CONFIG).args(["exec-provider"]);
    assert_eq!(Answer::of(asking(at_home).run(), &["A"]).value("A"), "from the store");
    let elsewhere = Dsops::new().file("../xdg/dsops/dsops.yaml", CONFIG).args(["exec-provider"]);
    let xdg = elsewhere.path("").parent().expect("a directory").join("xdg");
    let elsewhere = elsewhere.env("XDG_CONFIG_HOME", xdg);
    assert_eq!(Answer::of(asking(elsewhere).run(), &["A"]).value("A"), "from the store");
    // The option wins, and a relative base directory counts for nothing, as XDG says.
    let both = Dsops::new()
        .env("DSOPS_CONFIG", "/no/such/file")
        .args(["exec-provider", "--config"])
        .args([kept.path()]);
    assert_eq!(Answer::of(asking(both).run(), &["A"]).value("A"), "from the store");
}

#[test]
fn without_a_home_the_user_database_names_one() {
    // A namespace of its own has another user database, and nothing of the machine's is touched.
    let kept = Kept::new(CONFIG);
    let script = format!(
        "mkdir -p home/.config/dsops && cp '{}' home/.config/dsops/dsops.yaml &&
         printf 'me:x:%s:%s::%s/home:/bin/sh\\n' \"$(id -u)\" \"$(id -g)\" \"$PWD\" > passwd &&
         mount --bind passwd /etc/passwd && exec env -i '{}' exec-provider",
        kept.path().display(),
        env!("CARGO_BIN_EXE_dsops")
    );
    let probe =
        Dsops::new().instead("/usr/bin/env").args(["unshare", "--mount", "--map-root-user", "true"]).run();
    let flags = if probe.exit_code() == Some(0) { "--map-root-user" } else { "--propagation=private" };
    let probe = Dsops::new().instead("/usr/bin/env").args(["unshare", "--mount", flags, "true"]).run();
    if probe.exit_code() != Some(0) {
        println!("not run: this machine allows no mount namespace");
        return;
    }
    let run = Dsops::new().instead("/usr/bin/env").args(["unshare", "--mount", flags, "sh", "-c", &script]);
    assert_eq!(ask(run, &["A"]).value("A"), "from the store");
}
