//! Every way to log in to Infisical, end to end, what each says when it fails, and that nothing of it is shown.

use serde_json::json;

use super::lab::{
    BOTH, CANARY, DETAILS, Exec, Expected, LIST, LOGIN, ONE, PROJECT, SERVICE_TOKEN, discreet, fails, file,
    options_with, value, with_key,
};
use crate::support::clouds::{
    AWS_KEY, AWS_SECRET, AWS_SESSION, AZURE, Clouds, GITHUB, GOOGLE, IDENTITY_HEADER, REQUEST_TOKEN,
};
use crate::support::infisical::{Generation, Identity, Method, Proof, Server, ServiceToken};
use crate::support::{Dsops, Output, jwt};

const ID: &str = "f9d3363c-733d-428f-b6bc-e6845410069b";
const ISSUER: &str = "https://issuer.example.test";
const REFUSED: &str = "dsops::auth::refused";

type Variables = Vec<(&'static str, String)>;

fn proving(generation: Generation, proof: Proof) -> Server {
    with_key(generation).identity_with(Identity::proving(ID, proof)).start()
}

fn run(server: &Server, auth: &str, variables: &Variables) -> Dsops {
    let dsops = Dsops::new().config(file(&options_with(&server.url(), auth), ONE));
    variables.iter().fold(dsops, |dsops, (name, value)| dsops.env(name, value))
}

/// Checks that nothing that opens the store is shown.
#[track_caller]
fn shows_nothing(output: Output, server: &Server, variables: &Variables) -> Output {
    let mut output = discreet(output, server);
    let secret =
        |name: &&str| ["TOKEN", "JWT", "SECRET", "PASSWORD", "HEADER"].iter().any(|s| name.contains(s));
    let public = |name: &&str| ["PATH", "URL", "FILE"].iter().any(|s| name.ends_with(s));
    for (_, value) in variables.iter().filter(|(name, _)| secret(name) && !public(name)) {
        output = output.never_shows(value);
    }
    output
}

/// Runs `get` and `exec`, and checks that each made what the plan said.
#[track_caller]
fn works(server: &Server, clouds: Option<&Clouds>, auth: &str, variables: &Variables) {
    let plan = run(server, auth, variables).args(["plan", "--env", "dev", "--json"]).run().code(0).json();
    let requests = || server.total() + clouds.map_or(0, |clouds| clouds.seen().len());
    let before = requests();
    assert_eq!(before, 0, "a plan asks for nothing");
    let output = run(server, auth, variables).get("A").run().code(0).stdout(value("key"));
    let _ = discreet(output, server).stderr_empty();
    let planned = plan["cost"]["requests"].as_u64();
    assert_eq!(planned, Some(requests() as u64), "{plan:#}");
    // In a job the runner is told to mask the value, which is the business of other tests.
    let exec = ["exec", "--env", "dev", "--no-ci-mask", "--", "sh", "-c", "printf '%s' \"$A\""];
    let output = run(server, auth, variables).args(exec).run().code(0).stdout(value("key"));
    let _ = shows_nothing(output, server, variables);
}

fn token(audience: &str) -> String {
    jwt::sign(&json!({"iss": ISSUER, "aud": audience, "sub": "job"}), jwt::KEY_ID)
}

fn with_id(rest: &str) -> String {
    format!("{{identity_id: {ID}, {rest}}}")
}

#[test]
fn a_job_of_github_actions_needs_no_secret() {
    for generation in BOTH {
        for (auth, audience) in [
            (with_id("method: oidc"), "https://github.com/acme"),
            (
                with_id("method: oidc, audience: 'https://infisical.acme.test/a b'"),
                "https://infisical.acme.test/a b",
            ),
        ] {
            let proof = Proof::token(Method::Oidc, GITHUB, audience).of_subject("repo:acme/app:*");
            let (server, clouds) = (proving(generation, proof), Clouds::start());
            works(&server, Some(&clouds), &auth, &clouds.github());
            assert_eq!(clouds.issued().len(), 2, "one for each login");
        }
    }
}

#[test]
fn what_github_refuses_is_told_from_what_infisical_refuses() {
    let server = proving(Generation::July2026, Proof::token(Method::Oidc, GITHUB, "another"));
    let auth = with_id("method: oidc");
    let clouds = Clouds::start();
    let expected = Expected {
        exit: 4,
        code: REFUSED,
        says: &["OIDC audience not allowed", "oidc"],
        advises: "auth.audience",
    };
    fails(|| run(&server, &auth, &clouds.github()), Some(&server), &expected);
    assert_eq!(server.total(), 2, "a refused login is final: one for each of the two runs");

    let refusing = Clouds::start().refusing(403);
    let expected = Expected {
        exit: 4,
        code: REFUSED,
        says: &["GitHub", "403"],
        advises: "permissions: {id-token: write}",
    };
    fails(|| run(&server, &auth, &refusing.github()), Some(&server), &expected);
    assert_eq!((server.total(), refusing.seen().len()), (2, 2));

    let without = || vec![("GITHUB_ACTIONS", "true".to_owned())];
    let expected = Expected {
        exit: 4,
        code: REFUSED,
        says: &["GitHub Actions"],
        advises: "permissions: {id-token: write}",
    };
    fails(|| run(&server, &auth, &without()), Some(&server), &expected);

    let down = Clouds::start().refusing(503);
    let mut run = run(&server, &auth, &down.github()).get("A").run().code(6).stdout_empty();
    run = run.stderr_has("GitHub cannot issue").never_shows(REQUEST_TOKEN);
    let _ = discreet(run, &server);
    assert!(down.seen().len() > 1, "a server that cannot serve now is asked again");
    assert_eq!(server.total(), 2);
}

#[test]
fn a_job_of_gitlab_has_its_token_in_a_variable() {
    let audience = "https://infisical.acme.test";
    let proof = || Proof::token(Method::Oidc, ISSUER, audience);
    let gitlab = |name| vec![("GITLAB_CI", "true".to_owned()), (name, token(audience))];
    for name in ["INFISICAL_ID_TOKEN", "INFISICAL_JWT", "INFISICAL_OIDC_AUTH_JWT", "CI_JOB_JWT_V2"] {
        let server = proving(Generation::July2026, proof());
        works(&server, None, &with_id("method: oidc"), &gitlab(name));
    }
    let server = proving(Generation::July2026, proof());
    works(&server, None, &with_id("method: oidc, token_env: VAULT_TOKEN"), &gitlab("VAULT_TOKEN"));
    works_again(&server, &with_id("method: oidc, jwt: '${MY_JWT}'"), &gitlab("MY_JWT"));

    let asked = server.total();
    let gitlab = vec![("GITLAB_CI", "true".to_owned())];
    for (auth, variables, says, advises) in [
        (with_id("method: oidc"), gitlab.clone(), "GitLab CI", "id_tokens"),
        (with_id("method: oidc, token_env: MINE"), gitlab, "`MINE`", "id_tokens"),
        (with_id("method: oidc"), vec![], "no identity token", "INFISICAL_JWT"),
    ] {
        let expected = Expected { exit: 4, code: REFUSED, says: &[says], advises };
        fails(|| run(&server, &auth, &variables), Some(&server), &expected);
    }
    assert_eq!(server.total(), asked, "nothing was sent");
}

/// As `works`, where the server has been asked before.
#[track_caller]
fn works_again(server: &Server, auth: &str, variables: &Variables) {
    // In a job the runner is told to mask the value, which is the business of other tests.
    let exec = ["exec", "--env", "dev", "--no-ci-mask", "--", "sh", "-c", "printf '%s' \"$A\""];
    let output = run(server, auth, variables).args(exec).run().code(0).stdout(value("key"));
    let _ = shows_nothing(output, server, variables);
}

#[test]
fn the_variable_that_an_option_names_for_a_token_is_taken_out_of_the_child() {
    let server = proving(Generation::July2026, Proof::token(Method::Oidc, ISSUER, "a"));
    let variables = vec![("MY_OWN", token("a")), ("INFISICAL_JWT", "canary-4c1d7a-jwt".to_owned())];
    let child = || run(&server, &with_id("method: oidc, token_env: MY_OWN"), &variables);
    let output = child().exec("env").run().code(0).never_shows("canary-4c1d7a-jwt");
    let _ = output.never_shows(&variables[0].1).stdout_has(&value("key"));
    let kept = child().args(["exec", "--env", "dev", "--keep-credentials", "--", "env"]).run().code(0);
    let _ = kept.stdout_has(&variables[0].1);
}

#[test]
fn every_refusal_of_a_token_says_what_to_correct() {
    let proof = Proof::token(Method::Oidc, ISSUER, "a").of_subject("repo:acme/*").with_claim("ref", "main");
    let sign = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut claims = json!({"iss": ISSUER, "aud": "a", "sub": "repo:acme/app", "ref": "main"});
        change(&mut claims);
        jwt::sign(&claims, jwt::KEY_ID)
    };
    let server = proving(Generation::July2026, proof);
    let auth = with_id("method: oidc, jwt: '${MY_JWT}'");
    works(&server, None, &auth, &vec![("MY_JWT", sign(&|_| {}))]);
    for (jwt, says, advises) in [
        (sign(&|claims| claims["aud"] = "b".into()), "audience not allowed", "auth.audience"),
        (sign(&|claims| claims["sub"] = "repo:b/app".into()), "subject not allowed", "does not cross"),
        (sign(&|claims| claims["ref"] = "dev".into()), "claim not allowed", "correct the claims"),
        (sign(&|claims| claims["ref"] = json!(null)), "token has no ref field", "correct the claims"),
        (sign(&|claims| claims["iss"] = "https://b.test".into()), "issuer invalid", "correct the issuer"),
        (sign(&|claims| claims["exp"] = 1.into()), "jwt expired", "right before the run"),
        (jwt::sign(&json!({}), "nope"), "signing key", "discovery URL"),
        ("nope".to_owned(), "Invalid JWT", "three parts"),
    ] {
        let expected =
            Expected { exit: 4, code: REFUSED, says: &["refused the login (oidc)", says], advises };
        let before = server.logins();
        fails(|| run(&server, &auth, &vec![("MY_JWT", jwt.clone())]), Some(&server), &expected);
        assert_eq!(server.logins() - before, 2, "a refusal is final");
        let output = run(&server, &auth, &vec![("MY_JWT", jwt.clone())]).get("A").run().code(4);
        let _ = if jwt.len() > 10 { output.never_shows(&jwt) } else { output };
    }
}

