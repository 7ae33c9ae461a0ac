//! The one place that turns errors into reports: for people with the lines of the file, or as JSON.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use dsops::config::{Code, ConfigError, Label, Report, Source, Variable, Warning};
use dsops::exit;
use dsops::resolve::{Cause, Failure};
use dsops_providers::contract::{FetchError, FetchErrorKind, Span};
use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, SourceCode,
    SourceSpan, SpanContents,
};
use serde::Serialize;

/// One thing that went wrong, ready to be shown.
#[derive(Debug)]
pub(crate) struct Diagnostic {
    code: &'static str,
    exit: u8,
    message: String,
    /// The message without what an outside program said, where it quotes one.
    own_words: Option<String>,
    help: Option<String>,
    labels: Vec<Label>,
    source: Option<Shown>,
    file: Option<String>,
    place: Option<(usize, usize)>,
    variables: Vec<String>,
    severity: miette::Severity,
}

/// The text of the file as it is shown.
#[derive(Debug)]
struct Shown {
    name: String,
    text: Arc<str>,
    /// Where the first label starts in the text that is shown, and its column in the file: what was
    /// taken out in front of it must not move the place that is told.
    first: usize,
    column: usize,
}

impl SourceCode for Shown {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let read = self.text.read_span(span, before, after)?;
        let exact = before == 0 && after == 0 && span.offset() == self.first;
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            read.data(),
            *read.span(),
            read.line(),
            if exact { self.column } else { read.column() },
            read.line_count(),
        )))
    }
}

/// The longest line that is shown, in bytes. A machine wrote what is longer, and nobody would read it.
const LONGEST_LINE: usize = 400;
/// How many places one report shows; the rest are counted.
const MOST_LABELS: usize = 6;

impl Diagnostic {
    /// Returns a report without a place.
    pub(crate) fn new(code: &'static str, exit: u8, message: impl Into<String>) -> Self {
        Self {
            code,
            exit,
            message: message.into(),
            own_words: None,
            help: None,
            labels: Vec::new(),
            source: None,
            file: None,
            place: None,
            variables: Vec::new(),
            severity: miette::Severity::Error,
        }
    }

    /// Adds the advice.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Returns what went wrong.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Returns the public name of what went wrong.
    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    /// Returns the code to exit with.
    pub(crate) fn exit(&self) -> u8 {
        self.exit
    }

    /// Says whether the report is about a value that is simply not there.
    pub(crate) fn is_absence(&self) -> bool {
        self.exit == exit::NOT_FOUND && self.code != "dsops::fetch::place_not_found"
    }

