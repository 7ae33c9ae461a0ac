//! What the recordings do not show of the fake Infisical: its checks of requests, its record, its clock, its tokens.

use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Call, Received};
use crate::support::infisical::{Fault, Generation, Identity, Infisical, Server, ServiceToken};

const LOGIN: &str = "/api/v1/auth/universal-auth/login";
const PAYMENTS: &str = "/api/v3/secrets/raw?workspaceId=p1&environment=dev&secretPath=%2Fpayments\
                        &include_imports=false&expandSecretReferences=true&recursive=false&viewSecretValue=true";

fn prepared(generation: Generation) -> Infisical {
    Infisical::new(generation)
        .project("p1", "slug", &["dev", "prod"])
        .secret("dev", "/payments", "KEY", "value")
        .identity("client", "secret")
}

fn login(server: &Server, secret: &str) -> Received {
    login_as(server, "client", secret)
}

fn login_as(server: &Server, client: &str, secret: &str) -> Received {
    let body = json!({"clientId": client, "clientSecret": secret});
    Call::json(LOGIN, &body).send(&server.url()).unwrap()
}

fn token(server: &Server) -> String {
    body(&login(server, "secret"))["accessToken"].as_str().unwrap().to_owned()
}

fn body(received: &Received) -> Value {
    serde_json::from_slice(&received.body).unwrap()
}

fn get(server: &Server, path: &str, token: &str) -> Received {
    Call::get(path).bearer(token).send(&server.url()).unwrap()
}

fn one(name: &str, rest: &str) -> String {
    format!(
        "/api/v3/secrets/raw/{name}?workspaceId=p1&environment=dev&secretPath=%2Fpayments&include_imports=false\
         &expandSecretReferences=true&viewSecretValue=true{rest}"
    )
}

#[test]
fn a_careful_client_is_not_complained_about() {
    for generation in [Generation::June2025, Generation::July2026] {
        let server = prepared(generation).start();
        let token = token(&server);
        let listed = body(&get(&server, PAYMENTS, &token));
        assert_eq!(listed["secrets"][0]["secretValue"], "value");
        let single = body(&get(&server, &one("KEY", "&version=1"), &token));
        assert_eq!(single["secret"]["version"], 1);
        assert_eq!(Call::get("/api/v4/secrets").send(&server.url()).unwrap().headers["content-type"], JSON);
        assert_eq!((server.logins(), server.count("GET /api/v3/secrets/raw"), server.total()), (1, 1, 4));
        assert_eq!(server.count("GET /api/v3/secrets/raw/KEY"), 1);
        assert_eq!(server.count("GET /api/v3/secrets/raw/{name}"), 1);
    }
}

const JSON: &str = "application/json; charset=utf-8";

#[test]
fn what_the_real_server_drops_is_complained_about() {
    let careless = [
        (
            PAYMENTS.replace("include_imports", "includeImport"),
            "`includeImport` is no parameter of this route",
        ),
        (PAYMENTS.replace("&recursive=false", ""), "`recursive` is left to its default"),
        (PAYMENTS.replace("&viewSecretValue=true", ""), "`viewSecretValue` is left to its default"),
        (PAYMENTS.replace("%2Fpayments", "payments"), "is read differently by the two generations"),
        (PAYMENTS.replace("%2Fpayments", "%2Fpayments%2F"), "is read differently by the two generations"),
        (format!("{PAYMENTS}&recursive=false"), "`recursive` is sent twice"),
        (format!("{PAYMENTS}&workspaceSlug=slug"), "needs one of"),
        (
            one("KEY", "&version=1").replace("include_imports=false", "include_imports=true"),
            "`version` with imports on",
        ),
    ];
    for (path, complaint) in careless {
        let server = prepared(Generation::July2026).lenient().start();
        let token = token(&server);
        get(&server, &path, &token);
        let complaints = server.complaints();
        assert!(complaints.iter().any(|c| c.contains(complaint)), "{path}: {complaints:?}");
    }
}