#[test]
fn a_pod_logs_in_by_its_service_account() {
    for generation in BOTH {
        let server = proving(generation, Proof::token(Method::Kubernetes, ISSUER, "a"));
        let auth = with_id("method: kubernetes, service_account_token_path: tokens/sa");
        let run = || Dsops::new().config(file(&options_with(&server.url(), &auth), ONE));
        let output = run().file("tokens/sa", format!("{}\n", token("a"))).get("A").run();
        let _ = discreet(output.code(0).stdout(value("key")), &server);
        let named =
            Dsops::new().config(file(&options_with(&server.url(), &with_id("method: kubernetes")), ONE));
        let path = named.path("sa");
        let named = named.file("sa", token("a")).env("INFISICAL_KUBERNETES_SERVICE_ACCOUNT_TOKEN_PATH", path);
        let _ = named.get("A").run().code(0).stdout(value("key"));

        let asked = server.total();
        let expected = Expected {
            exit: 4,
            code: REFUSED,
            says: &["tokens/sa", "No such file"],
            advises: "service_account_token_path",
        };
        fails(run, Some(&server), &expected);
        let expected = Expected { says: &["is empty"], ..expected };
        fails(|| run().file("tokens/sa", " \n"), Some(&server), &expected);
        assert_eq!(server.total(), asked, "nothing was sent");
    }
}

