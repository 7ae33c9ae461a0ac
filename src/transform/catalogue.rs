//! The transforms by name: how each is written and what it takes.

use super::error::Fault;

/// How a transform's arguments are written in a chain.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Arguments {
    /// None.
    None,
    /// A path, with quotes of its own.
    Path,
    /// One text.
    Text,
    /// Two texts with a colon between.
    Pair,
    /// A regular expression and a text.
    PatternPair,
    /// A template: quoted, or everything up to the end.
    Template,
}

/// One transform.
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) style: Arguments,
    /// The names of the arguments where the step is a mapping, in the order of the chain's.
    pub(super) options: &'static [&'static str],
    pub(super) example: &'static str,
}

/// Which transform an entry is.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Trim,
    MultilineToSingle,
    Upper,
    Lower,
    Base64Encode,
    Base64Decode,
    Base64UrlEncode,
    JsonExtract,
    YamlExtract,
    Join,
    Replace,
    RegexReplace,
    Template,
}

const fn bare(name: &'static str, kind: Kind) -> Entry {
    Entry { name, kind, style: Arguments::None, options: &[], example: name }
}

static ALL: [Entry; 13] = [
    bare("trim", Kind::Trim),
    bare("multiline_to_single", Kind::MultilineToSingle),
    bare("upper", Kind::Upper),
    bare("lower", Kind::Lower),
    bare("base64_encode", Kind::Base64Encode),
    bare("base64_decode", Kind::Base64Decode),
    bare("base64url_encode", Kind::Base64UrlEncode),
    Entry {
        name: "json_extract",
        kind: Kind::JsonExtract,
        style: Arguments::Path,
        options: &["path"],
        example: "json_extract:.user.name",
    },
    Entry {
        name: "yaml_extract",
        kind: Kind::YamlExtract,
        style: Arguments::Path,
        options: &["path"],
        example: "yaml_extract:.user.name",
    },
    Entry {
        name: "join",
        kind: Kind::Join,
        style: Arguments::Text,
        options: &["separator"],
        example: "join:\",\"",
    },
    Entry {
        name: "replace",
        kind: Kind::Replace,
        style: Arguments::Pair,
        options: &["from", "to"],
        example: "replace:\"from\":\"to\"",
    },
    Entry {
        name: "regex_replace",
        kind: Kind::RegexReplace,
        style: Arguments::PatternPair,
        options: &["pattern", "replacement"],
        example: "regex_replace:\"pattern\":\"replacement\"",
    },
    Entry {
        name: "template",
        kind: Kind::Template,
        style: Arguments::Template,
        options: &["template"],
        example: "template:Bearer {{ value }}",
    },
];

/// Returns the names of all transforms, in the order of the documents.
pub fn transforms() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|entry| entry.name)
}

impl Entry {
    /// Returns what the transform needs, as a phrase.
    pub(super) fn needs(&self) -> String {
        let ticked: Vec<String> = self.options.iter().map(|option| format!("`{option}`")).collect();
        ticked.join(" and ")
    }
}

/// Returns the transform of that name.
pub(super) fn find(name: &str) -> Option<&'static Entry> {
    ALL.iter().find(|entry| entry.name == name)
}

/// Returns all names as a phrase.
pub(super) fn names() -> String {
    let ticked: Vec<String> = ALL.iter().map(|entry| format!("`{}`", entry.name)).collect();
    ticked.join(", ")
}

/// Returns the mistake of naming what is not there.
pub(super) fn unknown(name: &str) -> Fault {
    let help = crate::suggest::did_you_mean(name, ALL.iter().map(|entry| entry.name))
        .unwrap_or_else(|| format!("use {}, or put text that holds a comma or pipe in quotes", names()));
    Fault::new(format!("no transform is named `{name}`")).help(help)
}
