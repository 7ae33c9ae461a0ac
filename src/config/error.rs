//! What is wrong with a file: data with places, which the program turns into a report.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use dsops_providers::contract::Span;

use super::redact::{Redacted, redact};

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal,)*) => {
        /// The public name of a mistake in a file. Listed in `docs/reference/errors.md`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$doc])* $variant,)*
        }

        impl Code {
            /// Every code, in the order of the docs.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Returns the code as it is printed.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }
        }
    };
}

codes! {
    /// There is no file where one was named, or none in this directory and its parents.
    NotFound = "dsops::config::not_found",
    /// The file is there and cannot be read.
    Unreadable = "dsops::config::unreadable",
    /// The file is larger than any real one.
    TooLarge = "dsops::config::too_large",
    /// The file has nothing in it.
    Empty = "dsops::config::empty",
    /// The text is not YAML.
    Syntax = "dsops::config::syntax",
    /// A key stands twice in one mapping.
    DuplicateKey = "dsops::config::duplicate_key",
    /// A key that nothing reads.
    UnknownField = "dsops::config::unknown_field",
    /// A null where a value is needed.
    NullValue = "dsops::config::null_value",
    /// A value of another type than needed.
    WrongType = "dsops::config::wrong_type",
    /// A key is missing.
    MissingField = "dsops::config::missing_field",
    /// A value that has the right type and cannot be used.
    Invalid = "dsops::config::invalid",
    /// The file's `version` is one that this program does not know.
    Version = "dsops::config::version",
    /// One name is given to two stores.
    StoreClash = "dsops::config::store_clash",
    /// A `type` that no backend answers to.
    UnknownType = "dsops::config::unknown_type",
    /// An environment that the file does not have.
    UnknownEnvironment = "dsops::config::unknown_environment",
    /// Environments that extend each other in a circle.
    ExtendsCycle = "dsops::config::extends_cycle",
    /// `${NAME}` where the name is not set.
    UnsetVariable = "dsops::config::unset_variable",
    /// A credential's file that is not there, is empty or cannot be read.
    CredentialFile = "dsops::config::credential_file",
    /// A variable that says neither `from` nor `literal` nor `default`, or both of the first two.
    Origin = "dsops::config::origin",
    /// A transform that does not exist or whose arguments are wrong.
    Transform = "dsops::config::transform",
    /// A policy that is not enforced, so that it would give false comfort.
    PolicyUnenforced = "dsops::policy::unenforced",
    /// A policy forbids it.
    PolicyDenied = "dsops::policy::denied",
    /// A reference that cannot be read.
    ReferenceSyntax = "dsops::reference::syntax",
    /// A reference into a store that the file does not have.
    UnknownStore = "dsops::reference::unknown_store",
    /// A version, and the store has none.
    VersionUnsupported = "dsops::reference::version_unsupported",
    /// A field, and the store has none.
    FieldUnsupported = "dsops::reference::field_unsupported",
    /// An import, and the store has no folders to list.
    ImportUnsupported = "dsops::reference::import_unsupported",
    /// A part of a reference that this store cannot use.
    ReferenceInvalid = "dsops::reference::invalid",
    /// Stores whose credentials come from each other.
    CredentialCycle = "dsops::reference::cycle",
}

/// A place in the file with a remark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// The remark, empty where the message says it all.
    pub text: String,
}

/// One mistake in a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConfigError {
    /// The public name of the mistake.
    pub code: Code,
    /// The message: a lowercase fragment.
    pub message: String,
    /// The places, the culprit first. None where the file as a whole is meant.
    pub labels: Vec<Label>,
    /// The one thing to do.
    pub help: Option<String>,
}

impl ConfigError {
    /// Returns a mistake without a place.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), labels: Vec::new(), help: None }
    }

    /// Returns a mistake at a place.
    #[must_use]
    pub fn at(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self::new(code, message).label(span, "")
    }

    /// Adds a place.
    #[must_use]
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    /// Adds the advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds the advice, where there is some.
    #[must_use]
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }
}

/// Something in the file that works and should be known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The message: a lowercase fragment.
    pub message: String,
    /// Where.
    pub span: Span,
}

/// The text that the places in errors point into.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where the file lies.
    pub path: PathBuf,
    /// What it says.
    pub text: Arc<str>,
    redacted: Arc<OnceLock<Redacted>>,
    /// The first byte of each line.
    lines: Arc<OnceLock<Vec<usize>>>,
}

impl Source {
    /// Returns the text of a file.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, text: impl Into<Arc<str>>) -> Self {
        Self { path: path.into(), text: text.into(), redacted: Arc::default(), lines: Arc::default() }
    }

    /// Returns the text as a report may show it. Made once, however many mistakes are reported.
    #[must_use]
    pub fn redacted(&self) -> &Redacted {
        self.redacted.get_or_init(|| redact(&self.text))
    }

    /// Returns the line and column of a byte, counted from one, as editors do.
    #[must_use]
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let lines = self.lines.get_or_init(|| {
            let ends = self.text.match_indices('\n').map(|(end, _)| end + 1);
            [0].into_iter().chain(ends).collect()
        });
        let line = lines.partition_point(|start| *start <= offset).max(1);
        let start = lines.get(line - 1).copied().unwrap_or_default();
        let before = self.text.get(start..offset).unwrap_or_default();
        (line, before.chars().count() + 1)
    }
}

/// All mistakes of one file.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{} mistakes in `{}`", errors.len(), source_text.path.display())]
pub struct Report {
    /// The file.
    pub source_text: Source,
    /// The mistakes, in the order of the file.
    pub errors: Vec<ConfigError>,
}
