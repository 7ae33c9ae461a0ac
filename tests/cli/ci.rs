//! In CI: what a runner is told to mask, before anything else, and what a later step gets.

use std::collections::BTreeMap;
use std::fs;

use crate::support::Dsops;

/// A value of one line, one of three, one too short, and one in common words.
const CONFIG: &str = "envs: {dev: {TOKEN: {literal: \"100% s3cret\"}, KEY: {literal: \"-----BEGIN K-----\\nMIIEabcd\\n  x=\\nzzzz\\n-----END K-----\\n\"}, \
    PIN: {literal: \"12\"}, DEBUG: {literal: \"true\"}, EMPTY: {literal: \"\"}}}";

const BASE64_OF_KEY: &str = "LS0tLS1CRUdJTiBLLS0tLS0KTUlJRWFiY2QKICB4PQp6enp6Ci0tLS0tRU5EIEstLS0tLQo=";

fn masks(start: &str, percent: &str) -> String {
    let parts = [&format!("100{percent} s3cret"), "MIIEabcd", "zzzz", BASE64_OF_KEY];
    // An empty line first: what was written before need not end with one.
    std::iter::once("\n".to_owned()).chain(parts.iter().map(|part| format!("{start}{part}\n"))).collect()
}

fn github() -> Dsops {
    Dsops::new().config(CONFIG).env("GITHUB_ACTIONS", "true").file("env", "")
}

/// Runs dsops from a shell that gives it other streams.
fn in_shell(dsops: Dsops, script: &str) -> Dsops {
    dsops.instead("/bin/sh").args(["-c", script, env!("CARGO_BIN_EXE_dsops")])
}

/// Reads the file as `SetEnvFileCommand` of actions/runner does.
fn read_as_the_runner(text: &str) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    let mut lines = text.split_inclusive('\n').map(|line| line.strip_suffix('\n').unwrap_or(line));
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let (equals, heredoc) = (line.find('='), line.find("<<"));
        match (equals, heredoc) {
            (Some(equals), heredoc) if heredoc.is_none_or(|heredoc| equals < heredoc) => {
                values.insert(line[..equals].to_owned(), line[equals + 1..].to_owned());
            }
            (_, Some(heredoc)) => {
                let (name, delimiter) = (&line[..heredoc], &line[heredoc + 2..]);
                assert!(!name.is_empty() && !delimiter.is_empty());
                let mut value = Vec::new();
                loop {
                    let line = lines.next().expect("the delimiter");
                    if line == delimiter {
                        break;
                    }
                    value.push(line);
                }
                values.insert(name.to_owned(), value.join("\n"));
            }
            _ => panic!("invalid format {line:?}"),
        }
    }
    values
}

#[test]
fn in_github_actions_the_masks_go_to_stderr_before_the_command_starts() {
    let run = github().args(["exec", "--env", "dev", "--", "sh", "-c", "echo \"out $TOKEN\"; echo err >&2"]);
    let output = run.run().code(0).stdout("out 100% s3cret\n");
    let stderr = String::from_utf8(output.stderr_bytes().to_vec()).unwrap();
    let start = masks("::add-mask::", "%25");
    assert!(stderr.starts_with(&start), "{output}");
    assert!(stderr.ends_with("err\n") && stderr.matches("::add-mask::").count() == 4, "{output}");
    let _ = output.stderr_has("too short or too common to be masked in the log: PIN, DEBUG");
}

#[test]
fn on_one_pipe_for_both_streams_no_word_of_the_command_comes_before_a_mask() {
    for options in ["", "--timeout 1m"] {
        let script =
            format!("exec \"$0\" --quiet exec --env dev {options} -- sh -c 'printf %s \"$TOKEN\"' 2>&1");
        let _ = in_shell(github(), &script)
            .run()
            .code(0)
            .stdout(masks("::add-mask::", "%25") + "100% s3cret")
            .stderr_empty();
    }
}

#[test]
fn behind_a_line_that_does_not_end_a_mask_is_still_a_command() {
    let script = "printf 'deploying ... ' >&2; exec \"$0\" --quiet exec --env dev -- true";
    let output = in_shell(github(), script).run().code(0);
    let stderr = String::from_utf8_lossy(output.stderr_bytes()).into_owned();
    let shown: Vec<&str> = stderr.lines().filter(|line| !line.starts_with("::add-mask::")).collect();
    assert_eq!(shown, ["deploying ... "]);
}

