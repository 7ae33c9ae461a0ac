//! What each thing that can go wrong is called, and that nothing secret is in the call.

use std::error::Error as _;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::server::{
    LIST, LOGIN, PROJECT, Project, Reply, Server, Store, logged_in, machine_identity, one, project, secret,
};
use crate::contract::{FetchError, FetchErrorKind, Locator, Provider as _, Status};

/// A server that logs in, tells the project, and answers everything else alike.
async fn answering(reply: impl Fn() -> Reply + Send + Sync + 'static) -> Server {
    Server::start(move |seen| match seen.path.as_str() {
        LOGIN => logged_in("canary-token"),
        path if path.starts_with("/api/v1/workspace/") => project(),
        _ => reply(),
    })
    .await
}

async fn failure(reply: impl Fn() -> Reply + Send + Sync + 'static) -> FetchError {
    let error = answering(reply).await.store().error(Locator::new("app/KEY")).await;
    assert_shows_no_secret(&error);
    error
}

fn assert_shows_no_secret(error: &FetchError) {
    let shown = format!("{error} {error:?} {:?} {:?}", error.advice(), error.source());
    assert!(!shown.contains("canary"), "{shown}");
}

#[tokio::test]
async fn a_missing_environment_is_named_with_those_that_there_are() {
    let server = Server::of(Project::default().with("/", &[("KEY", "1")])).await;
    for (environment, help) in
        [("Dev", "did you mean `dev`?"), ("pord", "did you mean `prod`?"), ("qa", "`dev`, `staging`, `prod`")]
    {
        let error = server.store_with(&machine_identity(), environment).error(Locator::new("KEY")).await;
        assert_eq!(error.kind(), FetchErrorKind::PlaceNotFound);
        assert!(
            error
                .message()
                .starts_with(&format!("environment not found: `{environment}` in project `Resolver Lab`")),
            "{error}"
        );
        assert!(error.advice().unwrap().contains(help), "{:?}", error.advice());
    }
}

#[tokio::test]
async fn a_missing_folder_is_told_from_a_missing_environment_by_one_request() {
    let server = Server::of(Project::default().with("/", &[("KEY", "1")])).await;
    let answers = server.store().fetch(&["a/X", "a/Y", "b/X", "b/Y"].map(Locator::new)).await;
    for answer in answers {
        assert!(answer.unwrap_err().message().starts_with("folder not found: folder `/"));
    }
    assert_eq!(server.count(&format!("/api/v1/workspace/{PROJECT}")), 1);
}

#[tokio::test]
async fn where_the_project_cannot_be_read_the_message_says_what_is_known() {
    let server = Server::start(|seen| match seen.path.as_str() {
        LOGIN => logged_in("token-1"),
        path if path.starts_with("/api/v1/workspace/") => {
            Reply::refusal(403, "PermissionDenied", "You are not allowed to read on project")
        }
        _ => Reply::refusal(
            404,
            "GetSecretByName",
            "Folder with path '/app' in environment with slug 'dev' not found",
        ),
    })
    .await;
    let error = server.store().error(Locator::new("app/KEY")).await;
    assert!(error.message().starts_with("folder or environment not found: folder `/app`"), "{error}");
}

