//! A user's own values: only where the store asks for them, and with references of their own.

use serde_json::{Value, json};

use super::server::{LIST, LOGIN, PROJECT, Reply, Server, Store, list, logged_in, one, secret};

fn personal(name: &str, value: &str) -> Value {
    let mut row = secret("dev", "/", name, value);
    row["type"] = json!("personal");
    row["id"] = json!(format!("own-{name}"));
    row
}

/// A server of a user that has a value of their own beside the shared one, by the older or the newer routes.
async fn server(newer: bool) -> Server {
    Server::start(move |seen| {
        let expanded = seen.asks("expandSecretReferences") == "true";
        let own = if expanded { "own host" } else { "own ${HOST}" };
        let mut rows = vec![
            secret("dev", "/", "A", "shared"),
            secret("dev", "/", "B", "2"),
            secret("dev", "/", "HOST", "host"),
            secret("dev", "/", "URL", "shared"),
        ];
        if !newer || seen.asks("includePersonalOverrides") == "true" {
            rows.extend([personal("A", "mine"), personal("URL", own)]);
        }
        match seen.path.as_str() {
            LOGIN => logged_in("token-1"),
            LIST if !newer => list(&rows, &[]),
            "/api/v4/secrets" => list(&rows, &[]),
            _ if newer => Reply::no_route(seen),
            _ => one(&secret("dev", "/", &seen.name().unwrap_or_default(), "shared")),
        }
    })
    .await
}

fn store(server: &Server, personal: bool) -> Store {
    Store::open(&json!({
        "host": server.address, "project_id": PROJECT, "environment": "dev", "personal_overrides": personal,
        "auth": super::server::machine_identity(),
    }))
    .unwrap()
}

#[tokio::test]
async fn a_users_own_value_wins_only_where_the_store_asks_for_it() {
    for newer in [false, true] {
        let server = server(newer).await;
        assert_eq!(store(&server, false).values(&["A", "B", "URL"]).await, ["shared", "2", "shared"]);
        assert_eq!(store(&server, true).values(&["A", "B", "URL"]).await, ["mine", "2", "own host"]);
    }
}

#[tokio::test]
async fn a_single_name_is_listed_where_a_user_may_have_a_value_of_their_own() {
    for newer in [false, true] {
        let server = server(newer).await;
        assert_eq!(store(&server, true).values(&["A"]).await, ["mine"]);
        let listed = store(&server, true).list("").await.unwrap();
        assert_eq!(listed.into_iter().find(|(name, _)| name == "A").unwrap().1, "mine");
    }
}
