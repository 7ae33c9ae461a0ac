//! From a path to a checked file: discovery, reading, and every mistake in one report.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dsops_providers::contract::{
    Key, Locator, LocatorPart, NoExpansion, Node, NodeKind, Scalar, Span, decode,
};
use indexmap::IndexMap;

use super::environments::{Reader, read_chain};
use super::error::{Code, ConfigError, Report, Source, Warning};
use super::expand::Inspector;
use super::model::{Config, Environment, Origin, ReferenceAt, Store, Variable};
use super::policies::{self, Policies};
use super::shape::{FileShape, FromShape, PoliciesShape};
use super::{agents, helpers, redact, schema, stores, yaml};
use crate::reference::{Reference, StoreName};
use crate::suggest::{and_ticked, did_you_mean};
use crate::transform::Chain;

/// The name of the file.
pub const FILE_NAME: &str = "dsops.yaml";

/// Finds `dsops.yaml` in a directory or the nearest parent. The search ends at a directory with
/// `.git` in it and at the home directory, so that a stranger's file further up is never used.
///
/// # Errors
///
/// `dsops::config::not_found`, and `dsops::config::unreadable` for a file that a stranger may have put there.
pub fn discover(start: &Path, home: Option<&Path>) -> Result<PathBuf, ConfigError> {
    for dir in start.ancestors() {
        let candidate = dir.join(FILE_NAME);
        if candidate.is_file() {
            return check_trust(candidate);
        }
        if dir.join(".git").exists() || Some(dir) == home {
            break;
        }
    }
    Err(ConfigError::new(Code::NotFound, format!("no `{FILE_NAME}` in `{}` or its parents", start.display()))
        .help("make one with `dsops init`, or name another with `--config`"))
}

/// Refuses a file of somebody else in a directory where everybody can write, such as `/tmp`: a file names
/// programs that run and servers that get credentials.
#[cfg(unix)]
fn check_trust(found: PathBuf) -> Result<PathBuf, ConfigError> {
    use std::os::unix::fs::MetadataExt as _;
    let dir = found.parent().and_then(|dir| std::fs::metadata(dir).ok());
    let (Ok(file), Some(dir)) = (std::fs::symlink_metadata(&found), dir) else { return Ok(found) };
    if is_trusted(file.uid(), dir.mode(), nix::unistd::geteuid().as_raw()) {
        return Ok(found);
    }
    let message =
        format!("`{}` belongs to somebody else, and everybody can write to its directory", found.display());
    Err(ConfigError::new(Code::Unreadable, message)
        .help("read it, and name it with `--config` to use it all the same"))
}

#[cfg(not(unix))]
fn check_trust(found: PathBuf) -> Result<PathBuf, ConfigError> {
    Ok(found)
}

/// Says whether a file of this owner, in a directory of this mode, was put there by the caller or by root.
#[cfg(unix)]
fn is_trusted(owner: u32, dir_mode: u32, me: u32) -> bool {
    owner == me || owner == 0 || dir_mode & 0o002 == 0
}

