//! A machine that is set up for Infisical's own clients: what the file leaves out comes from their variables.

use serde_json::json;

use super::lab::{
    CLIENT_ID, CLIENT_SECRET, Exec, Expected, ONE, PROJECT, SERVICE_TOKEN, discreet, fails, file, server,
    value, with_key,
};
use crate::support::clouds::{AZURE, Clouds, GITHUB, GOOGLE};
use crate::support::infisical::{Generation, Identity, Method, Proof, Server, ServiceToken};
use crate::support::{Dsops, jwt};

const ID: &str = "f9d3363c-733d-428f-b6bc-e6845410069b";
const ISSUER: &str = "https://issuer.example.test";

type Variables = Vec<(&'static str, String)>;

/// Runs a file whose store has these options and no others.
fn run(options: &str, variables: &Variables) -> Dsops {
    let options =
        if options.is_empty() { "type: infisical".into() } else { format!("type: infisical, {options}") };
    let dsops = Dsops::new().config(file(&options, ONE));
    variables.iter().fold(dsops, |dsops, (name, value)| dsops.env(name, value))
}

/// The variables that name the place.
fn place(server: &Server) -> Variables {
    vec![
        ("INFISICAL_API_URL", format!("{}/api", server.url())),
        ("INFISICAL_PROJECT_ID", PROJECT.into()),
        ("INFISICAL_ENVIRONMENT", "dev".into()),
    ]
}

fn with(server: &Server, more: &[(&'static str, &str)]) -> Variables {
    let more = more.iter().map(|(name, value)| (*name, (*value).to_owned()));
    place(server).into_iter().chain(more).collect()
}

fn token(issuer: &str, audience: &str) -> String {
    jwt::sign(&json!({"iss": issuer, "aud": audience, "sub": "job"}), jwt::KEY_ID)
}

#[track_caller]
fn works(server: &Server, options: &str, variables: &Variables) {
    let before = server.total();
    let plan = run(options, variables).args(["plan", "--env", "dev", "--json"]).run().code(0).json();
    assert_eq!(server.total(), before);
    let output = run(options, variables).exec("printf '%s' \"$A\"; env >seen").run().code(0);
    let output = discreet(output.stdout(value("key")), server).stderr_empty();
    let requests = server.total() - before;
    assert_eq!(plan["cost"]["logins"].as_u64(), Some(server.logins() as u64), "{variables:?}");
    assert!(plan["cost"]["requests"].as_u64() >= Some(requests as u64), "{variables:?}");
    let seen = String::from_utf8(output.read("seen")).unwrap();
    for (name, value) in variables {
        let secret = ["SECRET", "TOKEN", "JWT", "PASSWORD"].iter().any(|end| name.ends_with(end));
        if secret && name.starts_with("INFISICAL") {
            let passed = seen.lines().any(|line| line.starts_with(&format!("{name}=")));
            assert!(!(passed || value.len() > 10 && seen.contains(value)), "`{name}` is in the child");
        }
    }
}

fn proving(proof: Proof) -> Server {
    with_key(Generation::July2026).identity_with(Identity::proving(ID, proof)).start()
}

#[test]
fn a_client_id_and_a_client_secret_are_enough() {
    for generation in [Generation::June2025, Generation::July2026] {
        for method in [None, Some("universal-auth"), Some("UNIVERSAL_AUTH")] {
            let server = with_key(generation).start();
            let mut variables = with(
                &server,
                &[
                    ("INFISICAL_UNIVERSAL_AUTH_CLIENT_ID", CLIENT_ID),
                    ("INFISICAL_UNIVERSAL_AUTH_CLIENT_SECRET", CLIENT_SECRET),
                ],
            );
            variables.extend(method.map(|method| ("INFISICAL_AUTH_METHOD", method.to_owned())));
            works(&server, "", &variables);
        }
    }
}

#[test]
fn a_token_says_by_its_form_what_it_is_and_comes_first() {
    for (variable, service) in [
        ("INFISICAL_TOKEN", true),
        ("INFISICAL_TOKEN", false),
        ("INFISICAL_UNIVERSAL_AUTH_ACCESS_TOKEN", false),
        ("INFISICAL_ACCESS_TOKEN", false),
    ] {
        let server = with_key(Generation::July2026)
            .service_token(ServiceToken::new(SERVICE_TOKEN).scope("dev", "/"))
            .start();
        let mut access = String::new();
        server.change(|world| access = world.access_token(CLIENT_ID));
        let token = if service { SERVICE_TOKEN } else { &access };
        let variables = with(
            &server,
            &[
                (variable, token),
                ("INFISICAL_UNIVERSAL_AUTH_CLIENT_ID", "other"),
                ("INFISICAL_UNIVERSAL_AUTH_CLIENT_SECRET", "other"),
            ],
        );
        works(&server, "", &variables);
        assert_eq!(server.logins(), 0, "{variable}");
    }
}

#[test]
fn every_method_of_the_command_and_the_libraries_is_understood() {
    let clouds = Clouds::start();
    let metadata = clouds.url().replace("http://", "");
    let any = |method, issuer, audience| Proof::token(method, issuer, audience);
    let identity = ("INFISICAL_MACHINE_IDENTITY_ID", ID);
    let named = |name| ("INFISICAL_AUTH_METHOD", name);
    let own = token(ISSUER, "a");
    let directory =
        [("INFISICAL_LDAP_USERNAME", "ci"), ("INFISICAL_LDAP_PASSWORD", "canary-4c1d7a-password")];
    let aws = [
        ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "us-east-1"),
    ];
    let cases: Vec<(Proof, Vec<(&'static str, &str)>)> = vec![
        (any(Method::Oidc, ISSUER, "a"), vec![named("oidc-auth"), identity, ("INFISICAL_JWT", &own)]),
        (
            any(Method::Oidc, ISSUER, "a"),
            vec![named("OIDC_AUTH"), identity, ("INFISICAL_OIDC_AUTH_JWT", &own)],
        ),
        (
            any(Method::Oidc, ISSUER, "a"),
            vec![("INFISICAL_OIDC_AUTH_IDENTITY_ID", ID), ("INFISICAL_ID_TOKEN", &own)],
        ),
        (any(Method::Jwt, ISSUER, "a"), vec![named("jwt-auth"), identity, ("INFISICAL_JWT", &own)]),
        (
            any(Method::Gcp, GOOGLE, ID),
            vec![named("gcp-id-token"), identity, ("GCE_METADATA_HOST", &metadata)],
        ),
        (
            any(Method::Gcp, GOOGLE, ID),
            vec![("INFISICAL_GCP_AUTH_IDENTITY_ID", ID), ("GCE_METADATA_HOST", &metadata)],
        ),
        (
            any(Method::Azure, AZURE, "https://management.azure.com/").of_subject("mine"),
            vec![
                named("azure"),
                identity,
                ("INFISICAL_AZURE_AUTH_CLIENT_ID", "mine"),
                ("AZURE_POD_IDENTITY_AUTHORITY_HOST", &metadata),
            ],
        ),
        (
            Proof::aws("AKIAEXAMPLE", "secret", None),
            [vec![named("aws-iam"), identity], aws.to_vec()].concat(),
        ),
        (
            Proof::aws("AKIAEXAMPLE", "secret", None),
            [vec![("INFISICAL_AWS_IAM_AUTH_IDENTITY_ID", ID)], aws.to_vec()].concat(),
        ),
        (
            Proof::ldap("ci", "canary-4c1d7a-password"),
            [vec![named("ldap-auth"), identity], directory.to_vec()].concat(),
        ),
    ];
    for (proof, more) in cases {
        let server = proving(proof);
        let mut variables = with(&server, &more);
        for (name, value) in &mut variables {
            if *name == "AZURE_POD_IDENTITY_AUTHORITY_HOST" {
                *value = clouds.url();
            }
        }
        works(&server, "", &variables);
    }
}

#[test]
fn a_pod_and_a_key_file_are_found_by_the_paths_in_the_variables() {
    let server = proving(Proof::token(Method::Kubernetes, ISSUER, "a"));
    let variables = with(
        &server,
        &[
            ("INFISICAL_AUTH_METHOD", "kubernetes"),
            ("INFISICAL_MACHINE_IDENTITY_ID", ID),
            ("INFISICAL_KUBERNETES_SERVICE_ACCOUNT_TOKEN_PATH", "sa-token"),
        ],
    );
    let output = run("", &variables).file("sa-token", token(ISSUER, "a")).get("A").run();
    let _ = discreet(output.code(0).stdout(value("key")), &server);

    let account = "ci@acme.iam.gserviceaccount.com";
    let server = proving(Proof::token(Method::Gcp, account, ID));
    let variables = with(
        &server,
        &[
            ("INFISICAL_AUTH_METHOD", "gcp-iam"),
            ("INFISICAL_MACHINE_IDENTITY_ID", ID),
            ("INFISICAL_GCP_IAM_SERVICE_ACCOUNT_KEY_FILE_PATH", "key.json"),
        ],
    );
    let key = json!({"client_email": account, "private_key_id": jwt::KEY_ID, "private_key": jwt::private_key_pem()});
    let output = run("", &variables).file("key.json", key.to_string()).get("A").run();
    let _ = discreet(output.code(0).stdout(value("key")), &server);
}

#[test]
fn the_place_comes_from_the_variables_too() {
    let server = server(Generation::July2026).secret("prod", "/team/app", "KEY", &value("key")).start();
    let credentials = [
        ("INFISICAL_UNIVERSAL_AUTH_CLIENT_ID", CLIENT_ID.to_owned()),
        ("INFISICAL_UNIVERSAL_AUTH_CLIENT_SECRET", CLIENT_SECRET.to_owned()),
        ("INFISICAL_ENVIRONMENT", "prod".to_owned()),
        ("INFISICAL_SECRET_PATH", "/team/app".to_owned()),
        ("INFISICAL_PROJECT_ID", PROJECT.to_owned()),
        ("INFISICAL_DOMAIN", server.url()),
        // The older name counts only where the newer one is not set.
        ("INFISICAL_API_URL", "http://127.0.0.1:9".to_owned()),
    ];
    works(&server, "", &credentials.to_vec());
}

#[test]
fn what_the_file_says_it_says_alone() {
    let server = with_key(Generation::July2026).start();
    let wrong = vec![
        ("INFISICAL_TOKEN", SERVICE_TOKEN.to_owned()),
        ("INFISICAL_AUTH_METHOD", "kubernetes".to_owned()),
        ("INFISICAL_UNIVERSAL_AUTH_CLIENT_ID", "wrong".to_owned()),
        ("INFISICAL_UNIVERSAL_AUTH_CLIENT_SECRET", "wrong".to_owned()),
        ("INFISICAL_DOMAIN", "http://127.0.0.1:9".to_owned()),
        ("INFISICAL_PROJECT_ID", "wrong".to_owned()),
        ("INFISICAL_ENVIRONMENT", "wrong".to_owned()),
        ("INFISICAL_SECRET_PATH", "/wrong".to_owned()),
        ("MY_ID", CLIENT_ID.to_owned()),
        ("MY_SECRET", CLIENT_SECRET.to_owned()),
    ];
    let auth = "auth: {client_id: '${MY_ID}', client_secret: '${MY_SECRET}'}";
    let options =
        format!("host: '{}', project_id: {PROJECT}, environment: dev, path: /, {auth}", server.url());
    works(&server, &options, &wrong);
    let by_slug = options.replace(&format!("project_id: {PROJECT}"), "project_slug: payroll");
    let output = run(&by_slug, &wrong).get("A").run().code(0).stdout(value("key"));
    let _ = discreet(output, &server);
    // A credential that the file names and that is empty is not filled from elsewhere.
    let mut empty = wrong.clone();
    empty.push(("MY_SECRET", String::new()));
    let output = run(&options, &empty).get("A").run().code(4).stderr_has("`auth.client_secret` is empty");
    let _ = discreet(output, &server);
}

#[test]
fn a_method_in_the_file_takes_its_own_options_from_the_environment() {
    let server = proving(Proof::token(Method::Oidc, GITHUB, "https://github.com/acme"));
    let clouds = Clouds::start();
    let mut variables =
        with(&server, &[("INFISICAL_MACHINE_IDENTITY_ID", ID), ("INFISICAL_TOKEN", SERVICE_TOKEN)]);
    variables.extend(clouds.github());
    let output = run("auth: {method: oidc}", &variables).get("A").run().code(0).stdout(value("key"));
    let _ = discreet(output, &server);
    let by_option = run(&format!("auth: {{identity_id: {ID}}}"), &{
        let mut variables = variables.clone();
        variables.push(("INFISICAL_AUTH_METHOD", "oidc-auth".to_owned()));
        variables
    });
    let _ = discreet(by_option.get("A").run().code(0).stdout(value("key")), &server);
}

#[test]
fn what_is_nowhere_is_named_with_both_ways_before_anything_is_sent() {
    let server = with_key(Generation::July2026).start();
    let complete = with(
        &server,
        &[
            ("INFISICAL_UNIVERSAL_AUTH_CLIENT_ID", CLIENT_ID),
            ("INFISICAL_UNIVERSAL_AUTH_CLIENT_SECRET", CLIENT_SECRET),
        ],
    );
    for (left_out, exit, code, says, advises) in [
        (
            "INFISICAL_PROJECT_ID",
            6,
            "dsops::fetch::unsupported",
            "`project_id` is missing",
            "INFISICAL_PROJECT_ID",
        ),
        (
            "INFISICAL_ENVIRONMENT",
            6,
            "dsops::fetch::unsupported",
            "`environment` is missing",
            "INFISICAL_ENVIRONMENT",
        ),
        (
            "INFISICAL_UNIVERSAL_AUTH_CLIENT_ID",
            4,
            "dsops::auth::refused",
            "`auth.client_id` is missing",
            "INFISICAL_UNIVERSAL_AUTH_CLIENT_ID",
        ),
        (
            "INFISICAL_UNIVERSAL_AUTH_CLIENT_SECRET",
            4,
            "dsops::auth::refused",
            "neither `auth` nor the environment",
            "INFISICAL_TOKEN",
        ),
    ] {
        let variables: Variables = complete.iter().filter(|(name, _)| *name != left_out).cloned().collect();
        let expected = Expected { exit, code, says: &[says], advises };
        fails(|| run("", &variables), Some(&server), &expected);
        let _ = run("", &variables).args(["validate"]).run().code(0);
        let _ = run("", &variables).args(["plan", "--env", "dev"]).run().code(0);
    }
    let odd = with(&server, &[("INFISICAL_AUTH_METHOD", "palm-reading")]);
    let expected = Expected {
        exit: 4,
        code: "dsops::auth::refused",
        says: &["`INFISICAL_AUTH_METHOD`"],
        advises: "universal-auth",
    };
    fails(|| run("", &odd), Some(&server), &expected);
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_file_is_valid_on_a_machine_that_has_none_of_the_variables() {
    let _ = run("", &vec![]).args(["validate"]).run().code(0);
    let _ = run("auth: {method: kubernetes}", &vec![]).args(["validate"]).run().code(0);
    for (options, says) in [
        ("auth: {method: kubernetes, client_id: x}", "`client_id` is not used by `method: kubernetes`"),
        ("auth: {method: oidc, identity_id: nope}", "`identity_id` is no UUID"),
        ("auth: {token: x}", "`auth.method` is missing"),
        ("project_id: x, project_slug: y", "both name the project"),
        ("auth: {method: kerberos}", "not one of"),
    ] {
        let _ = run(options, &vec![]).args(["validate"]).run().code(3).stderr_has(says);
    }
}
