//! What every store over HTTP shares: client certificates, HTTP/2, proxies, plain http by name, notices.

use std::fmt::Write as _;
use std::time::Duration;

use super::lab::{
    Exec, Expected, LIST, ONE, discreet, dsops, fails, file, only_error, options, server, value, with_key,
};
use crate::support::Dsops;
use crate::support::infisical::{Fault, Generation, Server};
use crate::support::proxy::Proxy;
use crate::support::tls::Certificate;

const UNAVAILABLE: &str = "dsops::fetch::unavailable";
const UNSUPPORTED: &str = "dsops::fetch::unsupported";
const CLIENT: &str = "tls: {client_cert: me.pem, client_key: keys/me.key}";

/// A server that talks to the holder of `client` only, and its own certificate.
fn demanding(client: &Certificate) -> (Server, String) {
    let certificate = Certificate::loopback().demanding(client);
    (with_key(Generation::July2026).start_tls(&certificate), certificate.pem())
}

fn with(url: &str, more: &str, ca: &str) -> Dsops {
    dsops().config(file(&format!("{}, ca_cert: ca.pem, {more}", options(url)), ONE)).file("ca.pem", ca)
}

#[test]
fn a_client_certificate_opens_a_server_that_asks_for_one() {
    let client = Certificate::naming(&["client"]);
    let (server, ca) = demanding(&client);
    for key in [client.key_pem(), client.key_pem_sec1(), format!("{}\n{}", client.pem(), client.key_pem())] {
        let run = with(&server.url(), CLIENT, &ca).file("me.pem", client.pem()).file("keys/me.key", key);
        let run = run.directory("deep/below").get("A").run();
        let _ = discreet(run, &server).code(0).stdout(value("key")).stderr_empty();
    }
    // One file may hold both.
    let both = format!("{}\n{}", client.key_pem(), client.pem());
    let run = with(&server.url(), "tls: {client_cert: me.pem, client_key: me.pem}", &ca).file("me.pem", both);
    let _ = run.get("A").run().code(0).stdout(value("key"));
}

#[test]
fn a_server_that_asks_for_a_client_certificate_is_told_from_one_that_refuses_it() {
    let (client, stranger) = (Certificate::naming(&["client"]), Certificate::naming(&["stranger"]));
    let (server, ca) = demanding(&client);
    let says = "asks for a client certificate";
    let expected = Expected { exit: 6, code: UNAVAILABLE, says: &[says], advises: "client_cert" };
    fails(|| with(&server.url(), "timeout: 10s", &ca), Some(&server), &expected);
    let says = "does not accept the client certificate";
    let expected = Expected { exit: 6, code: UNAVAILABLE, says: &[says], advises: "tls.client_cert" };
    let run = || {
        let run = with(&server.url(), CLIENT, &ca).file("me.pem", stranger.pem());
        run.file("keys/me.key", stranger.key_pem())
    };
    fails(run, Some(&server), &expected);
    assert_eq!(server.total(), 0, "nothing was sent");
}

#[test]
fn a_file_of_a_client_certificate_that_cannot_be_used_is_named() {
    let (client, other) = (Certificate::naming(&["client"]), Certificate::naming(&["other"]));
    let (server, ca) = demanding(&client);
    let encrypted = client.key_pem().replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    let cases: [(Option<&str>, Option<&str>, &[&str], &str); 7] = [
        (None, Some(&client.key_pem()), &["me.pem", "cannot be read"], "tls.client_cert"),
        (Some("nothing"), Some(&client.key_pem()), &["me.pem", "holds no certificate"], "tls.client_cert"),
        (Some(&client.pem()), None, &["keys/me.key", "cannot be read"], "tls.client_key"),
        (Some(&client.pem()), Some("nothing"), &["keys/me.key", "holds no private key"], "tls.client_key"),
        (Some(&client.pem()), Some(&encrypted), &["keys/me.key", "is encrypted"], "decrypt it"),
        (Some(&client.pem()), Some(old), &["keys/me.key", "is encrypted"], "decrypt it"),
        (
            Some(&client.pem()),
            Some(&other.key_pem()),
            &["keys/me.key", "me.pem", "does not belong"],
            "tls.client_key",
        ),
    ];
    for (certificate, key, says, advises) in cases {
        let run = || {
            let mut run = with(&server.url(), CLIENT, &ca);
            if let Some(certificate) = certificate {
                run = run.file("me.pem", certificate);
            }
            match key {
                Some(key) => run.file("keys/me.key", key),
                None => run,
            }
        };
        fails(run, Some(&server), &Expected { exit: 6, code: UNSUPPORTED, says, advises });
    }
    assert_eq!(server.connections(), 0, "nobody was called");
}