/// Reads and checks a file.
///
/// # Errors
///
/// All its mistakes.
pub fn load(path: &Path) -> Result<Config, Report> {
    let fail = |text: &str, error| Report { source_text: Source::new(path, text), errors: vec![error] };
    let bytes = read(path).map_err(|error| fail("", error))?;
    match String::from_utf8(bytes) {
        Ok(text) => load_text(path, text),
        Err(error) => {
            // Up to the byte at fault nothing is replaced, so that its place is the one in the file.
            let at = Span { start: error.utf8_error().valid_up_to(), len: 1 };
            let text = String::from_utf8_lossy(error.as_bytes());
            Err(fail(&text, ConfigError::at(Code::Syntax, at, "not UTF-8").help("save the file as UTF-8")))
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ConfigError> {
    let shown = path.display();
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => ConfigError::new(Code::NotFound, format!("there is no `{shown}`"))
            .help("make one with `dsops init`, or name another with `--config`"),
        std::io::ErrorKind::IsADirectory => {
            ConfigError::new(Code::Unreadable, format!("`{shown}` is a directory"))
                .help(format!("name the file: `{}`", path.join(FILE_NAME).display()))
        }
        _ => ConfigError::new(Code::Unreadable, format!("`{shown}` cannot be read: {error}"))
            .help("see the permissions of the file and its directories"),
    };
    let file = std::fs::File::open(path).map_err(failed)?;
    // A pipe or a device tells no size, and may never end.
    let limit = yaml::MAX_BYTES as u64;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > yaml::MAX_BYTES {
        let message = format!("`{shown}` has over {limit} bytes, which is the limit");
        return Err(
            ConfigError::new(Code::TooLarge, message).help("see whether it is the right file, or split it")
        );
    }
    Ok(bytes)
}

/// Checks the text of a file.
///
/// # Errors
///
/// All its mistakes.
pub fn load_text(path: &Path, text: String) -> Result<Config, Report> {
    let source = Source::new(path, text);
    let fail = |errors: Vec<ConfigError>| Report { source_text: source.clone(), errors };
    let root =
        yaml::parse(&source.text).map_err(|errors| fail(errors.into_iter().map(yaml_error).collect()))?;
    if matches!(root.kind, NodeKind::Null) {
        let error = ConfigError::new(Code::Empty, format!("`{}` is empty", path.display()));
        return Err(fail(vec![error.help(
            "start with `envs: {dev: {GREETING: {literal: hello}}}`, or remove it and run `dsops init`",
        )]));
    }
    let mut errors = Vec::new();
    let config = read_root(&root, &source, &mut errors);
    if errors.is_empty() {
        return Ok(config);
    }
    let errors = complete(&root, errors).into_iter().map(|error| without_value(&source.text, &root, error));
    Err(fail(errors.collect()))
}

/// Adds the mistakes in shape that the decoder stopped before, and puts all in the file's order.
fn complete(root: &Node, mut errors: Vec<ConfigError>) -> Vec<ConfigError> {
    // What an error is about is its first label; the schema sees many that decoding saw already.
    let place = |error: &ConfigError| error.labels.first().map(|label| label.span.start);
    // A reference that is wrong as a whole says what its keys should be.
    let covers = |known: &ConfigError, start: usize| {
        known.code == Code::ReferenceSyntax
            && known.labels.first().is_some_and(|label| {
                let span = label.span;
                (span.start..span.start + span.len).contains(&start)
            })
    };
    for error in schema::check(root) {
        let repeats = |known: &ConfigError| {
            place(known) == place(&error) || place(&error).is_some_and(|start| covers(known, start))
        };
        if !errors.iter().any(repeats) {
            errors.push(error);
        }
    }
    errors.sort_by_key(place);
    errors.dedup_by(|a, b| a.labels == b.labels && a.message == b.message);
    errors
}

/// Takes the name out of an error about a key that may be a value: `{literal:value}`.
fn without_value(text: &str, root: &Node, error: ConfigError) -> ConfigError {
    let Some(label) = error.labels.first().filter(|_| error.code == Code::UnknownField) else { return error };
    let lone = key_at(root, label.span).filter(|(key, node)| redact::is_lone(text, key, node));
    match lone {
        Some((key, _)) => ConfigError::at(Code::UnknownField, key.span, "a key without a value")
            .help("write `key: value`, with a space behind the colon"),
        None => error,
    }
}

fn key_at(node: &Node, span: Span) -> Option<(&Key, &Node)> {
    let found = node.entries().iter().find(|(key, _)| key.span == span);
    match (found, &node.kind) {
        (Some((key, node)), _) => Some((key, node)),
        (None, NodeKind::List(items)) => items.iter().find_map(|item| key_at(item, span)),
        (None, _) => node.entries().iter().find_map(|(_, node)| key_at(node, span)),
    }
}

fn yaml_error(error: yaml::YamlError) -> ConfigError {
    match error.first {
        Some(first) => ConfigError::at(Code::DuplicateKey, error.span, error.message)
            .label(first, "the first")
            .help("take one of them out; which one is meant cannot be known"),
        None => {
            ConfigError::at(Code::Syntax, error.span, error.message).maybe_help(error.help.map(str::to_owned))
        }
    }
}

fn read_root(root: &Node, source: &Source, errors: &mut Vec<ConfigError>) -> Config {
    if let Err(error) = decode::<FileShape>(root, &NoExpansion) {
        errors.push(error.into());
    }
    check_version(root, errors);
    let mut warnings: Vec<Warning> = ["services", "notifications", "metrics", "templates"]
        .into_iter()
        .filter_map(|name| root.entries().iter().find(|(key, _)| key.name == name))
        .map(|(key, _)| Warning { message: format!("`{}` has no effect yet", key.name), span: key.span })
        .collect();
    let stores::Stores { stores, warnings: more } = stores::read(root, errors);
    warnings.extend(more);
    let chains = read_chains(root, errors);
    let mut reader = Reader { chains: &chains, errors, warnings: &mut warnings };
    let environments = root.get("envs").map(|node| reader.again().read(node)).unwrap_or_default();
    let agents = agents::read(root, &environments, reader.again());
    let helpers = helpers::read(root, reader);
    let policies = read_policies(root, errors);
    let rules = root.get("policies").and_then(|policies| policies.get("environment_rules"));
    for (key, _) in rules.into_iter().flat_map(Node::entries) {
        if root.get("envs").is_none_or(|envs| envs.get(&key.name).is_none()) {
            // Rules for nobody would give false comfort.
            let known = root.get("envs").map(Node::entries).unwrap_or_default();
            let known = || known.iter().map(|(key, _)| key.name.as_str());
            let help = did_you_mean(&key.name, known())
                .unwrap_or_else(|| format!("the file has {}", and_ticked(known())));
            let message = format!("no environment is named `{}`, so these rules hold nowhere", key.name);
            errors.push(ConfigError::at(Code::UnknownEnvironment, key.span, message).help(help));
        }
    }
    let config = Config { source: source.clone(), stores, environments, agents, helpers, policies, warnings };
    let broken = root.get("secretStores").into_iter().chain(root.get("providers")).flat_map(Node::entries);
    // A store that could not be read has been reported; its references would only repeat that.
    let named: Vec<&str> = broken.map(|(key, _)| key.name.as_str()).collect();
    check_references(&config, &named, errors);
    config
}

/// Returns a variable that is just a reference, for one that is given outside the file.
///
/// # Errors
///
/// Where the text is no reference.
pub fn variable_of_reference(text: &str) -> Result<Variable, ConfigError> {
    let span = Span { start: 0, len: 0 };
    let node = Node { span, kind: NodeKind::Scalar(Scalar { text: text.to_owned(), plain: true }) };
    let reference = ReferenceAt::read(&node, FromShape::Text(text.to_owned()))
        .map_err(|error| ConfigError { labels: Vec::new(), ..error })?;
    Ok(Variable::of_reference(text.to_owned(), span, reference))
}

fn check_version(root: &Node, errors: &mut Vec<ConfigError>) {
    if let Some(node) = root.get("version")
        && let Some(text) = node.text()
        && !matches!(text, "0" | "1")
    {
        errors.push(
            ConfigError::at(Code::Version, node.span, format!("version `{text}` is not known here"))
                .help("write `version: 1`, or take a newer dsops"),
        );
    }
}

fn read_chains(root: &Node, errors: &mut Vec<ConfigError>) -> HashMap<String, Chain> {
    let mut chains = HashMap::new();
    for (key, node) in root.get("transforms").into_iter().flat_map(Node::entries) {
        // A chain may use those above it; with those below it there could be a circle.
        let chain = read_chain(node, &|name| chains.get(name).cloned(), errors);
        chains.insert(key.name.clone(), chain.unwrap_or_default());
    }
    chains
}

fn read_policies(root: &Node, errors: &mut Vec<ConfigError>) -> Policies {
    let Some(node) = root.get("policies") else { return Policies::default() };
    let unenforced = policies::unenforced(node);
    if !unenforced.is_empty() {
        errors.extend(unenforced);
        return Policies::default();
    }
    let policies = decode::<PoliciesShape>(node, &NoExpansion)
        .map_err(|error| vec![ConfigError::from(error)])
        .and_then(|shape| Policies::read(node, shape));
    policies.unwrap_or_else(|found| {
        errors.extend(found);
        Policies::default()
    })
}

/// Checks every reference of the file against its store: that the store is there and that it can
/// use each part. All locators of a store are checked in one go, since its options decode once.
fn check_references(config: &Config, named: &[&str], errors: &mut Vec<ConfigError>) {
    let mut by_store: IndexMap<&str, Vec<(Locator, Span)>> = IndexMap::new();
    let variables = config.environments.values().flat_map(|environment| environment.variables.values());
    let aliases = config.agents.values().flat_map(|agent| agent.ids.values());
    let variables = variables.chain(aliases).chain(config.helpers.variables());
    // Environments that extend each other share their variables; each is checked once.
    let mut seen = std::collections::HashSet::new();
    let own = variables.filter(|variable| seen.insert(Arc::as_ptr(variable)));
    let of_variables = own.flat_map(|variable| {
        let from = match &variable.origin {
            Origin::Reference(reference) => Some(reference),
            Origin::Literal(_) => None,
        };
        from.into_iter().chain(&variable.fallback)
    });
    let of_stores =
        config.stores.values().flat_map(|store| &store.credentials).map(|credential| &credential.reference);
    for reference in of_stores.chain(of_variables) {
        let Some(ready) = reference.ready() else { continue };
        match find_store(config, named, ready, reference.span) {
            Ok(Some(store)) => {
                by_store.entry(&store.name).or_default().push((ready.locator.clone(), reference.span));
            }
            Ok(None) => {}
            Err(error) => errors.push(error),
        }
    }
    for (name, locators) in by_store {
        if let Some(store) = config.stores.get(name) {
            check_locators(store, locators, errors);
        }
    }
    for import in config.environments.values().flat_map(|environment| &environment.imports) {
        if let Err(error) = config.check_import(import, named) {
            errors.push(error);
        }
    }
}

fn find_store<'a>(
    config: &'a Config,
    named: &[&str],
    reference: &Reference,
    span: Span,
) -> Result<Option<&'a Store>, ConfigError> {
    match config.store_of(reference, span) {
        Ok(store) => Ok(Some(store)),
        Err(error) => match &reference.store {
            StoreName::Named(name) if named.contains(&name.as_str()) => Ok(None),
            _ => Err(error),
        },
    }
}

