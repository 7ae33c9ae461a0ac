//! One login for all, refusals that stay refusals, tokens that run out, and the older credentials.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};

use super::server::{
    DETAILS, LIST, LOGIN, PROJECT, Project, Reply, SERVICE_TOKEN, Seen, Server, list, logged_in, secret,
};
use crate::contract::{FetchError, FetchErrorKind, Lister as _, Locator};

fn project() -> Project {
    Project::default().with("/", &[("A", "1"), ("B", "2")]).with("/app", &[("C", "3")])
}

/// A server that gives `token-1`, `token-2`, … and takes only those that `takes` names.
async fn handing_out(takes: &'static [&'static str], refusal: fn() -> Reply) -> Server {
    let logins = Arc::new(AtomicUsize::new(0));
    Server::start(move |seen| {
        if seen.path == LOGIN {
            return logged_in(&format!("token-{}", logins.fetch_add(1, Ordering::SeqCst) + 1));
        }
        let token = seen.header("authorization").unwrap_or_default().trim_start_matches("Bearer ");
        if takes.contains(&token) { project().answer(seen) } else { refusal() }
    })
    .await
}

fn revoked() -> Reply {
    Reply::refusal(401, "UnauthorizedError", "No identity access token found")
}

fn expired() -> Reply {
    Reply::refusal(403, "TokenError", "Your token has expired. Please re-authenticate.")
}

#[tokio::test]
async fn everything_that_runs_at_once_shares_one_login() {
    let server = Server::start(|seen| match seen.path.as_str() {
        LOGIN => logged_in("token-1").after(Duration::from_millis(50)),
        _ => project().answer(seen),
    })
    .await;
    let store = server.store();
    let (root, app) = ([Locator::new("A"), Locator::new("B")], [Locator::new("app/C")]);
    let (one, two, listed) =
        tokio::join!(store.fetch(&root), store.fetch(&app), store.infisical.list(&store.cx, "app"));
    assert!(one.iter().chain(&two).all(Result::is_ok));
    assert_eq!(listed.unwrap().len(), 1);
    assert_eq!(server.count(LOGIN), 1);
}

#[tokio::test]
async fn a_refused_login_is_asked_once_and_never_again() {
    let server = Server::start(|_| {
        Reply::refusal(401, "UnauthorizedError", "Invalid credentials").after(Duration::from_millis(20))
    })
    .await;
    let store = server.store();
    let asked = ["A", "app/C", "x/D", "y/E"].map(Locator::new);
    let mut answers = store.fetch(&asked).await;
    answers.extend(store.fetch(&asked).await);
    for answer in answers {
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), FetchErrorKind::Unauthenticated);
        assert!(!error.is_temporary());
        assert!(error.message().starts_with("unauthorized: "), "{error}");
        assert!(error.message().ends_with("(Infisical: Invalid credentials, req-JUedW9563iCQQY)"), "{error}");
    }
    assert_eq!(server.log(), [format!("POST {LOGIN}")]);
}

#[tokio::test]
async fn every_refusal_of_a_login_has_its_advice_and_none_is_temporary() {
    let cases = [
        (
            401,
            "UnauthorizedError",
            "Access denied due to expired client secret",
            "create a new client secret",
        ),
        (401, "UnauthorizedError", "Access denied due to client secret usage limit reached", "more uses"),
        (401, "UnauthorizedError", "This identity auth method is temporarily locked, please try", "lockout"),
        (404, "NotFound", "No identity with specified client ID was found", "check the credentials"),
        (
            403,
            "ForbiddenError",
            "You are not allowed to access this resource from the current IP address",
            "IPs",
        ),
        (422, "ValidationFailure", "clientSecret: Required", "check the credentials"),
    ];
    for (status, error, message, advice) in cases {
        let server = Server::start(move |_| Reply::refusal(status, error, message)).await;
        let refused = server.store().error(Locator::new("A")).await;
        let expected =
            if status == 403 { FetchErrorKind::Forbidden } else { FetchErrorKind::Unauthenticated };
        assert_eq!(refused.kind(), expected, "{refused}");
        assert!(!refused.is_temporary(), "{refused}");
        assert!(refused.advice().unwrap().contains(advice), "{:?}", refused.advice());
    }
}

