//! What is checked about options and references without a request, and what a batch is said to cost.

use serde_json::{Value, json};

use super::super::Infisical;
use super::server::{PROJECT, Project, Server, machine_identity, node};
use crate::contract::{Backend as _, Cost, DecodeError, Locator, NoExpansion, decode};
use crate::infisical::InfisicalConfig;

fn complete() -> Value {
    json!({"project_id": PROJECT, "environment": "dev", "auth": machine_identity()})
}

fn config(options: &Value) -> InfisicalConfig {
    decode(&node(options), &NoExpansion).unwrap()
}

fn validate(change: impl Fn(&mut Value)) -> Result<(), DecodeError> {
    let mut options = complete();
    change(&mut options);
    Infisical::validate(&config(&options), &node(&options))
}

fn complaint(change: impl Fn(&mut Value)) -> String {
    validate(change).unwrap_err().message
}

#[test]
fn complete_options_pass() {
    validate(|_| {}).unwrap();
    for host in [
        "https://eu.infisical.com/",
        "https://x.test/api/",
        "http://127.0.0.1:8080",
        "http://[::1]",
        "http://localhost/api",
        "${HOST}",
    ] {
        validate(|options| options["host"] = json!(host)).unwrap();
    }
    validate(|options| options["environment"] = json!("${ENVIRONMENT}")).unwrap();
    validate(|options| options["auth"] = json!({"method": "service_token", "service_token": "st.a.b"}))
        .unwrap();
    validate(|options| options["auth"] = json!({"method": "api_key", "api_key": "k"})).unwrap();
}

#[test]
fn what_the_environment_may_give_is_not_missing_from_the_file() {
    for option in ["host", "project_id", "environment", "auth"] {
        validate(|options| drop(options.as_object_mut().unwrap().remove(option))).unwrap();
    }
    for method in ["machine_identity", "universal_auth", "universal-auth", "token_auth", "oidc", "ldap"] {
        validate(|options| options["auth"] = json!({"method": method})).unwrap();
    }
    validate(|options| options["auth"] = json!({"identity_id": PROJECT})).unwrap();
}

#[test]
fn what_is_missing_everywhere_is_named_with_both_ways_to_give_it() {
    let missing = |change: &dyn Fn(&mut Value)| {
        let mut options = complete();
        change(&mut options);
        // What is missing of the place is said when something is asked of it, before any request.
        let error = match super::server::Store::open(&options) {
            Ok(store) => futures::executor::block_on(store.error(crate::contract::Locator::new("KEY"))),
            Err(error) => error,
        };
        (error.message().to_owned(), error.advice().unwrap().to_owned())
    };
    let without = |option: &'static str| {
        missing(&move |options: &mut Value| drop(options.as_object_mut().unwrap().remove(option)))
    };
    for (option, says, variable) in [
        ("project_id", "`project_id` is missing", "INFISICAL_PROJECT_ID"),
        ("environment", "`environment` is missing", "INFISICAL_ENVIRONMENT"),
        ("auth", "neither `auth` nor the environment", "INFISICAL_TOKEN"),
    ] {
        let (message, advice) = without(option);
        assert!(message.contains(says) && advice.contains(variable), "{message}: {advice}");
        assert!(advice.contains(option), "{advice}");
    }
    for (auth, option, variable) in [
        (json!({"method": "machine_identity", "client_id": "x"}), "client_secret", "_CLIENT_SECRET"),
        (json!({"method": "service_token"}), "token", "INFISICAL_TOKEN"),
        (json!({"method": "token_auth"}), "token", "INFISICAL_TOKEN"),
        (json!({"method": "kubernetes"}), "identity_id", "INFISICAL_MACHINE_IDENTITY_ID"),
        (json!({"method": "jwt", "identity_id": PROJECT}), "jwt", "INFISICAL_JWT"),
        (
            json!({"method": "ldap", "identity_id": PROJECT, "username": "u"}),
            "password",
            "INFISICAL_LDAP_PASSWORD",
        ),
    ] {
        let (message, advice) = missing(&|options| options["auth"] = auth.clone());
        assert!(message.contains(&format!("`auth.{option}` is missing")), "{message}");
        assert!(advice.contains(variable) && advice.contains(&format!("auth.{option}")), "{advice}");
    }
}

#[test]
fn an_id_that_is_no_uuid_is_refused_before_any_request_and_not_shown() {
    let message = complaint(|options| options["auth"] = json!({"method": "oidc", "identity_id": "hunter2"}));
    assert_eq!(message, "`identity_id` is no UUID");
    validate(|options| options["auth"] = json!({"method": "oidc", "identity_id": "${ID}"})).unwrap();
    let mut options = complete();
    options["auth"] = json!({"method": "kubernetes", "identity_id": "hunter2-${"});
    let error = super::server::Store::open(&options).err().unwrap();
    assert!(error.message().contains("no UUID") && !error.message().contains("hunter2"), "{error}");
}

#[test]
fn a_project_has_one_name() {
    assert!(complaint(|options| options["project_slug"] = json!("lab")).contains("both name the project"));
    for option in ["project_id", "environment"] {
        assert_eq!(complaint(|options| options[option] = json!("")), format!("`{option}` is empty"));
    }
}