#[tokio::test]
async fn a_missing_project_and_a_closed_one_are_two_things() {
    let message =
        "Project with ID '00000000-0000-4000-8000-000000000000' not found during bot lookup. Are you sure?";
    let error = failure(move || Reply::refusal(404, "NotFound", message)).await;
    assert_eq!(error.kind(), FetchErrorKind::PlaceNotFound);
    assert!(error.message().starts_with("project not found (Infisical: Project with ID"), "{error}");
    for (error, message) in [
        ("ProjectMembershipNotFound", "You are not a member of this project with ID x. Please assign."),
        (
            "Identity is not a member of the specified project with ID 'x'",
            "You are not allowed to access this resource",
        ),
    ] {
        let error = failure(move || Reply::refusal(403, error, message)).await;
        assert_eq!(error.kind(), FetchErrorKind::Forbidden);
        assert!(
            error.message().contains("has no access to the project")
                && error.message().contains("not a member"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_missing_secret_is_confirmed_and_carries_the_request_id() {
    let error = failure(|| Reply::refusal(404, "NotFound", "Secret with name 'KEY' not found")).await;
    assert_eq!(
        error.message(),
        "secret not found: `KEY` in folder `/app`, environment `dev` \
         (Infisical: Secret with name 'KEY' not found, req-JUedW9563iCQQY)"
    );
}

#[tokio::test]
async fn a_404_that_is_not_infisicals_is_no_absence() {
    for (error, message) in [("", ""), ("not_found", "no healthy upstream"), ("NotFound", "Nothing here")] {
        let error = failure(move || Reply::refusal(404, error, message)).await;
        assert_eq!(error.kind(), FetchErrorKind::Malformed, "{error}");
        assert!(error.advice().unwrap().contains("`host`"), "{error}");
    }
}

#[tokio::test]
async fn a_limited_rate_carries_the_pause() {
    let error = failure(|| {
        Reply::refusal(429, "RateLimitExceeded", "Rate limit exceeded. Please try again in 58 seconds")
            .header("retry-after", "58")
    })
    .await;
    assert_eq!((error.kind(), error.pause()), (FetchErrorKind::RateLimited, Some(Duration::from_secs(58))));
    assert!(error.is_temporary());
}

#[tokio::test]
async fn a_server_that_cannot_serve_is_temporary_whatever_its_body() {
    for status in [500, 502, 503, 504] {
        for reply in [
            (|status| Reply::refusal(status, "InternalServerError", "Something went wrong"))
                as fn(u16) -> Reply,
            |status| Reply::text(status, "text/html", "<html>canary</html>"),
            |status| Reply::text(status, "text/plain", ""),
        ] {
            let error = failure(move || reply(status)).await;
            assert_eq!((error.kind(), error.is_temporary()), (FetchErrorKind::Unavailable, true), "{error}");
        }
    }
    let error = failure(|| Reply::refusal(500, "Find one", "Something went wrong")).await;
    assert!(!error.is_temporary(), "an id that is no UUID stays one: {error}");
}

#[tokio::test]
async fn a_validation_failure_is_read_as_text() {
    let body = json!({"reqId": "req-8Gak2E9gq9OkzT", "statusCode": 422, "error": "ValidationFailure",
        "message": [{"code": "invalid_type", "path": ["environment"], "message": "Required"}]});
    let error = failure(move || Reply::json(422, &body)).await;
    assert_eq!(error.kind(), FetchErrorKind::Unsupported);
    assert!(error.message().contains("environment: Required, req-8Gak2E9gq9OkzT"), "{error}");
}

#[tokio::test]
async fn an_answer_that_is_no_json_is_malformed_and_says_what_it_is() {
    let cases: [(&str, &str, &str, bool); 5] = [
        ("text/html; charset=utf-8", "<!doctype html><p>canary", "an HTML page instead of JSON", false),
        ("text/plain", "canary", "something other than JSON", false),
        ("application/json", "", "an empty body", true),
        ("application/json", r#"{"secret": {"secretValue": "canary"#, "cut short", true),
        ("application/json", r#"{"secret": {"secretValue": canary}}"#, "broken JSON", false),
    ];
    for (content_type, body, said, temporary) in cases {
        let error = failure(move || Reply::text(200, content_type, body)).await;
        assert_eq!((error.kind(), error.is_temporary()), (FetchErrorKind::Malformed, temporary), "{error}");
        assert!(error.message().contains(said), "{error}");
    }
    let wrong_type = json!({"secret": {"id": "x", "secretKey": "KEY", "secretValue": ["canary"]}});
    let error = failure(move || Reply::json(200, &wrong_type)).await;
    assert!(error.message().contains("not the documented shape"), "{error}");
    let no_value = json!({"secret": {"id": "x", "secretKey": "KEY"}});
    let error = failure(move || Reply::json(200, &no_value)).await;
    assert!(error.message().contains("holds no value"), "{error}");
}

#[tokio::test]
async fn a_redirection_is_not_followed_with_the_token() {
    let error = failure(|| {
        Reply::text(302, "text/html", "").header("location", "https://login.example.com/sso?next=canary")
    })
    .await;
    assert_eq!(error.kind(), FetchErrorKind::Malformed);
    assert!(error.message().contains("a redirection to `https://login.example.com/sso`"), "{error}");
}

#[tokio::test]
async fn a_refused_connection_says_so_and_is_temporary() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let store = Store::open(&json!({"host": format!("http://{address}"), "project_id": PROJECT,
        "environment": "dev", "auth": machine_identity()}));
    let error = store.unwrap().error(Locator::new("KEY")).await;
    assert_eq!((error.kind(), error.is_temporary()), (FetchErrorKind::Unavailable, true));
    assert_eq!(error.message(), format!("connection refused by `{address}`"));
}

/// A server that reads a request, writes these bytes and hangs up.
async fn raw(bytes: &'static str) -> FetchError {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(bytes.as_bytes()).await;
        }
    });
    let options = json!({"host": host, "project_id": PROJECT, "environment": "dev", "auth": {"method": "api_key", "api_key": "k"}});
    Store::open(&options).unwrap().error(Locator::new("KEY")).await
}

#[tokio::test]
async fn a_body_that_breaks_off_is_temporary() {
    let error =
        raw("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"secret\":")
            .await;
    assert_eq!((error.kind(), error.is_temporary()), (FetchErrorKind::Malformed, true));
    assert!(error.message().ends_with("was cut short"), "{error}");
}

#[tokio::test]
async fn a_connection_that_ends_without_an_answer_is_temporary() {
    let error = raw("").await;
    assert_eq!((error.kind(), error.is_temporary()), (FetchErrorKind::Unavailable, true));
}

#[tokio::test]
async fn a_body_without_end_is_not_read_to_its_end() {
    let error =
        raw("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99999999999\r\n\r\n").await;
    assert_eq!((error.kind(), error.is_temporary()), (FetchErrorKind::Malformed, false));
    assert!(error.message().contains("more than 16 MiB"), "{error}");
}

#[tokio::test]
async fn a_slow_server_ends_at_the_deadline() {
    let server =
        answering(|| one(&secret("dev", "/app", "KEY", "late")).after(Duration::from_secs(30))).await;
    let mut store = server.store();
    store.cx = store.cx.for_store("infisical", Some(Duration::from_millis(200)));
    let started = Instant::now();
    let error = store.error(Locator::new("app/KEY")).await;
    assert_eq!(error.kind(), FetchErrorKind::TimedOut);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn doctor_gets_a_finding_for_every_step() {
    let server = Server::of(Project::default().with("/", &[])).await;
    let findings = server.store().infisical.check(&server.store().cx).await;
    let steps: Vec<(&str, Status)> = findings.iter().map(|finding| (finding.step, finding.status)).collect();
    assert_eq!(
        steps,
        [("reach", Status::Ok), ("login", Status::Ok), ("project", Status::Ok), ("environment", Status::Ok)]
    );
    assert!(findings.iter().all(|finding| finding.latency.is_some()));
    assert_eq!(server.count(LIST), 0, "no secret is read");
    assert_eq!(server.seen()[0].header("authorization"), None);
}

#[tokio::test]
async fn doctor_stops_at_the_step_that_fails() {
    let server = Server::start(|seen| match seen.path.as_str() {
        LOGIN => Reply::refusal(401, "UnauthorizedError", "Invalid credentials"),
        _ => Project::default().answer(seen),
    })
    .await;
    let store = server.store();
    let findings = store.infisical.check(&store.cx).await;
    let steps: Vec<Status> = findings.iter().map(|finding| finding.status).collect();
    assert_eq!(steps, [Status::Ok, Status::Failed, Status::Skipped, Status::Skipped]);
    assert_eq!(findings[1].kind, Some(FetchErrorKind::Unauthenticated));
    assert!(findings[1].help.is_some());

    let server = Server::of(Project::default()).await;
    let store = server.store_with(&machine_identity(), "qa");
    let findings = store.infisical.check(&store.cx).await;
    assert_eq!((findings[3].status, findings[3].kind), (Status::Failed, Some(FetchErrorKind::PlaceNotFound)));
}
