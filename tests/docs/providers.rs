//! Makes `docs/providers` and the table of the README from what each backend declares of itself.

use dsops_providers::ALL;
use dsops_providers::contract::Descriptor;

use crate::generated::between;
use crate::options;

const HEAD: &str = "<!-- Generated from the backend's own folder: `UPDATE=1 cargo test --test docs`. -->\n";

/// Returns the pages, by the name of their file.
pub(crate) fn pages() -> Vec<(String, String)> {
    let mut pages: Vec<(String, String)> =
        ALL.iter().map(|descriptor| (format!("{}.md", descriptor.kind), page(descriptor))).collect();
    let index = format!(
        "{HEAD}# Stores\n\nThe types that this build has, as `dsops stores --types` lists them.\n\n{}",
        table("")
    );
    pages.push(("README.md".to_owned(), index));
    pages
}

/// Fills the table of the README.
pub(crate) fn fill(readme: &str) -> String {
    between(readme, "stores", &table("docs/providers/"))
}

fn table(directory: &str) -> String {
    let mut text = String::from("| type | what | folders | versions |\n| --- | --- | --- | --- |\n");
    let yes = |is: bool| if is { "yes" } else { "" };
    for Descriptor { kind, about, .. } in ALL {
        let (folders, versions) = (yes(about.parts.folders), yes(about.parts.versions));
        text.push_str(&format!(
            "| [`{kind}`]({directory}{kind}.md) | {} | {folders} | {versions} |\n",
            about.summary
        ));
    }
    text
}

fn page(descriptor: &Descriptor) -> String {
    let about = descriptor.about;
    let mut page = format!("{HEAD}# {}\n\n`type: {}`: {}.\n", about.title, descriptor.kind, about.summary);
    if !descriptor.aliases.is_empty() {
        page.push_str(&format!("Other spellings of the type: {}.\n", ticked(descriptor.aliases)));
    }
    page.push('\n');
    page.push_str(without_title(about.readme).trim_end());
    page.push_str("\n\n## All options\n\n");
    let schema = dsops::config::schema();
    let table = options::table(&schema, &schema["$defs"][format!("Store.{}", descriptor.kind)], &["type"]);
    page.push_str(&table);
    if table.contains("credential |") {
        page.push_str("\nA *credential* is `${NAME}`, or `{from: …}` for a secret of another store.\n");
    }
    if !descriptor.auth.is_empty() {
        page.push_str("\n## All ways to log in\n\n| `auth.method` | what | needs |\n| --- | --- | --- |\n");
        for method in descriptor.auth {
            page.push_str(&format!(
                "| `{}` | {} | {} |\n",
                method.name,
                method.summary,
                ticked(method.needs)
            ));
        }
    }
    if !about.own_env.is_empty() {
        page.push_str(&format!("\n## Taken out of the child\n\nThese variables open such a store, so `dsops exec` does not pass them on: {}.\n", ticked(about.own_env)));
    }
    page
}

fn ticked(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// A README of its own may have a title; the page has one already.
fn without_title(readme: &str) -> &str {
    match readme.strip_prefix("# ") {
        Some(rest) => rest.split_once('\n').map_or("", |(_, rest)| rest.trim_start()),
        None => readme,
    }
}
