//! Lists, single reads, imports, names, and the checks of every answer.

use serde_json::json;

use super::server::{LIST, LOGIN, PROJECT, Project, Reply, Server, layer, list, one, secret};
use crate::contract::{FetchErrorKind, Locator};

#[tokio::test]
async fn fifty_names_in_each_of_twenty_folders_cost_one_login_and_twenty_lists() {
    let mut project = Project::default();
    let mut paths = Vec::new();
    for folder in 0..20 {
        for name in 0..50 {
            project =
                project.with(&format!("/f{folder}"), &[(&format!("K{name}"), &format!("v-{folder}-{name}"))]);
            paths.push(format!("f{folder}/K{name}"));
        }
    }
    let server = Server::of(project).await;
    let store = server.store();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let values = store.values(&paths).await;
    assert_eq!((values.len(), values[0].as_str(), values[999].as_str()), (1000, "v-0-0", "v-19-49"));
    assert_eq!((server.count(LOGIN), server.count(LIST), server.seen().len()), (1, 20, 21));
    assert_eq!((store.cx.meter().requests(), store.cx.meter().logins()), (21, 1));
}

#[tokio::test]
async fn every_flag_is_sent_and_no_header_strays() {
    let server = Server::of(Project::default().with("/db", &[("A", "1"), ("B", "2")])).await;
    server.store().values(&["db/A", "db/B"]).await;
    let [login, listed] = &server.seen()[..] else { panic!("two requests") };
    assert_eq!(login.body["clientId"], "fe47cdcc-de16-4839-be03-e0b37137fb08");
    assert_eq!(login.body["clientSecret"], "canary-client-secret");
    assert_eq!(login.header("authorization"), None);
    assert_eq!(listed.header("authorization"), Some("Bearer token-1"));
    let flags = [
        ("workspaceId", PROJECT),
        ("environment", "dev"),
        ("secretPath", "/db"),
        ("recursive", "false"),
        ("viewSecretValue", "true"),
        ("expandSecretReferences", "false"),
        ("include_imports", "true"),
    ];
    for (flag, value) in flags {
        assert_eq!(listed.asks(flag), value, "{flag}");
    }
}

#[tokio::test]
async fn one_name_in_a_folder_is_read_singly() {
    let server = Server::of(Project::default().with("/", &[("A", "1")]).with("/x/y", &[("B", "2")])).await;
    assert_eq!(server.store().values(&["A", "x/y/B", "/x/y/B"]).await, ["1", "2", "2"]);
    assert_eq!((server.count(LIST), server.seen().len()), (0, 3));
}

#[tokio::test]
async fn values_arrive_exact_to_the_byte() {
    let odd = [("EMPTY", ""), ("OUTER", "  x\t"), ("LINES", "a\r\nb\n"), ("LETTERS", "ä€😀\u{0}\\\"")];
    let server = Server::of(Project::default().with("/", &odd)).await;
    let store = server.store();
    assert_eq!(
        store.values(&["EMPTY", "OUTER", "LINES", "LETTERS"]).await,
        ["", "  x\t", "a\r\nb\n", "ä€😀\u{0}\\\""]
    );
    assert_eq!(store.values(&["LETTERS"]).await, ["ä€😀\u{0}\\\""]);
}

