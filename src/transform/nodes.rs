//! Chains as a document holds them: strings, mappings with `type`, and lists of both.

use dsops_providers::contract::{Key, Node, NodeKind, Scalar, Span};

use super::catalogue::{self, Entry};
use super::chain::{Chain, Transform};
use super::error::{Fault, ParseError};

type Named<'a> = &'a dyn Fn(&str) -> Option<Chain>;

/// Reads a chain, and collects every mistake.
pub(super) fn read(node: &Node, named: Named<'_>) -> Result<Chain, Vec<ParseError>> {
    let NodeKind::List(items) = &node.kind else { return step(node, named) };
    let mut chain = Chain::default();
    let mut errors = Vec::new();
    for item in items {
        match step(item, named) {
            Ok(part) => chain.append(part),
            Err(more) => errors.extend(more),
        }
    }
    if errors.is_empty() { Ok(chain) } else { Err(errors) }
}

fn step(node: &Node, named: Named<'_>) -> Result<Chain, Vec<ParseError>> {
    match &node.kind {
        NodeKind::Scalar(scalar) => Chain::parse_with(&scalar.text, named).map_err(|mut error| {
            error.span = place(node.span, scalar, error.span);
            vec![error]
        }),
        NodeKind::Map(entries) => mapping(node.span, entries),
        NodeKind::Null | NodeKind::List(_) => {
            let fault = Fault::new(format!("{} where a transform is needed", node.what()))
                .help("write the name of a transform, or a mapping with `type`");
            Err(vec![ParseError::at(node.span, fault)])
        }
    }
}

/// Returns where a part of a scalar's text stands in the document. Where the text was folded or had escapes, that
/// is not known, and the whole scalar is returned.
fn place(span: Span, scalar: &Scalar, part: Span) -> Span {
    let quotes = match span.len.checked_sub(scalar.text.len()) {
        Some(0) => 0,
        Some(2) if !scalar.plain => 1,
        _ => return span,
    };
    span.part(quotes + part.start, part.len)
}

fn mapping(span: Span, entries: &[(Key, Node)]) -> Result<Chain, Vec<ParseError>> {
    let Some((_, kind)) = entries.iter().find(|(key, _)| key.name == "type") else {
        let fault = Fault::new("`type` is missing").help("write `type:` and the name of a transform");
        return Err(vec![ParseError::at(span, fault)]);
    };
    let Some(name) = kind.text() else {
        let fault = Fault::new(format!("{} where the name of a transform is needed", kind.what()));
        return Err(vec![ParseError::at(kind.span, fault)]);
    };
    let Some(entry) = catalogue::find(name) else {
        return Err(vec![ParseError::at(kind.span, catalogue::unknown(name))]);
    };
    let mut errors = Vec::new();
    for (key, _) in entries {
        if key.name != "type" && !entry.options.contains(&key.name.as_str()) {
            errors.push(ParseError::at(key.span, unknown_option(entry, &key.name)));
        }
    }
    let mut arguments = Vec::with_capacity(entry.options.len());
    let mut places = Vec::with_capacity(entry.options.len());
    for option in entry.options {
        match entries.iter().find(|(key, _)| key.name == *option) {
            None => errors.push(ParseError::at(span, Fault::new(format!("`{name}` needs `{option}`")))),
            Some((_, value)) => match value.text() {
                Some(text) => {
                    arguments.push(text.to_owned());
                    places.push(value.span);
                }
                None => {
                    let fault = Fault::new(format!("{} where text is needed for `{option}`", value.what()));
                    errors.push(ParseError::at(value.span, fault));
                }
            },
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    // The first argument is the one that can be malformed: path, pattern, template, or empty text.
    let transform = Transform::new(entry, arguments)
        .map_err(|fault| vec![ParseError::at(places.first().copied().unwrap_or(span), fault)])?;
    let mut chain = Chain::default();
    chain.push(transform);
    Ok(chain)
}

fn unknown_option(entry: &Entry, key: &str) -> Fault {
    let fault = Fault::new(format!("`{}` has no option `{key}`", entry.name));
    match entry.options {
        [] => fault.help("remove it; the transform takes no options"),
        _ if entry.name == "template" && key == "values" => {
            fault.help("put the parts in variables of their own; a template here sees `value` only")
        }
        _ => fault.help(format!("use {}", entry.needs())),
    }
}