#[test]
fn azure_pipelines_has_commands_of_its_own() {
    let run =
        Dsops::new().config(CONFIG).env("TF_BUILD", "True").args(["exec", "-e", "dev", "-q", "--", "true"]);
    let output = run.run().code(0).stdout_empty();
    assert_eq!(String::from_utf8_lossy(output.stderr_bytes()), masks("##vso[task.setsecret]", "%AZP25"));
}

#[test]
fn outside_of_ci_and_where_it_is_not_wanted_nothing_is_written() {
    let exec = ["--quiet", "exec", "--env", "dev"];
    let end = ["--", "true"];
    let _ = Dsops::new().config(CONFIG).args(exec).args(end).run().code(0).stdout_empty().stderr_empty();
    let run = github().args(exec).args(["--no-ci-mask"]).args(end);
    let _ = run.run().code(0).stdout_empty().stderr_empty();
    for name in ["GITLAB_CI", "CIRCLECI"] {
        let run = Dsops::new().config(CONFIG).env(name, "true").args(exec).args(end);
        let _ = run.run().code(0).stdout_empty().stderr_empty();
    }
    // What starts nothing has nothing to mask.
    let run = github().args(["exec", "--env", "dev", "--print"]);
    let _ = run.run().code(0).never_shows("::add-mask::");
}

#[test]
fn a_mask_is_never_written_to_a_file() {
    let exec = "\"$0\" --quiet exec --env dev -- true";
    let output = in_shell(github(), &format!("{exec} 2>err")).run().code(0);
    assert_eq!(output.read("err"), b"");
    let _ = output.stdout(masks("::add-mask::", "%25"));

    let output =
        in_shell(github(), &format!("{exec} 2>err >out")).run().code(0).stdout_empty().stderr_empty();
    assert_eq!(output.read("out"), b"");
    let warning = String::from_utf8(output.read("err")).unwrap();
    assert!(
        warning.contains("the log of GitHub Actions is not masked") && warning.contains("--mask"),
        "{warning}"
    );
    assert!(!warning.contains("s3cret"), "{warning}");

    let script = format!("{exec} 2>/dev/null >/dev/null");
    let _ = in_shell(github(), &script).run().code(0).stdout_empty().stderr_empty();
    let script = format!("{exec} 2>&- >&-");
    let _ = in_shell(github(), &script).run().code(0).stdout_empty().stderr_empty();
}

#[test]
fn a_mask_is_never_shown_on_a_terminal() {
    use std::io::Read as _;

    let terminal = nix::pty::openpty(None, None).expect("a terminal");
    let name = nix::unistd::ttyname(&terminal.slave).expect("its name");
    let script = format!("\"$0\" exec --env dev -- true 2>{0} >{0}", name.display());
    let _ = in_shell(github(), &script).run().code(0).stdout_empty().stderr_empty();
    drop(terminal.slave);
    let mut shown = Vec::new();
    // Once nobody has the other end any more, reading fails where what was written is at its end.
    let _ = fs::File::from(terminal.master).read_to_end(&mut shown);
    let shown = String::from_utf8_lossy(&shown);
    assert!(shown.contains("is not masked") && !shown.contains("::add-mask::"), "{shown}");
}

