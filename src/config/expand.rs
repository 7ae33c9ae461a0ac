//! `${NAME}` and `${NAME:-default}` in options and references.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::sync::Arc;

use dsops_providers::contract::{
    Context, DecodeError, DecodeErrorKind, EnvSnapshot, Expand, Node, SecretValue, Span,
};

use super::credential_file::Place;

/// Expands from a snapshot of the environment, with the credentials that other stores gave.
pub struct Expander<'a> {
    env: &'a EnvSnapshot,
    credentials: HashMap<Span, Arc<SecretValue>>,
    files: Option<&'a Context>,
}

impl<'a> Expander<'a> {
    /// Returns one that knows no credentials of other stores.
    #[must_use]
    pub fn new(env: &'a EnvSnapshot) -> Self {
        Self { env, credentials: HashMap::new(), files: None }
    }

    /// Adds what other stores gave, by the place of the `{from: …}` in the file.
    #[must_use]
    pub fn with_credentials(mut self, credentials: HashMap<Span, Arc<SecretValue>>) -> Self {
        self.credentials = credentials;
        self
    }

    /// Lets credentials lie in files, whose relative paths start where the context says.
    #[must_use]
    pub fn with_files(mut self, cx: &'a Context) -> Self {
        self.files = Some(cx);
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
        // The library asks once for each placeholder, in their order, and takes an error for "use the default".
        let mut placeholders = placeholders(raw).into_iter().flatten();
        shellexpand::env_with_context(&prepared(raw), |name: &str| {
            let has_default = placeholders.next().is_some_and(|placeholder| placeholder.default.is_some());
            match self.env.get_os(name).map(OsStr::to_str) {
                // As in a shell, `:-` stands in for an empty value too.
                Some(Some("")) if has_default => Err(Missing::Unset),
                Some(Some(value)) => Ok(Some(value.to_owned())),
                Some(None) => Err(Missing::NotText),
                None => Err(Missing::Unset),
            }
        })
        .map(std::borrow::Cow::into_owned)
        .map_err(|error| missing(&error.var_name, &error.cause, raw, span))
    }
}

/// Why a name has no text.
enum Missing {
    Unset,
    NotText,
}

fn missing(name: &str, cause: &Missing, raw: &str, span: Span) -> DecodeError {
    let (message, help) = match cause {
        Missing::Unset => (
            format!("`${{{name}}}` is not set"),
            format!("set `{name}` in the environment, or give it a default: `${{{name}:-…}}`"),
        ),
        Missing::NotText => (
            format!("the value of `${{{name}}}` is not UTF-8"),
            format!("set `{name}` to text; what is no text can come from a store"),
        ),
    };
    let mut error = DecodeError::at(span, message).help(help);
    if let Some(offset) = raw.find(&format!("${{{name}}}"))
        && raw.len() <= span.len
    {
        // A quote in front moves the text by one byte.
        let quoted = (span.len - raw.len()) / 2;
        error.span = Some(span.part(offset + quoted, name.len() + 3));
    }
    error.kind = DecodeErrorKind::UnsetVariable(name.to_owned());
    error
}

/// Finds a `${` that is not closed, has no usable name, or has another one in its default.
fn check_braces(raw: &str, span: Span) -> Result<(), DecodeError> {
    for placeholder in placeholders(raw) {
        let Some(Placeholder { name, default }) = placeholder.filter(|found| is_name(found.name)) else {
            return Err(DecodeError::at(span, "`${` without a name and a closing brace")
                .help("write `${NAME}` or `${NAME:-default}`; a plain dollar is `$$`"));
        };
        if default.is_some_and(|default| default.contains("${")) {
            return Err(DecodeError::at(
                span,
                format!("the default of `${{{name}}}` names another variable"),
            )
            .help("write the default as plain text, and set the variable where another value is needed"));
        }
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|char: char| char.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// What stands in `${…}`.
#[derive(Clone, Copy)]
struct Placeholder<'a> {
    name: &'a str,
    default: Option<&'a str>,
}

/// Returns what stands in each `${…}`, `None` for a brace that is not closed.
fn placeholders(raw: &str) -> Vec<Option<Placeholder<'_>>> {
    let mut found = Vec::new();
    let mut rest = raw;
    while let Some(at) = rest.find('$') {
        let (_, after) = rest.split_at(at + 1);
        rest = after;
        if let Some(body) = after.strip_prefix('$') {
            rest = body;
        } else if let Some(body) = after.strip_prefix('{') {
            let inner = body.split_once('}').map(|(inner, _)| inner);
            found.push(inner.map(|inner| match inner.split_once(":-") {
                Some((name, default)) => Placeholder { name, default: Some(default) },
                None => Placeholder { name: inner, default: None },
            }));
            rest = inner.map_or("", |inner| body.get(inner.len()..).unwrap_or_default());
        }
    }
    found
}

