//! The way to the server: certificates, authorities, plain http and proxies.

use super::lab::{
    BOTH, Exec, Expected, ONE, against, discreet, dsops, fails, file, options, value, with_key,
};
use crate::support::Dsops;
use crate::support::infisical::Generation;
use crate::support::tls::Certificate;

const UNAVAILABLE: &str = "dsops::fetch::unavailable";
const UNSUPPORTED: &str = "dsops::fetch::unsupported";

/// Takes the system's authorities away.
fn without_authorities(run: Dsops) -> Dsops {
    run.env("SSL_CERT_FILE", "/nonexistent").env("SSL_CERT_DIR", "/nonexistent")
}

fn trusting(url: &str) -> String {
    format!("{}, ca_cert: ca.pem", options(url))
}

#[test]
fn a_system_without_authorities_is_told_and_a_ca_file_is_enough() {
    for generation in BOTH {
        let certificate = Certificate::loopback();
        let server = with_key(generation).start_tls(&certificate);
        let expected = Expected { exit: 6, code: UNAVAILABLE, says: &["authorit"], advises: "`ca_cert`" };
        fails(|| without_authorities(against(&server, ONE)), Some(&server), &expected);
        assert_eq!(server.total(), 0, "nothing was sent");
        let run = dsops().config(file(&trusting(&server.url()), ONE)).file("ca.pem", certificate.pem());
        let _ = discreet(without_authorities(run).get("A").run(), &server).code(0).stdout(value("key"));
    }
}

#[test]
fn a_certificate_for_another_name_is_refused_although_its_authority_is_trusted() {
    let certificate = Certificate::naming(&["elsewhere.test"]);
    let server = with_key(Generation::July2026).start_tls(&certificate);
    let run = || dsops().config(file(&trusting(&server.url()), ONE)).file("ca.pem", certificate.pem());
    let expected = Expected { exit: 6, code: UNAVAILABLE, says: &["another name"], advises: "use the name" };
    fails(run, Some(&server), &expected);
    assert_eq!(server.total(), 0, "nothing was sent");
}

#[test]
fn a_ca_file_that_is_none_is_named() {
    let certificate = Certificate::loopback();
    let server = with_key(Generation::July2026).start_tls(&certificate);
    let run = || dsops().config(file(&trusting(&server.url()), ONE));
    let expected =
        Expected { exit: 6, code: UNSUPPORTED, says: &["ca.pem", "cannot be read"], advises: "PEM" };
    fails(run, Some(&server), &expected);
    let run = || run().file("ca.pem", "no certificate\n");
    let expected =
        Expected { exit: 6, code: UNSUPPORTED, says: &["ca.pem", "no certificate"], advises: "PEM" };
    fails(run, Some(&server), &expected);
}

#[test]
fn a_ca_file_stands_beside_the_configuration_wherever_the_command_runs() {
    let certificate = Certificate::loopback();
    let server = with_key(Generation::July2026).start_tls(&certificate);
    let run = dsops().config(file(&trusting(&server.url()), ONE)).file("ca.pem", certificate.pem());
    let run = run.directory("deep/below").get("A").run();
    let _ = discreet(run, &server).code(0).stdout(value("key"));
}

#[test]
fn a_server_without_tls_behind_https_is_told_apart_from_a_bad_certificate() {
    let server = with_key(Generation::July2026).start();
    let https = server.url().replace("http://", "https://");
    let run = || dsops().config(file(&options(&https), ONE));
    let expected =
        Expected { exit: 6, code: UNAVAILABLE, says: &["no TLS connection"], advises: "speaks https" };
    fails(run, Some(&server), &expected);
}

#[test]
fn checks_that_are_switched_off_still_give_the_value() {
    let server = with_key(Generation::July2026).start_tls(&Certificate::loopback());
    let options = format!("{}, insecure_skip_verify: true", options(&server.url()));
    let run = dsops().config(file(&options, ONE)).get("A").run();
    let _ = discreet(run, &server).code(0).stdout(value("key"));
}

#[test]
fn plain_http_beyond_this_machine_is_refused_also_where_the_environment_names_it() {
    let run = || dsops().env("DOMAIN", "http://192.0.2.1").config(file(&options("${DOMAIN}"), ONE));
    let expected = Expected { exit: 6, code: UNSUPPORTED, says: &["plain http"], advises: "use `https`" };
    fails(run, None, &expected);
}

#[test]
fn an_unknown_host_is_told_at_once() {
    // No host name begins with a hyphen (RFC 952), so that the answer does not depend on a name server.
    let started = std::time::Instant::now();
    let run = || dsops().config(file(&options("https://-nowhere-.test"), ONE));
    let expected =
        Expected { exit: 6, code: UNAVAILABLE, says: &["no host is known", "nowhere"], advises: "spelling" };
    fails(run, None, &expected);
    assert!(started.elapsed() < std::time::Duration::from_secs(10), "{:?}", started.elapsed());
}

#[test]
fn proxies_of_the_environment_do_not_come_between_https_loopback_addresses() {
    let certificate = Certificate::loopback();
    let server = with_key(Generation::July2026).start_tls(&certificate);
    let mut run = dsops().config(file(&trusting(&server.url()), ONE)).file("ca.pem", certificate.pem());
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        run = run.env(name, "http://127.0.0.1:1").env(name.to_lowercase(), "http://127.0.0.1:1");
    }
    let _ = discreet(run.get("A").run(), &server).code(0).stdout(value("key"));
}

#[test]
fn a_proxy_that_is_not_there_is_told_where_one_is_used() {
    let run = || {
        let options = format!("{}, timeout_ms: 300", options("https://infisical.example"));
        dsops().env("HTTPS_PROXY", "http://127.0.0.1:1").config(file(&options, ONE))
    };
    let expected = Expected { exit: 6, code: UNAVAILABLE, says: &["infisical.example"], advises: "proxy" };
    fails(run, None, &expected);
}
