//! `dsops completion`: the scripts, in bash itself, and the answers that shells ask for.

use crate::support::{Dsops, Output};

const FILE: &str = "\
version: 1
secretStores:
  main: {type: literal, values: {A: hunter2}}
  vault: {type: local}
  cloud: {type: infisical, project_id: id, environment: dev, auth: {client_id: '${A}', client_secret: '${B}'}}
envs:
  dev:
    ONE: {literal: hunter2}
    DB: {from: {store: main/A}}
    PASSWORD: {from: {store: vault/db/PASSWORD@v2}}
  production:
    TWO: {literal: hunter2}
";

const SHELLS: [&str; 5] = ["bash", "zsh", "fish", "elvish", "powershell"];

/// Asks as fish does, which needs no variables besides the one; the last word is the one being typed.
fn asked(line: &[&str]) -> Dsops {
    Dsops::new().env("DSOPS_COMPLETE", "fish").args(["--", "dsops"]).args(line)
}

/// Returns what is offered besides flags.
fn offered(dsops: Dsops) -> Vec<String> {
    let output = dsops.run().code(0).stderr_empty().never_shows("hunter2");
    let text = String::from_utf8(output.stdout_bytes().to_vec()).unwrap();
    let values = text.lines().map(|line| line.split('\t').next().unwrap().to_owned());
    values.filter(|value| !value.starts_with("--")).collect()
}

fn offers(line: &[&str]) -> Vec<String> {
    offered(asked(line).config(FILE))
}

/// Completes a line in bash, with the script and the words that bash itself would pass.
fn in_bash(words: &[&str]) -> Output {
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_dsops")).parent().unwrap().display().to_string();
    let script = "PATH=$1:$PATH; shift; source <(dsops completion bash) || exit
        [[ $(complete -p dsops) == *_clap_complete_dsops* ]] || exit
        COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMP_TYPE=9
        _clap_complete_dsops dsops \"${COMP_WORDS[COMP_CWORD]}\" \"\"
        printf '%s\\n' \"${COMPREPLY[@]}\"";
    Dsops::new()
        .instead("bash")
        .config(FILE)
        .args(["--norc", "-c", script, "bash", &binary, "dsops"])
        .args(words)
        .run()
        .code(0)
        .stderr_empty()
}

#[test]
fn bash_completes_environments() {
    let _ = in_bash(&["exec", "--env", ""]).stdout("dev\nproduction\n");
    let _ = in_bash(&["exec", "-e", "p"]).stdout("production\n");
}

#[test]
fn bash_completes_behind_an_equals_sign_where_it_breaks_words() {
    let _ = in_bash(&["exec", "--env", "=", "p"]).stdout("production\n");
    let _ = in_bash(&["exec", "--env", "="]).stdout("dev\nproduction\n");
    let _ = in_bash(&["get", "--env", "=", "dev", "D"]).stdout("DB\n");
}

#[test]
fn every_shell_has_a_script_that_asks_dsops() {
    for shell in SHELLS {
        let output = Dsops::new().args(["completion", shell]).run().code(0).stderr_empty();
        let script = String::from_utf8(output.stdout_bytes().to_vec()).unwrap();
        assert!(script.contains("DSOPS_COMPLETE"), "{shell}: {script}");
        assert!(!script.contains(env!("CARGO_MANIFEST_DIR")), "{shell}: {script}");
    }
}

#[test]
fn an_unknown_shell_is_a_usage_error() {
    let _ = Dsops::new().args(["completion", "tcsh"]).run().code(2).stdout_empty().stderr_has("tcsh");
}

#[test]
fn every_command_can_be_completed() {
    let mut lines: Vec<Vec<String>> = vec![Vec::new()];
    let mut seen = 0;
    while let Some(line) = lines.pop() {
        let mut words: Vec<&str> = line.iter().map(String::as_str).collect();
        let typed = words.len();
        words.push("--");
        let output = asked(&words).config(FILE).run().code(0).stderr_empty();
        let text = String::from_utf8(output.stdout_bytes().to_vec()).unwrap();
        // An engine that stumbled says nothing, not even the flags that every command has.
        assert!(text.contains("--config"), "{words:?} offers {text:?}");
        seen += 1;
        words[typed] = "";
        let descends = matches!(line.first().map(String::as_str), None | Some("local"));
        for next in offers(&words).into_iter().filter(|_| descends && typed < 3) {
            let is_command = next.chars().all(|char| char.is_ascii_lowercase()) && next != "help";
            if is_command {
                lines.push(line.iter().cloned().chain([next]).collect());
            }
        }
    }
    assert!(seen > 20, "only {seen} commands were found");
}

#[test]
fn environments_complete_env_in_every_command_that_has_it() {
    for command in ["exec", "shell", "env", "hook", "plan", "get", "render", "doctor"] {
        assert_eq!(offers(&[command, "--env", ""]), ["dev", "production"], "{command}");
    }
}

