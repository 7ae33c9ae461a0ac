//! Reads the stores: one namespace, a backend each, options checked, credentials noted.

use std::time::Duration;

use dsops_providers::contract::{DecodeError, DecodeErrorKind, Node, NodeKind, Span, decode};
use dsops_providers::{ALL, find};
use indexmap::IndexMap;

use super::error::{Code, ConfigError, Warning};
use super::expand::Inspector;
use super::model::{BreakerSettings, ReferenceAt, Store, StoreCredential};
use super::shape::FromShape;
use crate::reference::{StoreName, parse_name};
use crate::suggest::{and_ticked, did_you_mean};

/// How long a store may take where the file does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// The options that the engine reads itself.
pub(super) const COMMON: &[&str] = &["type", "timeout", "timeout_ms", "token_cache", "breaker"];

/// What reading the stores gives besides mistakes.
pub(super) struct Stores {
    pub(super) stores: IndexMap<String, Store>,
    pub(super) warnings: Vec<Warning>,
}

pub(super) fn read(root: &Node, errors: &mut Vec<ConfigError>) -> Stores {
    let mut read = Stores { stores: IndexMap::new(), warnings: Vec::new() };
    let sections = ["secretStores", "providers"].into_iter().filter_map(|section| root.get(section));
    for (key, node) in sections.flat_map(Node::entries) {
        if let Err(error) = parse_name(&key.name) {
            errors.push(ConfigError::at(Code::Invalid, key.span, error.message));
        }
        if let Some(first) = read.stores.get(&key.name) {
            errors.push(
                ConfigError::at(Code::StoreClash, key.span, format!("two stores are named `{}`", key.name))
                    .label(first.span, "the first")
                    .help("rename one; `secretStores` and `providers` share their names"),
            );
            continue;
        }
        match read_store(&key.name, key.span, node, &mut read.warnings) {
            Ok(store) => {
                read.stores.insert(key.name.clone(), store);
            }
            Err(found) => errors.extend(found),
        }
    }
    check_cycles(&read.stores, errors);
    read
}

fn read_store(
    name: &str,
    span: Span,
    node: &Node,
    warnings: &mut Vec<Warning>,
) -> Result<Store, Vec<ConfigError>> {
    let NodeKind::Map(entries) = &node.kind else {
        return Err(vec![wrong(node, "a store's options")]);
    };
    let kind = node.get("type").ok_or_else(|| {
        vec![
            ConfigError::at(Code::MissingField, span, format!("the store `{name}` has no `type`"))
                .help(format!("add `type:` with one of {}", kinds())),
        ]
    })?;
    let Some(descriptor) = kind.text().and_then(find) else {
        return Err(vec![unknown_type(kind)]);
    };
    // A store that nobody logs in to has no token, so that the option is unknown there.
    let is_common =
        |name: &str| COMMON.contains(&name) && (name != "token_cache" || !descriptor.auth.is_empty());
    let options = entries.iter().filter(|(key, _)| !is_common(&key.name)).cloned().collect();
    let options = Node { span: node.span, kind: NodeKind::Map(options) };
    let timeout = read_timeout(node);
    let token_cache = node.get("token_cache").map_or(Ok(true), read_bool);
    let breaker = read_breaker(node);
    let inspector = Inspector::default();
    let valid = (descriptor.validate)(&options, &inspector).map_err(|error| {
        let at_name = error.span.is_none_or(|place| place == node.span);
        let error = ConfigError::from(error);
        // A whole section is too much to underline; its name is enough.
        if at_name { ConfigError { labels: Vec::new(), ..error }.label(span, "") } else { error }
    });
    let (timeout, token_cache, breaker) = match (timeout, token_cache, breaker, valid) {
        (Ok(timeout), Ok(token_cache), Ok(breaker), Ok(())) => (timeout, token_cache, breaker),
        (timeout, token_cache, breaker, valid) => {
            let errors = [timeout.err(), token_cache.err(), breaker.err(), valid.err()];
            return Err(errors.into_iter().flatten().collect());
        }
    };
    // What was valid a moment ago decodes again.
    let named = (descriptor.credential_variables)(&options, &Inspector::default()).unwrap_or_default();
    inspector.variables.borrow_mut().extend(named);
    let credentials = inspector
        .references
        .into_inner()
        .into_iter()
        .map(|node| read_credential(&node).map_err(|error| vec![error]))
        .collect::<Result<_, _>>()?;
    warnings.extend(inspector.bare.into_inner().into_iter().map(|span| Warning {
        message: "a credential stands in the file itself; name a variable instead: `${NAME}`".to_owned(),
        span,
    }));
    Ok(Store {
        name: name.to_owned(),
        span,
        type_span: kind.span,
        descriptor,
        options,
        timeout,
        token_cache,
        breaker,
        credentials,
        credential_env: inspector.variables.into_inner(),
        open_texts: inspector.open.into_inner(),
    })
}