fn check_locators(store: &Store, places: Vec<(Locator, Span)>, errors: &mut Vec<ConfigError>) {
    let (locators, spans): (Vec<_>, Vec<_>) = places.into_iter().unzip();
    let accepted = (store.descriptor.accept)(&store.options, &Inspector::default(), &locators);
    let own = accepted.unwrap_or_else(|_| locators.iter().map(|_| Ok(())).collect());
    for ((locator, span), own) in locators.iter().zip(spans).zip(own) {
        if let Err(error) = check_parts(store, locator, span) {
            errors.push(error);
        } else if let Err(error) = own {
            let code = match error.part {
                LocatorPart::Version => Code::VersionUnsupported,
                LocatorPart::Field => Code::FieldUnsupported,
                LocatorPart::Path => Code::ReferenceInvalid,
            };
            errors.push(ConfigError::at(code, span, error.message).maybe_help(error.help));
        }
    }
}

fn check_parts(store: &Store, locator: &Locator, span: Span) -> Result<(), ConfigError> {
    let parts = store.descriptor.about.parts;
    let refuse = |code, part: &str, name: &str| {
        let message =
            format!("a store of type `{}` has no {part}s, and would ignore `{name}`", store.descriptor.kind);
        Err(ConfigError::at(code, span, message).help(format!("take the {part} out of the reference")))
    };
    match (&locator.version, &locator.field) {
        (Some(version), _) if !parts.versions => refuse(Code::VersionUnsupported, "version", version),
        (_, Some(field)) if !parts.fields => refuse(Code::FieldUnsupported, "field", field),
        _ => Ok(()),
    }
}

