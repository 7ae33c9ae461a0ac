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
    pub(super) fn new(kind: RenderErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), help: None, variable: None }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn name(name: &str) -> Self {
        let error = Self::new(RenderErrorKind::Name, format!("`{name}` is no name that a shell takes"))
            .help("use letters, digits and underscores, not a digit first, or render as `json`");
        Self { variable: Some(name.to_owned()), ..error }
    }

    pub(super) fn nul(name: &str) -> Self {
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