fn read_credential(node: &Node) -> Result<StoreCredential, ConfigError> {
    let from = node.get("from").unwrap_or(node);
    let shape: FromShape = decode(from, &dsops_providers::contract::NoExpansion)?;
    Ok(StoreCredential { span: node.span, reference: ReferenceAt::read(from, shape)? })
}

fn kinds() -> String {
    and_ticked(ALL.iter().map(|descriptor| descriptor.kind))
}

fn unknown_type(node: &Node) -> ConfigError {
    let Some(name) = node.text() else { return wrong(node, "the type of a store") };
    let known = ALL
        .iter()
        .flat_map(|descriptor| [descriptor.kind].into_iter().chain(descriptor.aliases.iter().copied()));
    let help = did_you_mean(name, known).unwrap_or_else(|| format!("this dsops has {}", kinds()));
    ConfigError::at(Code::UnknownType, node.span, format!("no type of store is named `{name}`")).help(help)
}

pub(super) fn wrong(node: &Node, needed: &str) -> ConfigError {
    let code = if matches!(node.kind, NodeKind::Null) { Code::NullValue } else { Code::WrongType };
    let error = ConfigError::at(code, node.span, format!("{} where {needed} is needed", node.what()));
    if code == Code::NullValue { error.help("give it a value, or take the key out") } else { error }
}

fn read_bool(node: &Node) -> Result<bool, ConfigError> {
    decode(node, &dsops_providers::contract::NoExpansion).map_err(ConfigError::from)
}

fn read_timeout(node: &Node) -> Result<Duration, ConfigError> {
    let invalid = |node: &Node| {
        ConfigError::at(Code::Invalid, node.span, "not a length of time between 1 ms and 1 h")
            .help("write `timeout: 30s`, or `timeout_ms: 30000`")
    };
    let (value, parsed) = match (node.get("timeout"), node.get("timeout_ms")) {
        (None, None) => return Ok(DEFAULT_TIMEOUT),
        (Some(_), Some(millis)) => {
            return Err(ConfigError::at(Code::Invalid, millis.span, "both `timeout` and `timeout_ms`")
                .help("keep one"));
        }
        (Some(value), None) => (value, value.text().and_then(parse_duration)),
        (None, Some(value)) => {
            (value, value.text().and_then(|text| text.parse().ok()).map(Duration::from_millis))
        }
    };
    parsed.filter(|time| is_in_range(*time)).ok_or_else(|| invalid(value))
}