#[test]
fn google_cloud_says_who_a_machine_is() {
    let server = proving(Generation::July2026, Proof::token(Method::Gcp, GOOGLE, ID));
    let clouds = Clouds::start();
    let host = clouds.url().replace("http://", "");
    works(&server, Some(&clouds), &with_id("method: gcp"), &vec![("GCE_METADATA_HOST", host)]);

    let refusing = Clouds::start().refusing(404);
    let variables = vec![("GCE_METADATA_HOST", refusing.url().replace("http://", ""))];
    let expected = Expected { exit: 4, code: REFUSED, says: &["404"], advises: "attach a service account" };
    let before = server.total();
    fails(|| run(&server, &with_id("method: gcp"), &variables), Some(&server), &expected);
    let closed = vec![("GCE_METADATA_HOST", "127.0.0.1:9".to_owned())];
    let output = run(&server, &with_id("method: gcp"), &closed).get("A").run().code(6);
    let _ = output.stderr_has("no metadata service of Google Cloud").stderr_has("service_account_key_file");
    assert_eq!(server.total(), before);
}

#[test]
fn a_key_file_of_google_cloud_signs_for_the_identity_alone() {
    let account = "ci@acme.iam.gserviceaccount.com";
    let server = proving(Generation::July2026, Proof::token(Method::Gcp, account, ID).of_subject(account));
    let key = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut key = json!({
            "type": "service_account", "project_id": "acme", "private_key_id": jwt::KEY_ID,
            "private_key": jwt::private_key_pem(), "client_email": account, "client_id": "1",
        });
        change(&mut key);
        key.to_string()
    };
    let auth = with_id("method: gcp, service_account_key_file: key.json");
    let run = || Dsops::new().config(file(&options_with(&server.url(), &auth), ONE));
    let output = run().file("key.json", key(&|_| {})).get("A").run().code(0).stdout(value("key"));
    let _ = discreet(output, &server);
    assert_eq!(server.total(), 2, "signed here, without another request");
    for (content, says) in [
        (None, "cannot be read"),
        (Some("{canary-4c1d7a".to_owned()), "is no JSON key file"),
        (Some(key(&|key| key["private_key"] = "canary-4c1d7a".into())), "no private key in PEM"),
        (
            Some(key(&|key| {
                key["private_key"] =
                    "-----BEGIN PRIVATE KEY-----\nY2FuYXJ5\n-----END PRIVATE KEY-----\n".into();
            })),
            "cannot sign",
        ),
    ] {
        let expected = Expected {
            exit: 4,
            code: REFUSED,
            says: &["key.json", says],
            advises: "service_account_key_file",
        };
        let run = || match &content {
            Some(content) => run().file("key.json", content),
            None => run(),
        };
        fails(run, Some(&server), &expected);
    }
    assert_eq!(server.total(), 2, "nothing was sent");
}