#[test]
#[should_panic(expected = "is left to its default")]
fn a_careless_request_fails_the_test_when_the_server_is_dropped() {
    let server = prepared(Generation::July2026).start();
    let token = token(&server);
    get(&server, "/api/v3/secrets/raw?workspaceId=p1&environment=dev", &token);
}

#[test]
fn credentials_where_they_do_harm_are_complained_about() {
    let server = prepared(Generation::July2026)
        .service_token(ServiceToken::new("st.id.secret").scope("dev", "/payments"))
        .lenient()
        .start();
    let token = token(&server);
    get(&server, "/api/status", &token);
    get(&server, PAYMENTS, "st.id.secret.key");
    let mut call = Call::get(PAYMENTS);
    call.headers.push(("X-API-KEY".into(), "x".into()));
    assert_eq!(call.send(&server.url()).unwrap().status, 400);
    let complaints: Vec<String> = server.complaints().into_iter().collect();
    assert_eq!(complaints.len(), 3, "{complaints:?}");
}

#[test]
fn the_record_holds_header_names_and_no_values() {
    let server = prepared(Generation::July2026).start();
    let token = token(&server);
    get(&server, PAYMENTS, &token);
    let seen = server.requests().pop().unwrap();
    assert!(seen.headers.contains(&"authorization".into()));
    assert!(!format!("{seen:?}").contains(&token));
    assert_eq!(seen.param("secretPath"), Some("/payments"));
    assert_eq!((seen.method.as_str(), seen.status), ("GET", Some(200)));
}

#[test]
fn tokens_are_as_long_as_real_ones() {
    let lengths = [Generation::June2025, Generation::July2026]
        .map(|generation| token(&prepared(generation).start()).len());
    assert!((350..500).contains(&lengths[0]) && (900..1400).contains(&lengths[1]), "{lengths:?}");
}

#[test]
fn expired_and_revoked_tokens_are_told_apart() {
    let server = prepared(Generation::July2026).start();
    let old = token(&server);
    server.change(|world| {
        world.expire_tokens();
    });
    let received = get(&server, PAYMENTS, &old);
    assert_eq!((received.status, body(&received)["error"].as_str()), (403, Some("TokenError")));
    let new = token(&server);
    server.change(|world| {
        world.revoke_tokens();
    });
    assert_eq!(get(&server, PAYMENTS, &new).status, 401);
    assert_eq!(get(&server, PAYMENTS, &token(&server)).status, 200);
}

#[test]
fn a_token_ends_by_the_clock() {
    let server = prepared(Generation::July2026).start();
    let token = token(&server);
    server.change(|world| {
        world.advance(Duration::from_secs(31 * 86_400));
    });
    assert_eq!(get(&server, PAYMENTS, &token).status, 403);
}

#[test]
fn three_wrong_secrets_lock_an_identity_for_five_minutes_on_2026_alone() {
    for (generation, expected) in [(Generation::June2025, 200), (Generation::July2026, 401)] {
        let server = prepared(generation).start();
        (0..3).for_each(|_| assert_eq!(login(&server, "wrong").status, 401));
        assert_eq!(login(&server, "secret").status, expected);
        server.change(|world| {
            world.advance(Duration::from_secs(301));
        });
        assert_eq!(login(&server, "secret").status, 200);
    }
}

#[test]
fn an_address_that_is_not_trusted_cannot_log_in() {
    let identity = Identity::new("far", "secret").with_refused_address();
    let server = Infisical::new(Generation::July2026).identity_with(identity).start();
    let received = login_as(&server, "far", "secret");
    assert_eq!(received.status, 403);
    assert!(body(&received)["message"].as_str().unwrap().contains("IP address"));
}