#[tokio::test]
async fn a_name_that_the_list_does_not_show_is_confirmed_by_a_single_read() {
    let project = Project::default().with("/", &[("SHOWN", "1"), ("LEFT_OUT", "2")]);
    let server = Server::start(move |seen| match seen.path.as_str() {
        LIST => list(&[secret("dev", "/", "SHOWN", "1")], &[]),
        _ => project.answer(seen),
    })
    .await;
    let store = server.store();
    let locators = ["SHOWN", "LEFT_OUT", "SHOW"].map(Locator::new);
    let answers = store.fetch(&locators).await;
    assert_eq!(answers[0].as_deref().unwrap(), "1");
    assert_eq!(answers[1].as_deref().unwrap(), "2");
    let absent = answers[2].as_ref().unwrap_err();
    assert_eq!(absent.kind(), FetchErrorKind::NotFound);
    assert!(absent.message().starts_with("secret not found: `SHOW`"), "{absent}");
    assert!(absent.message().contains("req-JUedW9563iCQQY"), "{absent}");
    assert_eq!(absent.advice(), Some("did you mean `SHOWN`?"));
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn a_silently_empty_list_of_an_unknown_folder_costs_one_confirmation() {
    let server = Server::of(Project::default().silent()).await;
    let answers = server.store().fetch(&["nope/A", "nope/B", "nope/C"].map(Locator::new)).await;
    for answer in answers {
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), FetchErrorKind::NotFound);
        assert!(error.message().starts_with("folder not found: folder `/nope`"), "{error}");
    }
    // Login, list, one read, and the project, to say whether folder or environment is missing.
    assert_eq!(server.seen().len(), 4, "{:?}", server.log());
}

#[tokio::test]
async fn a_direct_secret_beats_imports_and_the_last_import_wins() {
    let project = Project::default();
    let server = Server::start(move |seen| match seen.path.as_str() {
        LIST if seen.asks("secretPath") == "/shared" => {
            let (environment, value) = match seen.asks("environment") {
                "dev" => ("dev", "first"),
                _ => ("prod", "last"),
            };
            let rows = ["APP_KEY", "BOTH", "ONE"].map(|name| secret(environment, "/shared", name, value));
            list(&rows, &[])
        }
        LIST => list(
            &[secret("dev", "/app", "APP_KEY", "direct")],
            &[
                layer("dev", "/shared", &[("APP_KEY", "first"), ("BOTH", "first"), ("ONE", "first")]),
                layer("prod", "/shared", &[("APP_KEY", "last"), ("BOTH", "last")]),
            ],
        ),
        _ => project.answer(seen),
    })
    .await;
    let store = server.store();
    assert_eq!(store.values(&["app/APP_KEY", "app/BOTH", "app/ONE"]).await, ["direct", "last", "first"]);
    let listed = store.list("app").await.unwrap();
    let pairs: Vec<(&str, &str)> =
        listed.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(pairs, [("APP_KEY", "direct"), ("BOTH", "last"), ("ONE", "first")]);
    // A login, and for each of the two the folder and both imports as they are stored.
    assert_eq!(server.seen().len(), 7, "{:?}", server.log());
}

#[tokio::test]
async fn an_import_that_is_out_of_reach_does_not_hand_its_victory_to_an_earlier_one() {
    let project = Project::default();
    let server = Server::start(move |seen| match (seen.path.as_str(), seen.name()) {
        (LIST, _) => list(
            &[secret("dev", "/app", "APP_KEY", "direct")],
            &[layer("dev", "/shared", &[("BOTH", "first")]), layer("prod", "/shared", &[])],
        ),
        (_, Some(_)) => Reply::refusal(
            403,
            "ForbiddenReadSecretError",
            "You do not have permission to view secret import value on secret with name 'BOTH'",
        ),
        _ => project.answer(seen),
    })
    .await;
    let store = server.store();
    let answers = store.fetch(&["app/APP_KEY", "app/BOTH"].map(Locator::new)).await;
    assert_eq!(answers[0].as_deref().unwrap(), "direct");
    assert_eq!(answers[1].as_ref().unwrap_err().kind(), FetchErrorKind::Hidden);
    // Its own names would be missing from an import of the folder without a word.
    let error = store.list("app").await.unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::Forbidden);
    assert!(error.message().contains("imports folder `/shared`"), "{error}");
}

#[tokio::test]
async fn a_long_name_is_not_taken_from_an_import_that_a_later_one_may_beat() {
    let long = "N".repeat(101);
    let name = long.clone();
    let server = Server::start(move |seen| match seen.path.as_str() {
        LIST => list(&[], &[layer("dev", "/shared", &[(&name, "canary")]), layer("prod", "/shared", &[])]),
        _ => Project::default().answer(seen),
    })
    .await;
    let store = server.store();
    let error = store.error(Locator::new(long)).await;
    assert_eq!(error.kind(), FetchErrorKind::Unsupported);
    assert!(store.list("").await.unwrap()[0].1.contains("cannot be told from the list"));
}