#[test]
fn azure_says_which_managed_identity_a_machine_has() {
    let resource = "https://management.azure.com/";
    let machine = |clouds: &Clouds| vec![("AZURE_POD_IDENTITY_AUTHORITY_HOST", clouds.url())];
    let app = |clouds: &Clouds| {
        vec![
            ("IDENTITY_ENDPOINT", format!("{}/msi/token", clouds.url())),
            ("IDENTITY_HEADER", IDENTITY_HEADER.to_owned()),
        ]
    };
    for variables in [&machine as &dyn Fn(&Clouds) -> Variables, &app] {
        for (rest, resource, subject) in [
            ("method: azure", resource, "system"),
            ("method: azure, resource: 'api://infisical'", "api://infisical", "system"),
            ("method: azure, client_id: abc", resource, "abc"),
        ] {
            let proof = Proof::token(Method::Azure, AZURE, resource).of_subject(subject);
            let (server, clouds) = (proving(Generation::July2026, proof), Clouds::start());
            works(&server, Some(&clouds), &with_id(rest), &variables(&clouds));
        }
    }
    let server = proving(Generation::July2026, Proof::token(Method::Azure, AZURE, resource));
    let refusing = Clouds::start().refusing(400);
    let expected = Expected { exit: 4, code: REFUSED, says: &["managed identity", "400"], advises: "assign" };
    fails(|| run(&server, &with_id("method: azure"), &machine(&refusing)), Some(&server), &expected);
    assert_eq!(server.total(), 0);
}

