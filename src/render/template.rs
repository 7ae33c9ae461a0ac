//! What a Jinja template makes of the variables.
//!
//! A template sees each variable by its name, and `variables`, the list of all as pairs of name and value. Beside the
//! engine's own filters there are `b64encode`, `b64decode`, `json` (`tojson`), `quote` (double quotes, for YAML and JSON),
//! `nindent(n)` (a new line, then every line indented), and `urlencode` (slashes too). `has("NAME")` says whether a variable
//! is there; `env("NAME")` returns it, with a second argument for when it is not: both look at the variables, never at
//! the environment of dsops. A name that is not there is an error, apart from `NAME is defined` and `NAME | default("…")`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use minijinja::{Environment, Value};

use super::Variable;
use super::error::{RenderError, RenderErrorKind};
use super::yaml;
use crate::transform::buffer::Buffer;
use crate::transform::jinja::{self, Binary, Broken};

/// Renders the template, whose last newline is its own.
pub(super) fn render(variables: &[Variable<'_>], template: Option<&str>) -> Result<Buffer, RenderError> {
    let Some(template) = template else {
        return Err(RenderError::new(RenderErrorKind::Format, "the format `template` needs a template")
            .help("name its file with `--template`"));
    };
    let Context { values, in_order, binaries } = context(variables);
    let environment = environment(Arc::new(values.clone()));
    let mut root = BTreeMap::from([("variables".to_owned(), in_order)]);
    root.extend(values);
    let rendered = jinja::render(&environment, template, Value::from(root))
        .map_err(|broken| explain(&environment, template, variables, broken))?;
    match binaries.iter().find(|(_, was_printed)| was_printed.load(Ordering::Relaxed)) {
        Some((name, _)) => Err(RenderError {
            help: Some(format!("write `{{{{ {name} | b64encode }}}}`")),
            ..RenderError::not_text(name)
        }),
        None => Ok(rendered),
    }
}

struct Context {
    values: BTreeMap<String, Value>,
    in_order: Value,
    /// The values that are not text, each with the flag that says whether it was taken for one.
    binaries: Vec<(String, Arc<AtomicBool>)>,
}

fn context(variables: &[Variable<'_>]) -> Context {
    let mut binaries = Vec::new();
    let mut values = BTreeMap::new();
    let mut in_order = Vec::with_capacity(variables.len());
    for (name, value) in variables {
        let value = match value.expose_str() {
            Some(text) => Value::from(text),
            None => {
                let (value, was_printed) = Binary::watched(value);
                binaries.push(((*name).to_owned(), was_printed));
                value
            }
        };
        in_order.push(Value::from(vec![Value::from(*name), value.clone()]));
        values.insert((*name).to_owned(), value);
    }
    Context { values, in_order: Value::from(in_order), binaries }
}

fn environment(values: Arc<BTreeMap<String, Value>>) -> Environment<'static> {
    let mut environment = jinja::environment();
    let known = Arc::clone(&values);
    environment.add_function("has", move |name: &str| known.contains_key(name));
    environment.add_function("env", move |name: &str, default: Option<Value>| {
        values
            .get(name)
            .cloned()
            .or(default)
            .ok_or_else(|| jinja::refuse(format!("there is no variable `{name}`")))
    });
    environment.add_filter("quote", |text: Cow<'_, str>| {
        let mut quoted = Buffer::with_capacity(text.len() + 2);
        yaml::quote(&text, &mut quoted);
        String::from_utf8_lossy(&quoted).into_owned()
    });
    environment.add_filter("nindent", |text: Cow<'_, str>, width: usize| {
        let indent = " ".repeat(width.min(1_000));
        let lines: Vec<String> = text.split('\n').map(|line| format!("\n{indent}{line}")).collect();
        lines.concat()
    });
    environment
}

fn explain(
    environment: &Environment<'_>,
    template: &str,
    variables: &[Variable<'_>],
    broken: Broken,
) -> RenderError {
    let mut error = RenderError::new(RenderErrorKind::Template, broken.message);
    let names: Vec<&str> = variables.iter().map(|(name, _)| *name).chain(["variables"]).collect();
    let missing = jinja::undeclared(environment, template, &names);
    if let Some(advice) = jinja::go_advice(template) {
        error = error.help(advice);
    } else if broken.undefined && !missing.is_empty() {
        let ticked: Vec<String> = missing.iter().map(|name| format!("`{name}`")).collect();
        error.message = format!("{}: the environment has no {}", error.message, ticked.join(", "));
        error = error.help("add the variable, or write `{{ NAME | default(\"…\") }}`");
    }
    error
}
