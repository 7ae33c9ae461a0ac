//! The template engine as dsops sets it up: strict, bounded, and silent about values.
//!
//! Templates see what they are given and nothing else: no environment of the process, no files, no clock, so that the
//! same values always give the same text. What the engine itself copies cannot be overwritten afterwards.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dsops_providers::contract::SecretValue;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Object, ObjectRepr};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::base64 as codec;
use super::buffer::Buffer;

/// How much a template may do: about a million steps, or some ten megabytes of text on the way.
const FUEL: u64 = 1_000_000;
/// How much a template may write.
const MAX_OUTPUT: usize = 8 << 20;
/// What needs no escape in any part of a URL (RFC 3986, section 2.3). A slash does, so that a password with one can
/// stand in a connection URL.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A template that does not compile or did not come to an end.
#[derive(Debug)]
pub(crate) struct Broken {
    /// What is wrong, with the line, as a lowercase fragment without values.
    pub(crate) message: String,
    /// Whether a name was used that is not there.
    pub(crate) undefined: bool,
}

/// The failure of one of our own filters and functions, whose text is known to hold no value.
#[derive(Debug)]
pub(crate) struct Refusal(pub(crate) String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

/// Returns a failure whose text may be shown.
pub(crate) fn refuse(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, "refused").with_source(Refusal(message.into()))
}

/// Returns an engine without templates.
pub(crate) fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    if let Ok(syntax) = SyntaxConfig::builder().keep_trailing_newline(true).build() {
        environment.set_syntax(syntax);
    }
    // It would print every variable.
    environment.remove_global("debug");
    for name in ["b64encode", "b64enc"] {
        environment.add_filter(name, base64_encode);
    }
    for name in ["b64decode", "b64dec"] {
        environment.add_filter(name, base64_decode);
    }
    for name in ["tojson", "json"] {
        environment.add_filter(name, to_json);
    }
    environment
        .add_filter("urlencode", |text: Cow<'_, str>| utf8_percent_encode(&text, UNRESERVED).to_string());
    environment
}

/// Checks that a template compiles and names only what there is: `names`, and the engine's functions.
///
/// It is also run once with a stand-in, since filters and tests are looked up no earlier than that.
pub(crate) fn check(environment: &Environment<'_>, source: &str, names: &[&str]) -> Result<(), Broken> {
    let template = environment.template_from_str(source).map_err(|error| shown(&error))?;
    let missing = undeclared(environment, source, names);
    if !missing.is_empty() {
        let ticked: Vec<String> = missing.iter().map(|name| format!("`{name}`")).collect();
        let (verb, these) = (if ticked.len() == 1 { "is" } else { "are" }, ticked.join(", "));
        return Err(Broken {
            message: format!("the template uses {these}, which {verb} not there"),
            undefined: true,
        });
    }
    let context: Value = names.iter().map(|name| (*name, Value::from("x"))).collect();
    match template.render(context) {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::UnknownFilter | ErrorKind::UnknownTest | ErrorKind::UnknownFunction
            ) =>
        {
            Err(shown(&error))
        }
        _ => Ok(()),
    }
}

/// Returns the names that a template uses and that are neither given nor the engine's, in order.
pub(crate) fn undeclared(environment: &Environment<'_>, source: &str, names: &[&str]) -> BTreeSet<String> {
    let Ok(template) = environment.template_from_str(source) else { return BTreeSet::new() };
    let globals: BTreeSet<&str> = environment.globals().map(|(name, _)| name).collect();
    let mut used: BTreeSet<String> = template.undeclared_variables(false).into_iter().collect();
    used.retain(|name| !names.contains(&name.as_str()) && !globals.contains(name.as_str()));
    used
}

/// Renders a template.
pub(crate) fn render(environment: &Environment<'_>, source: &str, context: Value) -> Result<Buffer, Broken> {
    let template = environment.template_from_str(source).map_err(|error| shown(&error))?;
    let mut output = Bounded(Buffer::with_capacity(source.len() * 2));
    template.render_captured_to(context, &mut output).map_err(|error| silent(&error))?;
    Ok(output.0)
}

/// Returns advice where a template looks like one of Go's.
pub(crate) fn go_advice(source: &str) -> Option<&'static str> {
    let is_go = [
        "{{.",
        "{{ .",
        "{{- .",
        "index .",
        "{{ end }}",
        "{{- end }}",
        "{{- end -}}",
        "{{end}}",
        "{{ if ",
        "{{- if ",
        "{{if ",
    ];
    is_go.iter().any(|mark| source.contains(mark)).then_some(
        "write Jinja instead of Go's templates: `{{ value }}` for `{{ . }}`, `{{ NAME }}` for `{{ .NAME }}`, `{% if %}` for `{{ if }}`",
    )
}

/// Describes an error in the text of the template, which may be shown.
fn shown(error: &Error) -> Broken {
    let what = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    located(error, &what)
}

/// Describes an error that happened with values at hand: the details may quote them.
fn silent(error: &Error) -> Broken {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(refusal) = cause.downcast_ref::<Refusal>() {
            return located(error, &refusal.0);
        }
        source = cause.source();
    }
    match error.kind() {
        // These quote the name in the template only.
        ErrorKind::UnknownFilter | ErrorKind::UnknownTest | ErrorKind::UnknownFunction => shown(error),
        ErrorKind::OutOfFuel | ErrorKind::WriteFailure => {
            located(error, "it takes too long or writes too much")
        }
        kind => located(error, &kind.to_string()),
    }
}

fn located(error: &Error, what: &str) -> Broken {
    let message = match error.line() {
        Some(line) => format!("line {line} of the template: {what}"),
        None => format!("the template: {what}"),
    };
    Broken { message, undefined: error.kind() == ErrorKind::UndefinedError }
}

struct Bounded(Buffer);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_OUTPUT {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        self.0.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A value that is not text. Templates can encode it; whatever else they do with it is noticed.
pub(crate) struct Binary {
    bytes: Vec<u8>,
    was_printed: Arc<AtomicBool>,
}

impl Binary {
    /// Returns the value and the flag that is set when a template takes it for text.
    pub(crate) fn watched(value: &SecretValue) -> (Value, Arc<AtomicBool>) {
        let was_printed = Arc::new(AtomicBool::new(false));
        let binary = Self { bytes: value.expose().to_vec(), was_printed: Arc::clone(&was_printed) };
        (Value::from_object(binary), was_printed)
    }
}

impl Drop for Binary {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.bytes);
    }
}

impl fmt::Debug for Binary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Binary(***)")
    }
}

impl Object for Binary {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    // An error here would be a panic in `to_string`, so the flag has to carry it.
    fn render(self: &Arc<Self>, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.was_printed.store(true, Ordering::Relaxed);
        Ok(())
    }
}

fn base64_encode(value: &Value) -> Result<String, Error> {
    if let Some(binary) = value.downcast_object_ref::<Binary>() {
        return Ok(BASE64_STANDARD.encode(&binary.bytes));
    }
    match value.as_str() {
        Some(text) => Ok(BASE64_STANDARD.encode(text)),
        None => Err(refuse("`b64encode` takes text")),
    }
}

fn base64_decode(text: Cow<'_, str>) -> Result<String, Error> {
    let decoded =
        codec::decode(&SecretValue::from(text.as_ref())).map_err(|failure| refuse(failure.message))?;
    decoded.expose_str().map(str::to_owned).ok_or_else(|| refuse("what `b64decode` gives is not UTF-8 text"))
}

/// Writes JSON without the escapes that the engine's own filter adds for HTML.
fn to_json(value: &Value) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|_| refuse("`tojson` cannot write this"))
}
