//! What keeps an environment from being rendered.

/// Which kind of obstacle it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RenderErrorKind {
    /// The format is unknown, or lacks what it needs.
    Format,
    /// The format cannot hold a variable of that name.
    Name,
    /// The format cannot hold the value.
    Value,
    /// The template does not compile, or did not come to an end.
    Template,
    /// The format goes to a place that this run does not have.
    Target,
    /// The program that the format needs is missing or failed.
    Program,
}

impl RenderErrorKind {
    /// Returns the public code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Format => "dsops::render::format",
            Self::Name => "dsops::render::name",
            Self::Value => "dsops::render::value",
            Self::Template => "dsops::render::template",
            Self::Target => "dsops::render::target",
            Self::Program => "dsops::render::program",
        }
    }
}

/// An obstacle. No value is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RenderError {
    /// Which kind it is.
    pub kind: RenderErrorKind,
    /// What is wrong: a lowercase fragment that names the variable.
    pub message: String,
    /// The one thing to do about it.
    pub help: Option<String>,
    /// The variable, where it is about one.
    pub variable: Option<String>,
}

impl RenderError {
    /// Returns the error of a format that goes to a place which this run does not have.
    #[must_use]
    pub fn target(message: &str, help: &str) -> Self {
        Self::new(RenderErrorKind::Target, message).help(help)
    }

    pub(super) fn new(kind: RenderErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), help: None, variable: None }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn name(name: &str) -> Self {
        let error = Self::new(RenderErrorKind::Name, format!("`{name}` is no name that a shell takes"))
            .help("use letters, digits and underscores, not a digit first, or render as `json`");
        Self { variable: Some(name.to_owned()), ..error }
    }

    /// A name that a reader would take for something else; the reason follows the name.
    pub(super) fn name_because(name: &str, why: &str) -> Self {
        let message = format!("the name of a variable is `{name}`, {why}");
        Self { variable: Some(name.to_owned()), ..Self::new(RenderErrorKind::Name, message) }
    }

    /// A value that the format cannot hold, with the usual way out.
    pub(super) fn value(name: &str, message: String) -> Self {
        let error = Self::new(RenderErrorKind::Value, message)
            .help("encode it with the transform `base64_encode`, or pass it with `dsops exec`");
        Self { variable: Some(name.to_owned()), ..error }
    }

    pub(super) fn no_random(name: &str) -> Self {
        let message = format!("no random delimiter could be had for `{name}`");
        Self { variable: Some(name.to_owned()), ..Self::new(RenderErrorKind::Format, message) }
    }

    pub(crate) fn nul(name: &str) -> Self {
        let error =
            Self::new(RenderErrorKind::Value, format!("`{name}` holds a NUL byte, which this format cannot"))
                .help("encode it with the transform `base64_encode`");
        Self { variable: Some(name.to_owned()), ..error }
    }

    pub(super) fn not_text(name: &str) -> Self {
        let error =
            Self::new(RenderErrorKind::Value, format!("`{name}` is not UTF-8 text, which this format needs"))
                .help("encode it with the transform `base64_encode`");
        Self { variable: Some(name.to_owned()), ..error }
    }
}
