//! What a refusal of Infisical means: status first, then its few stable words, then its message.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Deserialize;

use crate::contract::{FetchError, FetchErrorKind};
use crate::http::Answer;

/// The longest part of the server's own message that is shown.
const SHOWN: usize = 300;

/// Why a call gave nothing: the server refused it, or no proper answer came.
pub(super) enum Failure {
    Refused(Refusal),
    Broken(FetchError),
}

impl Failure {
    /// Returns the error, where no further question is asked. `what` is as for [`Refusal::explain`].
    pub(super) fn into_error(self, what: &str) -> FetchError {
        match self {
            Self::Refused(refusal) => refusal.explain(what),
            Self::Broken(error) => error,
        }
    }
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        Self::Broken(error)
    }
}

/// An answer whose status is not one of success. `details` is left out on purpose: it lists the
/// caller's own permission rules.
#[derive(Clone)]
pub(super) struct Refusal {
    status: u16,
    error: String,
    message: String,
    request_id: Option<String>,
    retry_after: Option<Duration>,
    host: String,
}

#[derive(Default, Deserialize)]
struct Envelope {
    #[serde(rename = "reqId")]
    request_id: Option<String>,
    message: Option<serde_json::Value>,
    error: Option<String>,
}

impl Refusal {
    /// Reads a refusal.
    ///
    /// # Errors
    ///
    /// `Malformed` where the answer is not Infisical's. A proxy's 429 or 5xx is taken without its body.
    pub(super) fn read(answer: &Answer) -> Result<Self, FetchError> {
        let status = answer.status();
        let envelope = match answer.json::<Envelope>() {
            Ok(envelope) => envelope,
            Err(_) if matches!(status, 408 | 429 | 500..) => Envelope::default(),
            Err(error) => return Err(error),
        };
        Ok(Self {
            status,
            error: envelope.error.unwrap_or_default(),
            message: envelope.message.as_ref().map(text_of).unwrap_or_default(),
            request_id: envelope.request_id,
            retry_after: answer.retry_after(),
            host: answer.host().to_owned(),
        })
    }

    /// Says whether the server does not have the route: the web framework's own 404, which has a space
    /// in its `error` where Infisical's own has none.
    pub(super) fn is_route_missing(&self) -> bool {
        self.status == 404 && self.error == "Not Found" && self.message.starts_with("Route ")
    }

    /// Says whether the token was refused, and not the request: an expired one is 403, a revoked one 401.
    pub(super) fn is_of_token(&self) -> bool {
        self.status == 401 || (self.status == 403 && self.error == "TokenError")
    }

    /// Says whether the folder or the environment is missing.
    pub(super) fn is_of_place(&self) -> bool {
        self.status == 404 && matches!(self.error.as_str(), "GetSecretByName" | "SecretPathNotFound")
    }

    /// Says whether the secret alone is missing. Only the message tells it from a missing project.
    pub(super) fn is_of_secret(&self) -> bool {
        self.status == 404 && self.error == "NotFound" && self.message.starts_with("Secret ")
    }

    /// Says whether the environment is missing: the folder list alone tells so.
    pub(super) fn is_of_environment(&self) -> bool {
        self.status == 404 && self.error == "NotFound" && self.message.starts_with("Environment ")
    }

    /// Says whether the project is missing.
    pub(super) fn is_of_project(&self) -> bool {
        self.status == 404 && self.message.starts_with("Project ") && !self.is_of_upgrade()
    }

    /// Says whether the project is from the days of end-to-end encryption, and was never upgraded.
    fn is_of_upgrade(&self) -> bool {
        self.error == "bot_not_found_error"
            || ["failed to find bot key", "bot is not active", "upgrade your project"]
                .iter()
                .any(|words| self.message.to_ascii_lowercase().contains(words))
    }

    /// Says whether a refused list may hold other secrets that can be read one by one: one name whose
    /// value is out of reach, or that refers to one, makes the server refuse the whole folder.
    pub(super) fn is_of_some_secrets(&self) -> bool {
        self.status == 403
            && matches!(
                self.error.as_str(),
                "PermissionDenied" | "ForbiddenError" | "ForbiddenReadSecretError"
            )
    }

    /// Says whether the server takes no API keys any more, or does not know this one. An older server
    /// answers a malformed key with 500.
    fn is_of_api_key(&self) -> bool {
        self.message.contains("API key authentication") || (self.status == 500 && self.error == "Find by id")
    }

    /// Returns the server's own words and its request id, to end a message with.
    pub(super) fn said(&self) -> String {
        let mut said = String::new();
        if !self.message.is_empty() {
            let _ = write!(said, "Infisical: {}", shown(&self.message));
        }
        // Older servers put the useful sentence into `error`.
        if self.error.contains(' ') && !self.is_route_missing() {
            let _ =
                write!(said, "{}{}", if said.is_empty() { "Infisical: " } else { "; " }, shown(&self.error));
        }
        if let Some(id) = &self.request_id {
            let _ = write!(said, "{}{}", if said.is_empty() { "" } else { ", " }, shown(id));
        }
        if said.is_empty() { format!(" (status {})", self.status) } else { format!(" ({said})") }
    }