#[tokio::test]
async fn a_login_that_the_server_cannot_serve_now_is_shared_and_may_be_tried_later() {
    let logins = Arc::new(AtomicUsize::new(0));
    let server = Server::start(move |seen| match seen.path.as_str() {
        LOGIN if logins.fetch_add(1, Ordering::SeqCst) == 0 => Reply::text(503, "text/html", "<html>")
            .header("retry-after", "2")
            .after(Duration::from_millis(20)),
        _ => project().answer(seen),
    })
    .await;
    let store = server.store();
    let asked = ["A", "app/C"].map(Locator::new);
    for answer in store.fetch(&asked).await {
        let error = answer.unwrap_err();
        assert_eq!((error.kind(), error.is_temporary()), (FetchErrorKind::Unavailable, true));
        assert_eq!(error.pause(), Some(Duration::from_secs(2)));
    }
    assert_eq!(server.count(LOGIN), 1);
    assert!(store.fetch(&asked).await.iter().all(Result::is_ok));
    assert_eq!(server.count(LOGIN), 2);
}

#[tokio::test]
async fn a_refused_token_is_replaced_by_one_new_login_and_the_call_made_once_more() {
    for refusal in [revoked, expired] {
        let server = handing_out(&["token-2"], refusal).await;
        let store = server.store();
        let asked = ["A", "B", "app/C"].map(Locator::new);
        assert!(store.fetch(&asked).await.iter().all(Result::is_ok));
        assert_eq!((server.count(LOGIN), server.seen().len()), (2, 6), "{:?}", server.log());
        assert!(!server.log().iter().any(|line| line.contains("renew")));
        let logins: Vec<Seen> = server.seen().into_iter().filter(|seen| seen.path == LOGIN).collect();
        assert!(logins.iter().all(|login| login.header("authorization").is_none()));
    }
}

#[tokio::test]
async fn a_token_that_is_refused_fresh_from_a_new_login_ends_the_matter() {
    let server = handing_out(&[], revoked).await;
    let store = server.store();
    let asked = ["A", "app/C"].map(Locator::new);
    for answer in join_all([store.fetch(&asked), store.fetch(&asked)]).await.into_iter().flatten() {
        let error = answer.unwrap_err();
        assert_eq!((error.kind(), error.is_temporary()), (FetchErrorKind::Unauthenticated, false));
    }
    store.fetch(&asked).await;
    assert_eq!(server.count(LOGIN), 2, "{:?}", server.log());
}

#[tokio::test]
async fn a_login_that_failed_for_a_moment_takes_no_new_login_from_a_token_that_ran_out() {
    let logins = Arc::new(AtomicUsize::new(0));
    let server = Server::start(move |seen| match seen.path.as_str() {
        LOGIN => match logins.fetch_add(1, Ordering::SeqCst) {
            0 => Reply::refusal(500, "InternalServerError", "Something went wrong"),
            login => logged_in(&format!("token-{login}")),
        },
        _ if seen.header("authorization") == Some("Bearer token-1") => expired(),
        _ => project().answer(seen),
    })
    .await;
    let store = server.store();
    assert!(store.error(Locator::new("A")).await.is_temporary());
    assert_eq!(store.values(&["A"]).await, ["1"]);
    assert_eq!(server.count(LOGIN), 3);
}

