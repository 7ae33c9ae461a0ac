//! What a file means once it has been checked.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use dsops_providers::contract::{DecodeError, Descriptor, EnvSnapshot, ListQuery, Node, SecretValue, Span};
use indexmap::IndexMap;

use super::agents::Agent;
use super::error::{Code, ConfigError, Source, Warning};
use super::expand::{self, Expander, OpenText};
use super::helpers::Helpers;
use super::imports::Choices;
use super::policies::Policies;
use super::shape::{FromParts, FromShape};
use crate::reference::{Reference, ReferenceError};

/// A checked file.
#[derive(Debug)]
pub struct Config {
    /// The text, for reports.
    pub source: Source,
    /// The stores by name, in the order of the file.
    pub stores: IndexMap<String, Store>,
    /// The environments by name, in the order of the file, with what they extend already in them.
    pub environments: IndexMap<String, Environment>,
    /// What programs may ask for that run dsops to fetch secrets, by profile.
    pub agents: IndexMap<String, Agent>,
    /// What the credential helpers give.
    pub helpers: Helpers,
    /// What is allowed.
    pub policies: Policies,
    /// What should be known and stops nothing.
    pub warnings: Vec<Warning>,
}

/// A configured store, not opened yet.
#[derive(Debug)]
pub struct Store {
    /// Its name in the file.
    pub name: String,
    /// Where the name stands.
    pub span: Span,
    /// Where its type stands.
    pub type_span: Span,
    /// Its backend.
    pub descriptor: &'static Descriptor,
    /// Its options, without those that the engine reads itself.
    pub options: Node,
    /// The time that it may take in one run, retries included.
    pub timeout: Duration,
    /// Whether the token that a login gives is kept for the next run.
    pub token_cache: bool,
    /// When a program that resolves again and again leaves the store alone.
    pub breaker: BreakerSettings,
    /// The credentials that come from other stores.
    pub credentials: Vec<StoreCredential>,
    /// The variables that its credential options name. They are taken out of the child.
    pub credential_env: BTreeSet<String>,
    /// The options that name variables.
    pub open_texts: Vec<OpenText>,
}

impl Store {
    /// Finds the variables that the options name and that are not set, all of them.
    #[must_use]
    pub fn unset(&self, env: &EnvSnapshot) -> Vec<ConfigError> {
        let expander = Expander::new(env);
        let texts = self.open_texts.iter();
        texts.filter_map(|open| expander.expand(&open.raw, open.span).err()).map(ConfigError::from).collect()
    }
}

/// When a store that keeps failing is left alone, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// After how many resolves in a row that the store was not there for.
    pub failures: NonZeroU32,
    /// After how long one try finds out whether it is back.
    pub half_open_after: Duration,
}

impl Default for BreakerSettings {
    /// Five failures, and one minute.
    fn default() -> Self {
        let failures = NonZeroU32::MIN.saturating_add(4);
        Self { failures, half_open_after: Duration::from_secs(60) }
    }
}

/// A credential of a store that another store holds.
#[derive(Debug)]
pub struct StoreCredential {
    /// The place of the whole `{from: …}`, by which the options find it.
    pub span: Span,
    /// The reference.
    pub reference: ReferenceAt,
}

/// One environment.
#[derive(Debug)]
pub struct Environment {
    /// Its name.
    pub name: String,
    /// Where the name stands.
    pub span: Span,
    /// The folders whose keys become variables.
    pub imports: Vec<Import>,
    /// The variables, in the order of the file, those it extends first.
    pub variables: IndexMap<String, Arc<Variable>>,
}

/// A folder whose every key becomes a variable.
#[derive(Clone, Debug)]
pub struct Import {
    /// The store's name.
    pub store: String,
    /// The folder, and what of it.
    pub query: ListQuery,
    /// Put before each key.
    pub prefix: String,
    /// Whether the folder may be absent.
    pub optional: bool,
    /// Where the store and folder stand.
    pub span: Span,
    pub(super) choices: Choices,
}

/// One variable.
#[derive(Debug)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Where the name stands.
    pub span: Span,
    /// Where its value comes from.
    pub origin: Origin,
    /// Where to look next when the value is absent.
    pub fallback: Vec<ReferenceAt>,
    /// The value to use when it is absent everywhere.
    pub default: Option<Arc<SecretValue>>,
    /// Whether it may be absent.
    pub optional: bool,
    /// Whether an empty value is refused.
    pub non_empty: bool,
    /// Whether it is taken out of output that is masked.
    pub mask: bool,
    /// What is done to the value.
    pub transform: crate::transform::Chain,
    /// The file that the command gets it in, where it is not the variable itself.
    pub file: Option<FileOptions>,
}