#[test]
fn options_of_another_method_are_refused() {
    assert_eq!(
        complaint(|options| options["auth"]["token"] = json!("st.a.b")),
        "`token` is not used by `method: machine_identity`"
    );
    let both = json!({"method": "service_token", "token": "st.a.b", "service_token": "st.a.b"});
    assert!(complaint(|options| options["auth"] = both.clone()).contains("the same option"));
    for option in ["token", "jwt", "password", "api_key"] {
        let message = complaint(|options| options["auth"] = json!({option: "x"}));
        assert_eq!(message, format!("`auth.method` is missing, which says what `{option}` is for"));
    }
}

#[test]
fn addresses_that_would_show_secrets_are_refused() {
    assert!(complaint(|options| options["host"] = json!("http://infisical.internal")).contains("plain http"));
    assert!(
        complaint(|options| options["host"] = json!("http://127.0.0.1.evil.test")).contains("plain http")
    );
    assert!(complaint(|options| options["host"] = json!("infisical.internal")).contains("not a URL"));
    let message = complaint(|options| options["host"] = json!("https://me:hunter2@x.test"));
    assert!(message.contains("user name or a password") && !message.contains("hunter2"), "{message}");
}

#[tokio::test]
async fn an_address_may_end_with_slashes_and_api_and_a_root_folder_may_be_set() {
    let server = Server::of(Project::default().with("/team/db", &[("KEY", "1")])).await;
    for (suffix, path) in [("/", "team"), ("/api", "/team/"), ("/api//", "/team")] {
        let mut options = complete();
        options["host"] = json!(format!("{}{suffix}", server.address));
        options["path"] = json!(path);
        let store = super::server::Store::open(&options).unwrap();
        assert_eq!(store.values(&["db/KEY"]).await, ["1"]);
        assert_eq!(store.list("db").await.unwrap(), [("KEY".to_owned(), "1".to_owned())]);
    }
}

#[test]
fn references_that_infisical_cannot_have_are_refused() {
    let config = config(&complete());
    let refused = |locator: &Locator| Infisical::accept(&config, locator).map_err(|error| error.message);
    for good in ["KEY", "a/b/KEY", "/KEY", "a b", ".", ".."] {
        assert_eq!(refused(&Locator::new(good)), Ok(()), "{good}");
    }
    for bad in ["", "a/", "a//KEY", "a/../KEY", "./KEY", "a:b"] {
        assert!(refused(&Locator::new(bad)).is_err(), "{bad}");
    }
    for good in ["1", "v2", "007"] {
        assert_eq!(refused(&Locator::new("KEY").at_version(good)), Ok(()), "{good}");
    }
    for bad in ["", "v", "0", "latest", "-1", "1.0", "vv1", "٣"] {
        assert!(refused(&Locator::new("KEY").at_version(bad)).is_err(), "{bad}");
    }
    assert!(refused(&Locator::new("KEY").with_field("x")).is_err());
}

#[test]
fn the_cost_is_known_without_asking() {
    let cost = |auth: Value, locators: &[Locator], folders: &[String]| {
        let mut options = complete();
        options["auth"] = auth;
        Infisical::cost(&config(&options), locators, folders)
    };
    let many: Vec<Locator> = (0..1000).map(|n| Locator::new(format!("f{}/K{n}", n % 20))).collect();
    assert_eq!(cost(machine_identity(), &many, &[]), Cost { logins: 1, requests: 20, processes: 0 });
    assert_eq!(cost(machine_identity(), &[], &[]), Cost::default());
    let pinned = [Locator::new("A").at_version("1"), Locator::new("A").at_version("v1")];
    assert_eq!(cost(machine_identity(), &pinned, &[]).requests, 2);
    let token = json!({"method": "service_token", "token": "st.a.b"});
    assert_eq!(
        cost(token, &[Locator::new("A")], &["x".to_owned()]),
        Cost { logins: 0, requests: 3, processes: 0 }
    );
}

#[tokio::test]
async fn the_cost_is_what_a_run_makes() {
    let names = [("A", "1"), ("B", "2"), ("C", "3")];
    let server =
        Server::of(Project::default().with("/", &names).with("/one", &names).with("/two", &names)).await;
    let store = server.store();
    let locators = [
        Locator::new("A"),
        Locator::new("one/A"),
        Locator::new("one/B").at_version("3"),
        Locator::new("two/A").at_version("3"),
        Locator::new("two/A"),
    ];
    assert!(store.fetch(&locators).await.iter().all(Result::is_ok));
    let cost = Infisical::cost(&config(&complete()), &locators, &[]);
    assert_eq!(store.cx.meter().requests(), cost.logins + cost.requests);
    assert_eq!(store.cx.meter().logins(), cost.logins);
}

#[test]
fn nothing_that_is_printed_for_developers_shows_a_credential() {
    let options = json!({"project_id": PROJECT, "environment": "dev", "auth": {"client_id": "canary", "client_secret": "canary"}});
    assert!(!format!("{:?}", config(&options)).contains("canary"));
}

#[test]
fn the_declaration_is_whole() {
    let descriptor = crate::find("infisical").unwrap();
    assert!(descriptor.about.example.starts_with("type: infisical\n"));
    let schema = (descriptor.schema)(&mut schemars::SchemaGenerator::default());
    assert!(serde_json::to_string(&schema).unwrap().contains("InfisicalConfig"));
    let methods: Vec<&str> = descriptor.auth.iter().map(|method| method.name).collect();
    assert_eq!(
        methods,
        [
            "machine_identity",
            "oidc",
            "kubernetes",
            "aws_iam",
            "gcp",
            "azure",
            "jwt",
            "ldap",
            "token_auth",
            "service_token",
            "api_key"
        ]
    );
}
