//! Addresses, and what the network does wrong, over real sockets.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

fn site(address: &str) -> Site {
    Site::parse(address, Tls::default()).unwrap()
}

fn context() -> Context {
    Context::builder().build().for_store("store", Some(Duration::from_secs(20)))
}

#[test]
fn plain_http_is_for_this_machine_only() {
    for loopback in [
        "http://127.0.0.1",
        "http://127.1.2.3:80",
        "http://[::1]:8080",
        "http://localhost",
        "http://a.localhost",
    ] {
        let site = site(loopback);
        assert!(site.is_loopback() && !site.is_encrypted(), "{loopback}");
    }
    for open in ["http://10.0.0.1", "http://example.com", "http://localhost.example.com", "http://0.0.0.0"] {
        let error = Site::parse(open, Tls::default()).unwrap_err();
        assert_eq!(error.kind(), FetchErrorKind::Unsupported);
        assert!(error.message().contains("plain http"), "{error}");
    }
    assert!(!site("https://example.com").is_loopback());
}

#[test]
fn a_metadata_service_may_speak_plain_http_next_to_this_machine_only() {
    for near in [
        "http://169.254.169.254",
        "http://10.0.0.1:41079",
        "http://[fd00:ec2::254]",
        "http://metadata.google.internal",
        "http://metadata:80",
        "http://127.0.0.1:40342",
    ] {
        assert!(!Site::of_metadata(near).unwrap().is_encrypted(), "{near}");
    }
    assert!(Site::of_metadata("https://metadata.example.com").unwrap().is_encrypted());
    for far in [
        "http://example.com",
        "http://93.184.215.14",
        "http://[2001:db8::1]",
        "http://google.internal",
        "http://user@169.254.169.254",
        "http://169.254.169.254/?a",
        "ftp://169.254.169.254",
    ] {
        assert_eq!(Site::of_metadata(far).unwrap_err().kind(), FetchErrorKind::Unsupported, "{far}");
        Site::parse(far, Tls::default()).unwrap_err();
    }
    Site::parse("http://169.254.169.254", Tls::default()).unwrap_err();
}

#[test]
fn an_address_is_a_place_and_nothing_else() {
    for bad in [
        "example.com",
        "ftp://example.com",
        "https://",
        "https://x.test/?a=b",
        "https://x.test/#a",
        "https://user@x.test",
    ] {
        assert_eq!(
            Site::parse(bad, Tls::default()).unwrap_err().kind(),
            FetchErrorKind::Unsupported,
            "{bad}"
        );
    }
    let error = Site::parse("https://me:hunter2@x.test", Tls::default()).unwrap_err();
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[test]
fn a_path_arrives_as_it_is_written_or_is_refused() {
    let site = site("https://x.test/prefix/");
    assert_eq!(site.url("/a%20b").unwrap().as_str(), "https://x.test/prefix/a%20b");
    for name in ["a/b", "a?b", "a#b", "%2e", "%", "ä", " ", "\\", "a\tb"] {
        let path = format!("/{}", segment(name));
        assert_eq!(site.url(&path).unwrap().path(), format!("/prefix{path}"), "{name}");
    }
    for name in [".", ".."] {
        let error = site.url(&format!("/secrets/{}", segment(name))).unwrap_err();
        assert_eq!(error.kind(), FetchErrorKind::Unsupported);
        site.url(&format!("/secrets/{}", name.replace('.', "%2e"))).unwrap_err();
    }
}

#[test]
fn clients_are_shared_by_stores_that_ask_for_the_same() {
    let http = Http::default();
    http.client(&site("http://127.0.0.1:1")).unwrap();
    http.client(&site("http://localhost:2")).unwrap();
    assert_eq!(http.clients.lock().unwrap().len(), 1);
}

#[test]
fn a_ca_file_that_is_none_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    let site = |path: &std::path::Path| {
        Site::parse("https://x.test", Tls { ca_file: Some(path.to_owned()), accept_any: false }).unwrap()
    };
    let missing = Http::default().client(&site(&path)).unwrap_err();
    assert!(
        missing.message().contains("ca.pem") && missing.message().contains("cannot be read"),
        "{missing}"
    );
    std::fs::write(&path, "not a certificate").unwrap();
    let empty = Http::default().client(&site(&path)).unwrap_err();
    assert!(empty.message().contains("holds no certificate"), "{empty}");
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_no_temporary_failure() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut hello = [0; 1024];
            let _ = stream.read(&mut hello).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    // Any certificate, so that the test does not depend on this machine's authorities.
    let site = Site::parse(&address, Tls { ca_file: None, accept_any: true }).unwrap();
    let Err(error) = send(&context(), &site, Request::get("/")).await else { panic!("an answer") };
    assert_eq!((error.kind(), error.is_temporary()), (FetchErrorKind::Unavailable, false));
    assert!(error.message().starts_with("no TLS connection to `127.0.0.1"), "{error}");
    assert!(error.advice().unwrap().contains("certificate"));
}

#[tokio::test]
async fn a_deadline_that_has_passed_sends_nothing() {
    let cx = context().for_store("store", Some(Duration::ZERO));
    let Err(error) = send(&cx, &site("http://127.0.0.1:9"), Request::get("/")).await else {
        panic!("an answer")
    };
    assert_eq!((error.kind(), cx.meter().requests()), (FetchErrorKind::TimedOut, 0));
}

#[test]
fn a_credential_that_no_header_can_carry_is_not_quoted() {
    let value = SecretValue::from("canary\nx: y");
    let Err(error) = Request::get("/").secret_header(reqwest::header::AUTHORIZATION, "Bearer ", &value)
    else {
        panic!("a header")
    };
    assert_eq!(error.kind(), FetchErrorKind::Unauthenticated);
    assert!(!format!("{error:?}").contains("canary"));
}