#[tokio::test]
async fn every_name_that_infisical_allows_can_be_read() {
    let odd = [
        "a b",
        "a%b",
        "a%2Fb",
        "a?b",
        "a#b",
        "a+b",
        "a=b",
        "a&b",
        "a.b",
        "..a",
        "ä",
        "名前",
        "a~b\"<>\\^`{|}",
    ];
    let long = "N".repeat(100);
    for name in odd.into_iter().chain([long.as_str()]) {
        let server = Server::of(Project::default().with("/", &[(name, "value")])).await;
        assert_eq!(server.store().values(&[name]).await, ["value"], "{name}");
        assert_eq!(server.count(LIST), 0, "{name}");
    }
}

#[tokio::test]
async fn names_without_an_address_of_their_own_are_found_by_the_list() {
    let long = "N".repeat(101);
    for name in [".", "..", long.as_str()] {
        let server = Server::of(Project::default().with("/", &[(name, "value")])).await;
        assert_eq!(server.store().values(&[name]).await, ["value"], "{name}");
        assert_eq!(server.log(), [format!("POST {LOGIN}"), format!("GET {LIST}")]);
    }
    let server = Server::of(Project::default().with("/", &[("A", "1")])).await;
    let error = server.store().error(Locator::new(long.clone())).await;
    assert!(error.message().starts_with("secret not found: `NNN"), "{error}");
    assert_eq!(server.seen().len(), 2, "{:?}", server.log());
}

#[tokio::test]
async fn a_name_without_an_address_is_not_called_absent_on_the_word_of_an_empty_list() {
    let server = Server::of(Project::default().silent()).await;
    let error = server.store().error(Locator::new(format!("nope/{}", "N".repeat(101)))).await;
    assert!(error.message().starts_with("folder not found"), "{error}");
}

#[tokio::test]
async fn hidden_values_are_errors_and_never_the_mask() {
    let project = Project::default().with("/", &[("MASKED", "<hidden-by-infisical>")]);
    let server = Server::start(move |seen| match seen.path.as_str() {
        LIST => {
            let mut flagged = secret("dev", "/", "FLAGGED", "canary");
            flagged["secretValueHidden"] = json!(true);
            list(&[flagged, secret("dev", "/", "MASKED", "<hidden-by-infisical>")], &[])
        }
        _ => project.answer(seen),
    })
    .await;
    let store = server.store();
    for answer in store.fetch(&["FLAGGED", "MASKED"].map(Locator::new)).await {
        assert_eq!(answer.unwrap_err().kind(), FetchErrorKind::Hidden);
    }
    assert_eq!(store.error(Locator::new("MASKED")).await.kind(), FetchErrorKind::Hidden);
}

#[tokio::test]
async fn a_list_refused_for_one_secret_does_not_take_the_others_along() {
    let project = Project::default().with("/", &[("OPEN", "1")]);
    let server = Server::start(move |seen| match (seen.path.as_str(), seen.name().as_deref()) {
        (LIST, _) => Reply::refusal(403, "PermissionDenied", "You are not allowed to readValue on secrets"),
        (_, Some("CLOSED")) => Reply::refusal(
            403,
            "ForbiddenReadSecretError",
            "You do not have permission to view secret value on secret with name 'CLOSED'",
        ),
        _ => project.answer(seen),
    })
    .await;
    let answers = server.store().fetch(&["OPEN", "CLOSED"].map(Locator::new)).await;
    assert_eq!(answers[0].as_deref().unwrap(), "1");
    assert_eq!(answers[1].as_ref().unwrap_err().kind(), FetchErrorKind::Hidden);
}

