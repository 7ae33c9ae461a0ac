//! Every block of the documents that a reader may copy is run, or says why it is not.
//!
//! The blocks of a page share one directory and one empty home, and run from top to bottom.
//!
//! ````text
//! ```sh                      run by `sh -eu`; must end with 0
//! ```console                 lines after `$ ` are run, the others are what they write; `…` stands for any text, and a line of it for any lines
//! ```sh exit=4               must end with 4; likewise `console`
//! ```sh no-run: REASON       not run
//! ```yaml                    a dsops.yaml that `dsops validate` accepts
//! ```yaml file=dsops.yaml    the same, and written there for the blocks below it; other names are only written
//! ```yaml fragment           a part of a file: only its YAML is checked
//! ````
//!
//! A page that holds [`SERVER`] has a fake Infisical behind it, at the address in `INFISICAL_API_URL`.

use std::path::Path;
use std::process::Output;

use crate::fence::{Fence, fences};
use crate::project::{documents, read};
use crate::session::{Session, shown};
use crate::support::infisical::{Generation, Identity, Infisical, Server};

/// Languages that are shown and not run.
const SHOWN: &[&str] = &["text", "json", "rust", "toml", "dotenv", "jinja", "diff", "python", "ini"];

#[test]
fn every_block_does_what_its_page_says() {
    let failures: Vec<String> = documents().iter().filter_map(|page| run_page(page).err()).collect();
    assert!(failures.is_empty(), "\n{}", failures.join("\n\n"));
}

/// Asks for a server behind a page.
const SERVER: &str = "<!-- server: infisical -->";

/// Starts the server that pages talk to: the project of their examples, and one that the identity is not in.
fn infisical() -> Server {
    let identity = Identity::new("id-of-the-client", "secret-of-the-client");
    Infisical::new(Generation::July2026)
        .project("64f7e4d2-1234-5678-abcd-1234567890ab", "payroll", &["dev", "prod"])
        .secret("prod", "/", "API_KEY", "of-the-page")
        .secret("prod", "/db", "DATABASE_URL", "postgres://of-the-page")
        .project("0f0f0f0f-1234-5678-abcd-1234567890ab", "closed", &["prod"])
        .identity_with(identity.member_of(&["64f7e4d2-1234-5678-abcd-1234567890ab"]))
        .start()
}

fn run_page(page: &Path) -> Result<(), String> {
    let text = read(page);
    let server = text.contains(SERVER).then(infisical);
    let session = match &server {
        Some(server) => Session::new().env("INFISICAL_API_URL", server.url()),
        None => Session::new(),
    };
    for fence in fences(&text) {
        run(&session, &fence).map_err(|why| format!("{}:{}: {why}", page.display(), fence.line))?;
    }
    Ok(())
}

fn run(session: &Session, fence: &Fence) -> Result<(), String> {
    match fence.language.as_str() {
        "sh" | "console" if fence.says("no-run") => match fence.reason() {
            "" => Err("a block that is not run says why: `no-run: REASON`".to_owned()),
            _ => Ok(()),
        },
        "sh" => check_end(fence, &session.sh(&fence.text)),
        "console" => converse(session, fence),
        "yaml" => check_yaml(session, fence),
        language if SHOWN.contains(&language) => {
            if let Some(file) = fence.option("file") {
                session.write(file, &fence.text);
            }
            Ok(())
        }
        other => Err(format!("a block of the language `{other}`, which nothing checks")),
    }
}

fn check_end(fence: &Fence, output: &Output) -> Result<(), String> {
    let wanted = fence.option("exit").map_or(0, |code| code.parse().expect("a number behind `exit=`"));
    match output.status.code() {
        Some(code) if code == wanted => Ok(()),
        _ => Err(format!("should end with {wanted}\n{}", shown(output))),
    }
}

/// Runs each command, and compares what it writes with the lines below it.
fn converse(session: &Session, fence: &Fence) -> Result<(), String> {
    let mut turns: Vec<(String, Vec<&str>)> = Vec::new();
    for line in fence.text.lines() {
        match (line.strip_prefix("$ "), turns.last_mut()) {
            (Some(command), _) => turns.push((command.to_owned(), Vec::new())),
            (None, Some((command, lines))) if command.ends_with('\\') && lines.is_empty() => {
                command.push('\n');
                command.push_str(line);
            }
            (None, Some((_, lines))) => lines.push(line),
            (None, None) => return Err("output before the first `$ `".to_owned()),
        }
    }
    let last = turns.len().saturating_sub(1);
    for (index, (command, expected)) in turns.iter().enumerate() {
        let output = session.sh(&format!("exec 2>&1; {command}"));
        if index == last {
            check_end(fence, &output)?;
        } else if !output.status.success() {
            return Err(format!("`{command}` fails\n{}", shown(&output)));
        }
        let written = String::from_utf8_lossy(&output.stdout);
        let written: Vec<&str> = written.trim_end().lines().map(str::trim_end).collect();
        if !matches(expected, &written) {
            return Err(format!(
                "`{command}` should write\n{}\nand writes\n{}",
                expected.join("\n"),
                written.join("\n")
            ));
        }
    }
    Ok(())
}

/// Compares line by line, where `…` stands for any number of lines.
fn matches(expected: &[&str], written: &[&str]) -> bool {
    match (expected, written) {
        ([], []) => true,
        (["…", rest @ ..], _) if matches(rest, written) => true,
        (["…", ..], [_, more @ ..]) => matches(expected, more),
        ([line, rest @ ..], [first, more @ ..]) => {
            line_matches(line.trim_end(), first) && matches(rest, more)
        }
        _ => false,
    }
}

/// Compares one line, in which `…` stands for any text.
fn line_matches(expected: &str, written: &str) -> bool {
    match expected.split_once('…') {
        None => expected == written,
        Some((start, rest)) => written.strip_prefix(start).is_some_and(|left| {
            let places = left.char_indices().map(|(at, _)| at).chain([left.len()]);
            places.into_iter().any(|at| line_matches(rest, &left[at..]))
        }),
    }
}

#[test]
fn dots_stand_for_any_text_and_a_line_of_dots_for_any_lines() {
    assert!(matches(&["a", "…", "z"], &["a", "b", "c", "z"]));
    assert!(matches(&["…"], &[]));
    assert!(matches(&["a…c…e"], &["abcde"]));
    assert!(!matches(&["a…c"], &["abcd"]));
    assert!(!matches(&["a"], &["a", "b"]));
}

fn check_yaml(session: &Session, fence: &Fence) -> Result<(), String> {
    if fence.says("fragment") {
        return match serde_yaml::from_str::<serde_yaml::Value>(&fence.text) {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("not YAML: {error}")),
        };
    }
    let file = fence.option("file");
    if let Some(file) = file {
        session.write(file, &fence.text);
        if file != "dsops.yaml" {
            return Ok(());
        }
    }
    let other = Session::new();
    other.write("dsops.yaml", &fence.text);
    check_end(fence, &other.dsops(&["validate"]))
}