/// Returns the names in `${…}`, `None` for a brace that is not closed.
pub(super) fn names(raw: &str) -> Vec<Option<&str>> {
    placeholders(raw).into_iter().map(|placeholder| placeholder.map(|found| found.name)).collect()
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

/// Writes dollars the way the library reads them. It takes `$NAME` too, which stays as it is here, since
/// passwords have dollars; and it takes a default to the letter, where `$$` is one dollar here as elsewhere.
fn prepared(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('$') {
        let (before, from_dollar) = rest.split_at(at);
        text.push_str(before);
        let placeholder = from_dollar.find('}').filter(|_| from_dollar.starts_with("${"));
        let (done, written) = match placeholder {
            Some(end) => (end + 1, from_dollar.get(..=end).unwrap_or_default().replace("$$", "$")),
            None => (if from_dollar.starts_with("$$") { 2 } else { 1 }, "$$".to_owned()),
        };
        text.push_str(&written);
        rest = from_dollar.get(done..).unwrap_or_default();
    }
    text.push_str(rest);
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
        if let Some((place, span)) = Place::of(node)
            && let Some(cx) = self.files
        {
            return place.read(&self.expand(place.text(), span)?, span, cx);
        }
        match self.credentials.get(&node.span) {
            Some(value) => Ok(SecretValue::copy_of(value.expose())),
            None => Err(DecodeError::wrong_type(node, "a credential")),
        }
    }

    fn env(&self) -> Option<&EnvSnapshot> {
        Some(self.env)
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
        if let Some((place, span)) = Place::of(node) {
            check_braces(place.text(), span)?;
            place.check(span)?;
            self.note(place.text(), span);
            return Ok(SecretValue::new(Vec::new()));
        }
        if node.get("from").is_some() && node.entries().len() == 1 {
            self.references.borrow_mut().push(node.clone());
            return Ok(SecretValue::new(Vec::new()));
        }
        Err(DecodeError::wrong_type(node, "a credential")
            .help("write `${NAME}`, `{file: path}`, `{systemd: name}`, or `{from: {store: …}}` for a secret of another store"))
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

    fn env(&self) -> Option<&EnvSnapshot> {
        Some(self.0)
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
            ("${EMPTY:-fallback}", "fallback"),
            ("${MISSING:-$x}", "$x"),
            ("${MISSING:-a$$b}$$${NAME}", "a$b$value"),
            ("${MISSING:-one}-${MISSING:-two}", "one-two"),
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
    fn a_name_that_has_a_default_elsewhere_has_none_here() {
        let error = expand("${HOST:-a}.${HOSTS:-b}.${HOST}").unwrap_err();
        assert_eq!(error.kind, DecodeErrorKind::UnsetVariable("HOST".to_owned()));
        assert_eq!(error.span, Some(Span { start: 33, len: 7 }));
    }

    #[test]
    fn a_default_is_plain_text() {
        let error = expand("${HOST:-${NAME}}").unwrap_err();
        assert!(error.message.contains("names another variable"), "{}", error.message);
    }

    #[test]
    fn a_value_that_is_no_text_is_not_called_unset() {
        use std::os::unix::ffi::OsStrExt as _;
        let env: EnvSnapshot = [("NAME", OsStr::from_bytes(b"\xff"))].into_iter().collect();
        let error = Expander::new(&env).expand("${NAME}", Span { start: 0, len: 7 }).unwrap_err();
        assert_eq!(error.message, "the value of `${NAME}` is not UTF-8");
    }

    #[test]
    fn an_open_brace_is_an_error() {
        assert!(expand("${NAME").is_err());
        assert!(expand("${}").is_err());
        assert!(expand("${1}").is_err());
    }
}