impl Variable {
    /// Returns a variable that is just a reference.
    pub(super) fn of_reference(name: String, span: Span, reference: ReferenceAt) -> Self {
        Self {
            name,
            span,
            origin: Origin::Reference(reference),
            fallback: Vec::new(),
            default: None,
            optional: false,
            non_empty: false,
            mask: true,
            transform: crate::transform::Chain::default(),
            file: None,
        }
    }
}

/// The file that a command gets a value in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileOptions {
    /// The permissions: owner-readable, and writable by nobody but the owner.
    pub mode: u32,
    /// The name in a directory.
    pub name: String,
}

impl FileOptions {
    /// Returns the permissions as `dsops.yaml` writes them: `0400`.
    #[must_use]
    pub fn mode_text(&self) -> String {
        format!("{:04o}", self.mode)
    }
}

/// Where a variable's value comes from.
#[derive(Debug)]
pub enum Origin {
    /// The file itself.
    Literal(Arc<SecretValue>),
    /// A store.
    Reference(ReferenceAt),
}

/// A reference with its place.
#[derive(Clone, Debug)]
pub struct ReferenceAt {
    /// Where it stands.
    pub span: Span,
    target: Target,
}

#[derive(Clone, Debug)]
enum Target {
    Ready(Reference),
    /// It holds `${…}`, which means something only once the environment is known.
    Deferred(Box<(FromShape, Node)>),
}

impl ReferenceAt {
    /// Reads a reference; one with `${…}` is read again when it is used.
    pub(super) fn read(node: &Node, shape: FromShape) -> Result<Self, ConfigError> {
        let deferred = shape.texts().any(|text| !expand::names(text).is_empty());
        let target = if deferred {
            Target::Deferred(Box::new((shape, node.clone())))
        } else {
            // `$$` is a dollar in references without names too.
            let plain = shape.map(&|text| Ok(text.replace("$$", "$")))?;
            Target::Ready(plain.reference().map_err(|(part, error)| located(node, part, &error))?)
        };
        Ok(Self { span: node.span, target })
    }

    /// Returns the reference where it holds no `${…}`.
    #[must_use]
    pub fn ready(&self) -> Option<&Reference> {
        match &self.target {
            Target::Ready(reference) => Some(reference),
            Target::Deferred(_) => None,
        }
    }

    /// Returns the names of the variables that it names as `${NAME}`.
    #[must_use]
    pub fn variables(&self) -> Vec<&str> {
        match &self.target {
            Target::Ready(_) => Vec::new(),
            Target::Deferred(deferred) => deferred.0.texts().flat_map(expand::variables_in).collect(),
        }
    }

    /// Returns the reference, expanded.
    ///
    /// # Errors
    ///
    /// Where a name is not set, or what comes out is no reference.
    pub fn expand(&self, expander: &Expander<'_>) -> Result<Reference, ConfigError> {
        match &self.target {
            Target::Ready(reference) => Ok(reference.clone()),
            Target::Deferred(deferred) => {
                let (shape, node) = deferred.as_ref();
                let expanded = shape.map(&|text| expander.expand(text, span_of(node, text)))?;
                expanded.reference().map_err(|(part, error)| filled_in(node, part, &error))
            }
        }
    }
}

fn span_of(node: &Node, text: &str) -> Span {
    let parts = node.entries().iter().map(|(_, part)| part);
    parts.chain([node]).find(|part| part.text() == Some(text)).map_or(node.span, |part| part.span)
}

/// Places an error in a text that stands in the file only before its `${…}` are filled in.
fn filled_in(node: &Node, part: Option<&str>, error: &ReferenceError) -> ConfigError {
    let culprit = part.and_then(|part| node.get(part)).unwrap_or(node);
    let message = format!("{}, once `${{…}}` is filled in", error.message);
    ConfigError::at(Code::ReferenceSyntax, culprit.span, message).maybe_help(error.help.clone())
}

/// Places an error inside the part of the mapping, and inside the text, where it lies.
fn located(node: &Node, part: Option<&str>, error: &ReferenceError) -> ConfigError {
    let culprit = part.and_then(|part| node.get(part)).unwrap_or(node);
    let span = match culprit.text() {
        // Where the text stands in the file as it is, perhaps in quotes, its parts can be shown.
        Some(text) if text.len() == culprit.span.len => culprit.span.part(error.offset, error.len),
        Some(text) if text.len() + 2 == culprit.span.len => culprit.span.part(error.offset + 1, error.len),
        _ => culprit.span,
    };
    ConfigError::at(Code::ReferenceSyntax, span, error.message.clone()).maybe_help(error.help.clone())
}

