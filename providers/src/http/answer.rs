//! A whole answer of a server: any status, a bounded body that is wiped after use.

use std::time::{Duration, SystemTime};

use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, LOCATION, RETRY_AFTER};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Site, failure};
use crate::contract::{FetchError, FetchErrorKind};

/// The longest body that is read, once it is unpacked. A folder of a thousand secrets is well under one MiB.
const LIMIT: usize = 16 * 1024 * 1024;
/// What to do about an answer that did not arrive whole, again and again.
pub(super) const CUT: &str = "look for what cuts answers short: the server's log, or a proxy on the way";
/// The room that a body of unknown length starts with.
const FIRST: usize = 16 * 1024;

/// What a server answered. It has no `Debug`, since the body may be secrets.
pub struct Answer {
    status: u16,
    content_type: Option<String>,
    retry_after: Option<Duration>,
    redirect: Option<String>,
    body: Zeroizing<Vec<u8>>,
    host: String,
}

impl Answer {
    /// Reads a response to its end.
    pub(super) async fn read(mut response: reqwest::Response, site: &Site) -> Result<Self, FetchError> {
        let headers = response.headers();
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut answer = Self {
            status: response.status().as_u16(),
            content_type: text(CONTENT_TYPE),
            retry_after: retry_after(headers),
            redirect: text(LOCATION),
            body: Zeroizing::default(),
            host: site.host(),
        };
        let announced = response.content_length().and_then(|length| usize::try_from(length).ok());
        if announced.is_some_and(|length| length > LIMIT) {
            return Err(answer.too_long());
        }
        answer.body.reserve_exact(announced.unwrap_or(FIRST));
        loop {
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                // What refuses is the status, so a refusal stays one without its end.
                Err(error) if !answer.is_success() && !error.is_timeout() => break,
                Err(error) => return Err(failure::of_body(&error, site)),
            };
            if answer.body.len() + chunk.len() > LIMIT {
                return Err(answer.too_long());
            }
            append(&mut answer.body, &chunk);
        }
        Ok(answer)
    }

    /// Returns the status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Says whether the status is one of success.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Returns the pause that the server asked for, in seconds or until a moment.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Returns host and port of the server, for messages.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the body as it is, for the few services that answer with a bare token.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Decodes the body.
    ///
    /// # Errors
    ///
    /// `Malformed` where it is no JSON, cut short, or of another shape. Only a cut or empty body is
    /// temporary. The message never quotes the body.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, FetchError> {
        if let Some(target) = self.redirect.as_deref().filter(|_| (300..400).contains(&self.status)) {
            return Err(self.redirected(target));
        }
        if self.body.is_empty() {
            return Err(self.malformed("an empty body").temporary(true).help(CUT));
        }
        match self.content_type.as_deref() {
            Some(content_type) if content_type.contains("json") => {}
            other => return Err(self.not_json(other)),
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            if error.is_eof() {
                return self.malformed("JSON that is cut short").temporary(true).help(CUT);
            }
            // The decoder's own text may quote a value.
            let place = format!("line {}, column {}", error.line(), error.column());
            let what = match error.is_data() {
                true => "JSON that has not the documented shape",
                false => "broken JSON",
            };
            self.malformed(&format!("{what}, at {place}"))
                .help("check that the store's address is that of the right server, and update an old one")
        })
    }

    fn not_json(&self, content_type: Option<&str>) -> FetchError {
        let what = match content_type {
            Some(content_type) if content_type.starts_with("text/html") => "an HTML page instead of JSON",
            Some(_) => "something other than JSON",
            None => "a body of no declared type instead of JSON",
        };
        self.malformed(what)
            .help("check the store's address, and whether a proxy or a sign-in page stands before it")
    }

    fn redirected(&self, target: &str) -> FetchError {
        // Where to, without the query: it may repeat what was asked.
        let target = target.split(['?', '#']).next().unwrap_or_default();
        self.malformed(&format!("a redirection to `{}`", target.escape_debug()))
            .help("set the store's address to the one that answers without redirecting")
    }

    fn too_long(&self) -> FetchError {
        let mib = LIMIT / (1024 * 1024);
        self.malformed(&format!("more than {mib} MiB")).help("split the folder")
    }

    fn malformed(&self, what: &str) -> FetchError {
        FetchError::new(
            FetchErrorKind::Malformed,
            format!("`{}` answered {} with {what}", self.host, self.status),
        )
    }
}

/// Appends without leaving an unwiped copy behind, as a growing vector would.
fn append(body: &mut Zeroizing<Vec<u8>>, chunk: &[u8]) {
    let needed = body.len() + chunk.len();
    if needed > body.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(body.capacity() * 2)));
        larger.extend_from_slice(body);
        *body = larger;
    }
    body.extend_from_slice(chunk);
}

/// Reads `Retry-After`: seconds, or a moment (RFC 9110, section 10.2.3). The moment is compared with the
/// server's own `Date` where there is one, since the two clocks may differ.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let asked = text(RETRY_AFTER)?;
    if let Ok(seconds) = asked.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(asked).ok()?;
    let now = text(DATE).and_then(|date| httpdate::parse_http_date(date).ok());
    Some(until.duration_since(now.unwrap_or_else(SystemTime::now)).unwrap_or_default())
}
