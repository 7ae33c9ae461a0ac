//! `dsops helper kube`: the exec credential plugin of Kubernetes' clients.

use crate::support::{Dsops, Output};

const CONFIG: &str = "\
secretStores:
  s:
    type: literal
    values:
      TOKEN: eyJ.s3cret-token
      SPACE: s3cret token
      CERT: \"-----BEGIN CERTIFICATE-----\\ns3cret\\n-----END CERTIFICATE-----\\n\"
      PRIVATE: \"-----BEGIN PRIVATE KEY-----\\ns3cret\\n-----END PRIVATE KEY-----\\n\"
      ENCODED: LS0tLS1CRUdJTg==
  away: {type: exec, command: ./no-such-program}
helpers:
  kube:
    staging: {token: s/TOKEN, server: 'https://10.0.0.1:6443', refresh: 10m}
    any: {token: s/TOKEN}
    cert: {client_certificate: s/CERT, client_key: s/PRIVATE}
    both: {token: s/TOKEN, client_certificate: s/CERT, client_key: s/PRIVATE}
    twice-a: {token: s/TOKEN, server: 'https://twice'}
    twice-b: {token: s/TOKEN, server: 'https://TWICE:443/'}
    space: {token: s/SPACE}
    encoded: {client_certificate: s/ENCODED, client_key: s/PRIVATE}
    swapped: {client_certificate: s/PRIVATE, client_key: s/CERT}
    keyless: {client_certificate: s/CERT, client_key: {from: s/NONE, optional: true}}
    unset: {token: {from: s/NONE, optional: true}}
    fallback: {token: {from: s/NONE, optional: true}, client_certificate: s/CERT, client_key: s/PRIVATE}
    absent: {token: s/NONE}
    away: {token: away/KEY}
";

fn helper(args: &[&str], request: Option<&str>) -> Output {
    let dsops =
        Dsops::new().file("../home/.config/dsops/dsops.yaml", CONFIG).args(["helper", "kube"]).args(args);
    match request {
        Some(request) => dsops.env("KUBERNETES_EXEC_INFO", request).run(),
        None => dsops.run(),
    }
}

