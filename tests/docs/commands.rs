//! Makes `docs/reference/commands.md` from what the binary says of itself.

use crate::session::{Session, shown};

const HEAD: &str = "\
<!-- Generated from the program's own help: `UPDATE=1 cargo test --test docs`. -->
# Commands

What `dsops COMMAND --help` prints, where the global options of `dsops` are repeated. The man pages (`dsops man`) and the
completions (`dsops completion`) come from the same source.

";

/// Returns the page.
pub(crate) fn page() -> String {
    let mut page = String::from(HEAD);
    add(&Session::new(), &[], &mut page);
    format!("{}\n", page.trim_end())
}

fn add(session: &Session, path: &[&str], page: &mut String) {
    let mut args = path.to_vec();
    args.push("--help");
    let output = session.dsops(&args);
    assert!(output.status.success(), "dsops {args:?} {}", shown(&output));
    let help = String::from_utf8(output.stdout).expect("help is text");
    let name = ["dsops"].iter().chain(path).copied().collect::<Vec<_>>().join(" ");
    let marks = "#".repeat(path.len().min(2) + 2);
    let mut lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
    if !path.is_empty() {
        lines = without_global_options(&lines);
    }
    page.push_str(&format!("{marks} `{name}`\n\n```text\n{}\n```\n\n", lines.join("\n")));
    for command in subcommands(&help) {
        let mut deeper = path.to_vec();
        deeper.push(command);
        add(session, &deeper, page);
    }
}

/// Leaves out what every command has, and the page says once.
fn without_global_options<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let mut is_global = false;
    let mut kept: Vec<&str> = Vec::new();
    for line in lines {
        match *line {
            "Global options:" => is_global = true,
            line if !line.is_empty() && !line.starts_with(' ') => is_global = false,
            _ => {}
        }
        if !is_global {
            kept.push(line);
        }
    }
    let end = kept.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
    kept.truncate(end);
    kept
}

/// Returns the commands that a help lists, without `help` itself.
fn subcommands(help: &str) -> Vec<&str> {
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let list = list.take_while(|line| line.starts_with("  "));
    let names =
        list.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").collect()
}