impl Config {
    /// Returns the store that a reference means. The span is the reference's.
    ///
    /// # Errors
    ///
    /// `dsops::reference::unknown_store`.
    pub fn store_of(&self, reference: &Reference, span: Span) -> Result<&Store, ConfigError> {
        match &reference.store {
            StoreName::Named(name) => self.stores.get(name).ok_or_else(|| self.unknown_store(name, span)),
            StoreName::OnePassword => {
                let mut stores =
                    self.stores.values().filter(|store| store.descriptor.answers_to("onepassword"));
                match (stores.next(), stores.next()) {
                    (Some(store), None) => Ok(store),
                    (first, _) => {
                        let count = if first.is_some() { "several stores are" } else { "no store is" };
                        let message =
                            format!("`op://` means the one store of type `onepassword`, and {count}");
                        Err(ConfigError::at(Code::UnknownStore, span, message)
                            .help("name the store: `{store: name, vault: …, item: …, field: …}`"))
                    }
                }
            }
        }
    }

    pub(super) fn unknown_store(&self, name: &str, span: Span) -> ConfigError {
        let known = || self.stores.keys().map(String::as_str);
        let help = did_you_mean(name, known()).unwrap_or_else(|| match self.stores.len() {
            0 => "add it under `secretStores`".to_owned(),
            _ => format!("the file has {}", and_ticked(known())),
        });
        // The name is where a one-line reference starts, perhaps behind a quote or a scheme.
        let text = self.source.text.get(span.start..span.start + span.len).unwrap_or_default();
        let place = text.find(name).map_or(span, |offset| span.part(offset, name.len()));
        ConfigError::new(Code::UnknownStore, format!("no store is named `{name}`"))
            .label(place, "not under secretStores")
            .help(help)
    }

