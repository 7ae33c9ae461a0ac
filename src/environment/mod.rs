//! The environment of the child: what is inherited, what was resolved, which wins, and whether the kernel takes it.

mod limits;
mod problem;
mod steering;

use std::collections::btree_map::{BTreeMap, Entry as Slot};
use std::collections::{BTreeSet, HashSet};
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use dsops_providers::contract::{EnvSnapshot, SecretValue};
use zeroize::Zeroize;

use crate::config::FileOptions;
use limits::Limits;
pub use problem::{EnvironmentError, EnvironmentProblem};
pub use steering::steers;

/// The variables that [`Inherit::Clean`] keeps: what programs need to find others, a home, a
/// terminal, a language and a place for temporary files. `LC_` and whatever follows is kept as well.
pub const CLEAN_KEEPS: &[&str] =
    &["HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER"];

/// Which of two variables of the same name the child gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precedence {
    /// The resolved one.
    #[default]
    Resolved,
    /// The one that dsops was started with (`--allow-override`).
    Inherited,
}

/// What the child inherits beside the resolved variables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Inherit {
    /// All that dsops was started with, credentials of stores aside.
    #[default]
    All,
    /// Only [`CLEAN_KEEPS`] and what [`Options::keep`] names (`--clean`).
    Clean,
}

/// Variables that are inherited by name (`--keep`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Whole names. One of a store's credential keeps the credential.
    pub names: BTreeSet<String>,
    /// How names start. A credential is not kept by a pattern, since nobody meant it.
    pub starts: Vec<String>,
}

impl Keep {
    /// Says whether an inherited variable is meant.
    #[must_use]
    pub fn has(&self, name: &OsStr) -> bool {
        self.names.iter().any(|kept| name == kept.as_str())
            || self.starts.iter().any(|start| name.as_bytes().starts_with(start.as_bytes()))
    }
}

/// How the environment is put together.
#[derive(Clone, Debug, Default)]
pub struct Options<'a> {
    /// Which of two variables of the same name wins.
    pub precedence: Precedence,
    /// What is inherited.
    pub inherit: Inherit,
    /// The credentials of the configured stores, which the child does not inherit.
    pub strip: BTreeSet<String>,
    /// The resolved variables that the child gets as a path, and the files that these name.
    pub files: BTreeMap<&'a str, &'a FileOptions>,
    /// What it inherits all the same: credentials, and more than `Inherit::Clean` would leave. A resolved
    /// variable of a credential's name keeps it, too.
    pub keep: Keep,
    /// The program and its arguments, which share the kernel's limit; empty where nothing is started.
    pub command: &'a [OsString],
}

/// Where a variable comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// From `dsops.yaml`.
    Resolved,
    /// From the environment that dsops was started with.
    Inherited,
}

/// One variable of the child, as far as it can be shown: nothing here depends on the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable<'a> {
    /// The name.
    pub name: &'a OsStr,
    /// Where the value comes from.
    pub source: Source,
    /// Whether it took the place of one of the same name from the other source.
    pub overrides: bool,
    /// The file that the child gets the value in, where the variable is a path.
    pub file: Option<&'a FileOptions>,
    /// Whether that one had another value. Only of a resolved variable.
    pub differs: bool,
}

/// The environment that the child gets, complete and checked.
///
/// Its memory is overwritten on drop; `Debug` shows names only.
pub struct ChildEnvironment {
    variables: Vec<Held>,
    stripped: Vec<String>,
}

struct Held {
    name: OsString,
    source: Source,
    overrides: bool,
    differs: bool,
    /// `NAME=VALUE` and the NUL that execve(2) wants.
    text: Text,
    file: Option<PendingFile>,
}

/// A value that the child gets in a file: any bytes, of any size.
pub(crate) struct PendingFile {
    pub(crate) options: FileOptions,
    pub(crate) content: SecretValue,
}

/// Stands for a path until the file is there, so that the path has a place in the sizes.
const PATH_TO_COME: &[u8] = b"/dev/null/there-is-no-file-yet/.............................../";

/// Text for execve(2) whose memory is overwritten on drop.
struct Text(CString);

impl Drop for Text {
    fn drop(&mut self) {
        std::mem::take(&mut self.0).into_bytes_with_nul().zeroize();
    }
}

