//! What one backend declares about itself, and its erased form.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{
    Access, Context, DecodeError, EnvSnapshot, Expand, FetchError, ListQuery, Listings, Locator, Node,
    Provider, decode,
};

/// Which parts of a reference the store can use. A part that it cannot use is an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Parts {
    /// Whether what stands before the last slash is a folder, which can be listed and imported.
    pub folders: bool,
    /// Whether `#field` picks a part of what a path holds.
    pub fields: bool,
    /// Whether `@vN` (or `version`) picks a version.
    pub versions: bool,
}

/// What a person should know about a backend.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// The name as people write it: `Infisical`.
    pub title: &'static str,
    /// One line for tables: lowercase, no full stop.
    pub summary: &'static str,
    /// The parts of a reference that it can use.
    pub parts: Parts,
    /// Environment variables that are this backend's own and are taken out of the child.
    pub own_env: &'static [&'static str],
    /// The store's section, as `init` writes it: YAML lines below the store's name, unindented,
    /// starting with `type:`.
    pub example: &'static str,
    /// The README of the backend's folder, for the generated page.
    pub readme: &'static str,
}

/// A way to log in.
#[derive(Clone, Copy, Debug)]
pub struct AuthMethod {
    /// As in `auth.method`.
    pub name: &'static str,
    /// One line: what it is and when to use it.
    pub summary: &'static str,
    /// The options that it needs.
    pub needs: &'static [&'static str],
}

/// What a batch will cost, known without asking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Logins, each of which is a request too.
    pub logins: usize,
    /// Requests besides logins.
    pub requests: usize,
    /// Outside programs.
    pub processes: usize,
}

impl std::ops::Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            logins: self.logins + other.logins,
            requests: self.requests + other.requests,
            processes: self.processes + other.processes,
        }
    }
}

/// A part of a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocatorPart {
    /// The path.
    Path,
    /// The part after `#`.
    Field,
    /// The version.
    Version,
}

/// Why a backend cannot use a locator, known without asking the store.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct LocatorError {
    /// The part at fault.
    pub part: LocatorPart,
    /// A lowercase fragment.
    pub message: String,
    /// The advice.
    pub help: Option<String>,
}

/// A kind of store: its options, what it says about itself, and how to open one.
pub trait Backend: Provider + Sized + 'static {
    /// The options. Name it after the backend (`VaultConfig`): the schema's definitions are named so.
    type Config: DeserializeOwned + JsonSchema;
    /// As in `type: vault`.
    const KIND: &'static str;
    /// Other spellings of the type that files already use.
    const ALIASES: &'static [&'static str] = &[];
    /// What a person should know.
    const ABOUT: About;
    /// The ways to log in, the default first; empty where there is nothing to log in to.
    const AUTH: &'static [AuthMethod] = &[];
    /// What it can do for an `import` beyond listing one folder.
    const LISTINGS: Listings = Listings { recursive: false, tags: false, metadata: 0 };

    /// Checks the options beyond their types. Credentials are empty here, and text may still hold
    /// `${VAR}`. The span of the error is the store's section unless it names a closer node.
    ///
    /// # Errors
    ///
    /// Where the options contradict each other.
    fn validate(config: &Self::Config, node: &Node) -> Result<(), DecodeError> {
        let _ = (config, node);
        Ok(())
    }

    /// Fills options that the file leaves out from the environment. It comes before everything but
    /// [`Backend::validate`], which must be as right on a machine that has none of the variables.
    fn settle(config: &mut Self::Config, env: &EnvSnapshot) {
        let _ = (config, env);
    }

    /// Returns the variables that hold credentials because an option names them, other than as `${NAME}`
    /// in a credential. They are taken out of the child, as [`About::own_env`] is.
    fn credential_variables(config: &Self::Config) -> Vec<String> {
        let _ = config;
        Vec::new()
    }

    /// Checks a locator beyond the parts that [`Parts`] rules out.
    ///
    /// # Errors
    ///
    /// Where the store could not use it.
    fn accept(config: &Self::Config, locator: &Locator) -> Result<(), LocatorError> {
        let _ = (config, locator);
        Ok(())
    }

    /// Returns what fetching these locators and listing these folders costs when all goes well.
    fn cost(config: &Self::Config, locators: &[Locator], folders: &[String]) -> Cost {
        let _ = (config, locators, folders);
        Cost::default()
    }

    /// Returns the least access that fetching these locators and listing these folders needs, in the words
    /// of the store.
    fn access(config: &Self::Config, locators: &[Locator], folders: &[ListQuery]) -> Access {
        let _ = config;
        Access::reading(locators, folders)
    }

    /// Opens the store: no requests yet.
    ///
    /// # Errors
    ///
    /// Where what the options name is not there or unusable (a CA file, an identity).
    fn open(config: Self::Config, cx: &Context) -> Result<Self, FetchError>;
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The options are wrong.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// What they name is.
    #[error(transparent)]
    Fetch(#[from] FetchError),
}

