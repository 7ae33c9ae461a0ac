//! The text of a file as a report may show it: with what may be a secret taken out.
//!
//! A report shows the line of a mistake and its neighbours, and ends up in logs. Literals, defaults and
//! credentials that stand in the file itself must not get there with it.

use dsops_providers::contract::{Node, NodeKind, Span};

use super::yaml;

/// What stands where a secret may have stood. It says nothing of the length.
const MASK: &str = "***";

/// Keys of a variable whose values are no secrets.
const PLAIN_KEYS: &[&str] =
    &["from", "fallback", "transform", "optional", "non_empty", "service", "rotation", "metadata"];
/// Parts of the names of store options that hold secrets.
const SECRET_NAMES: &[&str] = &["token", "secret", "pass", "key", "credential", "client_id", "session"];
/// Options of stores that hold values.
const VALUE_MAPS: &[&str] = &["values", "env", "config"];

/// A text without secrets, and where its parts stood.
#[derive(Debug)]
pub struct Redacted {
    /// The text.
    pub text: String,
    /// What was taken out, in order: the span in the file.
    cuts: Vec<Span>,
}

impl Redacted {
    /// Returns the place in the redacted text of a place in the file.
    #[must_use]
    pub fn place(&self, span: Span) -> Span {
        let start = self.offset(span.start);
        let end = self.offset(span.start + span.len).max(start);
        Span { start, len: end - start }
    }

    fn offset(&self, offset: usize) -> usize {
        let mut removed = 0;
        let mut added = 0;
        for cut in &self.cuts {
            let end = cut.start + cut.len;
            if offset >= end {
                removed += cut.len;
                added += MASK.len();
            } else if offset > cut.start {
                // Inside what was taken out: its end is the end of the mask, as near as can be told.
                removed += offset - cut.start;
                added += (offset - cut.start).min(MASK.len());
            } else {
                break;
            }
        }
        offset + added - removed
    }
}

/// Takes out of a file's text what may be a secret.
#[must_use]
pub fn redact(text: &str) -> Redacted {
    let mut cuts = match yaml::parse(text) {
        Ok(root) => from_tree(&root),
        Err(_) => from_lines(text),
    };
    cuts.retain(|span| span.len > 0 && text.get(span.start..span.start + span.len).is_some());
    cuts.sort_unstable();
    // Aliases make the same place come up twice.
    cuts.dedup_by(|next, kept| next.start < kept.start + kept.len);
    let mut redacted = String::with_capacity(text.len());
    let mut done = 0;
    for cut in &cuts {
        redacted.push_str(text.get(done..cut.start).unwrap_or_default());
        redacted.push_str(MASK);
        done = cut.start + cut.len;
    }
    redacted.push_str(text.get(done..).unwrap_or_default());
    Redacted { text: redacted, cuts }
}

fn from_tree(root: &Node) -> Vec<Span> {
    let mut cuts = Vec::new();
    for (_, environment) in root.get("envs").into_iter().flat_map(Node::entries) {
        for (key, variable) in environment.entries() {
            if matches!(key.name.as_str(), "extends" | "import") {
                continue;
            }
            if variable.entries().is_empty() {
                scalars(variable, &mut cuts);
            }
            let secret =
                variable.entries().iter().filter(|(key, _)| !PLAIN_KEYS.contains(&key.name.as_str()));
            secret.for_each(|(_, node)| scalars(node, &mut cuts));
        }
    }
    let sections = ["secretStores", "providers"].into_iter().filter_map(|section| root.get(section));
    for (_, store) in sections.flat_map(Node::entries) {
        credentials(store, &mut cuts);
    }
    cuts
}

fn credentials(node: &Node, cuts: &mut Vec<Span>) {
    for (key, node) in node.entries() {
        let name = key.name.to_lowercase();
        if VALUE_MAPS.contains(&name.as_str()) {
            scalars(node, cuts);
        } else if node.text().is_some() {
            if SECRET_NAMES.iter().any(|part| name.contains(part)) {
                scalars(node, cuts);
            }
        } else if key.name != "from" {
            credentials(node, cuts);
        }
    }
}

/// Takes every scalar that names no variable of the environment.
fn scalars(node: &Node, cuts: &mut Vec<Span>) {
    match &node.kind {
        NodeKind::Scalar(scalar) if !scalar.text.starts_with("${") => cuts.push(node.span),
        NodeKind::Scalar(_) | NodeKind::Null => {}
        NodeKind::List(items) => items.iter().for_each(|item| scalars(item, cuts)),
        NodeKind::Map(entries) => entries.iter().for_each(|(_, node)| scalars(node, cuts)),
    }
}

/// What can be told of a text that is no tree: only keys and brackets are certain to be no secret.
fn from_lines(text: &str) -> Vec<Span> {
    let mut cuts = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches(['\n', '\r']);
        let key = content.find(": ").map_or_else(
            || if content.ends_with(':') { content.len() } else { indentation(content) },
            |colon| colon + 2,
        );
        let rest = content.get(key..).unwrap_or_default();
        let kept = rest.len() - rest.trim_start_matches([' ', '{', '[', '-', '}', ']', ',']).len();
        let cut = Span { start: start + key + kept, len: rest.len() - kept };
        let comment = rest.get(kept..).is_some_and(|rest| rest.starts_with('#'));
        if !comment && cut.len > 0 {
            cuts.push(cut);
        }
        start += line.len();
    }
    cuts
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '\t', '-']).len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "secretStores:\n  s: {type: vault, address: https://v, token: hunter2}\n  l:\n    type: literal\n    \
                        values: {a: hunter2}\nenvs:\n  dev:\n    A: {literal: \"hunter2\"}\n    B: hunter2\n    \
                        C: {form: hunter2, from: s/KEY}\n    D: {from: s/X, default: hunter2}\n";

    #[test]
    fn values_are_taken_out_and_the_rest_stays() {
        let redacted = redact(FILE);
        assert!(!redacted.text.contains("hunter2"), "{}", redacted.text);
        for kept in ["type: vault", "address: https://v", "token: ***", "from: s/KEY", "default: ***}"] {
            assert!(redacted.text.contains(kept), "{kept} in {}", redacted.text);
        }
    }

    #[test]
    fn places_follow_their_text() {
        let redacted = redact(FILE);
        for part in ["type: literal", "form", "s/KEY", "default"] {
            let start = FILE.find(part).unwrap();
            let place = redacted.place(Span { start, len: part.len() });
            assert_eq!(&redacted.text[place.start..place.start + place.len], part);
        }
    }

    #[test]
    fn a_text_that_is_no_tree_shows_its_keys_only() {
        let redacted = redact("envs:\n  dev:\n    A: {literal: \"hunter2}\n    pem: |\n  hunter2\n");
        assert!(!redacted.text.contains("hunter2"), "{}", redacted.text);
        assert!(redacted.text.contains("    A: {***\n"), "{}", redacted.text);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-z:{}\\[\\]\"' \n\té-]{0,80}", start in 0usize..90, len in 0usize..20) {
            let redacted = redact(&text);
            let place = redacted.place(Span { start: start.min(text.len()), len });
            proptest::prop_assert!(place.start <= redacted.text.len() + len);
        }
    }
}
