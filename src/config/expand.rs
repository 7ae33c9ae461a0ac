//! `${NAME}` and `${NAME:-default}` in options and references.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use dsops_providers::contract::{DecodeError, DecodeErrorKind, EnvSnapshot, Expand, Node, SecretValue, Span};

/// Expands from a snapshot of the environment, with the credentials that other stores gave.
pub struct Expander<'a> {
    env: &'a EnvSnapshot,
    credentials: HashMap<Span, Arc<SecretValue>>,
}

impl<'a> Expander<'a> {
    /// Returns one that knows no credentials of other stores.
    #[must_use]
    pub fn new(env: &'a EnvSnapshot) -> Self {
        Self { env, credentials: HashMap::new() }
    }

    /// Adds what other stores gave, by the place of the `{from: …}` in the file.
    #[must_use]
    pub fn with_credentials(mut self, credentials: HashMap<Span, Arc<SecretValue>>) -> Self {
        self.credentials = credentials;
        self
    }

    /// Expands a text.
    ///
    /// # Errors
    ///
    /// Where a name is not set and has no default, or a brace is not closed.
    pub fn expand(&self, raw: &str, span: Span) -> Result<String, DecodeError> {
        if !raw.contains('$') {
            return Ok(raw.to_owned());
        }
        check_braces(raw, span)?;
        // Only braces expand here, while the library takes `$NAME` too: passwords have dollars.
        let braces_only = protect_lone_dollars(raw);
        let lookup = |name: &str| match self.env.get(name) {
            Some(value) => Ok(Some(value.to_owned())),
            None => Err(()),
        };
        shellexpand::env_with_context(&braces_only, |name: &str| match lookup(name) {
            Ok(value) => Ok(value),
            // The library asks before it looks at the default, and takes `None` for "not set".
            Err(()) if has_default(raw, name) => Ok(None),
            Err(()) => Err(()),
        })
        .map(std::borrow::Cow::into_owned)
        .map_err(|error| unset(&error.var_name, raw, span))
    }
}

fn unset(name: &str, raw: &str, span: Span) -> DecodeError {
    let mut error = DecodeError::at(span, format!("`${{{name}}}` is not set"))
        .help(format!("set `{name}` in the environment, or give it a default: `${{{name}:-…}}`"));
    if let Some(offset) = raw.find(&format!("${{{name}"))
        && raw.len() <= span.len
    {
        // A quote in front moves the text by one byte.
        let quoted = (span.len - raw.len()) / 2;
        error.span = Some(span.part(offset + quoted, name.len() + 3));
    }
    error.kind = DecodeErrorKind::UnsetVariable(name.to_owned());
    error
}

fn has_default(raw: &str, name: &str) -> bool {
    raw.contains(&format!("${{{name}:-"))
}