#[test]
fn the_file_of_github_env_gets_every_value_and_what_was_there_stays() {
    let dsops = github();
    let env = dsops.path("env");
    let run = dsops
        .file("env", "BEFORE=1")
        .env("GITHUB_ENV", &env)
        .args(["render", "-e", "dev", "--format", "github"]);
    let output = run.run().code(0).stdout(masks("::add-mask::", "%25"));
    let text = String::from_utf8(output.read("env")).unwrap();
    let values = read_as_the_runner(&text);
    let expected = [
        ("BEFORE", "1"),
        ("TOKEN", "100% s3cret"),
        ("KEY", "-----BEGIN K-----\nMIIEabcd\n  x=\nzzzz\n-----END K-----\n"),
        ("PIN", "12"),
        ("DEBUG", "true"),
        ("EMPTY", ""),
    ];
    assert_eq!(values, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    let _ = output.stderr_has("added 5 variables").stderr_has("PIN, DEBUG").stderr_lacks("s3cret");
}

#[test]
fn the_delimiters_cannot_be_guessed() {
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let run =
            Dsops::new().config(CONFIG).args(["render", "-e", "dev", "--format", "github", "--out", "-"]);
        let output = run.run().code(0);
        let text = String::from_utf8(output.stdout_bytes().to_vec()).unwrap();
        for delimiter in text.lines().filter_map(|line| line.split_once("<<")).map(|(_, delimiter)| delimiter)
        {
            assert!(delimiter.len() >= 32, "{delimiter}");
            assert!(seen.insert(delimiter.to_owned()), "{delimiter} stands twice");
        }
    }
    assert_eq!(seen.len(), 15);
}

#[test]
fn with_the_lines_on_stdout_the_masks_go_to_stderr_or_nowhere() {
    let render = "\"$0\" --quiet render --env dev --format github --out -";
    let output = in_shell(github(), &format!("{render} >> env")).run().code(0).stdout_empty();
    assert_eq!(String::from_utf8_lossy(output.stderr_bytes()), masks("::add-mask::", "%25"));
    let text = String::from_utf8(output.read("env")).unwrap();
    assert_eq!(read_as_the_runner(&text).len(), 5);
    let output = in_shell(github(), &format!("{render} >> env 2>err")).run().code(0);
    assert!(!String::from_utf8(output.read("err")).unwrap().contains("s3cret"));
}

#[test]
fn without_its_file_github_gets_nothing_and_no_store_is_asked() {
    let config = "secretStores: {s: {type: exec, command: ./asked}}\nenvs: {dev: {A: {from: s/K}}}";
    let dsops = || {
        let asked = "#!/bin/sh\necho > was-asked\n";
        Dsops::new().config(config).program("asked", asked).env("GITHUB_ACTIONS", "true")
    };
    let args = ["render", "--env", "dev", "--format", "github"];
    let output = dsops().args(args).run().code(2).stdout_empty();
    assert!(!output.path("was-asked").exists());
    let _ = output.stderr_has("dsops::render::target").stderr_has("GITHUB_ENV").stderr_has("--out");
    let output = dsops().env("GITHUB_ENV", "none/of/these").args(args).run().code(6).stdout_empty();
    assert!(!output.path("was-asked").exists());
    let output = dsops().env("GITHUB_ENV", "none").args(args).run().code(2).stdout_empty();
    assert!(!output.path("was-asked").exists() && !output.path("none").exists());
}

#[test]
fn names_that_a_runner_keeps_for_itself_are_refused() {
    for (format, name) in [
        ("github", "NODE_OPTIONS"),
        ("github", "GITHUB_TOKEN"),
        ("github", "RUNNER_TEMP"),
        ("azure", "SECRET_KEY"),
        ("azure", "Path"),
        ("buildkite", "BUILDKITE_BRANCH"),
    ] {
        let config = format!("envs: {{dev: {{{name}: {{literal: s3cret}}}}}}");
        let run = Dsops::new().config(config).args(["render", "-e", "dev", "--out", "-", "--format", format]);
        let _ = run
            .run()
            .code(7)
            .stdout_empty()
            .stderr_has(name)
            .stderr_has("dsops::render::name")
            .never_shows("s3cret");
    }
}

