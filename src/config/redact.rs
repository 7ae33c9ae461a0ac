//! The text of a file as a report may show it: with what may be a secret taken out.
//!
//! A report shows the line of a mistake and its neighbours, and ends up in logs. Literals, defaults and
//! credentials that stand in the file itself must not get there with it.

use std::sync::Arc;

use dsops_providers::contract::{Key, Node, NodeKind, Span};

use super::credential_file::Place;
use super::yaml;
use crate::reference::parse_name;

/// What stands where a secret may have stood. It says nothing of the length.
const MASK: &str = "***";

/// Sections that hold names and rules, and no values.
const PLAIN_SECTIONS: &[&str] = &["version", "transforms", "policies"];
/// Keys of a variable whose values are no secrets.
const PLAIN_KEYS: &[&str] = &["transform", "optional", "non_empty", "mask"];
/// Keys of a variable that hold references.
const REFERENCE_KEYS: &[&str] = &["from", "fallback"];
/// The parts of a reference in its mapping forms.
const REFERENCE_PARTS: &[&str] =
    &["store", "provider", "key", "name", "path", "field", "version", "vault", "item", "service"];
/// Options of stores that hold no secrets. All others may: one that no backend knows is perhaps a slip of the
/// keys, `client_secert`.
const PLAIN_OPTIONS: &[&str] = &[
    "type",
    "timeout",
    "timeout_ms",
    "failures",
    "half_open_after",
    "host",
    "address",
    "url",
    "region",
    "project",
    "project_id",
    "environment",
    "path",
    "mount",
    "namespace",
    "folder",
    "vault",
    "prefix",
    "method",
    "identity",
    "command",
    "pass_env",
    "max_output",
    "expand",
    "ca_cert",
    "insecure_skip_verify",
    "client_cert",
    "allow_http",
    "max_concurrent_requests",
];

/// A text without secrets, and where its parts stood.
#[derive(Debug)]
pub struct Redacted {
    /// The text.
    pub text: Arc<str>,
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
                // Inside what was taken out: as near as can be told, and still on the mask.
                removed += offset - cut.start;
                added += (offset - cut.start).min(MASK.len() - 1);
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
    let cuts = match yaml::parse(text) {
        Ok(root) => from_tree(text, &root),
        Err(_) => from_lines(text),
    };
    // Line by line, so that what stays keeps its line.
    let mut cuts: Vec<Span> = cuts.into_iter().flat_map(|span| lines_of(text, span)).collect();
    cuts.sort_unstable();
    // Aliases make the same place come up twice.
    cuts.dedup_by(|next, kept| {
        let end = kept.start + kept.len;
        let overlaps = next.start < end;
        if overlaps {
            kept.len = end.max(next.start + next.len) - kept.start;
        }
        overlaps
    });
    let mut redacted = String::with_capacity(text.len());
    let mut done = 0;
    for cut in &cuts {
        redacted.push_str(text.get(done..cut.start).unwrap_or_default());
        redacted.push_str(MASK);
        done = cut.start + cut.len;
    }
    redacted.push_str(text.get(done..).unwrap_or_default());
    Redacted { text: redacted.into(), cuts }
}

/// Returns the parts of a span that hold more than white space, one a line.
fn lines_of(text: &str, span: Span) -> Vec<Span> {
    let mut start = span.start;
    let mut parts = Vec::new();
    for line in text.get(span.start..span.start + span.len).unwrap_or_default().split_inclusive('\n') {
        let indent = line.len() - line.trim_start().len();
        let len = line.trim().len();
        if len > 0 {
            parts.push(Span { start: start + indent, len });
        }
        start += line.len();
    }
    parts
}

fn from_tree(text: &str, root: &Node) -> Vec<Span> {
    let mut cuts = between(text, root);
    lone_keys(text, root, &mut cuts);
    if !matches!(root.kind, NodeKind::Map(_)) {
        scalars(root, &mut cuts);
    }
    for (section, node) in root.entries() {
        match section.name.as_str() {
            "envs" => environments(text, root, node, &mut cuts),
            "secretStores" | "providers" => stores(text, root, node, &mut cuts),
            "agents" => agents(text, root, node, &mut cuts),
            "helpers" => helpers(text, root, node, &mut cuts),
            name if PLAIN_SECTIONS.contains(&name) => {}
            // What nothing reads may be a section whose name is misspelt, or a file of another kind.
            _ => scalars(node, &mut cuts),
        }
    }
    cuts
}

