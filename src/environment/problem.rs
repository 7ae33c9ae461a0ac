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

    /// Returns the one thing to do about it.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::InvalidName { .. } => "rename it to one without `=`",
            Self::Duplicate { .. } => "remove or rename one of the two",
            Self::Nul { .. } => "encode it with a transform, or pass it as a file: `dsops get … > FILE`",
            Self::TooLong { .. } => {
                "pass it as a file: `dsops get … > FILE`, or split it into several variables"
            }
            Self::ArgumentTooLong { .. } => "pass it as a file",
            Self::TooMuch { .. } => "pass it as a file: `dsops get … > FILE`, or inherit less with `--clean`",
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
