//! What a server makes of references and filters that it should not be believed in.

use super::server::{LIST, LOGIN, Project, Reply, Server, list, logged_in, one, secret};
use crate::contract::{FetchErrorKind, ListQuery, Lister as _, Locator};

/// A server that puts `URL` together as told, whatever its target holds.
async fn putting_together(result: &'static str) -> Server {
    Server::start(move |seen| {
        let expanded = seen.asks("expandSecretReferences") == "true";
        let url = secret("dev", "/", "URL", if expanded { result } else { "<${HOST}>" });
        match (seen.path.as_str(), seen.name().as_deref()) {
            (LOGIN, _) => logged_in("token-1"),
            (LIST, _) => list(&[url, secret("dev", "/", "HOST", "a$$b$&")], &[]),
            (_, Some("URL")) => one(&url),
            (_, Some("HOST")) => one(&secret("dev", "/", "HOST", "a$$b$&")),
            _ => Reply::no_route(seen),
        }
    })
    .await
}

#[tokio::test]
async fn what_the_server_puts_together_is_what_the_targets_hold_or_an_error() {
    for alone in [true, false] {
        let names: &[&str] = if alone { &["URL"] } else { &["URL", "HOST"] };
        let asked: Vec<Locator> = names.iter().map(|name| Locator::new(*name)).collect();
        let right = putting_together("<a$$b$&>").await.store().fetch(&asked).await.remove(0);
        assert_eq!(right.unwrap(), "<a$$b$&>");
        for wrong in ["<>", "<${HOST}>", "<a$b<${HOST}>>", ""] {
            let error = putting_together(wrong).await.store().fetch(&asked).await.remove(0).unwrap_err();
            assert_eq!(error.kind(), FetchErrorKind::Malformed);
            assert!(error.message().contains("in another way"), "{error}");
            assert!(!format!("{error:?}").contains("a$$b"), "no value is shown");
        }
    }
}

#[tokio::test]
async fn a_secret_that_changes_between_the_two_reads_is_asked_for_again() {
    let server = Server::start(|seen| {
        let mut url = secret("dev", "/", "URL", "<${HOST}>");
        if seen.asks("expandSecretReferences") == "true" {
            url = secret("dev", "/", "URL", "<new>");
            url["version"] = serde_json::json!(4);
        }
        match (seen.path.as_str(), seen.name().as_deref()) {
            (LOGIN, _) => logged_in("token-1"),
            (_, Some("URL")) => one(&url),
            (_, Some("HOST")) => one(&secret("dev", "/", "HOST", "old")),
            _ => Reply::no_route(seen),
        }
    })
    .await;
    let error = server.store().error(Locator::new("URL")).await;
    assert!(error.is_temporary() && error.message().contains("changed while it was being read"), "{error}");
}

#[tokio::test]
async fn a_server_that_leaves_a_filter_aside_is_found_out() {
    let server = Server::of(Project::default().with("/", &[("A", "canary")])).await;
    let store = server.store();
    for query in [
        ListQuery { tags: vec!["web".to_owned()], ..ListQuery::of("") },
        ListQuery { metadata: vec![("owner".to_owned(), "lab".to_owned())], ..ListQuery::of("") },
    ] {
        let error = store.infisical.list_by(&store.cx, &query).await.unwrap_err();
        assert_eq!(error.kind(), FetchErrorKind::Malformed);
        assert!(error.message().contains("got others"), "{error}");
    }
}

#[tokio::test]
async fn a_mesh_of_references_is_walked_once_and_not_put_together_without_end() {
    // Each level refers to all of the next: a million million ways, and some seventy secrets.
    const WIDE: usize = 12;
    const DEEP: usize = 7;
    let value_of = |level: usize| -> String {
        let next = |index: usize| format!("${{S{}_{index}}}", level + 1);
        if level < DEEP { (0..WIDE).map(next).collect() } else { "x".to_owned() }
    };
    let server = Server::start(move |seen| match (seen.path.as_str(), seen.name()) {
        (LOGIN, _) => logged_in("token-1"),
        (_, Some(name)) => {
            let level = name.trim_start_matches('S').split('_').next().and_then(|level| level.parse().ok());
            one(&secret("dev", "/", &name, &value_of(level.unwrap_or_default())))
        }
        _ => Reply::no_route(seen),
    })
    .await;
    let started = std::time::Instant::now();
    let error = server.store().error(Locator::new("S0_0")).await;
    assert_eq!(error.kind(), FetchErrorKind::Malformed, "{error}");
    assert!(started.elapsed() < std::time::Duration::from_secs(10), "{:?}", started.elapsed());
}