/// Says whether a variable of this name is inherited with another value.
#[must_use]
pub fn replaces(inherited: &EnvSnapshot, name: &str, value: &SecretValue) -> bool {
    inherited.get_os(name).is_some_and(|theirs| theirs.as_bytes() != value.expose())
}

impl ChildEnvironment {
    /// Puts the environment together: inherited variables by name, then resolved ones in their order.
    ///
    /// # Errors
    ///
    /// All names and values that no environment can hold, and sizes that the kernel would refuse.
    pub fn build<'a>(
        inherited: &EnvSnapshot,
        resolved: impl IntoIterator<Item = (&'a str, &'a SecretValue)>,
        options: &Options<'_>,
    ) -> Result<Self, EnvironmentError> {
        let mut problems = Vec::new();
        let resolved = distinct(resolved, &mut problems);
        let named: HashSet<&str> = resolved.iter().map(|(name, _)| *name).collect();

        let mut stripped = Vec::new();
        let mut kept = BTreeMap::new();
        for (name, value) in inherited.iter() {
            match name.to_str() {
                Some(text) if is_stripped(text, options) && !named.contains(text) => {
                    stripped.push(text.to_owned());
                }
                _ if is_inherited(name, options) => {
                    kept.insert(name, value);
                }
                _ => {}
            }
        }
        stripped.sort_unstable();

        let variables = merge(kept, resolved, options, &mut problems);
        check_sizes(&variables, options.command, &mut problems);
        if problems.is_empty() {
            Ok(Self { variables, stripped })
        } else {
            Err(EnvironmentError { problems })
        }
    }

    /// Returns the entries as execve(2) takes them: `NAME=VALUE`.
    ///
    /// They hold the values: hand them to the kernel and to nothing else.
    #[must_use]
    pub fn entries(&self) -> Vec<&CStr> {
        self.variables.iter().map(|held| held.text.0.as_c_str()).collect()
    }

    /// Returns the variables in the order in which the child gets them, without their values.
    pub fn variables(&self) -> impl Iterator<Item = Variable<'_>> {
        self.variables.iter().map(|held| Variable {
            name: &held.name,
            source: held.source,
            overrides: held.overrides,
            file: held.file.as_ref().map(|file| &file.options),
            differs: held.differs,
        })
    }

    /// Says whether a variable is the path of a file, which has to be made before the child starts.
    #[must_use]
    pub fn has_files(&self) -> bool {
        self.variables.iter().any(|held| held.file.is_some())
    }

    /// Makes each file in the way given, which returns its path, and lets go of the values.
    pub(crate) fn place_files<E>(
        &mut self,
        mut make: impl FnMut(&OsStr, &PendingFile) -> Result<PathBuf, E>,
    ) -> Result<(), E> {
        for held in &mut self.variables {
            let Some(file) = &held.file else { continue };
            let path = make(&held.name, file)?;
            // A path holds no NUL; this one comes from the kernel or was given to it.
            if let Some(text) = join(held.name.as_bytes(), path.as_os_str().as_bytes()) {
                held.text = text;
            }
            held.file = None;
        }
        Ok(())
    }

    /// Returns the names of the credentials that the child would have inherited, by name.
    #[must_use]
    pub fn stripped(&self) -> &[String] {
        &self.stripped
    }

    /// Returns where the child looks for programs.
    pub(crate) fn path(&self) -> Option<&OsStr> {
        let held = self.variables.iter().find(|held| held.name == "PATH")?;
        held.text.0.to_bytes().strip_prefix(b"PATH=").map(OsStr::from_bytes)
    }
}

impl fmt::Debug for ChildEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.iter().map(|held| &held.name)).finish()
    }
}

/// Returns the resolved variables once each; two values for one name leave nothing to choose by.
fn distinct<'a>(
    resolved: impl IntoIterator<Item = (&'a str, &'a SecretValue)>,
    problems: &mut Vec<EnvironmentProblem>,
) -> Vec<(&'a str, &'a SecretValue)> {
    let mut seen = HashSet::new();
    let mut once = Vec::new();
    for (name, value) in resolved {
        if seen.insert(name) {
            once.push((name, value));
        } else {
            problems.push(EnvironmentProblem::Duplicate { name: name.to_owned() });
        }
    }
    once
}

fn is_stripped(name: &str, options: &Options<'_>) -> bool {
    options.strip.contains(name) && !options.keep.names.contains(name)
}