#[tokio::test]
async fn a_missing_permission_is_no_reason_to_log_in_again() {
    let server = Server::start(|seen| match seen.path.as_str() {
        LOGIN => logged_in("token-1"),
        _ => Reply::refusal(403, "PermissionDenied", "You are not allowed to describeSecret on secrets"),
    })
    .await;
    let error = server.store().error(Locator::new("A")).await;
    assert_eq!(error.kind(), FetchErrorKind::Forbidden);
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_token_is_replaced_before_it_runs_out_and_zero_means_that_it_does_not() {
    for (seconds, logins) in [(0, 1), (1, 2)] {
        let server = Server::start(move |seen| match seen.path.as_str() {
            LOGIN => {
                Reply::json(200, &json!({"accessToken": "t", "expiresIn": seconds, "tokenType": "Bearer"}))
            }
            _ => project().answer(seen),
        })
        .await;
        let store = server.store();
        store.values(&["A"]).await;
        // The one pause of these tests: nine tenths of the shortest life that a token can have.
        tokio::time::sleep(Duration::from_millis(920)).await;
        store.values(&["A"]).await;
        assert_eq!(server.count(LOGIN), logins, "{seconds}");
    }
}

#[tokio::test]
async fn credentials_are_sent_without_the_white_space_around_them() {
    let server = Server::of(project()).await;
    let auth = json!({"client_id": " id\n", "client_secret": "secret\r\n"});
    server.store_with(&auth, "dev").values(&["A"]).await;
    assert_eq!(server.seen()[0].body, json!({"clientId": "id", "clientSecret": "secret"}));
}

#[tokio::test]
async fn a_login_that_answers_200_without_a_token_is_not_repeated() {
    let server = Server::start(|_| Reply::json(200, &json!({"accessToken": ""}))).await;
    let store = server.store();
    for _ in 0..2 {
        let error = store.error(Locator::new("A")).await;
        assert_eq!((error.kind(), error.is_temporary()), (FetchErrorKind::Malformed, false));
    }
    assert_eq!(server.count(LOGIN), 1);
}

fn service_token(token: &str) -> Value {
    json!({"method": "service_token", "token": token})
}

/// What a token is, with everything beside its scopes that must not be shown.
fn details(scopes: &Value) -> Reply {
    Reply::json(
        200,
        &json!({
            "id": "63811cad", "name": "st", "scopes": scopes, "permissions": ["read"], "expiresAt": null,
            "secretHash": "canary-hash", "projectId": PROJECT, "workspace": PROJECT,
            "user": {"email": "canary@example.test", "devices": [{"ip": "canary"}]},
        }),
    )
}

/// A server that, like the real one, gives a token of one plain scope that scope's secrets whatever it asks for.
async fn scoped(scopes: Value) -> Server {
    Server::start(move |seen| match seen.path.as_str() {
        DETAILS => details(&scopes),
        LIST => list(&[secret("dev", "/app", "A", "canary"), secret("dev", "/app", "B", "canary")], &[]),
        _ => project().answer(seen),
    })
    .await
}

#[tokio::test]
async fn a_service_token_travels_in_three_parts_and_its_details_are_read_once() {
    let server = scoped(json!([{"environment": "dev", "secretPath": "/app"}])).await;
    let store = server.store_with(&service_token(&format!("{SERVICE_TOKEN}.cafecafe")), "dev");
    assert_eq!(store.values(&["app/A", "app/B"]).await, ["canary", "canary"]);
    store.values(&["app/A", "app/B"]).await;
    assert_eq!(server.log(), [format!("GET {DETAILS}"), format!("GET {LIST}"), format!("GET {LIST}")]);
    for seen in server.seen() {
        assert_eq!(seen.header("authorization"), Some(format!("Bearer {SERVICE_TOKEN}").as_str()));
    }
    assert_eq!((store.cx.meter().logins(), store.cx.meter().requests()), (0, 3));
}

#[tokio::test]
async fn a_service_token_of_one_place_is_not_used_for_another() {
    let scopes = json!([{"environment": "dev", "secretPath": "/app"}]);
    let server = scoped(scopes).await;
    for (environment, path) in [("prod", "app/A"), ("dev", "A"), ("dev", "app/deeper/A")] {
        let error =
            server.store_with(&service_token(SERVICE_TOKEN), environment).error(Locator::new(path)).await;
        assert_eq!(error.kind(), FetchErrorKind::Forbidden);
        assert!(
            error.message().starts_with("the service token is for folder `/app` of environment `dev` only"),
            "{error}"
        );
    }
    assert_eq!(server.seen().len(), 3, "only the details are read: {:?}", server.log());
    let other = super::server::Store::open(&json!({
        "host": server.address, "project_id": "f6cba663", "environment": "dev", "auth": service_token(SERVICE_TOKEN),
    }));
    let error = other.unwrap().error(Locator::new("app/A")).await;
    assert!(error.message().contains("is for project"), "{error}");
}

#[tokio::test]
async fn a_service_token_of_many_places_leaves_the_decision_to_the_server() {
    let many =
        json!([{"environment": "dev", "secretPath": "/x"}, {"environment": "dev", "secretPath": "/app"}]);
    for scopes in [json!([{"environment": "dev", "secretPath": "/**"}]), many] {
        let server = scoped(scopes).await;
        let store = server.store_with(&service_token(SERVICE_TOKEN), "dev");
        assert_eq!(store.values(&["app/A", "app/B"]).await, ["canary", "canary"]);
    }
}

#[tokio::test]
async fn a_refused_service_token_is_asked_once() {
    let cases = [
        (401, "UnauthorizedError", "Invalid service token"),
        (404, "NotFound", "Service token with ID '12bb2a99' not found"),
        (403, "ForbiddenError", "Service token has expired"),
    ];
    for (status, error, message) in cases {
        let server = Server::start(move |_| Reply::refusal(status, error, message)).await;
        let store = server.store_with(&service_token(SERVICE_TOKEN), "dev");
        for _ in 0..2 {
            let error = store.error(Locator::new("A")).await;
            assert_eq!((error.kind(), error.is_temporary()), (FetchErrorKind::Unauthenticated, false));
            assert!(error.message().contains(message), "{error}");
        }
        assert_eq!(server.log(), [format!("GET {DETAILS}")]);
    }
}

#[test]
fn what_is_no_service_token_is_refused_before_any_request() {
    for token in ["st.only-two", "eyJhbGciOi.eyJpZCI6.c2ln", "st..secret", ""] {
        let opened = super::server::Store::open(&json!({
            "host": "http://127.0.0.1:1", "project_id": PROJECT, "environment": "dev", "auth": service_token(token),
        }));
        let error: FetchError = opened.err().unwrap();
        assert_eq!(error.kind(), FetchErrorKind::Unauthenticated, "{token}");
        assert!(token.is_empty() || !error.to_string().contains(token));
    }
}

#[tokio::test]
async fn an_api_key_travels_alone_and_a_newer_server_s_refusal_says_so() {
    let server = Server::of(project()).await;
    let auth = json!({"method": "api_key", "api_key": "canary-key"});
    assert_eq!(server.store_with(&auth, "dev").values(&["A"]).await, ["1"]);
    let [seen] = &server.seen()[..] else { panic!("one request") };
    assert_eq!((seen.header("x-api-key"), seen.header("authorization")), (Some("canary-key"), None));

    let newer = || {
        Reply::refusal(400, "BadRequest", "API key authentication is not supported anymore. Please switch.")
    };
    let malformed = || Reply::refusal(500, "Find by id", "Something went wrong");
    for refusal in [newer, malformed] {
        let server = Server::start(move |_| refusal()).await;
        let error = server.store_with(&auth, "dev").error(Locator::new("A")).await;
        assert_eq!((error.kind(), error.is_temporary()), (FetchErrorKind::Unauthenticated, false));
        assert!(error.message().contains("does not take this API key"), "{error}");
        assert!(error.advice().unwrap().contains("machine identity"));
    }
}