    /// Returns the report as one JSON object.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self.json()).unwrap_or_default()
    }

    /// Returns the report as one line: what, where, and what to do.
    pub(crate) fn line(&self) -> String {
        let mut line = self.own_words.clone().unwrap_or_else(|| self.to_string());
        if let (Some(file), Some((row, column))) = (&self.file, self.place) {
            let _ = write!(line, " ({file}:{row}:{column})");
        }
        if let Some(help) = &self.help {
            let _ = write!(line, ": {help}");
        }
        let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
        words.chars().filter(|char| !char.is_control()).collect()
    }

    fn json(&self) -> Json<'_> {
        Json {
            severity: if self.severity == miette::Severity::Warning { "warning" } else { "error" },
            code: self.code,
            exit: self.exit,
            message: &self.message,
            help: self.help.as_deref(),
            file: self.file.as_deref(),
            line: self.place.map(|(line, _)| line),
            column: self.place.map(|(_, column)| column),
            variables: &self.variables,
        }
    }

    fn at(mut self, labels: Vec<Label>, source: &Source) -> Self {
        let Some(first) = labels.first() else { return self };
        let (line, column) = source.position(first.span.start);
        let name = source.path.file_name().unwrap_or(source.path.as_os_str()).to_string_lossy().into_owned();
        self.place = Some((line, column));
        self.file = Some(name.clone());
        let redacted = source.redacted();
        if line_length(&redacted.text, redacted.place(first.span).start) > LONGEST_LINE {
            self.message = format!("{} at {name}:{line}:{column}", self.message);
            return self;
        }
        self.labels = labels
            .into_iter()
            .map(|label| Label { span: first_line(&redacted.text, redacted.place(label.span)), ..label })
            .collect();
        self.source = Some(Shown {
            name,
            first: self.labels.first().map_or(0, |label| label.span.start),
            column: column.saturating_sub(1),
            text: Arc::clone(&redacted.text),
        });
        self
    }

    /// Adds the variable that the report is about, and shows its name in the file.
    pub(crate) fn variable(mut self, variable: &Variable, source: &Source) -> Self {
        self.variables = vec![variable.name.clone()];
        self.at(vec![Label { span: variable.span, text: String::new() }], source)
    }

    /// Returns the report of a mistake in the file.
    pub(crate) fn config(error: &ConfigError, source: Option<&Source>) -> Self {
        let exit = if error.code == Code::PolicyDenied { exit::POLICY } else { exit::CONFIGURATION };
        let mut diagnostic = Self::new(error.code.as_str(), exit, error.message.clone());
        diagnostic.help.clone_from(&error.help);
        match source {
            Some(source) => diagnostic.at(error.labels.clone(), source),
            None => diagnostic,
        }
    }

    /// Returns the reports of a file that did not load.
    pub(crate) fn report(report: &Report) -> Vec<Self> {
        report.errors.iter().map(|error| Self::config(error, Some(&report.source_text))).collect()
    }

    /// Returns the report of a remark on a file.
    pub(crate) fn warning(warning: &Warning, source: &Source) -> Self {
        let mut diagnostic = Self::new("dsops::config::warning", exit::OK, warning.message.clone());
        diagnostic.severity = miette::Severity::Warning;
        diagnostic.at(vec![Label { span: warning.span, text: String::new() }], source)
    }

    /// Returns the report of a refusal that belongs to no place in the file.
    pub(crate) fn fetch(error: &FetchError) -> Self {
        let mut diagnostic =
            Self::new(dsops::resolve::fetch_code(error.kind()), fetch_exit(error.kind()), described(error));
        diagnostic.help = error.advice().map(str::to_owned);
        diagnostic.own_words = error.own_words().map(str::to_owned);
        diagnostic
    }

    /// Returns the report of what kept variables from their values.
    pub(crate) fn failure(failure: &Failure, source: &Source) -> Self {
        let mut diagnostic = match &failure.cause {
            Cause::Fetch { store, reference, error } => {
                let place =
                    reference.as_ref().map_or_else(|| format!("`{store}`"), |text| format!("`{text}`"));
                let mut diagnostic = Self::fetch(error);
                diagnostic.message = format!("{place}: {}", diagnostic.message);
                diagnostic.own_words = diagnostic.own_words.map(|words| format!("{place}: {words}"));
                diagnostic
            }
            Cause::Config(error) => Self::config(error, Some(source)),
            Cause::Transform(error) => {
                let diagnostic = Self::new(error.kind.code(), exit::TRANSFORM, error.to_string());
                Self { help: error.help.clone(), ..diagnostic }
            }
            Cause::Empty => {
                Self::new("dsops::fetch::empty", exit::EMPTY, "the value is empty, and `non_empty` is set")
                    .help("give the secret a value in its store, or take `non_empty` out")
            }
            Cause::Steers => {
                let names = failure.variables.iter().map(|name| format!("`{}`", name.escape_debug()));
                let names = names.collect::<Vec<_>>().join(", ");
                let message = format!("an import brings {names}, which can make programs run something else");
                Self::new("dsops::environment::steers", exit::POLICY, message).help(
                    "take it out of the folder, put a `prefix` on the import, or name the variable in the file where it is meant",
                )
            }
        };
        diagnostic.variables = failure.variables.iter().filter(|name| !name.is_empty()).cloned().collect();
        if diagnostic.place.is_some() {
            return diagnostic;
        }
        let labels = failure.spans.iter().zip(&failure.variables).filter(|(span, _)| span.len > 0);
        let labels = labels.map(|(span, variable)| Label { span: *span, text: format!("for {variable}") });
        diagnostic.at(labels.take(MOST_LABELS).collect(), source)
    }
}