#[test]
fn a_login_that_is_used_up_is_refused() {
    let server =
        Infisical::new(Generation::July2026).identity_with(Identity::new("once", "secret").logins(1)).start();
    assert_eq!(login_as(&server, "once", "secret").status, 200);
    assert_eq!(login_as(&server, "once", "secret").status, 401);
}

#[test]
fn an_identity_that_may_not_look_is_told_so_on_2026_and_not_before() {
    for (generation, expected) in [(Generation::June2025, 200), (Generation::July2026, 403)] {
        let server = Infisical::new(generation)
            .project("p1", "slug", &["dev"])
            .secret("dev", "/payments", "KEY", "value")
            .identity_with(Identity::new("client", "secret").may_describe("dev", "/other/**"))
            .start();
        let token = token(&server);
        let received = get(&server, PAYMENTS, &token);
        assert_eq!(received.status, expected);
        assert_eq!(get(&server, &one("KEY", ""), &token).status, 403);
    }
}

#[test]
fn a_hidden_value_is_the_mask_and_says_so() {
    let server = prepared(Generation::July2026).hidden("dev", "/payments", "KEY").start();
    let received = body(&get(&server, PAYMENTS, &token(&server)));
    assert_eq!(received["secrets"][0]["secretValue"], "<hidden-by-infisical>");
    assert_eq!(received["secrets"][0]["secretValueHidden"], true);
}

#[test]
fn imports_of_imports_are_followed_and_the_nearer_name_wins() {
    let server = prepared(Generation::July2026)
        .secret("dev", "/a", "NEAR", "a")
        .secret("dev", "/b", "NEAR", "b")
        .secret("dev", "/b", "FAR", "b")
        .import(("dev", "/payments"), ("dev", "/a"))
        .import(("dev", "/a"), ("dev", "/b"))
        .start();
    let token = token(&server);
    let value = |name: &str| {
        let path = one(name, "").replace("include_imports=false", "include_imports=true");
        body(&get(&server, &path, &token))["secret"]["secretValue"].clone()
    };
    assert_eq!((value("NEAR"), value("FAR")), (json!("a"), json!("b")));
}

#[test]
fn a_circle_of_imports_ends() {
    let server = prepared(Generation::June2025)
        .import(("dev", "/payments"), ("dev", "/a"))
        .import(("dev", "/a"), ("dev", "/payments"))
        .start();
    let path = PAYMENTS.replace("include_imports=false", "include_imports=true");
    assert_eq!(get(&server, &path, &token(&server)).status, 200);
}

#[test]
fn what_changes_while_the_server_runs_is_answered_at_once() {
    let server = prepared(Generation::July2026).start();
    let token = token(&server);
    server.change(|world| {
        world.secret("dev", "/payments", "KEY", "second").secret("dev", "/payments", "NEW", "new");
    });
    let received = body(&get(&server, PAYMENTS, &token));
    assert_eq!(received["secrets"][0]["version"], 2);
    assert_eq!(received["secrets"][1]["secretKey"], "NEW");
}

#[test]
fn twenty_folders_of_fifty_secrets_are_listed_side_by_side() {
    let mut server =
        Infisical::new(Generation::July2026).project("p1", "slug", &["dev"]).identity("client", "secret");
    for folder in 0..20 {
        for key in 0..50 {
            server = server.secret("dev", &format!("/folder-{folder}"), &format!("KEY_{key}"), "value");
        }
    }
    let server = server.fault("GET /api/v3/secrets/raw", Fault::delay(Duration::from_millis(50))).start();
    let token = token(&server);
    std::thread::scope(|scope| {
        for folder in 0..20 {
            let path = PAYMENTS.replace("payments", &format!("folder-{folder}"));
            let (server, token) = (&server, &token);
            scope.spawn(move || {
                assert_eq!(body(&get(server, &path, token))["secrets"].as_array().map(Vec::len), Some(50));
            });
        }
    });
    assert_eq!((server.total(), server.most_at_once() > 10), (21, true));
}
