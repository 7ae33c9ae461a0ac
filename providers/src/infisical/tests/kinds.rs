//! Every refusal that Infisical was seen to answer a read with, and what becomes of it: the kind, what the message
//! says, what the help says to do, and whether asking again can help.

use super::server::{LOGIN, Reply, Server, logged_in};
use crate::contract::FetchErrorKind::{
    Forbidden, Hidden, Malformed, NotFound, PlaceNotFound, RateLimited, Unauthenticated, Unavailable,
    Unsupported,
};
use crate::contract::{FetchErrorKind, Locator};

/// A refusal: status, `error`, `message`.
type Refused = (u16, &'static str, &'static str);
/// What becomes of it: kind, a part of the message, a part of the help.
type Becomes = (FetchErrorKind, &'static str, &'static str);

const PROJECT_BOT: &str =
    "Project with ID 'x' not found during bot lookup. Are you sure you are using the correct project ID?";

const ROWS: &[(Refused, Becomes)] = &[
    // 400
    ((400, "BadRequest", "Missing environment"), (Unsupported, "status 400", "`environment`")),
    (
        (
            400,
            "BadRequest",
            "Invalid secret path. Only alphanumeric characters, dashes, and underscores are allowed.",
        ),
        (Unsupported, "Only alphanumeric", "the folder"),
    ),
    (
        (
            400,
            "BadRequest",
            "API key authentication is not supported anymore. Please switch to identity authentication.",
        ),
        (Unauthenticated, "does not take this API key", "machine_identity"),
    ),
    (
        (400, "BadRequest", "Failed due to plan restriction. Upgrade plan to do this."),
        (Forbidden, "plan does not include", "upgrade the plan"),
    ),
    // 401
    ((401, "UnauthorizedError", "Token missing"), (Unauthenticated, "token was refused", "`auth`")),
    (
        (401, "UnauthorizedError", "No identity access token found"),
        (Unauthenticated, "token was refused", "`auth`"),
    ),
    (
        (401, "UnauthorizedError", "Failed to authorize: token has been revoked"),
        (Unauthenticated, "token was refused", "`auth`"),
    ),
    (
        (401, "UnauthorizedError", "Identity access token exceeded max age, please re-authenticate"),
        (Unauthenticated, "older than the server takes", "a `method` that logs in"),
    ),
    (
        (401, "UnauthorizedError", "Failed to authorize: token usage limit reached"),
        (Unauthenticated, "usage limit", "raise the uses"),
    ),
    (
        (401, "UnauthorizedError", "Unable to renew because access token number of uses limit reached"),
        (Unauthenticated, "number of uses", "raise the uses"),
    ),
    // 403
    (
        (403, "TokenError", "Your token has expired. Please re-authenticate."),
        (Unauthenticated, "expired", "`auth`"),
    ),
    ((403, "TokenError", "invalid signature"), (Unauthenticated, "malformed", "of this server")),
    (
        (403, "ForbiddenError", "Service token has expired"),
        (Unauthenticated, "has run out", "create a new service token"),
    ),
    (
        (403, "PermissionDenied", "You are not allowed to describeSecret on secrets"),
        (Forbidden, "no permission for `KEY`", "`Read Value`"),
    ),
    (
        (
            403,
            "ForbiddenReadSecretError",
            "You do not have permission to view secret value on secret with name 'KEY'",
        ),
        (Hidden, "hidden", "`Read Value`"),
    ),
    (
        (403, "ProjectMembershipNotFound", "You are not a member of this project with ID x."),
        (Forbidden, "no access to the project", "Machine Identities"),
    ),
    (
        (
            403,
            "Identity is not a member of the specified project with ID 'x'",
            "You are not allowed to access this resource",
        ),
        (Forbidden, "no access to the project", "Machine Identities"),
    ),
    (
        (403, "ForbiddenError", "Service token not a part of the specified project with ID x"),
        (Forbidden, "of another project", "create a service token"),
    ),
    (
        (403, "Forbidden access to /api/v1/workspace", "You are not allowed to access this resource"),
        (Forbidden, "kind of credential", "machine_identity"),
    ),
    (
        (403, "ForbiddenError", "You are not allowed to access this resource from the current IP address"),
        (Forbidden, "IP address", "trusted IPs"),
    ),
    // 404
    (
        (404, "NotFound", "Secret with name 'KEY' not found"),
        (NotFound, "secret not found: `KEY`", "create the secret"),
    ),
    ((404, "NotFound", PROJECT_BOT), (PlaceNotFound, "project not found", "a UUID")),
    ((404, "NotFound", "Project with slug 'x' not found"), (PlaceNotFound, "project not found", "a UUID")),
    (
        (
            404,
            "bot_not_found_error",
            "Project bot for project with ID x not found. Please upgrade your project.",
        ),
        (Unsupported, "older form", "Upgrade Project"),
    ),
    ((404, "NotFound", "failed to find bot key"), (Unsupported, "older form", "Upgrade Project")),
    ((404, "Something", "else"), (Malformed, "not as Infisical does", "`host`")),
    // 422, 429, 5xx
    ((422, "ValidationFailure", "Invalid"), (Unsupported, "status 422", "`project_id`")),
    (
        (429, "RateLimitExceeded", "Rate limit exceeded. Please try again in 58 seconds"),
        (RateLimited, "pause", "timeout"),
    ),
    ((500, "InternalServerError", "Something went wrong"), (Unavailable, "status 500", "the server's log")),
    ((500, "Find one", "Something went wrong"), (Unsupported, "no UUID", "`project_id`")),
    ((500, "Find by id", "Something went wrong"), (Unauthenticated, "API key", "machine_identity")),
    ((504, "GatewayTimeout", "timed out"), (Unavailable, "status 504", "again later")),
];

#[tokio::test]
async fn every_refusal_becomes_its_kind_with_infisicals_words_and_what_to_do() {
    for &((status, error, message), (kind, says, advises)) in ROWS {
        let server = Server::start(move |seen| match seen.path.as_str() {
            LOGIN => logged_in("token-1"),
            _ => Reply::refusal(status, error, message),
        })
        .await;
        let got = server.store().error(Locator::new("KEY")).await;
        let row = format!("{status} {error} {message}: {got}, {:?}", got.advice());
        assert_eq!(got.kind(), kind, "{row}");
        assert!(got.message().contains(says), "{row}");
        assert!(got.advice().is_some_and(|help| help.contains(advises)), "{row}");
        assert!(got.message().contains(message.trim_end_matches('.')), "the server's words: {row}");
        assert!(got.message().contains("req-JUedW9563iCQQY"), "the request's id: {row}");
        assert_eq!(got.is_temporary(), matches!(kind, RateLimited | Unavailable), "{row}");
        assert!(!got.message().starts_with(char::is_uppercase), "{row}");
    }
}

#[tokio::test]
async fn a_version_that_is_not_there_is_not_told_as_a_secret_that_is_not_there() {
    let server = Server::start(|seen| match (seen.path.as_str(), seen.asks("version")) {
        (LOGIN, _) => logged_in("token-1"),
        (_, "") => super::server::one(&super::server::secret("dev", "/", "KEY", "canary")),
        _ => Reply::refusal(404, "NotFound", "Secret with name 'KEY' not found"),
    })
    .await;
    let error = server.store().error(Locator::new("KEY").at_version("7")).await;
    assert_eq!(error.kind(), FetchErrorKind::VersionNotFound);
    assert_eq!(
        error.message(),
        "version 7 of `KEY` in folder `/`, environment `dev` not found: the server has no such version (latest: 3) \
         (Infisical: req-JUedW9563iCQQY)"
    );
}
