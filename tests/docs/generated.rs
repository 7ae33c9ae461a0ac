//! The files that are made from the program and committed: a change of the one is a change of the other.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use crate::project::{files, read, root};
use crate::{codes, commands, options, providers};

/// Returns what is to stand in each generated file.
fn wanted() -> BTreeMap<PathBuf, String> {
    let mut pages = BTreeMap::new();
    pages.insert(PathBuf::from("schema/dsops.schema.json"), format!("{:#}\n", dsops::config::schema()));
    pages.insert(PathBuf::from("docs/reference/commands.md"), commands::page());
    for (name, page) in providers::pages() {
        pages.insert(PathBuf::from("docs/providers").join(name), page);
    }
    let configuration = read("docs/reference/configuration.md");
    pages.insert(PathBuf::from("docs/reference/configuration.md"), options::fill(&configuration));
    let provider = read("docs/reference/exec-provider.md");
    pages.insert(
        PathBuf::from("docs/reference/exec-provider.md"),
        between(&provider, "refusals", &codes::refusals()),
    );
    let readme = read("README.md");
    pages.insert(PathBuf::from("README.md"), providers::fill(&readme));
    pages
}

#[test]
fn generated_files_are_what_the_program_generates() {
    #[expect(clippy::disallowed_methods, reason = "the developer's wish is not part of a dsops.yaml")]
    let update = std::env::var_os("UPDATE").is_some();
    let mut stale = Vec::new();
    for (path, text) in wanted() {
        let file = root().join(&path);
        if fs::read_to_string(&file).is_ok_and(|committed| committed == text) {
            continue;
        }
        if update {
            fs::create_dir_all(file.parent().expect("a directory")).expect("a directory");
            fs::write(&file, text).expect("a writable file");
        } else {
            stale.push(path);
        }
    }
    assert!(stale.is_empty(), "rewrite with `UPDATE=1 cargo test --test docs`: {stale:?}");
}

#[test]
fn there_is_no_page_for_a_type_that_this_build_does_not_have() {
    let wanted = wanted();
    for page in files(&["docs/providers"], ".md") {
        assert!(wanted.contains_key(&page), "{}", page.display());
    }
}

/// Replaces what stands between the two marks of a name.
pub(crate) fn between(page: &str, name: &str, text: &str) -> String {
    let (open, close) = (format!("<!-- generated: {name} -->\n"), format!("<!-- end: {name} -->"));
    let (before, rest) = page.split_once(&open).unwrap_or_else(|| panic!("no `{}`", open.trim()));
    let (_, after) = rest.split_once(&close).unwrap_or_else(|| panic!("no `{close}`"));
    format!("{before}{open}\n{}\n\n{close}{after}", text.trim_end())
}
