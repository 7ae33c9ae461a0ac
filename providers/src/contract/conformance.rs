//! The suite that every backend passes.
//!
//! A backend's tests implement [`Subject`], which says how to make a store that holds given secrets, and
//! call [`run`]. The suite opens the store the way the engine does, through its [`Descriptor`], so that
//! what passes here is what users get.
//!
//! Every value that is seeded contains [`CANARY`], and everything that a store says besides values is
//! searched for it.
#![expect(clippy::print_stdout, reason = "the suite runs inside tests, and says what it left out")]

mod cases;
#[cfg(test)]
mod tests;

use std::any::Any;

use async_trait::async_trait;

use self::cases::{End, PATIENCE, told};
use super::{
    Context, Descriptor, Key, Locator, NoExpansion, Node, NodeKind, OpenError, Provider, Scalar, SecretValue,
    Span,
};

/// Stands in every value that the suite seeds. Put it into garbage too.
pub const CANARY: &str = "canary-8f2b61";

/// A secret that a subject's store is to hold.
#[derive(Clone)]
pub struct Seed {
    /// Its path: `NAME`, or `folder/NAME` where the subject has a folder.
    pub path: String,
    /// Its value. It always contains [`CANARY`], unless it is empty.
    pub value: Vec<u8>,
}

/// A store that is ready to be opened.
pub struct Scene {
    /// The options, as they would stand in `dsops.yaml`, without `type`.
    pub options: Node,
    /// What the store works with.
    pub context: Context,
    keep: Vec<Box<dyn Any + Send + Sync>>,
}

impl Scene {
    /// Returns a scene with an empty environment.
    #[must_use]
    pub fn new(options: Node) -> Self {
        Self { options, context: Context::builder().build(), keep: Vec::new() }
    }

    /// Replaces what the store works with.
    #[must_use]
    pub fn context(mut self, context: Context) -> Self {
        self.context = context;
        self
    }

    /// Keeps something (a directory, a server) for as long as the store is used.
    #[must_use]
    pub fn keep(mut self, thing: impl Any + Send + Sync) -> Self {
        self.keep.push(Box::new(thing));
        self
    }

    /// Opens the store as the engine does.
    ///
    /// # Errors
    ///
    /// As the backend.
    pub fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Provider>, OpenError> {
        (descriptor.validate)(&self.options, &NoExpansion)?;
        (descriptor.open)(&self.options, &NoExpansion, &self.context)
    }

    /// Writes secrets through the store's own writer: for a [`Subject::holding`] of a store that has one.
    ///
    /// # Errors
    ///
    /// What the store says, or that it has no writer.
    pub async fn write(&self, descriptor: &Descriptor, seeds: &[Seed]) -> Result<(), String> {
        let provider = self.open(descriptor).map_err(|error| error.to_string())?;
        let writer = provider.writer().ok_or("the store has no writer")?;
        let cx = self.context.for_store("suite", Some(PATIENCE));
        for seed in seeds {
            let value = SecretValue::copy_of(&seed.value);
            writer.put(&cx, &Locator::new(&seed.path), value).await.map_err(|error| told(&error))?;
        }
        Ok(())
    }
}

/// Why a case does not apply. It is printed.
pub struct Inapplicable(pub &'static str);

/// A backend under test.
#[async_trait]
pub trait Subject: Send + Sync {
    /// Returns the backend.
    fn descriptor(&self) -> Descriptor;

    /// Prepares a store of its own that holds exactly these secrets.
    async fn holding(&self, seeds: &[Seed]) -> Scene;

    /// Prepares a store that holds the secrets and whose credentials have expired.
    async fn expired(&self, seeds: &[Seed]) -> Result<Scene, Inapplicable>;

    /// Prepares a store that holds the secrets and answers nothing within a minute.
    async fn slow(&self, seeds: &[Seed]) -> Result<Scene, Inapplicable>;

    /// Prepares stores whose server (file, program) speaks garbage, each with its name: another
    /// format, cut short, nothing at all. The garbage should contain [`CANARY`].
    async fn garbage(&self) -> Result<Vec<(&'static str, Scene)>, Inapplicable>;

    /// Returns a folder that secrets can lie in, below the root.
    fn folder(&self) -> Option<&'static str> {
        self.descriptor().about.parts.folders.then_some("team/app")
    }

    /// Returns a version that no seeded secret has.
    fn wrong_version(&self) -> &'static str {
        "999"
    }

    /// Returns why a case does not apply, for a case whose setup cannot say so itself.
    fn leaves_out(&self, case: Case) -> Option<&'static str> {
        let _ = case;
        None
    }
}

/// One claim of the suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is told in full where it is checked")]
pub enum Case {
    Present,
    Absent,
    Empty,
    WhiteSpace,
    WrongVersion,
    TwoHundred,
    Duplicates,
    NothingAsked,
    Cost,
    Listed,
    Written,
    Checked,
    ExpiredCredentials,
    Slow,
    Garbage,
}

impl Case {
    /// Every case, in the order in which they run.
    pub const ALL: &'static [Self] = &[
        Self::Present,
        Self::Absent,
        Self::Empty,
        Self::WhiteSpace,
        Self::WrongVersion,
        Self::TwoHundred,
        Self::Duplicates,
        Self::NothingAsked,
        Self::Cost,
        Self::Listed,
        Self::Written,
        Self::Checked,
        Self::ExpiredCredentials,
        Self::Slow,
        Self::Garbage,
    ];
}

/// Runs every case against the subject, and prints those that it leaves out.
///
/// # Panics
///
/// Where a case fails, after all have run, with the names of those that failed.
pub async fn run(subject: &dyn Subject) {
    let failures = failures(subject).await;
    let kind = subject.descriptor().kind;
    assert!(failures.is_empty(), "{kind} does not conform\n  {}", failures.join("\n  "));
}

/// Runs every case and returns what failed.
async fn failures(subject: &dyn Subject) -> Vec<String> {
    let kind = subject.descriptor().kind;
    let mut failures = Vec::new();
    for &case in Case::ALL {
        match cases::run(subject, case).await {
            Ok(()) => {}
            Err(End::LeftOut(reason)) => println!("{kind}: {case:?} does not apply: {reason}"),
            Err(End::Failed(message)) => failures.push(format!("{case:?}: {message}")),
        }
    }
    failures
}

/// Returns a node of quoted text, without a position.
#[must_use]
pub fn text(text: impl Into<String>) -> Node {
    node(NodeKind::Scalar(Scalar { text: text.into(), plain: false }))
}

/// Returns a node of text without quotes, such as a number, without a position.
#[must_use]
pub fn plain(text: impl Into<String>) -> Node {
    node(NodeKind::Scalar(Scalar { text: text.into(), plain: true }))
}

/// Returns a list, without a position.
#[must_use]
pub fn list(items: impl IntoIterator<Item = Node>) -> Node {
    node(NodeKind::List(items.into_iter().collect()))
}

/// Returns a mapping, without a position.
#[must_use]
pub fn map<K: Into<String>>(entries: impl IntoIterator<Item = (K, Node)>) -> Node {
    let key = |name: K| Key { name: name.into(), span: Span::default() };
    node(NodeKind::Map(entries.into_iter().map(|(name, value)| (key(name), value)).collect()))
}

fn node(kind: NodeKind) -> Node {
    Node { span: Span::default(), kind }
}