#[test]
fn aws_is_asked_by_the_server_who_signed() {
    let keys = |secret: &str| {
        vec![
            ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", secret.to_owned()),
            ("AWS_REGION", "eu-west-1".to_owned()),
        ]
    };
    for generation in BOTH {
        let server = proving(generation, Proof::aws("AKIAEXAMPLE", "canary-4c1d7a-key", None));
        let auth = with_id("method: aws_iam");
        let plan =
            run(&server, &auth, &keys("canary-4c1d7a-key")).args(["plan", "--env", "dev", "--json"]).run();
        let _ = plan.code(0);
        let output = run(&server, &auth, &keys("canary-4c1d7a-key")).get("A").run().code(0);
        let _ = discreet(output.stdout(value("key")), &server);
        assert_eq!(server.total(), 2);
        // The ambient identity of a cloud stays in the child.
        let output = run(&server, &auth, &keys("canary-4c1d7a-key")).exec("printenv AWS_REGION").run();
        let _ = output.code(0).stdout("eu-west-1\n");
    }
}

#[test]
fn a_role_of_a_machine_in_aws_comes_from_its_metadata() {
    let proof = Proof::aws(AWS_KEY, AWS_SECRET, Some(AWS_SESSION));
    let (server, clouds) = (proving(Generation::July2026, proof), Clouds::start());
    let variables = vec![("AWS_EC2_METADATA_SERVICE_ENDPOINT", clouds.url())];
    let output = run(&server, &with_id("method: aws_iam"), &variables).get("A").run().code(0);
    let _ = discreet(output.stdout(value("key")), &server).stderr_empty();
    assert!(clouds.seen().contains(&"PUT /latest/api/token".to_owned()), "{:?}", clouds.seen());
}

#[test]
fn where_aws_has_no_credentials_nothing_is_sent() {
    let server = proving(Generation::July2026, Proof::aws("a", "b", None));
    let variables = vec![("AWS_EC2_METADATA_DISABLED", "true".to_owned())];
    let expected = Expected { exit: 4, code: REFUSED, says: &["AWS"], advises: "AWS_PROFILE" };
    fails(|| run(&server, &with_id("method: aws_iam"), &variables), Some(&server), &expected);
    assert_eq!(server.total(), 0);
}

#[test]
fn any_issuer_that_the_identity_trusts_will_do() {
    for generation in BOTH {
        let server = proving(generation, Proof::token(Method::Jwt, ISSUER, "a"));
        works(&server, None, &with_id("method: jwt, jwt: '${MY_JWT}'"), &vec![("MY_JWT", token("a"))]);
        let expected = Expected {
            exit: 4,
            code: REFUSED,
            says: &["(jwt)", "token audience not allowed"],
            advises: "audience",
        };
        let other = || run(&server, &with_id("method: jwt, jwt: '${MY_JWT}'"), &vec![("MY_JWT", token("b"))]);
        fails(other, Some(&server), &expected);
    }
}

#[test]
fn a_user_of_a_directory_has_a_name_and_a_password() {
    let password = "canary-4c1d7a-password";
    let auth = with_id("method: ldap, username: '${USER_NAME}', password: '${USER_PASSWORD}'");
    let variables =
        |password: &str| vec![("USER_NAME", "ci".to_owned()), ("USER_PASSWORD", password.to_owned())];
    for generation in BOTH {
        let server = proving(generation, Proof::ldap("ci", password));
        works(&server, None, &auth, &variables(password));
        let before = server.logins();
        let expected =
            Expected { exit: 4, code: REFUSED, says: &["(ldap)", "Invalid credentials"], advises: "check" };
        fails(|| run(&server, &auth, &variables("wrong")), Some(&server), &expected);
        assert_eq!(server.logins() - before, 2, "identities lock");
    }
}

#[test]
fn an_identity_without_the_login_is_told_from_a_wrong_credential() {
    for generation in BOTH {
        let server = proving(generation, Proof::ldap("a", "b"));
        let auth = with_id("method: jwt, jwt: '${MY_JWT}'");
        let expected = Expected {
            exit: 4,
            code: REFUSED,
            says: &["JWT auth method not found"],
            advises: "add the login method",
        };
        fails(|| run(&server, &auth, &vec![("MY_JWT", token("a"))]), Some(&server), &expected);
    }
}