fn asks(version: &str, server: Option<&str>) -> String {
    let cluster = server
        .map(|server| format!(r#","cluster":{{"server":"{server}","certificate-authority-data":"QQ=="}}"#));
    let cluster = cluster.unwrap_or_default();
    format!(
        r#"{{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/{version}","spec":{{"interactive":false{cluster}}}}}"#
    )
}

#[track_caller]
fn one_line(output: &Output) {
    assert_eq!(String::from_utf8_lossy(output.stderr_bytes()).lines().count(), 1, "{output}");
}

#[test]
fn the_answer_is_in_the_version_that_was_asked_for() {
    for version in ["v1", "v1beta1"] {
        let answer = helper(&["any"], Some(&asks(version, None))).code(0).stderr_empty().json();
        let expected = serde_json::json!({
            "apiVersion": format!("client.authentication.k8s.io/{version}"), "kind": "ExecCredential",
            "status": {"token": "eyJ.s3cret-token"},
        });
        assert_eq!(answer, expected);
    }
    let by_hand = helper(&["any"], None).code(0).stderr_empty().json();
    assert_eq!(by_hand["apiVersion"], "client.authentication.k8s.io/v1");
    let _ = helper(&["any"], Some("")).code(0).stdout(by_hand.to_string() + "\n");
}

#[test]
fn a_certificate_comes_with_its_key_and_perhaps_with_a_token() {
    let status =
        |name| helper(&[name], Some(&asks("v1", None))).code(0).stderr_empty().json()["status"].clone();
    let keys = |name| status(name).as_object().map(|status| status.keys().cloned().collect::<Vec<_>>());
    let pair = ["clientCertificateData", "clientKeyData"].map(str::to_owned).to_vec();
    assert_eq!(keys("cert"), Some(pair.clone()));
    assert_eq!(keys("fallback"), Some(pair.clone()));
    assert_eq!(keys("both"), Some([vec!["token".to_owned()], pair].concat()));
    assert_eq!(
        status("cert")["clientKeyData"],
        "-----BEGIN PRIVATE KEY-----\ns3cret\n-----END PRIVATE KEY-----\n"
    );
}

#[test]
fn refresh_says_when_to_ask_again() {
    let answer = helper(&["staging"], None).code(0).json();
    let until = answer["status"]["expirationTimestamp"].as_str().expect("an end").to_owned();
    assert!(until.ends_with('Z') && until.contains('T'), "{until}");
}

#[test]
fn without_a_name_the_entry_is_that_of_the_server() {
    for server in ["https://10.0.0.1:6443", "HTTPS://10.0.0.1:6443/"] {
        let answer = helper(&[], Some(&asks("v1", Some(server)))).code(0).stderr_empty().json();
        assert_eq!(answer["status"]["token"], "eyJ.s3cret-token");
    }
    for (request, code, says) in [
        (
            Some(asks("v1", Some("https://elsewhere"))),
            3,
            "no entry of `helpers.kube` has the server https://elsewhere",
        ),
        (Some(asks("v1", Some("https://twice"))), 3, "`twice-a` and `twice-b`"),
        (Some(asks("v1", None)), 3, "provideClusterInfo"),
        (None, 3, "provideClusterInfo"),
    ] {
        let output = helper(&[], request.as_deref()).code(code).stdout_empty().stderr_has(says);
        one_line(&output);
    }
}

#[test]
fn an_entry_with_a_server_goes_to_no_other() {
    for server in
        ["https://evil", "http://10.0.0.1:6443", "https://10.0.0.1:6444", "https://10.0.0.1:6443@evil"]
    {
        let output = helper(&["staging"], Some(&asks("v1", Some(server)))).code(10).stdout_empty();
        one_line(&output.stderr_has("for its own server alone").never_shows("s3cret"));
    }
    let unsaid = helper(&["staging"], Some(&asks("v1", None))).code(10).stdout_empty();
    one_line(&unsaid.stderr_has("provideClusterInfo: true"));
    let _ = helper(&["staging"], Some(&asks("v1", Some("https://10.0.0.1:6443")))).code(0);
    let _ = helper(&["any"], Some(&asks("v1", Some("https://wherever")))).code(0);
}

#[test]
fn an_entry_with_a_server_goes_to_nobody_who_takes_any_server_for_it() {
    let request = asks("v1", Some("https://10.0.0.1:6443"))
        .replace(r#""server""#, r#""insecure-skip-tls-verify":true,"server""#);
    for args in [&["staging"][..], &[]] {
        let output = helper(args, Some(&request)).code(10).stdout_empty().never_shows("s3cret");
        one_line(&output.stderr_has("insecure-skip-tls-verify"));
    }
    let _ = helper(&["any"], Some(&request)).code(0);
    let _ = helper(&["staging"], Some(&request.replace("true", "false"))).code(0);
}

#[test]
fn what_could_never_be_meant_is_a_mistake() {
    for (entry, says) in [
        ("server: nonsense", "not the URL of a server"),
        ("server: ''", "not the URL of a server"),
        ("server: 'https://u:hunter2secret@a'", "not the URL of a server"),
        ("server: '10.0.0.1:6443'", "not the URL of a server"),
        ("refresh: 1ms", "not a length of time between 1 s and 1 h"),
        ("refresh: 999ms", "not a length of time between 1 s and 1 h"),
    ] {
        let config = CONFIG.replace("any: {token: s/TOKEN}", &format!("any: {{token: s/TOKEN, {entry}}}"));
        let dsops = Dsops::new().file("../home/.config/dsops/dsops.yaml", config);
        let output = dsops.args(["helper", "kube", "any"]).run().code(3).stdout_empty().stderr_has(says);
        one_line(&output.never_shows("hunter2secret"));
    }
}

#[test]
fn a_password_in_a_name_is_not_shown() {
    let config = CONFIG.replace("  kube:\n", "  kube:\n    'https://me:hunter2secret@a': {token: s/NONE}\n");
    for (name, code) in [("nosuch", 3), ("https://me:hunter2secret@a", 5)] {
        let dsops = Dsops::new().file("../home/.config/dsops/dsops.yaml", &config);
        let output = dsops.args(["helper", "kube", name]).run().code(code).stdout_empty();
        one_line(&output.never_shows("hunter2secret"));
    }
}

#[test]
fn a_request_that_no_client_writes_is_refused() {
    let long = format!("{{\"kind\":\"{}\"}}", "a".repeat(100_000));
    for (request, says) in [
        ("nonsense", "not the JSON of an ExecCredential"),
        ("{}", "not the JSON of an ExecCredential"),
        (&long, "not the JSON of an ExecCredential"),
        (&asks("v1", None).replace("ExecCredential", "Pod"), "is not an ExecCredential"),
        (&asks("v1alpha1", None), "client.authentication.k8s.io/v1alpha1"),
        (&(asks("v1", None) + "x"), "not the JSON of an ExecCredential"),
    ] {
        let output = helper(&["any"], Some(request)).code(2).stdout_empty().stderr_has(says);
        one_line(&output);
    }
}

#[test]
fn an_unknown_name_is_one_line_with_the_names_that_there_are() {
    let output = helper(&["nosuch"], Some(&asks("v1", None))).code(3).stdout_empty();
    one_line(&output.stderr_has("`helpers.kube` has no `nosuch`").stderr_has("`staging`"));
}

#[test]
fn what_no_client_would_take_is_refused_and_not_shown() {
    for (name, code, says) in [
        ("space", 7, "`helpers.kube.space.token` has white space"),
        ("encoded", 7, "base64_decode"),
        ("swapped", 7, "`helpers.kube.swapped.client_certificate` is no certificate"),
        ("keyless", 5, "`helpers.kube.keyless.client_key` is optional, and absent"),
        ("unset", 5, "`helpers.kube.unset.token` is optional, and absent"),
        ("absent", 5, "s/NONE"),
        ("away", 6, "no-such-program"),
    ] {
        let output = helper(&[name], Some(&asks("v1", None))).code(code).stdout_empty().stderr_has(says);
        one_line(&output.never_shows("s3cret"));
    }
}