#[tokio::test]
async fn an_answer_from_another_place_is_refused() {
    for (field, value) in [("environment", "prod"), ("secretPath", "/"), ("workspace", "f6cba663")] {
        let server = Server::start(move |seen| match seen.path.as_str() {
            LIST => {
                let mut wrong = secret("dev", "/app", "A", "canary");
                wrong[field] = json!(value);
                list(&[wrong, secret("dev", "/app", "B", "canary")], &[])
            }
            _ => Project::default().answer(seen),
        })
        .await;
        for answer in server.store().fetch(&["app/A", "app/B"].map(Locator::new)).await {
            let error = answer.unwrap_err();
            assert_eq!(error.kind(), FetchErrorKind::Malformed, "{field}: {error}");
            assert!(!error.is_temporary());
        }
    }
}

#[tokio::test]
async fn an_answer_for_another_name_is_refused() {
    let server = Server::start(|seen| match seen.name() {
        Some(_) => one(&secret("dev", "/", "OTHER", "canary")),
        None => Project::default().answer(seen),
    })
    .await;
    let error = server.store().error(Locator::new("MINE")).await;
    assert_eq!(error.message(), "asked for `MINE` and got `OTHER`");
}

#[tokio::test]
async fn a_users_own_override_is_not_taken_for_the_shared_value() {
    let server = Server::start(|seen| match seen.path.as_str() {
        LIST => {
            let mut personal = secret("dev", "/", "A", "mine");
            personal["type"] = json!("personal");
            list(&[secret("dev", "/", "A", "shared"), personal, secret("dev", "/", "B", "2")], &[])
        }
        _ => Project::default().answer(seen),
    })
    .await;
    assert_eq!(server.store().values(&["A", "B"]).await, ["shared", "2"]);
}

#[tokio::test]
async fn a_server_without_the_older_routes_is_read_by_the_newer_ones() {
    let server = Server::start(|seen| {
        let named = |name: &str| secret("dev", "/", name, "value");
        match seen.path.as_str() {
            LOGIN => Project::default().answer(seen),
            "/api/v4/secrets" => {
                list(&[named("A"), named("B")], &[layer("prod", "/s", &[("IMPORTED", "as seen from here")])])
            }
            "/api/v4/secrets/IMPORTED" => one(&secret("prod", "/s", "IMPORTED", "as seen from there")),
            _ => Reply::no_route(seen),
        }
    })
    .await;
    let store = server.store();
    assert_eq!(store.values(&["A", "B", "IMPORTED"]).await, ["value", "value", "as seen from there"]);
    // The older route is tried once.
    store.values(&["A", "B"]).await;
    assert_eq!((server.count(LIST), server.count("/api/v4/secrets")), (1, 2));
    let listed = server.seen().into_iter().find(|seen| seen.path == "/api/v4/secrets").unwrap();
    for (flag, value) in [
        ("projectId", PROJECT),
        ("includeImports", "true"),
        ("include_imports", "true"),
        ("includePersonalOverrides", "false"),
        ("expandSecretReferences", "false"),
        ("viewSecretValue", "true"),
    ] {
        assert_eq!(listed.asks(flag), value, "{flag}");
    }
    let read = server.seen().into_iter().find(|seen| seen.path == "/api/v4/secrets/IMPORTED").unwrap();
    assert_eq!((read.asks("includeImports"), read.asks("includePersonalOverrides")), ("true", ""));
}

#[tokio::test]
async fn a_server_with_neither_generation_of_routes_is_named_unsupported() {
    let server = Server::start(|seen| match seen.path.as_str() {
        LOGIN => Project::default().answer(seen),
        _ => Reply::no_route(seen),
    })
    .await;
    let error = server.store().error(Locator::new("A")).await;
    assert_eq!(error.kind(), FetchErrorKind::Unsupported);
    assert!(error.message().contains("has no route"), "{error}");
}

#[tokio::test]
async fn an_empty_folder_is_told_from_a_missing_one() {
    let server = Server::of(Project::default().with("/empty", &[]).silent()).await;
    let store = server.store();
    assert_eq!(store.list("empty").await.unwrap(), []);
    let error = store.list("nope").await.unwrap_err();
    assert!(error.message().starts_with("folder not found"), "{error}");
}