    /// As [`Refusal::said`], with nothing where the server said nothing.
    pub(super) fn said_by(&self) -> String {
        if self.message.is_empty() && self.request_id.is_none() { String::new() } else { self.said() }
    }

    /// Returns the request id alone, where the server's words would be odd beside ours.
    pub(super) fn id_said(&self) -> String {
        self.request_id.as_ref().map_or_else(String::new, |id| format!(" (Infisical: {})", shown(id)))
    }

    /// Returns the error for a refusal that needs no further question. `what` says what was asked, as in
    /// "`KEY` in folder `/app`".
    pub(super) fn explain(&self, what: &str) -> FetchError {
        let said = self.said();
        let error = |kind, message: String| FetchError::new(kind, message);
        if self.is_of_api_key() {
            return error(
                FetchErrorKind::Unauthenticated,
                format!(
                    "unauthorized: `{}` does not take this API key; current servers take none{said}",
                    self.host
                ),
            )
            .help("log in as a machine identity: `method: machine_identity`");
        }
        match self.status {
            _ if self.is_route_missing() => {
                error(FetchErrorKind::Unsupported, format!("`{}` has no route for {what}{said}", self.host))
                    .help("check `host`, and update the server if it is an old one")
            }
            401 if self.message.contains("max age") => error(
                FetchErrorKind::Unauthenticated,
                format!("unauthorized: the access token is older than the server takes{said}"),
            )
            .help("create a new access token, or use a `method` that logs in"),
            401 => {
                error(FetchErrorKind::Unauthenticated, format!("unauthorized: the token was refused{said}"))
                    .help(self.help_of_token())
            }
            403 => self.explain_forbidden(what, &said),
            _ if self.is_of_upgrade() => error(
                FetchErrorKind::Unsupported,
                format!(
                    "the project has an older form, which Infisical serves to its own dashboard only{said}"
                ),
            )
            .help("open the project in Infisical as an admin, and press `Upgrade Project`"),
            404 if self.is_of_project() => {
                error(FetchErrorKind::PlaceNotFound, format!("project not found{said}"))
                    .help("copy the id from the project's settings; it is a UUID, not the name or the slug")
            }
            // Not an absence: another service, or what stands before the server, answers 404 too.
            404 => error(
                FetchErrorKind::Malformed,
                format!("`{}` answered 404 for {what}, and not as Infisical does{said}", self.host),
            )
            .help("check `host`, and what stands before the server"),
            408 => error(FetchErrorKind::Unavailable, format!("`{}` gave up waiting{said}", self.host))
                .help("try again later, or look into the server's log"),
            429 => {
                let limited = error(
                    FetchErrorKind::RateLimited,
                    format!("`{}` asks for a pause: too many requests{said}", self.host),
                )
                .help("try again after the pause, or raise `timeout` on the store to wait for it");
                self.retry_after.map_or_else(|| limited.clone(), |pause| limited.clone().retry_after(pause))
            }
            // What the database cannot read as an id ends as a server's fault.
            500 if matches!(self.error.as_str(), "Find one" | "Find by id") => {
                error(FetchErrorKind::Unsupported, format!("an id that is no UUID was sent for {what}{said}"))
                    .help("check `project_id` and the ids under `auth`")
            }
            500.. => {
                let failed = error(
                    FetchErrorKind::Unavailable,
                    format!("`{}` cannot serve now: status {}{said}", self.host, self.status),
                )
                .help("try again later, or look into the server's log");
                self.retry_after.map_or_else(|| failed.clone(), |pause| failed.clone().retry_after(pause))
            }
            400 if self.message.contains("plan restriction") => error(
                FetchErrorKind::Forbidden,
                format!("the organization's plan does not include {what}{said}"),
            )
            .help("upgrade the plan in Infisical, under Organization Settings, Billing"),
            status => error(
                FetchErrorKind::Unsupported,
                format!("`{}` refused the request for {what} with status {status}{said}", self.host),
            )
            .help("check `project_id`, `environment` and the folder against the project"),
        }
    }