fn is_inherited(name: &OsStr, options: &Options<'_>) -> bool {
    match options.inherit {
        Inherit::All => true,
        Inherit::Clean => {
            CLEAN_KEEPS.iter().any(|kept| name == *kept)
                || name.as_bytes().starts_with(b"LC_")
                || options.keep.has(name)
        }
    }
}

fn merge<'a>(
    mut inherited: BTreeMap<&'a OsStr, &OsStr>,
    resolved: Vec<(&'a str, &SecretValue)>,
    options: &Options<'_>,
    problems: &mut Vec<EnvironmentProblem>,
) -> Vec<Held> {
    let mut ours = Vec::with_capacity(resolved.len());
    let mut overriding = BTreeSet::new();
    for (name, value) in resolved {
        let file = options.files.get(name).copied();
        let (overrides, differs) = match (inherited.entry(OsStr::new(name)), options.precedence) {
            (Slot::Occupied(_), Precedence::Inherited) => {
                overriding.insert(OsStr::new(name));
                continue;
            }
            (Slot::Occupied(theirs), Precedence::Resolved) => {
                // A path is another one each time.
                (true, theirs.remove().as_bytes() != value.expose() && file.is_none())
            }
            (Slot::Vacant(_), _) => (false, false),
        };
        let file = file.map(|options| PendingFile {
            options: options.clone(),
            content: SecretValue::copy_of(value.expose()),
        });
        let text = match &file {
            None => text_of(name, value.expose()),
            Some(file) => text_of(name, &[PATH_TO_COME, file.options.name.as_bytes()].concat()),
        };
        match text {
            Ok(text) => {
                let (name, source) = (name.into(), Source::Resolved);
                ours.push(Held { name, source, overrides, differs, text, file });
            }
            Err(problem) => problems.push(problem),
        }
    }

    let mut variables = Vec::with_capacity(inherited.len() + ours.len());
    for (name, value) in inherited {
        // The kernel delivered these, so they hold no NUL; the snapshot of a test might.
        let Some(text) = join(name.as_bytes(), value.as_bytes()) else { continue };
        let overrides = overriding.contains(name);
        variables.push(Held {
            name: name.into(),
            source: Source::Inherited,
            overrides,
            differs: false,
            text,
            file: None,
        });
    }
    variables.append(&mut ours);
    variables
}

fn text_of(name: &str, value: &[u8]) -> Result<Text, EnvironmentProblem> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(EnvironmentProblem::InvalidName { name: name.to_owned() });
    }
    join(name.as_bytes(), value).ok_or_else(|| EnvironmentProblem::Nul { name: name.to_owned() })
}

/// Returns `NAME=VALUE`, or `None` where the value has a NUL.
fn join(name: &[u8], value: &[u8]) -> Option<Text> {
    if value.contains(&0) {
        return None;
    }
    // The capacity is exact, so that no growth leaves a copy of the value behind.
    let mut text = Vec::with_capacity(name.len() + value.len() + 2);
    text.extend_from_slice(name);
    text.push(b'=');
    text.extend_from_slice(value);
    CString::new(text).ok().map(Text)
}

fn check_sizes(variables: &[Held], command: &[OsString], problems: &mut Vec<EnvironmentProblem>) {
    let limits = Limits::of_kernel();
    let mut total = 0;
    for (position, argument) in command.iter().enumerate() {
        let size = argument.len() + 1;
        total += limits.cost(size);
        if !limits.takes(size) {
            problems.push(EnvironmentProblem::ArgumentTooLong { position, limit: limits.string() });
        }
    }
    for held in variables {
        let size = size_of(held);
        total += limits.cost(size);
        if !limits.takes(size) {
            let name = held.name.to_string_lossy().into_owned();
            problems.push(EnvironmentProblem::TooLong { name, limit: limits.string() });
        }
    }
    if total > limits.total() {
        let largest = variables.iter().max_by_key(|held| (held.source == Source::Resolved, size_of(held)));
        problems.push(EnvironmentProblem::TooMuch {
            largest: largest.map(|held| held.name.to_string_lossy().into_owned()).unwrap_or_default(),
            limit: limits.total(),
        });
    }
}

fn size_of(held: &Held) -> usize {
    held.text.0.to_bytes_with_nul().len()
}

#[cfg(test)]
mod tests;
