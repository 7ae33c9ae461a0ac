//! Pinned versions: the number and the secret that the answer is of.

use serde_json::{Value, json};

use super::server::{LIST, Project, Reply, Seen, Server, list, one, secret};
use crate::contract::{FetchError, FetchErrorKind, Locator};

fn at(version: u64, id: &str, value: &str) -> Value {
    let mut secret = secret("dev", "/", "KEY", value);
    secret["version"] = json!(version);
    secret["id"] = json!(id);
    secret
}

fn no_such() -> Reply {
    Reply::refusal(404, "NotFound", "Secret with name 'KEY' not found")
}

/// A server whose single reads are answered by version: `None` is the latest.
async fn versions(answer: impl Fn(Option<u64>, &Seen) -> Reply + Send + Sync + 'static) -> Server {
    Server::start(move |seen| match seen.name() {
        Some(_) => answer(seen.asks("version").parse().ok(), seen),
        None => Project::default().answer(seen),
    })
    .await
}

async fn pinned(server: &Server) -> Result<String, FetchError> {
    server.store().fetch(&[Locator::new("KEY").at_version("2")]).await.remove(0)
}

#[tokio::test]
async fn a_pinned_version_is_read_without_imports_and_compared_with_the_latest() {
    let server = versions(|version, seen| {
        assert_eq!(seen.asks("include_imports"), "false");
        one(&version.map_or_else(|| at(3, "x", "latest"), |version| at(version, "x", "old")))
    })
    .await;
    assert_eq!(pinned(&server).await.unwrap(), "old");
    assert_eq!(server.seen().len(), 3, "login, version, latest: {:?}", server.log());
}

#[tokio::test]
async fn a_list_that_runs_anyway_serves_as_the_latest() {
    let server = Server::start(|seen| match (seen.path.as_str(), seen.asks("version")) {
        (LIST, _) => list(&[at(3, "x", "latest"), secret("dev", "/", "OTHER", "o")], &[]),
        (_, "2") => one(&at(2, "x", "old")),
        _ => Project::default().answer(seen),
    })
    .await;
    let asked = [Locator::new("KEY").at_version("v2"), Locator::new("OTHER"), Locator::new("KEY")];
    let answers: Vec<String> = server.store().fetch(&asked).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers, ["old", "o", "latest"]);
    assert_eq!(server.seen().len(), 3, "{:?}", server.log());
}

#[tokio::test]
async fn a_server_that_does_not_look_at_the_version_is_found_out() {
    let server = versions(|_, _| one(&at(3, "x", "canary"))).await;
    let error = pinned(&server).await.unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::Malformed);
    assert!(
        error.message().contains("asked for version 2") && error.message().contains("got version 3"),
        "{error}"
    );
}

#[tokio::test]
async fn a_version_of_a_deleted_secret_of_the_same_name_is_refused() {
    let server = versions(|version, _| {
        one(&version.map_or_else(|| at(1, "new", "n"), |version| at(version, "deleted", "canary")))
    })
    .await;
    let error = pinned(&server).await.unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::VersionNotFound);
    assert!(error.message().contains("deleted secret of the same name"), "{error}");
}

#[tokio::test]
async fn a_version_of_a_secret_that_is_gone_is_refused() {
    let server =
        versions(|version, _| version.map_or_else(no_such, |version| one(&at(version, "x", "canary")))).await;
    let error = pinned(&server).await.unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::NotFound);
    assert!(error.message().contains("was deleted or renamed"), "{error}");
}

#[tokio::test]
async fn a_version_that_never_was_names_the_latest() {
    let server = versions(|version, _| version.map_or_else(|| one(&at(1, "x", "v")), |_| no_such())).await;
    let error = pinned(&server).await.unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::VersionNotFound);
    assert!(
        error.message().contains("version 2 of `KEY`") && error.message().contains("latest: 1"),
        "{error}"
    );
}

#[tokio::test]
async fn neither_version_nor_secret_is_a_missing_secret() {
    let server = versions(|_, _| no_such()).await;
    let error = pinned(&server).await.unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::NotFound);
    assert!(error.message().starts_with("secret not found"), "{error}");
}

#[tokio::test]
async fn a_version_from_another_place_is_refused() {
    for (field, value) in [("environment", "prod"), ("secretPath", "/shared")] {
        let server = versions(move |version, _| {
            let mut secret = at(version.unwrap_or(3), "x", "canary");
            if version.is_some() {
                secret[field] = json!(value);
            }
            one(&secret)
        })
        .await;
        assert_eq!(pinned(&server).await.unwrap_err().kind(), FetchErrorKind::Malformed);
    }
}

#[tokio::test]
async fn a_long_name_has_only_its_latest_version() {
    let long = "N".repeat(101);
    let server = Server::of(Project::default().with("/", &[(&long, "v")])).await;
    let store = server.store();
    // The project's secrets are all at version 3.
    let asked = [Locator::new(long.clone()).at_version("3"), Locator::new(long.clone()).at_version("2")];
    let answers = store.fetch(&asked).await;
    assert_eq!(answers[0].as_deref().unwrap(), "v");
    assert_eq!(answers[1].as_ref().unwrap_err().kind(), FetchErrorKind::Unsupported);
}
