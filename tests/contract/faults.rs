//! The faults of the fake servers: each does to a client what it says, and ends when it should.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::client::{Call, Received};
use crate::support::infisical::{Fault, Generation, Infisical, Server};
use crate::support::loopback::Loopback;
use crate::support::tls::Certificate;

fn faulty(fault: Fault) -> Server {
    Infisical::new(Generation::July2026).fault("GET /api/status", fault).start()
}

fn status(server: &Server) -> std::io::Result<Received> {
    Call::get("/api/status").send(&server.url())
}

#[test]
fn a_status_of_the_server_is_json_and_one_of_a_proxy_is_html() {
    for (code, kind) in [
        (500, "application/json; charset=utf-8"),
        (502, "text/html; charset=utf-8"),
        (503, "text/html; charset=utf-8"),
    ] {
        let received = status(&faulty(Fault::status(code))).unwrap();
        assert_eq!((received.status, received.headers["content-type"].as_str()), (code, kind));
    }
}

#[test]
fn a_rate_limit_says_when_to_come_back_or_does_not() {
    let received = status(&faulty(Fault::rate_limited(Some(2)))).unwrap();
    assert_eq!((received.status, received.headers["retry-after"].as_str()), (429, "2"));
    let received = status(&faulty(Fault::rate_limited(None))).unwrap();
    assert_eq!((received.status, received.headers.get("retry-after")), (429, None));
}

#[test]
fn answers_of_the_wrong_kind_are_200() {
    let received = status(&faulty(Fault::html())).unwrap();
    assert_eq!(
        (received.status, received.headers["content-type"].as_str()),
        (200, "text/html; charset=utf-8")
    );
    let received = status(&faulty(Fault::content_type("text/plain"))).unwrap();
    assert_eq!((received.status, received.headers["content-type"].as_str()), (200, "text/plain"));
    let received = status(&faulty(Fault::empty())).unwrap();
    assert_eq!((received.status, received.body.len()), (200, 0));
    let received = status(&faulty(Fault::body("[]"))).unwrap();
    assert_eq!((received.status, received.body.as_slice()), (200, b"[]".as_slice()));
}

#[test]
fn a_cut_body_is_shorter_than_announced() {
    let server = faulty(Fault::cut());
    let mut stream = TcpStream::connect(server.url().trim_start_matches("http://")).unwrap();
    stream.write_all(b"GET /api/status HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut bytes = Vec::new();
    // The end may be clean or not; what counts is what came before it.
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let announced: usize =
        head.split("content-length: ").nth(1).unwrap().split('\r').next().unwrap().parse().unwrap();
    assert!(body.starts_with('{') && body.len() < announced, "{announced} announced, got {body:?}");
}

#[test]
fn a_reset_is_a_reset() {
    assert_eq!(status(&faulty(Fault::reset())).err().unwrap().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn silence_lasts_until_the_server_is_dropped() {
    let server = faulty(Fault::silence());
    let mut stream = TcpStream::connect(server.url().trim_start_matches("http://")).unwrap();
    stream.write_all(b"GET /api/status HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut byte = [0];
    let quiet = stream.read(&mut byte).err().unwrap().kind();
    assert!(matches!(quiet, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{quiet:?}");
    drop(server);
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert!(matches!(stream.read(&mut byte), Ok(0) | Err(_)));
}

#[test]
fn faults_count_their_requests() {
    let server = faulty(Fault::status(503).after(1).times(2));
    let answered: Vec<u16> = (0..4).map(|_| status(&server).unwrap().status).collect();
    assert_eq!(answered, [200, 503, 503, 200]);
    server.fault("*", Fault::status(502));
    assert_eq!(status(&server).unwrap().status, 502);
    server.heal();
    assert_eq!(status(&server).unwrap().status, 200);
}

#[test]
fn a_fault_on_one_secret_leaves_the_others_alone() {
    let fault = Fault::status(503);
    let server =
        Infisical::new(Generation::July2026).fault("GET /api/v3/secrets/raw/A", fault).lenient().start();
    let status =
        |name: &str| Call::get(&format!("/api/v3/secrets/raw/{name}")).send(&server.url()).unwrap().status;
    assert_eq!((status("A"), status("B")), (503, 401));
}

#[test]
fn delayed_requests_wait_side_by_side() {
    let server = faulty(Fault::delay(Duration::from_millis(200)));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(status(&server).unwrap().status, 200));
        }
    });
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(200) && took < Duration::from_millis(1200), "{took:?}");
    assert!(server.most_at_once() > 1);
    assert_eq!((server.total(), server.connections()), (8, 8));
}

fn over_tls(server: &str, trusted: &Certificate) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.pem().as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connection =
        ClientConnection::new(Arc::new(config), ServerName::try_from("127.0.0.1").unwrap()).unwrap();
    let socket = TcpStream::connect(server.trim_start_matches("https://"))?;
    let mut stream = StreamOwned::new(connection, socket);
    stream.write_all(b"GET /api/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let mut bytes = Vec::new();
    // The server may end without TLS's own farewell.
    let _ = stream.read_to_end(&mut bytes);
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[test]
fn a_client_that_trusts_the_certificate_gets_an_answer_over_tls() {
    let certificate = Certificate::loopback();
    let server = Infisical::new(Generation::July2026).start_tls(&certificate);
    assert!(server.url().starts_with("https://127.0.0.1:"));
    assert!(over_tls(&server.url(), &certificate).unwrap().starts_with("HTTP/1.1 200 OK"));
}

#[test]
fn a_client_that_does_not_trust_the_certificate_asks_nothing() {
    let server = Infisical::new(Generation::July2026).start_tls(&Certificate::loopback());
    assert!(over_tls(&server.url(), &Certificate::loopback()).is_err());
    assert_eq!((server.total(), server.connections()), (0, 1));
}

#[test]
fn a_trusted_certificate_for_another_name_is_refused() {
    let certificate = Certificate::naming(&["elsewhere.test"]);
    let server = Loopback::tls(Router::new().route("/api/status", get(|| async { "{}" })), &certificate);
    assert!(over_tls(&server.url(), &certificate).is_err());
}