#[test]
fn half_of_a_client_certificate_is_a_mistake_of_the_file() {
    let run = with("https://infisical.example", "tls: {client_cert: me.pem}", "").args(["validate"]).run();
    let _ = run.code(3).stderr_has("client_key");
    let run = with("https://infisical.example", "tls: {client_crt: me.pem}", "").args(["validate"]).run();
    let _ = run.code(3).stderr_has("client_cert");
}

/// A project of as many folders, with two secrets each, and the variables that read them.
fn folders(count: usize, certificate: &Certificate) -> (Server, String) {
    let mut server = server(Generation::July2026);
    let mut variables = String::new();
    for folder in 0..count {
        for name in ["ONE", "TWO"] {
            server = server.secret("dev", &format!("/f{folder}"), name, &value("one"));
            let _ = writeln!(variables, "{name}_{folder}: {{from: infisical/f{folder}/{name}}}");
        }
    }
    let server = server.fault(LIST, Fault::delay(Duration::from_millis(50))).start_tls(certificate);
    (server, variables)
}

#[test]
fn a_server_that_offers_http_2_gets_one_connection_for_everything() {
    let certificate = Certificate::loopback().offering_h2();
    let (server, variables) = folders(20, &certificate);
    let options = format!("{}, ca_cert: ca.pem", options(&server.url()));
    let run = dsops().config(file(&options, &variables)).file("ca.pem", certificate.pem());
    let _ = run.exec("env | grep -c canary").run().code(0).stdout("40\n");
    assert_eq!((server.count(LIST), server.most_at_once()), (20, 20));
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_limit_of_requests_at_once_is_kept_over_all_stores_of_a_server() {
    let certificate = Certificate::loopback();
    let (server, variables) = folders(12, &certificate);
    let options = format!("{}, ca_cert: ca.pem, max_concurrent_requests: 3", options(&server.url()));
    let text = file(&options, &variables.replace("infisical/f1", "other/f1"));
    let text = text.replace("envs:", &format!("  other: {{{options}}}\nenvs:"));
    let run = dsops().config(text).file("ca.pem", certificate.pem());
    let _ = run.exec("env | grep -c canary").run().code(0).stdout("24\n");
    assert_eq!((server.count(LIST), server.most_at_once()), (12, 3));
    for wrong in ["0", "-1", "many"] {
        let options = options.replace("requests: 3", &format!("requests: {wrong}"));
        let _ = dsops().config(file(&options, ONE)).args(["validate"]).run().code(3);
    }
}

#[test]
fn a_proxy_carries_a_tunnel_and_sees_nothing_of_what_is_in_it() {
    let certificate = Certificate::naming(&["infisical.example"]);
    let server = with_key(Generation::July2026).start_tls(&certificate);
    let proxy = Proxy::to(server.address());
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
        let run = with("https://infisical.example:8443", "timeout: 10s", &certificate.pem());
        let run = run.env(variable, format!("http://me:proxy-secret@{}", proxy.address()));
        let run = run.env("DSOPS_LOG", "trace").get("A").run().code(0).stdout(value("key"));
        let run = discreet(run, &server).stderr_lacks("proxy-secret");
        let _ = run.stderr_lacks("bWU6cHJveHktc2VjcmV0");
    }
    let seen = proxy.seen();
    assert!(
        !seen.is_empty() && seen.iter().all(|lines| lines[0] == "CONNECT infisical.example:8443 HTTP/1.1")
    );
    let basic = "proxy-authorization: basic bwu6chjvehktc2vjcmv0";
    assert!(seen.iter().flatten().any(|line| line.to_lowercase() == basic), "{seen:?}");
    assert!(!seen.iter().flatten().any(|line| line.to_lowercase().contains("bearer")), "{seen:?}");
}

