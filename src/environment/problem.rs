//! Why a variable cannot be given to a child. No message holds a value or tells its length.

use std::fmt;

/// One thing that is wrong with the environment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvironmentProblem {
    /// The name is empty or has `=` or NUL in it.
    #[error("`{}` cannot be the name of an environment variable", .name.escape_debug())]
    InvalidName {
        /// The name.
        name: String,
    },
    /// The same name was resolved twice.
    #[error("`{name}` has two values")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// The value has a NUL, which ends a variable.
    #[error("the value of `{name}` contains a NUL byte, which an environment variable cannot hold")]
    Nul {
        /// The name.
        name: String,
    },
    /// Name and value are over what the kernel takes as one string.
    #[error("`{name}` is over the {limit} bytes that the kernel takes as one variable")]
    TooLong {
        /// The name.
        name: String,
        /// The limit for name, `=`, value and NUL.
        limit: usize,
    },
    /// An argument is over what the kernel takes as one string.
    #[error(
        "argument {position} of the command is over the {limit} bytes that the kernel takes as one argument"
    )]
    ArgumentTooLong {
        /// Its position; the program is 0.
        position: usize,
        /// The limit, NUL included.
        limit: usize,
    },
    /// All variables and arguments together are over what the kernel takes.
    #[error(
        "environment and arguments are over the {limit} bytes that the kernel takes together; the largest variable is `{largest}`"
    )]
    TooMuch {
        /// The name of the largest resolved variable, or of the largest where none was resolved.
        largest: String,
        /// The limit for all strings and pointers.
        limit: usize,
    },
}

impl EnvironmentProblem {
    /// Returns the stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidName { .. } => "dsops::environment::invalid_name",
            Self::Duplicate { .. } => "dsops::environment::duplicate",
            Self::Nul { .. } => "dsops::environment::nul",
            Self::TooLong { .. } => "dsops::environment::too_long",
            Self::ArgumentTooLong { .. } => "dsops::environment::argument_too_long",
            Self::TooMuch { .. } => "dsops::environment::too_much",
        }
    }

    /// Returns the name of the variable, where the problem has one.
    #[must_use]
    pub fn variable(&self) -> Option<&str> {
        match self {
            Self::InvalidName { name }
            | Self::Duplicate { name }
            | Self::Nul { name }
            | Self::TooLong { name, .. } => Some(name),
            Self::TooMuch { largest, .. } => {
                Some(largest).filter(|name| !name.is_empty()).map(String::as_str)
            }
            Self::ArgumentTooLong { .. } => None,
        }
    }

    /// Returns the one thing to do about it. `source` is where the value of the variable comes from, as `dsops.yaml`
    /// writes it: `from: store/KEY`.
    #[must_use]
    pub fn advice(&self, source: Option<&str>) -> String {
        let as_file = |name: &str| {
            let source = source.unwrap_or("from: …");
            format!(
                "pass it as a file, whose path is then in the variable: `{name}: {{{source}, type: file}}`"
            )
        };
        match self {
            Self::InvalidName { .. } => "rename it to one without `=`".to_owned(),
            Self::Duplicate { .. } => "remove or rename one of the two".to_owned(),
            Self::Nul { name } | Self::TooLong { name, .. } => as_file(name),
            Self::ArgumentTooLong { .. } => "pass it as a file".to_owned(),
            // Where nothing was resolved, what is inherited is too much.
            Self::TooMuch { largest, .. } if source.is_some() => {
                format!("{}, or inherit less with `--clean`", as_file(largest))
            }
            Self::TooMuch { .. } => "inherit less with `--clean`".to_owned(),
        }
    }
}

/// Everything that is wrong with an environment; the child is not started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentError {
    pub(super) problems: Vec<EnvironmentProblem>,
}

impl EnvironmentError {
    /// Returns the problems, at least one.
    #[must_use]
    pub fn problems(&self) -> &[EnvironmentProblem] {
        &self.problems
    }
}

impl fmt::Display for EnvironmentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, problem) in self.problems.iter().enumerate() {
            let separator = if position == 0 { "" } else { "; " };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for EnvironmentError {}