type PartError = (Option<&'static str>, ReferenceError);

impl FromShape {
    fn texts(&self) -> impl Iterator<Item = &str> {
        let (text, parts) = match self {
            Self::Text(text) => (Some(text.as_str()), None),
            Self::Parts(parts) => (None, Some(parts)),
        };
        text.into_iter().chain(parts.into_iter().flat_map(|parts| parts.texts()))
    }

    fn map(&self, change: &dyn Fn(&str) -> Result<String, DecodeError>) -> Result<Self, DecodeError> {
        let some = |part: &Option<String>| part.as_deref().map(change).transpose();
        Ok(match self {
            Self::Text(text) => Self::Text(change(text)?),
            Self::Parts(parts) => Self::Parts(Box::new(FromParts {
                store: some(&parts.store)?,
                provider: some(&parts.provider)?,
                key: some(&parts.key)?,
                name: some(&parts.name)?,
                path: some(&parts.path)?,
                field: some(&parts.field)?,
                version: some(&parts.version)?,
                vault: some(&parts.vault)?,
                item: some(&parts.item)?,
                service: some(&parts.service)?,
            })),
        })
    }

    /// Turns any of the forms into the one reference. The error names the part at fault.
    fn reference(&self) -> Result<Reference, PartError> {
        match self {
            Self::Text(text) => Reference::parse(text).map_err(|error| (None, error)),
            Self::Parts(parts) => parts.reference(),
        }
    }
}

impl FromParts {
    fn texts(&self) -> impl Iterator<Item = &str> {
        [
            &self.store,
            &self.provider,
            &self.key,
            &self.name,
            &self.path,
            &self.field,
            &self.version,
            &self.vault,
            &self.item,
            &self.service,
        ]
        .into_iter()
        .filter_map(Option::as_deref)
    }

    fn reference(&self) -> Result<Reference, PartError> {
        if self.service.is_some() {
            return Err(whole("a service holds no secrets", "name a store: `{store: name, key: KEY}`"));
        }
        let (part, store) = match (&self.store, &self.provider) {
            (Some(store), None) => ("store", store),
            (None, Some(provider)) => ("provider", provider),
            (Some(_), Some(_)) => return Err(whole("both `store` and `provider`", "keep `store`")),
            (None, None) => return Err(whole("a reference without a store", "add `store: name`")),
        };
        let mut reference = match self.tail()? {
            Some((key_part, tail)) => Reference::from_parts(store, &tail).map_err(|error| {
                let part = if crate::reference::parse_name(store).is_err() { part } else { key_part };
                (Some(part), error)
            })?,
            None => Reference::parse(store).map_err(|error| (Some(part), error))?,
        };
        set_once(&mut reference.locator.field, self.field_part(), "field")?;
        set_once(&mut reference.locator.version, self.version.as_deref(), "version")?;
        Ok(reference)
    }

    /// Returns the path within the store and the part that gave it, or none where `store` has it all.
    fn tail(&self) -> Result<Option<(&'static str, String)>, PartError> {
        match (&self.vault, &self.item) {
            (Some(vault), Some(item)) => {
                if self.key.is_some() || self.name.is_some() || self.path.is_some() {
                    return Err(whole("`vault` and `item` beside another key", "keep one way of naming it"));
                }
                return Ok(Some(("item", format!("{vault}/{item}"))));
            }
            (None, None) => {}
            _ => return Err(whole("`vault` and `item` belong together", "give both")),
        }
        match (&self.path, &self.key, &self.name) {
            // With a path, the key is what is picked from it.
            (Some(path), _, None) => Ok(Some(("path", path.clone()))),
            (None, Some(key), None) => Ok(Some(("key", key.clone()))),
            (None, None, Some(name)) => Ok(Some(("name", name.clone()))),
            (None, None, None) => Ok(None),
            _ => Err(whole("several of `key`, `name` and `path`", "keep one of them")),
        }
    }

    fn field_part(&self) -> Option<&str> {
        let picked = self.path.is_some().then_some(self.key.as_deref()).flatten();
        self.field.as_deref().or(picked)
    }
}

fn whole(message: &str, help: &str) -> PartError {
    let help = Some(help.to_owned());
    (None, ReferenceError { message: message.to_owned(), offset: 0, len: usize::MAX, help })
}

fn set_once(slot: &mut Option<String>, part: Option<&str>, name: &'static str) -> Result<(), PartError> {
    match (slot.is_some(), part) {
        (_, None) => Ok(()),
        (_, Some("")) => {
            let error =
                ReferenceError { message: format!("`{name}` is empty"), offset: 0, len: 0, help: None };
            Err((Some(name), error))
        }
        (true, Some(part)) => {
            let message = format!("the {name} is given twice");
            Err((Some(name), ReferenceError { message, offset: 0, len: part.len(), help: None }))
        }
        (false, Some(part)) => {
            *slot = Some(part.to_owned());
            Ok(())
        }
    }
}