#[test]
fn circleci_gets_lines_in_the_file_of_bash_env() {
    let dsops = Dsops::new().config(CONFIG).env("CIRCLECI", "true");
    let env = dsops.path("bash-env");
    let run = dsops.env("BASH_ENV", &env).args(["render", "-e", "dev", "--format", "circleci"]);
    let output = run.run().code(0).stdout_empty();
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(output.path("bash-env")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    let text = String::from_utf8(output.read("bash-env")).unwrap();
    assert!(text.starts_with("export TOKEN='100% s3cret'\n"), "{text}");
}

/// A program in the place of Buildkite's agent, which keeps what it is given.
const AGENT: &str = "#!/bin/sh\nprintf '%s\\n' \"$*\" >> calls\ncat > \"$1-$2\"\nenv > \"environment\"\nexit \"$(cat code 2>/dev/null || echo 0)\"\n";

fn buildkite() -> Dsops {
    let dsops = Dsops::new().config(CONFIG).program("bin/buildkite-agent", AGENT);
    let path = format!("{}:/usr/bin:/bin", dsops.path("bin").display());
    dsops
        .env("PATH", path)
        .env("BUILDKITE", "true")
        .env("BUILDKITE_AGENT_JOB_API_SOCKET", "/s")
        .env("OTHER", "x")
}

#[test]
fn buildkites_agent_is_given_the_masks_and_the_variables_on_stdin() {
    let output =
        buildkite().args(["render", "-e", "dev", "--format", "buildkite"]).run().code(0).stdout_empty();
    let calls = String::from_utf8(output.read("calls")).unwrap();
    assert_eq!(calls, "redactor add --format json\nenv set --input-format=json --output-format=quiet -\n");
    let masks: BTreeMap<String, String> = serde_json::from_slice(&output.read("redactor-add")).unwrap();
    assert_eq!(masks.values().collect::<Vec<_>>(), ["100% s3cret", "MIIEabcd", "zzzz", BASE64_OF_KEY]);
    let lines = String::from_utf8(output.read("env-set")).unwrap();
    let mut values = BTreeMap::new();
    for line in lines.lines() {
        values.extend(serde_json::from_str::<BTreeMap<String, String>>(line).unwrap());
    }
    assert_eq!(values.len(), 5);
    assert_eq!(values["KEY"], "-----BEGIN K-----\nMIIEabcd\n  x=\nzzzz\n-----END K-----\n");
    let environment = String::from_utf8(output.read("environment")).unwrap();
    assert!(
        environment.contains("BUILDKITE_AGENT_JOB_API_SOCKET=/s") && !environment.contains("OTHER"),
        "{environment}"
    );
}

#[test]
fn in_buildkite_the_agent_masks_before_the_command_starts() {
    let script = "test -s redactor-add && echo \"$TOKEN\"";
    let output = buildkite().args(["exec", "-e", "dev", "-q", "--", "sh", "-c", script]).run();
    let _ = output.code(0).stdout("100% s3cret\n").stderr_empty();
}

#[test]
fn an_agent_that_fails_or_is_missing_is_told_and_not_taken_for_masking() {
    let output = buildkite().file("code", "3").args(["exec", "-e", "dev", "--", "true"]).run().code(0);
    let _ =
        output.stderr_has("the log of Buildkite is not masked").stderr_has("--mask").stderr_lacks("s3cret");
    let run = buildkite().env("PATH", "/usr/bin:/bin").args(["exec", "-e", "dev", "--", "true"]);
    let _ = run.run().code(0).stderr_has("no such program");
    let run = buildkite().file("code", "3").args(["render", "-e", "dev", "--format", "buildkite"]);
    let _ = run.run().code(6).stderr_has("dsops::render::program").never_shows("s3cret");
}

#[test]
fn azure_gets_secret_variables() {
    let config = "envs: {dev: {A: {literal: \"50%25 ;]\"}, B: {literal: \"\"}}}";
    let run = Dsops::new()
        .config(config)
        .env("TF_BUILD", "True")
        .args(["render", "-e", "dev", "--format", "azure"]);
    let expected = "##vso[task.setvariable variable=A;issecret=true]50%AZP2525 ;]\n\
        ##vso[task.setvariable variable=B;issecret=true]\n";
    let _ = run.run().code(0).stdout(expected).stderr_empty();
}

#[test]
fn later_steps_get_no_value_that_the_log_would_show() {
    let script = "\"$0\" render -e dev --format github > out 2> err; echo $?";
    let run = Dsops::new().config(CONFIG).file("env", "").file("out", "");
    let path = run.path("env");
    let output = run
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_ENV", &path)
        .instead("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_dsops")])
        .run()
        .stdout("2\n");
    assert!(output.read("env").is_empty());
    assert!(
        String::from_utf8_lossy(&output.read("err")).contains("leave its stdout or its stderr to the runner")
    );
}