fn environments(text: &str, root: &Node, node: &Node, cuts: &mut Vec<Span>) {
    if !matches!(node.kind, NodeKind::Map(_)) {
        scalars(node, cuts);
    }
    for (_, environment) in node.entries() {
        if !matches!(environment.kind, NodeKind::Map(_)) {
            scalars(environment, cuts);
        }
        let variables = environment.entries().iter();
        for (_, variable) in variables.filter(|(key, _)| !matches!(key.name.as_str(), "extends" | "import")) {
            if !matches!(variable.kind, NodeKind::Map(_)) {
                scalars(variable, cuts);
            }
            variable_keys(text, root, variable, cuts);
        }
    }
}

fn variable_keys(text: &str, root: &Node, variable: &Node, cuts: &mut Vec<Span>) {
    for (key, node) in variable.entries() {
        match key.name.as_str() {
            name if PLAIN_KEYS.contains(&name) => {}
            "type" if matches!(node.text(), Some("env" | "file")) => {}
            "mode" if node.text().is_some_and(is_octal) => {}
            name if REFERENCE_KEYS.contains(&name) => references(text, root, node, cuts),
            // Where text is needed, what looks like a key is a part of it.
            "literal" | "default" if matches!(node.kind, NodeKind::Map(_)) => cuts.push(node.span),
            _ => scalars(node, cuts),
        }
    }
}

/// A value of no environment: a reference, or what a variable says.
fn value(text: &str, root: &Node, node: &Node, cuts: &mut Vec<Span>) {
    if node.get("from").or_else(|| node.get("literal")).is_some() {
        variable_keys(text, root, node, cuts);
    } else {
        references(text, root, node, cuts);
    }
}

fn agents(text: &str, root: &Node, node: &Node, cuts: &mut Vec<Span>) {
    not_a_map(node, cuts);
    for (_, agent) in node.entries() {
        not_a_map(agent, cuts);
        for (key, node) in agent.entries() {
            match (key.name.as_str(), &node.kind) {
                ("ids", NodeKind::Map(ids)) => ids.iter().for_each(|(_, node)| value(text, root, node, cuts)),
                ("env" | "raw" | "deadline" | "stale", NodeKind::Scalar(_)) => {}
                ("allow", NodeKind::List(_)) => {}
                _ => scalars(node, cuts),
            }
        }
    }
}

/// Takes what stands where a mapping belongs.
fn not_a_map(node: &Node, cuts: &mut Vec<Span>) {
    if !matches!(node.kind, NodeKind::Map(_)) {
        scalars(node, cuts);
    }
}

fn helpers(text: &str, root: &Node, node: &Node, cuts: &mut Vec<Span>) {
    not_a_map(node, cuts);
    for (helper, node) in node.entries() {
        not_a_map(node, cuts);
        for (key, entry) in node.entries() {
            // Somebody who copies a URL copies what stands in it: `https://me:token@host`.
            if key.name.contains('@') && helper.name != "askpass" {
                cuts.push(key.span);
            }
            if helper.name == "askpass" {
                value(text, root, entry, cuts);
                continue;
            }
            not_a_map(entry, cuts);
            for (key, node) in entry.entries() {
                match key.name.as_str() {
                    "server" | "refresh" => plain_option(node, cuts),
                    _ => value(text, root, node, cuts),
                }
            }
        }
    }
}

/// Says whether a text is a mode at first sight, and too short for a secret.
fn is_octal(text: &str) -> bool {
    text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'o')
}

fn stores(text: &str, root: &Node, node: &Node, cuts: &mut Vec<Span>) {
    if !matches!(node.kind, NodeKind::Map(_)) {
        scalars(node, cuts);
    }
    for (_, store) in node.entries() {
        match store.kind {
            NodeKind::Map(_) => options(text, root, store, cuts),
            _ => scalars(store, cuts),
        }
    }
}

fn options(text: &str, root: &Node, node: &Node, cuts: &mut Vec<Span>) {
    for (key, node) in node.entries() {
        match (key.name.as_str(), &node.kind) {
            ("auth", NodeKind::Map(_)) => options(text, root, node, cuts),
            ("from", _) => references(text, root, node, cuts),
            (_, NodeKind::Map(_)) if node.get("from").is_some() => options(text, root, node, cuts),
            // Where a credential lies is no credential.
            (_, NodeKind::Map(place)) if Place::of(node).is_some() => {
                place.iter().for_each(|(_, name)| plain_option(name, cuts));
            }
            // What follows the program may be `--token=…`.
            ("command", NodeKind::List(words)) => words.iter().skip(1).for_each(|word| scalars(word, cuts)),
            (name, _) if PLAIN_OPTIONS.contains(&name) => plain_option(node, cuts),
            _ => scalars(node, cuts),
        }
    }
}

