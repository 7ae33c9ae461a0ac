//! `dsops man`: a page for every command, from the same source as the help texts.

use std::collections::BTreeSet;
use std::fs;

use dsops::exit;

use crate::support::Dsops;

/// Returns all pages by name, as one run wrote them.
fn pages() -> Vec<(String, String)> {
    let output = Dsops::new().args(["man", "--out", "share/man1"]).run().code(0).stdout_empty();
    let files = fs::read_dir(output.path("share/man1")).unwrap().map(|file| file.unwrap().path());
    let page = |file: std::path::PathBuf| {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        (name, fs::read_to_string(file).unwrap())
    };
    files.map(page).collect()
}

#[test]
fn every_page_that_a_page_names_is_there() {
    let pages = pages();
    let names: BTreeSet<String> =
        pages.iter().map(|(name, _)| name.trim_end_matches(".1").to_owned()).collect();
    for (page, text) in &pages {
        for line in text.lines().filter(|line| line.starts_with("dsops") && line.ends_with("(1)")) {
            let named = line.trim_end_matches("(1)").replace("\\-", "-");
            assert!(names.contains(&named), "{page} names {named}");
        }
    }
    for name in ["dsops", "dsops-exec", "dsops-init", "dsops-completion", "dsops-man"] {
        assert!(names.contains(name), "{names:?}");
    }
}

#[test]
fn every_command_of_the_help_has_a_page() {
    let help = Dsops::new().args(["--help"]).run().code(0);
    let help = String::from_utf8(help.stdout_bytes().to_vec()).unwrap();
    let commands =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let commands: Vec<&str> = commands.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(commands.len() > 10, "{commands:?}");
    for command in commands.into_iter().filter(|command| *command != "help") {
        let page = Dsops::new().args(["man", command]).run().code(0).stderr_empty();
        let _ = page.stdout_has(&format!(".TH \"dsops-{command}\" \"1\""));
    }
}

#[test]
fn a_page_shows_the_usage_of_the_help_and_keeps_the_lines_of_examples() {
    let page = Dsops::new().args(["man", "exec"]).run().code(0);
    let page = page.stdout_has("dsops exec [OPTIONS] \\-\\-env <NAME> [\\-\\- <COMMAND>...]\n");
    let _ = page.stdout_has("    dsops exec \\-\\-env production \\-\\- ./deploy.sh\n");
}

#[test]
fn the_main_page_lists_every_exit_code() {
    let page = Dsops::new().args(["man"]).run().code(0);
    let text = String::from_utf8(page.stdout_bytes().to_vec()).unwrap();
    for (code, name, _) in exit::ALL {
        assert!(text.contains(&format!(".TP\n{code}\n")), "{name}");
    }
}

#[test]
fn no_line_of_text_is_taken_for_a_request() {
    let known = ["TH", "SH", "TP", "PP", "RS", "RE", "IP", "br", "nf", "fi", "ie", "el"];
    for (page, text) in pages() {
        for line in text.lines().filter(|line| line.starts_with(['.', '\''])) {
            let request = line.trim_start_matches('.').split(' ').next().unwrap();
            assert!(known.contains(&request), "{page}: {line}");
        }
    }
}

#[test]
fn a_command_below_another_has_a_page_too() {
    let page = Dsops::new().args(["man", "local", "set"]).run().code(0);
    let _ = page.stdout_has("dsops local set [OPTIONS]").stdout_has("SEE ALSO");
}

#[test]
fn a_page_that_is_not_there_is_a_usage_error() {
    let page = Dsops::new().args(["man", "exce"]).run().code(2).stdout_empty();
    let _ = page.stderr_has("did you mean `dsops-exec`?");
}
