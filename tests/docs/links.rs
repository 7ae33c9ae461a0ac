//! Links between the project's own pages lead somewhere.

use std::path::Path;

use crate::project::{documents, read, root};

#[test]
fn every_link_to_a_file_of_the_project_finds_it() {
    let mut broken = Vec::new();
    for page in documents() {
        let text = read(&page);
        let directory = root().join(page.parent().unwrap_or(Path::new("")));
        for after in text.split("](").skip(1) {
            let target = after.split(')').next().unwrap_or_default();
            if target.contains("://") || target.starts_with('#') || target.contains([' ', '\n']) {
                continue;
            }
            let file = target.split('#').next().unwrap_or_default();
            if !directory.join(file).exists() {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_page_is_linked_from_another() {
    let pages = documents();
    let all: String = pages.iter().map(read).collect();
    for page in files_of_docs(&pages) {
        let name = page.rsplit('/').next().unwrap_or_default();
        // An index is reached by the name of its directory.
        assert!(
            name == "README.md" || all.contains(&format!("{name})")) || all.contains(&format!("{name}#")),
            "nothing links to {page}"
        );
    }
}

fn files_of_docs(pages: &[std::path::PathBuf]) -> Vec<String> {
    let docs = pages.iter().filter(|page| page.starts_with("docs"));
    docs.map(|page| page.to_string_lossy().into_owned()).collect()
}