#[test]
fn an_access_token_is_used_as_it_is() {
    let auth = "{method: token_auth, token: '${MY_TOKEN}'}";
    for generation in BOTH {
        let server = with_key(generation).identity("made", "secret").start();
        let (mut good, mut old) = (String::new(), String::new());
        server.change(|world| {
            good = world.access_token("made");
            old = world.dashboard_token("made");
        });
        works(&server, None, auth, &vec![("MY_TOKEN", good)]);
        assert_eq!(server.logins(), 0);
        if generation == Generation::July2026 {
            let expected = Expected {
                exit: 4,
                code: REFUSED,
                says: &["older than the server takes", "exceeded max age"],
                advises: "create a new access token",
            };
            fails(|| run(&server, auth, &vec![("MY_TOKEN", old.clone())]), Some(&server), &expected);
        }
        let before = server.total();
        let expected = Expected {
            exit: 4,
            code: REFUSED,
            says: &["is a service token"],
            advises: "method: service_token",
        };
        let service = vec![("MY_TOKEN", SERVICE_TOKEN.to_owned())];
        fails(|| run(&server, auth, &service), Some(&server), &expected);
        assert_eq!(server.total(), before, "what it is for would go unchecked");
    }
}

#[test]
fn forms_of_service_tokens_that_are_no_longer_taken_are_told_apart() {
    let server = with_key(Generation::July2026).start();
    let auth = "{method: service_token, token: '${MY_TOKEN}'}";
    for (token, says, advises) in [
        ("st.63811cad.canary-4c1d7a.x.y", "`st.`, an id and a secret", "copy the whole"),
        ("st.canary-4c1d7a", "`st.`, an id and a secret", "copy the whole"),
        ("stcanary-4c1d7a", "without dots", "create a new service token"),
        ("{\"canary-4c1d7a\": 1}", "JSON document", "create a new service token"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJjYW5hcnktNGMxZDdhIjoxfQ.AA", "JSON web token", "method: token_auth"),
        ("canary-4c1d7a", "`st.`, an id and a secret", "copy the whole"),
    ] {
        let expected = Expected { exit: 4, code: REFUSED, says: &["no service token", says], advises };
        fails(|| run(&server, auth, &vec![("MY_TOKEN", token.to_owned())]), Some(&server), &expected);
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_project_can_be_named_by_its_slug() {
    let by_slug = |server: &Server, slug: &str| {
        let options = options_with(&server.url(), super::lab::AUTH);
        super::lab::dsops().config(file(
            &options.replace(&format!("project_id: {PROJECT}"), &format!("project_slug: {slug}")),
            ONE,
        ))
    };
    for generation in BOTH {
        let server = with_key(generation).start();
        let plan = by_slug(&server, "payroll").args(["plan", "--env", "dev", "--json"]).run().code(0).json();
        let planned = plan["cost"]["requests"].as_u64();
        let output = by_slug(&server, "payroll").get("A").run().code(0).stdout(value("key"));
        let _ = discreet(output, &server);
        assert_eq!(planned, Some(server.total() as u64));
        assert_eq!(server.count("GET /api/v2/workspace/payroll"), 1);
        let expected = Expected {
            exit: 5,
            code: "dsops::fetch::place_not_found",
            says: &["project not found", "`nope`"],
            advises: "project_id",
        };
        fails(|| by_slug(&server, "nope"), Some(&server), &expected);
        let output = by_slug(&server, "payroll").args(["doctor"]).run().code(0);
        let _ = discreet(output, &server).stdout_has("reach, login, project, environment");
        assert_eq!(server.count(LOGIN), 4, "one for each run");
    }
}

#[test]
fn a_service_token_says_itself_which_project_it_is_for() {
    let auth = "{method: service_token, token: '${MY_TOKEN}'}";
    for generation in BOTH {
        let server =
            with_key(generation).service_token(ServiceToken::new(SERVICE_TOKEN).scope("dev", "/")).start();
        let run = |project: &str| {
            let options =
                options_with(&server.url(), auth).replace(&format!("project_id: {PROJECT},"), project);
            Dsops::new().env("MY_TOKEN", SERVICE_TOKEN).config(file(&options, ONE))
        };
        let _ = discreet(run("").get("A").run().code(0).stdout(value("key")), &server);
        assert_eq!((server.count(DETAILS), server.total()), (1, 2));
        let _ = discreet(run("project_slug: payroll,").get("A").run().code(0), &server);
        let expected = Expected {
            exit: 4,
            code: "dsops::auth::denied",
            says: &["for project `Payroll`, not for `other`"],
            advises: "create a service token",
        };
        fails(|| run("project_slug: other,"), Some(&server), &expected);
        assert_eq!(server.count(LIST), 0);
    }
}

#[test]
fn a_sub_organization_can_be_acted_in() {
    let server = with_key(Generation::July2026)
        .identity_with(Identity::proving(ID, Proof::token(Method::Jwt, ISSUER, "a")))
        .with(|world| world.organization("team"))
        .start();
    let auth = |slug: &str| with_id(&format!("method: jwt, jwt: '${{MY_JWT}}', organization_slug: {slug}"));
    let variables = vec![("MY_JWT", token("a"))];
    works(&server, None, &auth("team"), &variables);
    let expected = Expected {
        exit: 4,
        code: REFUSED,
        says: &["Sub organization with name nope"],
        advises: "auth.organization_slug",
    };
    fails(|| run(&server, &auth("nope"), &variables), Some(&server), &expected);
}

#[test]
fn a_token_that_runs_out_between_two_calls_is_replaced_by_one_new_login() {
    let two = "A: {from: infisical/KEY}\nB: {from: infisical/app/KEY}";
    for generation in BOTH {
        for expire in [true, false] {
            let server = with_key(generation)
                .secret("dev", "/app", "KEY", &value("app"))
                .identity_with(Identity::proving(ID, Proof::token(Method::Jwt, ISSUER, "a")))
                .start();
            let fault = match expire {
                true => crate::support::infisical::Fault::expiry(),
                false => crate::support::infisical::Fault::revocation(),
            };
            server.fault("GET /api/v3/secrets/raw/KEY", fault.times(1));
            let auth = with_id("method: jwt, jwt: '${MY_JWT}'");
            let run =
                Dsops::new().env("MY_JWT", token("a")).config(file(&options_with(&server.url(), &auth), two));
            let output = run.exec("printf '%s' \"$A$B\"").run().code(0);
            let _ = discreet(output.stdout(format!("{}{}", value("key"), value("app"))), &server);
            assert_eq!(server.logins(), 2, "{:?}", server.requests());
        }
    }
}

#[test]
fn an_api_key_is_called_what_it_is_by_doctor() {
    let server = with_key(Generation::June2025).lenient().start();
    let variables = vec![("MY_KEY", "canary-4c1d7a-key".to_owned())];
    let output = run(&server, "{method: api_key, api_key: '${MY_KEY}'}", &variables).args(["doctor"]).run();
    let _ = output.stdout_has("for development").never_shows(CANARY);
}

#[test]
fn not_even_the_fullest_log_shows_what_opens_the_store() {
    let clouds = Clouds::start();
    let address = clouds.url();
    let (server, sign) = (
        with_key(Generation::July2026)
            .identity_with(
                Identity::proving(ID, Proof::aws(AWS_KEY, AWS_SECRET, Some(AWS_SESSION)))
                    .or_by(Proof::token(Method::Azure, AZURE, "https://management.azure.com/"))
                    .or_by(Proof::token(Method::Gcp, GOOGLE, ID))
                    .or_by(Proof::token(Method::Oidc, GITHUB, "https://github.com/acme"))
                    .or_by(Proof::token(Method::Jwt, ISSUER, "a")),
            )
            .start(),
        token("a"),
    );
    let mut variables = clouds.github();
    variables.extend([
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", address.clone()),
        ("GCE_METADATA_HOST", address.replace("http://", "")),
        ("IDENTITY_ENDPOINT", format!("{address}/msi/token")),
        ("IDENTITY_HEADER", IDENTITY_HEADER.to_owned()),
        ("MY_JWT", sign.clone()),
        ("DSOPS_LOG", "trace".to_owned()),
    ]);
    for method in ["aws_iam", "azure", "gcp", "oidc", "jwt, jwt: '${MY_JWT}'"] {
        let output = run(&server, &with_id(&format!("method: {method}")), &variables).get("A").run().code(0);
        let output = discreet(output, &server).stderr_lacks(REQUEST_TOKEN).stderr_lacks(&sign);
        let output = output.stderr_has("127.0.0.1").stderr_lacks("aws_").stderr_lacks("hyper");
        let _ = clouds.issued().iter().fold(output, |output, token| output.stderr_lacks(token));
    }
}