/// Takes an address in which a password or a token stands, and a private key in the place of its path.
fn plain_option(node: &Node, cuts: &mut Vec<Span>) {
    match &node.kind {
        NodeKind::Scalar(scalar)
            if !scalar.text.contains(['@', '?', '#'])
                && !scalar.text.to_ascii_uppercase().contains("AGE-SECRET-KEY") => {}
        NodeKind::List(items) => items.iter().for_each(|item| plain_option(item, cuts)),
        _ => scalars(node, cuts),
    }
}

/// Says whether a key has neither a value nor a colon: `{value}`, or `{literal:value}`, where the space
/// behind the colon is missing. It may then be a value itself.
pub(super) fn is_lone(text: &str, key: &Key, node: &Node) -> bool {
    let after = text.get(key.span.start + key.span.len..).unwrap_or_default();
    matches!(node.kind, NodeKind::Null) && !after.trim_start().starts_with(':')
}

/// Finds the lone keys of the whole tree.
fn lone_keys(text: &str, node: &Node, cuts: &mut Vec<Span>) {
    match &node.kind {
        NodeKind::Null | NodeKind::Scalar(_) => {}
        NodeKind::List(items) => items.iter().for_each(|item| lone_keys(text, item, cuts)),
        NodeKind::Map(entries) => entries.iter().for_each(|(key, node)| {
            if is_lone(text, key, node) {
                cuts.push(key.span);
            }
            lone_keys(text, node, cuts);
        }),
    }
}

/// Takes what stands in the place of a reference and is none: perhaps the value itself. Of one to a store that
/// the file does not have, only the name of the store is sure to be one.
fn references(text: &str, root: &Node, node: &Node, cuts: &mut Vec<Span>) {
    match &node.kind {
        NodeKind::Scalar(scalar) => match store_in(&scalar.text) {
            None => cuts.push(node.span),
            Some(store) if is_known(root, store) => {}
            Some(store) => {
                let raw = text.get(node.span.start..node.span.start + node.span.len).unwrap_or_default();
                let shown = raw.find(store).map_or(0, |at| at + store.len());
                let kept = if shown == 0 { 0 } else { (shown + 1).min(node.span.len) };
                cuts.push(node.span.part(kept, node.span.len));
            }
        },
        NodeKind::List(items) => items.iter().for_each(|item| references(text, root, item, cuts)),
        NodeKind::Map(entries) => entries.iter().for_each(|(key, node)| match key.name.as_str() {
            "store" | "provider" if node.text().is_none_or(|text| parse_name(text).is_err()) => {
                references(text, root, node, cuts);
            }
            name if REFERENCE_PARTS.contains(&name) => {}
            _ => scalars(node, cuts),
        }),
        NodeKind::Null => {}
    }
}

/// Returns the store that a reference names, empty where `${…}` will tell.
fn store_in(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_prefix("store://") {
        return rest.split('/').next();
    }
    if text.starts_with("op://") || text.starts_with("svc://") || is_placeholder(text) {
        return Some("");
    }
    let (store, _) = text.split_once(['/', ':'])?;
    if is_placeholder(store) {
        return Some("");
    }
    let is_reference = parse_name(store).is_ok() && !text.contains("://");
    is_reference.then_some(store)
}

fn is_known(root: &Node, store: &str) -> bool {
    let mut sections = ["secretStores", "providers"].into_iter().filter_map(|section| root.get(section));
    store.is_empty() || sections.any(|section| section.get(store).is_some())
}

/// Takes every scalar that is not simply the name of a variable.
fn scalars(node: &Node, cuts: &mut Vec<Span>) {
    match &node.kind {
        NodeKind::Scalar(scalar) if !is_placeholder(&scalar.text) => cuts.push(node.span),
        NodeKind::Scalar(_) | NodeKind::Null => {}
        NodeKind::List(items) => items.iter().for_each(|item| scalars(item, cuts)),
        NodeKind::Map(entries) => entries.iter().for_each(|(_, node)| scalars(node, cuts)),
    }
}

/// Says whether a text is `${NAME}` and nothing else: a default in the braces may be a secret.
fn is_placeholder(text: &str) -> bool {
    let name = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    name.is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
}