#[test]
fn a_proxy_that_refuses_is_told_without_its_credentials() {
    let proxy = Proxy::refusing();
    let run = || {
        let run = with("https://infisical.example", "timeout_ms: 500", &Certificate::loopback().pem());
        run.env("HTTPS_PROXY", format!("http://me:proxy-secret@{}", proxy.address()))
    };
    let says = &["infisical.example", "proxy"];
    fails(run, None, &Expected { exit: 6, code: UNAVAILABLE, says, advises: "proxy" });
    let output = run().get("A").run().code(6).stderr_lacks("proxy-secret").stderr_lacks("cHJveHktc2VjcmV0");
    let _ = output.stderr_lacks("bWU6");
}

#[test]
fn a_host_that_no_proxy_names_is_called_itself() {
    let proxy = Proxy::refusing();
    // No host name begins with a hyphen (RFC 952), so that the answer does not depend on a name server.
    let run = with("https://-nowhere-.test", "timeout: 10s", &Certificate::loopback().pem());
    let run = run
        .env("HTTPS_PROXY", format!("http://{}", proxy.address()))
        .env("NO_PROXY", "a.test,-nowhere-.test");
    let _ = run.get("A").run().code(6).stderr_has("no host is known");
    assert_eq!(proxy.seen().len(), 0);
}

#[test]
fn plain_http_is_for_names_of_a_cluster_and_for_those_that_the_file_names() {
    let proxy = Proxy::refusing();
    let run = |host: &str, more: &str| {
        let options = format!("{}, timeout_ms: 500{more}", options(host));
        let run = dsops().config(file(&options, ONE)).args(["--error-format", "json"]).get("A");
        run.env("HTTP_PROXY", format!("http://{}", proxy.address())).run().code(6)
    };
    // Names that no name server is asked for: what matters is that they are not refused.
    for host in ["http://-infisical-.tools.svc", "http://-infisical-.tools.svc.cluster.local:8080"] {
        let error = only_error(&run(host, ""));
        assert_eq!(error["code"], UNAVAILABLE, "{error}");
    }
    assert_eq!(proxy.seen().len(), 0, "what is not encrypted stays inside the cluster");
    for allowed in [", allow_http: infisical.lan", ", allow_http: [other.lan, INFISICAL.lan]"] {
        let before = proxy.seen().len();
        let error = only_error(&run("http://infisical.lan:8080", allowed));
        assert_ne!(error["code"], UNSUPPORTED, "{error}");
        assert!(proxy.seen().len() > before, "the host was called, through the proxy of the environment");
    }
    let options = options("http://infisical.lan:8080");
    let allowed = file(&format!("{options}, allow_http: infisical.lan, timeout_ms: 300"), ONE);
    let doctor = dsops().config(allowed).env("HTTP_PROXY", format!("http://{}", proxy.address()));
    let _ = doctor.args(["doctor"]).run().code(1).stdout_has("plain http, as `allow_http` has it");
    for options in [options.clone(), format!("{options}, allow_http: lan")] {
        let run = dsops().config(file(&options, ONE)).args(["validate"]).run().code(3);
        let _ = run.stderr_has("plain http").stderr_has("allow_http: infisical.lan");
    }
}

#[test]
fn checks_that_are_switched_off_are_told_on_every_run_also_where_remarks_are_not_wanted() {
    let server = with_key(Generation::July2026).start_tls(&Certificate::loopback());
    let options = format!("{}, insecure_skip_verify: true", options(&server.url()));
    for more in [&[][..], &["--quiet"]] {
        let run = || dsops().config(file(&options, ONE)).args(more);
        for run in [run().get("A"), run().exec("printf %s $A")] {
            let output = discreet(run.run(), &server).code(0).stdout(value("key"));
            let output =
                output.stderr_has("does not check the certificate").stderr_has("`insecure_skip_verify`");
            let told = String::from_utf8_lossy(output.stderr_bytes()).matches("insecure_skip_verify").count();
            assert_eq!(told, 1);
        }
    }
    // The certificate is not looked at; nothing is said where nothing is asked for.
    let _ = dsops().config(file(&options, "A: {literal: one}")).get("A").run().code(0).stderr_empty();
}