fn line_length(text: &str, offset: usize) -> usize {
    let (before, after) = text.split_at_checked(offset).unwrap_or((text, ""));
    before.rsplit('\n').next().map_or(0, str::len) + after.split('\n').next().map_or(0, str::len)
}

/// A mapping may go on for pages; its first line is enough to find it.
fn first_line(text: &str, span: Span) -> Span {
    let rest = text.get(span.start..span.start + span.len).unwrap_or_default();
    Span { len: rest.find('\n').unwrap_or(span.len), ..span }
}

/// The message with those of the errors below it, which carry the cause that the system gave.
fn described(error: &FetchError) -> String {
    let mut text = error.message().to_owned();
    let mut below = std::error::Error::source(error);
    while let Some(error) = below {
        let message = error.to_string();
        if !text.contains(&message) {
            let _ = write!(text, ": {message}");
        }
        below = error.source();
    }
    text
}

/// Returns the exit code of a store's refusal.
pub(crate) fn fetch_exit(kind: FetchErrorKind) -> u8 {
    match kind {
        FetchErrorKind::NotFound | FetchErrorKind::PlaceNotFound | FetchErrorKind::VersionNotFound => {
            exit::NOT_FOUND
        }
        FetchErrorKind::Hidden => exit::HIDDEN,
        FetchErrorKind::Unauthenticated | FetchErrorKind::Forbidden => exit::AUTH,
        _ => exit::STORE,
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match self.variables.len() {
            0 | 1 => Ok(()),
            count => write!(f, " (stops {count} variables)"),
        }
    }
}

impl std::error::Error for Diagnostic {}

impl miette::Diagnostic for Diagnostic {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        if self.labels.is_empty() {
            return None;
        }
        // The first is what the report is about, wherever in the file the others stand.
        Some(Box::new(self.labels.iter().enumerate().map(|(index, Label { span, text })| {
            let text = (!text.is_empty()).then(|| text.clone());
            let span = (span.start, span.len.max(1));
            if index == 0 {
                LabeledSpan::new_primary_with_span(text, span)
            } else {
                LabeledSpan::new_with_span(text, span)
            }
        })))
    }
}

/// How reports are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people: the line in the file, the cause, what to do.
    #[default]
    Human,
    /// One JSON object per error, a line each.
    Json,
    /// One line of text, for programs that show what a helper writes to stderr.
    #[value(skip)]
    Line,
}

#[derive(Serialize)]
struct Json<'a> {
    severity: &'static str,
    code: &'a str,
    exit: u8,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    variables: &'a [String],
}

/// Returns a report as text, with a final newline.
pub(crate) fn render(diagnostic: &Diagnostic, format: Format, colour: bool, width: usize) -> String {
    match format {
        Format::Json => {
            let mut text = serde_json::to_string(&diagnostic.json()).unwrap_or_default();
            text.push('\n');
            text
        }
        Format::Line => format!("dsops: {}\n", diagnostic.line()),
        Format::Human => {
            let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
            let handler = GraphicalReportHandler::new_themed(theme).with_width(width).with_links(false);
            let mut text = String::new();
            // Writing into a string cannot fail; the fallback is the bare message.
            if handler.render_report(&mut text, diagnostic).is_err() {
                let _ = writeln!(text, "{}: {diagnostic}", diagnostic.code);
            }
            text.push('\n');
            text
        }
    }
}