/// Finds a `${` that is not closed, or has no usable name.
fn check_braces(raw: &str, span: Span) -> Result<(), DecodeError> {
    for name in names(raw) {
        if name.is_none_or(|name| !is_name(name)) {
            return Err(DecodeError::at(span, "`${` without a name and a closing brace")
                .help("write `${NAME}` or `${NAME:-default}`; a plain dollar is `$$`"));
        }
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|char: char| char.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Returns the names in `${…}`, `None` for a brace that is not closed.
pub(super) fn names(raw: &str) -> Vec<Option<&str>> {
    let mut names = Vec::new();
    let mut rest = raw;
    while let Some(at) = rest.find('$') {
        let (_, after) = rest.split_at(at + 1);
        rest = after;
        if let Some(body) = after.strip_prefix('$') {
            rest = body;
        } else if let Some(body) = after.strip_prefix('{') {
            let inner = body.split_once('}').map(|(inner, _)| inner);
            names.push(inner.map(|inner| inner.split_once(":-").map_or(inner, |(name, _)| name)));
            rest = inner.map_or("", |inner| body.get(inner.len()..).unwrap_or_default());
        }
    }
    names
}

/// Returns the names of the variables that a text names as `${NAME}`, once each, in their order.
#[must_use]
pub fn variables_in(text: &str) -> Vec<&str> {
    let mut found: Vec<&str> = Vec::new();
    for name in names(text).into_iter().flatten().filter(|name| is_name(name)) {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

fn protect_lone_dollars(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut chars = raw.chars().peekable();
    while let Some(char) = chars.next() {
        text.push(char);
        if char == '$' {
            match chars.peek() {
                Some('$') => text.extend(chars.next()),
                Some('{') => {}
                _ => text.push('$'),
            }
        }
    }
    text
}

impl Expand for Expander<'_> {
    fn text(&self, raw: &str, span: Span) -> Result<String, DecodeError> {
        self.expand(raw, span)
    }

    fn credential(&self, node: &Node) -> Result<SecretValue, DecodeError> {
        if let Some(text) = node.text() {
            return self.expand(text, node.span).map(SecretValue::from);
        }
        match self.credentials.get(&node.span) {
            Some(value) => Ok(SecretValue::copy_of(value.expose())),
            None => Err(DecodeError::wrong_type(node, "a credential")),
        }
    }
}

/// Reads options without expanding them, and notes which variables and places hold credentials.
#[derive(Default)]
pub(super) struct Inspector {
    /// The variables that credential fields name.
    pub(super) variables: RefCell<BTreeSet<String>>,
    /// The places of `{from: …}` in credential fields.
    pub(super) references: RefCell<Vec<Node>>,
    /// The places of credentials that stand in the file as they are.
    pub(super) bare: RefCell<Vec<Span>>,
    /// The texts with `${…}` in them.
    pub(super) open: RefCell<Vec<OpenText>>,
}

/// A text that names variables, and where it stands.
#[derive(Clone, Debug)]
pub struct OpenText {
    /// The text as it is in the file.
    pub raw: String,
    /// Where.
    pub span: Span,
}

impl Inspector {
    fn note(&self, raw: &str, span: Span) {
        if raw.contains("${") {
            self.open.borrow_mut().push(OpenText { raw: raw.to_owned(), span });
        }
    }
}

impl Expand for Inspector {
    fn text(&self, raw: &str, span: Span) -> Result<String, DecodeError> {
        check_braces(raw, span)?;
        self.note(raw, span);
        Ok(raw.to_owned())
    }

    fn credential(&self, node: &Node) -> Result<SecretValue, DecodeError> {
        if let Some(text) = node.text() {
            check_braces(text, node.span)?;
            self.note(text, node.span);
            let names = names(text);
            if names.is_empty() && !text.is_empty() {
                self.bare.borrow_mut().push(node.span);
            }
            self.variables.borrow_mut().extend(names.into_iter().flatten().map(str::to_owned));
            return Ok(SecretValue::new(Vec::new()));
        }
        if node.get("from").is_some() && node.entries().len() == 1 {
            self.references.borrow_mut().push(node.clone());
            return Ok(SecretValue::new(Vec::new()));
        }
        Err(DecodeError::wrong_type(node, "a credential")
            .help("write `${NAME}`, or `{from: {store: …}}` for a secret of another store"))
    }
}

/// Reads options for the plan, which needs their text and no credential.
pub(crate) struct PlanExpander<'a>(pub(crate) &'a EnvSnapshot);

impl Expand for PlanExpander<'_> {
    fn text(&self, raw: &str, span: Span) -> Result<String, DecodeError> {
        // What the plan prints must not depend on a credential or a host being set already.
        Ok(Expander::new(self.0).expand(raw, span).unwrap_or_else(|_| raw.to_owned()))
    }

    fn credential(&self, _: &Node) -> Result<SecretValue, DecodeError> {
        Ok(SecretValue::new(Vec::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(raw: &str) -> Result<String, DecodeError> {
        let env: EnvSnapshot = [("NAME", "value"), ("EMPTY", "")].into_iter().collect();
        Expander::new(&env).expand(raw, Span { start: 10, len: raw.len() })
    }

    #[test]
    fn braces_expand_and_lone_dollars_stay() {
        for (raw, expanded) in [
            ("plain", "plain"),
            ("${NAME}", "value"),
            ("a-${NAME}-${NAME}", "a-value-value"),
            ("${MISSING:-fallback}", "fallback"),
            ("${MISSING:-}", ""),
            ("${NAME:-fallback}", "value"),
            ("p@$$word", "p@$word"),
            ("p@$word", "p@$word"),
            ("$", "$"),
            ("$${NAME}", "${NAME}"),
            ("${EMPTY}x", "x"),
        ] {
            assert_eq!(expand(raw).unwrap(), expanded, "{raw}");
        }
    }

    #[test]
    fn an_unset_name_is_placed_at_the_name() {
        let error = expand("https://${HOST}/x").unwrap_err();
        assert_eq!(error.kind, DecodeErrorKind::UnsetVariable("HOST".to_owned()));
        assert_eq!(error.span, Some(Span { start: 18, len: 7 }));
    }

    #[test]
    fn an_open_brace_is_an_error() {
        assert!(expand("${NAME").is_err());
        assert!(expand("${}").is_err());
        assert!(expand("${1}").is_err());
    }
}