/// Finds what stands between the parts of the tree and is more than punctuation: comments, in which values
/// that were tried once are often left, and the names of anchors, which a value with `&` in front becomes.
fn between(text: &str, root: &Node) -> Vec<Span> {
    let mut known = Vec::new();
    places(root, &mut known);
    known.sort_unstable();
    let mut cuts = Vec::new();
    let mut done = 0;
    for span in known.into_iter().chain([Span { start: text.len(), len: 0 }]) {
        let mut start = done;
        for line in text.get(done..span.start).unwrap_or_default().split_inclusive('\n') {
            between_on_line(text, start, line, &mut cuts);
            start += line.len();
        }
        done = done.max(span.start + span.len);
    }
    cuts
}

fn between_on_line(text: &str, start: usize, line: &str, cuts: &mut Vec<Span>) {
    let is_spaced = |at: usize| {
        let before = text.get(..start + at).unwrap_or_default();
        before.is_empty() || before.ends_with([' ', '\t', '\n'])
    };
    let comment = line.match_indices('#').map(|(at, _)| at).find(|at| is_spaced(*at));
    let (line, comment) = line.split_at(comment.unwrap_or(line.len()));
    let mut rest = line;
    while let Some(word) = rest.find(|char: char| !is_punctuation(char)) {
        let (before, word) = rest.split_at(word);
        let len = word.find(is_punctuation).unwrap_or(word.len());
        cuts.push(Span { start: start + line.len() - rest.len() + before.len(), len });
        rest = word.get(len..).unwrap_or_default();
    }
    // The mark and the space behind it stay, so that it reads as a comment.
    let comment = comment.trim_end();
    let kept = comment.len() - comment.trim_start_matches(['#', ' ']).len();
    cuts.push(Span { start: start + line.len() + kept, len: comment.len() - kept });
}

fn is_punctuation(char: char) -> bool {
    char.is_whitespace() || "{}[],:-?&*!|>+<\"'".contains(char)
}

fn places(node: &Node, known: &mut Vec<Span>) {
    match &node.kind {
        NodeKind::Scalar(_) => known.push(node.span),
        NodeKind::Null => {}
        NodeKind::List(items) => items.iter().for_each(|item| places(item, known)),
        NodeKind::Map(entries) => entries.iter().for_each(|(key, node)| {
            known.push(key.span);
            places(node, known);
        }),
    }
}

/// What can be told of a text that is no tree: a name with a colon behind it is no secret, unless it stands
/// in a text of several lines.
fn from_lines(text: &str) -> Vec<Span> {
    let mut cuts = Vec::new();
    let mut start = 0;
    let mut block = None;
    let mut open_quote = false;
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches(['\n', '\r']);
        let indent = indentation(content);
        let in_block = block.is_some_and(|outer| content.trim().is_empty() || indent > outer);
        let kept = if in_block || open_quote { indent } else { indent + key_length(content, indent) };
        let rest = content.get(kept..).unwrap_or_default();
        let brackets = rest.len() - rest.trim_start_matches([' ', '{', '[', '-', '}', ']', ',']).len();
        if rest.len() > brackets {
            cuts.push(Span { start: start + kept + brackets, len: rest.len() - brackets });
        }
        if !in_block {
            block = rest.trim_start().starts_with(['|', '>']).then_some(indent);
        }
        // Where a quote opened and did not close, whatever follows may be inside of it.
        let is_comment = content.trim_start().starts_with('#');
        open_quote |= !is_comment && ['"', '\''].iter().any(|quote| rest.matches(*quote).count() % 2 == 1);
        start += line.len();
    }
    cuts
}