    /// Checks a variable that does not stand in the file, as loading checks those that do.
    ///
    /// # Errors
    ///
    /// Where its store is not there, or cannot use a part of the reference.
    pub fn check_variable(&self, variable: &Variable) -> Result<(), ConfigError> {
        match &variable.origin {
            Origin::Reference(reference) => {
                reference.ready().map_or(Ok(()), |ready| self.check_expanded(reference, ready))
            }
            Origin::Literal(_) => Ok(()),
        }
    }

    /// Checks a reference that held `${…}`, now that it is known.
    pub(crate) fn check_expanded(
        &self,
        reference: &ReferenceAt,
        ready: &Reference,
    ) -> Result<(), ConfigError> {
        // What the environment holds may be a value, where somebody took `${NAME}` for one: it is not told.
        let store = self.store_of(ready, reference.span).map_err(|error| match ready.store {
            StoreName::OnePassword => error,
            StoreName::Named(_) => {
                let message = "what `${…}` comes to here starts with the name of no store";
                let help = "write the store's name in front; for the value of `NAME` itself, add a store of type \
                            `env` and write `from: env/NAME`";
                ConfigError::at(Code::UnknownStore, reference.span, message).help(help)
            }
        })?;
        let mut errors = Vec::new();
        check_locators(store, vec![(ready.locator.clone(), reference.span)], &mut errors);
        errors.into_iter().next().map_or(Ok(()), Err)
    }

    /// Returns the environment of a name.
    ///
    /// # Errors
    ///
    /// `dsops::config::unknown_environment`, with those there are.
    pub fn environment(&self, name: &str) -> Result<&Environment, ConfigError> {
        self.environments.get(name).ok_or_else(|| {
            let known = || self.environments.keys().map(String::as_str);
            let list = format!("the file has {}", and_ticked(known()));
            let help = match did_you_mean(name, known()) {
                Some(near) => format!("{near} {list}"),
                None if self.environments.is_empty() => "add it under `envs`".to_owned(),
                None => list,
            };
            ConfigError::new(Code::UnknownEnvironment, format!("no environment is named `{name}`")).help(help)
        })
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_file_is_trusted_only_where_strangers_cannot_write() {
        assert!(is_trusted(1000, 0o040_1777, 1000), "one's own");
        assert!(is_trusted(0, 0o040_1777, 1000), "root's");
        assert!(is_trusted(1001, 0o040_755, 1000), "a checkout of another user");
        for me in [0, 1000] {
            assert!(!is_trusted(1001, 0o040_1777, me), "in /tmp, as {me}");
        }
    }
}