/// A backend with its type erased. One stands in [`crate::ALL`] for each.
#[derive(Clone, Copy)]
pub struct Descriptor {
    /// As in `type: vault`.
    pub kind: &'static str,
    /// Other spellings of the type.
    pub aliases: &'static [&'static str],
    /// What a person should know.
    pub about: &'static About,
    /// The ways to log in.
    pub auth: &'static [AuthMethod],
    /// What it can do for an `import` beyond listing one folder.
    pub listings: Listings,
    /// Returns the schema of the options.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    /// Decodes and validates the options.
    pub validate: fn(&Node, &dyn Expand) -> Result<(), DecodeError>,
    /// Returns the variables that hold credentials because an option names them.
    pub credential_variables: fn(&Node, &dyn Expand) -> Result<Vec<String>, DecodeError>,
    /// Checks locators, one result each. The options must have passed `validate`.
    pub accept: fn(&Node, &dyn Expand, &[Locator]) -> Result<Vec<Result<(), LocatorError>>, DecodeError>,
    /// Returns the cost of a batch.
    pub cost: fn(&Node, &dyn Expand, &[Locator], &[String]) -> Result<Cost, DecodeError>,
    /// Returns the least access that a batch needs.
    pub access: fn(&Node, &dyn Expand, &[Locator], &[ListQuery]) -> Result<Access, DecodeError>,
    /// Opens a store.
    pub open: fn(&Node, &dyn Expand, &Context) -> Result<Box<dyn Provider>, OpenError>,
}

impl Descriptor {
    /// Erases a backend.
    #[must_use]
    pub const fn of<B: Backend>() -> Self {
        Self {
            kind: B::KIND,
            aliases: B::ALIASES,
            about: &B::ABOUT,
            auth: B::AUTH,
            listings: B::LISTINGS,
            schema: |generator| generator.subschema_for::<B::Config>(),
            validate: |node, expand| {
                let config: B::Config = decode(node, expand)?;
                B::validate(&config, node)
            },
            credential_variables: |node, expand| {
                let config: B::Config = decode(node, expand)?;
                Ok(B::credential_variables(&config))
            },
            accept: |node, expand, locators| {
                let config = settled::<B>(node, expand, expand.env())?;
                Ok(locators.iter().map(|locator| B::accept(&config, locator)).collect())
            },
            cost: |node, expand, locators, folders| {
                let config = settled::<B>(node, expand, expand.env())?;
                Ok(B::cost(&config, locators, folders))
            },
            access: |node, expand, locators, folders| {
                let config = settled::<B>(node, expand, expand.env())?;
                Ok(B::access(&config, locators, folders))
            },
            open: |node, expand, cx| {
                let config = settled::<B>(node, expand, Some(cx.env()))?;
                Ok(Box::new(B::open(config, cx)?))
            },
        }
    }

    /// Says whether `type: name` means this backend.
    #[must_use]
    pub fn answers_to(&self, name: &str) -> bool {
        self.kind == name || self.aliases.contains(&name)
    }
}

fn settled<B: Backend>(
    node: &Node,
    expand: &dyn Expand,
    env: Option<&EnvSnapshot>,
) -> Result<B::Config, DecodeError> {
    let mut config: B::Config = decode(node, expand)?;
    if let Some(env) = env {
        B::settle(&mut config, env);
    }
    Ok(config)
}

impl std::fmt::Debug for Descriptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Descriptor({})", self.kind)
    }
}