    /// Says what mends a token that a data call was refused for.
    fn help_of_token(&self) -> &'static str {
        if self.message.contains("usage limit") || self.message.contains("number of uses") {
            return "raise the uses of an access token in the identity's login method, or set them to 0 for no limit";
        }
        "check the credentials under `auth`, and that they are of this server"
    }

    fn explain_forbidden(&self, what: &str, said: &str) -> FetchError {
        let forbidden = |message: String| FetchError::new(FetchErrorKind::Forbidden, message);
        let text = format!("{} {}", self.message, self.error);
        if self.error == "TokenError" {
            return FetchError::new(
                FetchErrorKind::Unauthenticated,
                format!("unauthorized: the token has expired or is malformed{said}"),
            )
            .help("check the credentials under `auth`, and that they are of this server");
        }
        if self.message.contains("token has expired") {
            return FetchError::new(
                FetchErrorKind::Unauthenticated,
                format!("unauthorized: the service token has run out{said}"),
            )
            .help(
                "create a new service token in the project's Access Control, or log in as a machine identity",
            );
        }
        if self.error == "ForbiddenReadSecretError" {
            return FetchError::new(
                FetchErrorKind::Hidden,
                format!("the value of {what} is hidden from this identity{said}"),
            )
            .help("grant `Read Value` on this secret to the identity's role in the project");
        }
        if self.error == "ProjectMembershipNotFound" || text.contains("not a member") {
            return forbidden(format!("the identity has no access to the project{said}")).help(
                "open the project in Infisical, then Access Control, Machine Identities, `Add identity`, with a role that reads secrets",
            );
        }
        if text.contains("IP address") {
            return forbidden(format!("the server does not accept this machine's IP address{said}")).help(
                "open the identity in Infisical, then its login method, and add the address to its trusted IPs",
            );
        }
        if text.contains("Service token not a part") {
            return forbidden(format!("the service token is of another project{said}"))
                .help("create a service token in this project, or log in as a machine identity");
        }
        // The route does not take this kind of credential at all.
        if self.error.starts_with("Forbidden access to") {
            return forbidden(format!("this kind of credential is not for {what}{said}"))
                .help("log in as a machine identity: `method: machine_identity`");
        }
        forbidden(format!("no permission for {what}{said}"))
            .help("grant `Describe Secret` and `Read Value` here to the identity's role in the project")
    }

    /// Returns the error for a refused login. It is final unless the server could not serve.
    pub(super) fn explain_login(&self, method: &str) -> FetchError {
        let said = self.said();
        let refused = |help: &str| {
            FetchError::new(
                FetchErrorKind::Unauthenticated,
                format!("unauthorized: `{}` refused the login ({method}){said}", self.host),
            )
            .help(help)
        };
        match self.status {
            // An address of the caller's is refused before anything else is looked at.
            403 if self.message.contains("IP address") => self.explain_forbidden("this login", &said),
            408 | 429 | 500.. => self.explain("the login"),
            _ if self.is_route_missing() => self.explain(&format!("this login ({method})")),
            _ if self.message.contains("locked") => refused(
                "wait until the lockout of the identity ends, then try again once, with the right secret",
            ),
            _ if self.message.contains("usage limit") => {
                refused("create a client secret with more uses, or without a limit")
            }
            _ if self.message.contains("method not found for identity") => refused(&format!(
                "add the login method to the machine identity in Infisical, or correct `auth.identity_id`; `{method}` \
                 needs its own"
            )),
            _ if self.message.contains("Sub organization") => {
                refused("correct `auth.organization_slug`, or add the identity to the sub-organization")
            }
            _ => match self.advice_for_token() {
                Some(help) => refused(help),
                // A service token that has run out is refused with 403, a client secret with 401.
                None if self.message.contains("expired") => refused("create a new client secret or token"),
                None if self.status == 403 && self.error != "TokenError" => {
                    self.explain_forbidden("this login", &said)
                }
                None => refused(
                    "check the credentials under `auth`, and that `host` is the server that they are of",
                ),
            },
        }
    }

    /// Returns what to do about a token that says who runs this, which the identity does not accept.
    fn advice_for_token(&self) -> Option<&'static str> {
        let has = |words: &str| self.message.contains(words);
        Some(match () {
            () if has("audience") => {
                "set `auth.audience` to an audience of the identity's login method, or add the token's to it"
            }
            () if has("subject not allowed") => {
                "correct the subject in the identity's login method; `*` does not cross a `/` on servers before 2026"
            }
            () if has("claim not allowed") || (has("token has no ") && has(" field")) => {
                "correct the claims in the identity's login method to those that the token has"
            }
            () if has("issuer") => {
                "correct the issuer in the identity's login method, or get the token from that one"
            }
            () if has("jwt expired") => "get a new token right before the run: these are good for minutes",
            () if has("signing key") || has("invalid signature") => {
                "correct the discovery URL or the keys in the identity's login method"
            }
            () if has("Invalid JWT") => {
                "give the whole JSON web token, three parts with dots between, and nothing around it"
            }
            () if has("not allowed") && !has("not allowed to access") => {
                "allow this account in the identity's login method in Infisical"
            }
            () => return None,
        })
    }
}

/// Returns a message as one line of text. A list of validation issues names fields, not values.
fn text_of(message: &serde_json::Value) -> String {
    use serde_json::Value;
    match message {
        Value::String(text) => text.clone(),
        Value::Array(issues) => {
            let text = |issue: &Value| {
                let path = issue.get("path").and_then(Value::as_array);
                let path: Vec<&str> = path.into_iter().flatten().filter_map(Value::as_str).collect();
                let message = issue.get("message").and_then(Value::as_str).unwrap_or("invalid");
                format!("{}: {message}", path.join("."))
            };
            issues.iter().map(text).collect::<Vec<_>>().join(", ")
        }
        _ => String::new(),
    }
}

fn shown(text: &str) -> String {
    let line: String = text.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.trim().trim_end_matches('.').to_owned()
}