/// Returns the length of `name:` and the space behind it.
fn key_length(content: &str, indent: usize) -> usize {
    let rest = content.get(indent..).unwrap_or_default();
    let end =
        rest.find(|char: char| !(char.is_alphanumeric() || matches!(char, '_' | '-' | '.'))).unwrap_or(0);
    match rest.get(end..) {
        Some(":") if end > 0 => end + 1,
        Some(after) if end > 0 && after.starts_with(": ") => end + 2,
        _ => 0,
    }
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

    #[test]
    fn no_other_kind_of_file_is_shown() {
        for text in [
            "TOKEN=hunter2\n",
            "TOKEN: hunter2\n",
            "- TOKEN=hunter2\n",
            "{\"client_secret\": \"hunter2\"}",
            "secretStore:\n  s: {token: hunter2}\n",
            "envs: {dev: [TOKEN=hunter2]}\n",
            "envs: {dev: hunter2}\n",
            "secretStores: {s: hunter2}\n",
        ] {
            assert!(!redact(text).text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn a_value_in_the_wrong_place_is_taken_out() {
        for text in [
            "envs: {dev: {A: {literal:hunter2}}}\n",
            "envs: {dev: {A: {hunter2}}}\n",
            "envs: {dev: {A: {from: hunter2}}}\n",
            "envs: {dev: {A: {from: \"postgres://u:hunter2@host/db\"}}}\n",
            "envs: {dev: {A: {from: \"postgres://u:hunter2@${HOST}/db\"}}}\n",
            "envs: {dev: {A: {from: {store: \"postgres://u:hunter2@host/db\"}}}}\n",
            "envs: {dev: {A: {from: \"admin:hunter2\"}}}\n",
            "envs: {dev: {A: {from: {literal: hunter2}}}}\n",
            "envs: {dev: {A: {fallback: [{value: hunter2}], from: s/K}}}\n",
            "envs: {dev: {A: {literal: {hunter2: x}}}}\n",
            "envs: {dev: {A: {from: s/K, metadata: {old: hunter2}}}}\n",
            "secretStores: {s: {type: vault, auth: {client_secert: hunter2}}}\n",
            "secretStores: {s: {type: vault, pwd: hunter2}}\n",
            "secretStores: {s: {type: vault, address: \"https://v/?t=hunter2\"}}\n",
            "secretStores: {s: {type: vault, token: {from: {literal: hunter2}}}}\n",
            "secretStores: {s: {type: exec, command: [tool, \"--token=hunter2\"]}}\n",
            "secretStores: {s: {type: local, identity: AGE-SECRET-KEY-1hunter2}}\n",
            "secretStores: {s: {type: vault, token: \"${TOKEN:-hunter2}\"}}\n",
            "secretStores: {s: {type: vault, address: \"https://u:hunter2@host\"}}\n",
            "secretStores: {s: {type: exec, args: [\"--token=hunter2\"]}}\n",
            "notifications: {slack: {webhook: hunter2}}\n",
            "envs: {dev: {A: {literal: &hunter2 }}}\n",
            "envs:\n  dev:\n    A:\n      literal: |\n        hunter2\n    B: {form: 1}\n",
            "envs:\n  dev:\n    A: {literal: >-\n        x\n        hunter2}\n",
        ] {
            assert!(!redact(text).text.contains("hunter2"), "{}", redact(text).text);
        }
    }

    #[test]
    fn of_a_reference_to_no_store_of_the_file_the_store_stays() {
        for (from, shown) in [
            ("valut/db/KEY", "valut/***"),
            ("\"valut:KEY\"", "\"valut:***"),
            ("{store: valut, key: K}", "{store: valut, key: K}"),
        ] {
            let text = format!("providers: {{vault: {{}}}}\nenvs: {{dev: {{A: {{from: {from}}}}}}}\n");
            assert!(redact(&text).text.contains(&format!("from: {shown}")), "{}", redact(&text).text);
        }
    }

    #[test]
    fn every_line_stays_a_line() {
        let text = "envs:\n  dev:\n    A:\n      literal: |\n        one\n\n        two\n    B: {form: 1}\n";
        let expected =
            "envs:\n  dev:\n    A:\n      literal: |\n        ***\n\n        ***\n    B: {form: ***}\n";
        assert_eq!(&*redact(text).text, expected);
    }

    #[test]
    fn comments_are_taken_out_and_their_marks_stay() {
        let text = "# was hunter2\nproviders: {s: {}}\nenvs:\n  dev:\n    A: {from: s/a#f} # or hunter2\n    \
                    #B: {literal: hunter2}\n";
        let expected = "# ***\nproviders: {s: {}}\nenvs:\n  dev:\n    A: {from: s/a#f} # ***\n    #***\n";
        assert_eq!(&*redact(text).text, expected);
    }

    #[test]
    fn a_text_of_several_lines_has_no_keys() {
        for text in [
            "envs:\n  dev:\n    A:\n      literal: |\n        hunter2: x\n    B: {\n",
            "envs:\n  dev:\n    A:\n      literal: \"\n        hunter2: x\n    B: {\n",
            "envs:\n  dev:\n    A: {literal: \"x\n hunter2: x\n",
        ] {
            assert!(!redact(text).text.contains("hunter2"), "{}", redact(text).text);
        }
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