fn read_breaker(node: &Node) -> Result<BreakerSettings, ConfigError> {
    const FAILURES: &str = "failures";
    const HALF_OPEN_AFTER: &str = "half_open_after";
    let mut settings = BreakerSettings::default();
    let Some(section) = node.get("breaker") else { return Ok(settings) };
    let NodeKind::Map(entries) = &section.kind else {
        return Err(wrong(section, "a mapping of `failures` and `half_open_after`"));
    };
    for (key, value) in entries {
        let invalid = |what: &str, help: &str| {
            ConfigError::at(Code::Invalid, value.span, what.to_owned()).help(help.to_owned())
        };
        match key.name.as_str() {
            FAILURES => {
                let failures = value.text().and_then(|text| text.parse().ok());
                settings.failures = failures
                    .ok_or_else(|| invalid("not a number of failures, from 1 on", "write `failures: 5`"))?;
            }
            HALF_OPEN_AFTER => {
                let pause = value.text().and_then(parse_duration).filter(|pause| is_in_range(*pause));
                settings.half_open_after = pause.ok_or_else(|| {
                    invalid("not a length of time between 1 ms and 1 h", "write `half_open_after: 60s`")
                })?;
            }
            other => {
                let known = [FAILURES, HALF_OPEN_AFTER];
                let help = did_you_mean(other, known)
                    .unwrap_or_else(|| format!("known here: {}", and_ticked(known)));
                return Err(ConfigError::at(Code::UnknownField, key.span, format!("unknown key `{other}`"))
                    .help(help));
            }
        }
    }
    Ok(settings)
}

pub(super) fn is_in_range(time: Duration) -> bool {
    !time.is_zero() && time <= Duration::from_secs(3600)
}

/// Reads `500ms`, `30s`, `5m`, `1h`, or a plain number of seconds.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    match unit.trim() {
        "ms" => Some(Duration::from_millis(number)),
        "" | "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        "h" => number.checked_mul(3600).map(Duration::from_secs),
        _ => None,
    }
}

/// Finds stores whose credentials come from each other.
fn check_cycles(stores: &IndexMap<String, Store>, errors: &mut Vec<ConfigError>) {
    let mut settled = std::collections::HashSet::new();
    for name in stores.keys() {
        let mut path = Vec::new();
        walk(name, stores, &mut path, &mut settled, errors);
    }
}

fn walk<'a>(
    name: &'a str,
    stores: &'a IndexMap<String, Store>,
    path: &mut Vec<&'a str>,
    settled: &mut std::collections::HashSet<&'a str>,
    errors: &mut Vec<ConfigError>,
) {
    let Some(store) = stores.get(name) else { return };
    if settled.contains(name) {
        return;
    }
    path.push(name);
    for credential in &store.credentials {
        let Some(StoreName::Named(next)) = credential.reference.ready().map(|reference| &reference.store)
        else {
            continue;
        };
        match path.iter().position(|seen| seen == next) {
            Some(start) => {
                let round = path.get(start..).unwrap_or_default().join("` → `");
                errors.push(
                    ConfigError::at(
                        Code::CredentialCycle,
                        credential.span,
                        format!("the credentials of these stores come from each other: `{round}` → `{next}`"),
                    )
                    .help("take one of the credentials from the environment: `${NAME}`"),
                );
            }
            None => walk(next, stores, path, settled, errors),
        }
    }
    path.pop();
    settled.insert(name);
}

impl From<DecodeError> for ConfigError {
    fn from(error: DecodeError) -> Self {
        let (code, help) = match &error.kind {
            DecodeErrorKind::UnknownField { field, expected } => {
                let near = did_you_mean(field, expected.iter().copied());
                let help =
                    near.unwrap_or_else(|| format!("known here: {}", and_ticked(expected.iter().copied())));
                (Code::UnknownField, Some(help))
            }
            DecodeErrorKind::UnsetVariable(_) => (Code::UnsetVariable, None),
            DecodeErrorKind::Unreadable => (Code::CredentialFile, None),
            DecodeErrorKind::Null => {
                let help = "give it a value, `\"\"` for an empty text, or take the key out";
                (Code::NullValue, Some(help.to_owned()))
            }
            DecodeErrorKind::WrongType => (Code::WrongType, None),
            DecodeErrorKind::MissingField => (Code::MissingField, None),
            DecodeErrorKind::Invalid => (Code::Invalid, None),
        };
        let config = Self::new(code, error.message).maybe_help(error.help.or(help));
        match error.span {
            Some(span) => config.label(span, ""),
            None => config,
        }
    }
}
