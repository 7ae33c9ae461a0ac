//! The public codes: of errors and of exits. Both directions, so that neither side can be forgotten.

use std::collections::{BTreeMap, BTreeSet};

use dsops::config::Code;
use dsops::exit;

use crate::project::{files, read};

/// Returns every code that stands as a string in the program's own text.
fn codes_of_the_program() -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    for file in files(&["src", "providers/src"], ".rs") {
        let is_test = file.components().any(|part| part.as_os_str() == "tests") || file.ends_with("tests.rs");
        if is_test {
            continue;
        }
        let text = read(&file);
        let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for after in product.split("\"dsops::").skip(1) {
            let name = after.split('"').next().unwrap_or_default();
            if name.chars().all(|char| char.is_ascii_lowercase() || matches!(char, '_' | ':')) {
                codes.insert(format!("dsops::{name}"));
            }
        }
    }
    codes
}

/// Returns the table of the codes that `exec-provider` answers with.
pub(crate) fn refusals() -> String {
    let rows = dsops::agent::Refusal::ALL.iter();
    let rows = rows.map(|refusal| format!("| `{}` | {} |\n", refusal.code(), refusal.message()));
    format!("| code | message |\n| --- | --- |\n{}", rows.collect::<String>())
}

/// Returns the sections of the page, by the code in their heading.
fn sections() -> Vec<(String, String)> {
    let page = read("docs/reference/errors.md");
    let mut found: Vec<(String, String)> = Vec::new();
    for line in page.lines() {
        if let Some(code) = line.strip_prefix("### `").and_then(|rest| rest.strip_suffix('`')) {
            found.push((code.to_owned(), String::new()));
        } else if !line.starts_with('#')
            && let Some((_, body)) = found.last_mut()
        {
            body.push_str(line);
            body.push('\n');
        }
    }
    found
}

#[test]
fn every_code_of_the_program_has_a_heading_and_every_heading_is_a_code() {
    let headings: BTreeSet<String> = sections().into_iter().map(|(code, _)| code).collect();
    let codes = codes_of_the_program();
    let missing: Vec<_> = codes.difference(&headings).collect();
    let unknown: Vec<_> = headings.difference(&codes).collect();
    assert!(missing.is_empty(), "docs/reference/errors.md has no heading for {missing:?}");
    assert!(unknown.is_empty(), "docs/reference/errors.md has headings for no code: {unknown:?}");
}

#[test]
fn the_search_finds_every_code_that_is_declared() {
    let codes = codes_of_the_program();
    for code in Code::ALL {
        assert!(codes.contains(code.as_str()), "{}", code.as_str());
    }
}

#[test]
fn no_code_has_two_headings() {
    let sections = sections();
    let distinct: BTreeSet<_> = sections.iter().map(|(code, _)| code).collect();
    assert_eq!(distinct.len(), sections.len());
}

#[test]
fn every_heading_is_followed_by_an_exit_code_a_cause_and_a_remedy() {
    let known: BTreeSet<String> = exit::ALL.iter().map(|(code, _, _)| code.to_string()).collect();
    for (code, body) in sections() {
        let exit = body.trim_start().strip_prefix("Exit ").unwrap_or_else(|| panic!("{code}: no exit code"));
        let number: String = exit.chars().take_while(char::is_ascii_digit).collect();
        assert!(known.contains(&number), "{code}: {number} is no exit code");
        let (cause, remedy) = body.split_once("**Remedy.**").unwrap_or_else(|| panic!("{code}: no remedy"));
        assert!(cause.len() > 20 && remedy.trim().len() > 10, "{code}: says too little");
    }
}

/// Where the program names code and exit together, the page must name the same two.
#[test]
fn the_exit_code_of_a_heading_is_the_one_that_the_program_ends_with() {
    let constants: BTreeMap<String, u8> =
        exit::ALL.iter().map(|(code, name, _)| (name.to_uppercase(), *code)).collect();
    let sections: BTreeMap<String, String> = sections().into_iter().collect();
    let mut compared = 0;
    for file in files(&["src"], ".rs") {
        for after in read(&file).split("\"dsops::").skip(1) {
            let Some((name, rest)) = after.split_once("\",") else { continue };
            let Some(constant) = rest.trim_start().strip_prefix("exit::") else { continue };
            let constant: String =
                constant.chars().take_while(|char| char.is_ascii_uppercase() || *char == '_').collect();
            let code = format!("dsops::{name}");
            let body = sections.get(&code).unwrap_or_else(|| panic!("no heading for {code}"));
            let said = body.split('.').next().unwrap_or_default();
            let wanted = constants[&constant].to_string();
            let is_said = said.split(|char: char| !char.is_ascii_digit()).any(|number| number == wanted);
            assert!(is_said, "{code}: the program ends with {wanted}, in {}", file.display());
            compared += 1;
        }
    }
    assert!(compared > 5, "the search finds nothing");
}

#[test]
fn the_table_of_exit_codes_is_that_of_the_program() {
    let page = read("docs/reference/exit-codes.md");
    let rows: Vec<String> = page.lines().filter(|line| line.starts_with("| `")).map(str::to_owned).collect();
    let wanted: Vec<String> = exit::ALL
        .iter()
        .map(|(code, name, meaning)| format!("| `{code}` | `{name}` | {meaning} |"))
        .collect();
    assert_eq!(rows, wanted);
}