#[test]
fn a_new_environment_and_a_new_name_are_not_completed() {
    assert_eq!(offers(&["init", "--env", ""]), [""; 0]);
    assert_eq!(offers(&["init", "--name", ""]), [""; 0]);
}

#[test]
fn variables_are_those_of_the_environment_on_the_line() {
    assert_eq!(offers(&["get", "--env", "dev", ""]), ["DB", "ONE", "PASSWORD"]);
    assert_eq!(offers(&["get", "--env=production", "--var", ""]), ["TWO"]);
    assert_eq!(offers(&["get", "-eproduction", ""]), ["TWO"]);
    assert_eq!(offers(&["get", ""]), ["DB", "ONE", "PASSWORD", "TWO"]);
    assert_eq!(offered(asked(&["get", ""]).config(FILE).env("DSOPS_ENV", "production")), ["TWO"]);
}

#[test]
fn references_stores_and_keys_come_from_the_file() {
    assert_eq!(offers(&["get", "--key", ""]), ["main/A", "vault/db/PASSWORD@v2"]);
    assert_eq!(offers(&["local", "--store", ""]), ["vault"]);
    assert_eq!(offers(&["infisical", "--store", ""]), ["cloud"]);
    assert_eq!(offers(&["infisical", "secrets", "--store", ""]), ["cloud"]);
    assert_eq!(offers(&["infisical", "secrets", "--env", ""]), [""; 0]);
    assert_eq!(offers(&["local", "set", ""]), ["db/PASSWORD"]);
    assert_eq!(offers(&["local", "--store", "other", "set", ""]), [""; 0]);
}

#[test]
fn types_formats_and_pages_come_from_the_build() {
    assert!(offers(&["init", "--type", ""]).contains(&"infisical".to_owned()));
    assert_eq!(offers(&["render", "--format", "j"]), ["json"]);
    assert_eq!(offers(&["man", "ex"]), ["exec", "exec-provider"]);
    assert_eq!(offers(&["man", "local", "se"]), ["set"]);
}

#[test]
fn the_command_to_run_is_a_program_and_its_arguments_are_paths() {
    let asked = |words: &[&str]| {
        let dsops = asked(&["exec", "--env", "dev", "--"]).args(words).config(FILE);
        offered(dsops.program("bin/deploy-it", "#!/bin/sh\n").env("PATH", "bin"))
    };
    assert_eq!(asked(&["dep"]), ["deploy-it"]);
    assert_eq!(asked(&["./bin/dep"]), ["./bin/deploy-it"]);
    assert_eq!(asked(&["deploy-it", "ds"]), ["dsops.yaml"]);
    assert_eq!(asked(&["deploy-it", "-c", "ds"]), ["dsops.yaml"]);
}

#[test]
fn the_file_is_the_one_that_the_line_or_the_variable_names() {
    let other = "version: 1\nenvs: {staging: {A: {literal: a}}}\n";
    let line = |words: &[&str]| offered(asked(words).config(FILE).file("other.yaml", other));
    assert_eq!(line(&["--config", "other.yaml", "exec", "--env", ""]), ["staging"]);
    assert_eq!(line(&["exec", "--config=other.yaml", "--env", ""]), ["staging"]);
    assert_eq!(line(&["exec", "-cother.yaml", "--env", ""]), ["staging"]);
    let home =
        asked(&["-c", "~/other.yaml", "exec", "-e", ""]).config(FILE).file("../home/other.yaml", other);
    assert_eq!(offered(home), ["staging"]);
    let by_variable = asked(&["exec", "--env", ""]).config(FILE).file("other.yaml", other);
    assert_eq!(offered(by_variable.env("DSOPS_CONFIG", "other.yaml")), ["staging"]);
    let in_a_parent = asked(&["exec", "--env", ""]).config(FILE).directory("a/b");
    assert_eq!(offered(in_a_parent), ["dev", "production"]);
}

#[test]
fn a_file_with_mistakes_gives_no_names_and_no_errors() {
    for file in ["", "version: [", "version: 1\nenvs: 3\n", "\tversion: 1\n", "version: 1\nnope: 1\n"] {
        assert_eq!(offered(asked(&["exec", "--env", ""]).config(file)), [""; 0], "{file:?}");
    }
    assert_eq!(offered(asked(&["exec", "--env", ""])), [""; 0]);
    assert_eq!(offered(asked(&["-c", "missing.yaml", "exec", "--env", ""])), [""; 0]);
}

#[test]
fn a_shell_that_nobody_knows_gets_silence() {
    let unknown = asked(&["exec", "--env", ""]).env("DSOPS_COMPLETE", "tcsh").config(FILE);
    let _ = unknown.run().code(0).stdout_empty().stderr_empty();
}

#[test]
fn without_a_shell_that_asks_the_command_runs() {
    for nobody in ["", "0"] {
        let _ =
            Dsops::new().env("DSOPS_COMPLETE", nobody).args(["version"]).run().code(0).stdout_has("dsops ");
    }
}
