//! Addresses, and what the network does wrong, over real sockets.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::response::Response;
use futures::future::join_all;
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
fn plain_http_goes_into_a_cluster_and_where_it_is_allowed_by_name() {
    for inside in [
        "http://infisical.tools.svc",
        "http://infisical.tools.svc.cluster.local:8080",
        "http://a.cluster.local.",
    ] {
        assert_eq!(site(inside).route(), Route::Cluster, "{inside}");
    }
    let hosts = |names: &[&str]| Hosts(names.iter().map(ToString::to_string).collect());
    for (address, allowed) in [
        ("http://vault.lan:8080", "vault.lan"),
        ("http://VAULT.lan", "Vault.LAN"),
        ("http://10.0.0.1", "10.0.0.1"),
        ("http://[fd00::1]:80", "fd00::1"),
    ] {
        let error = Site::parse(address, Tls::default()).unwrap_err();
        assert!(error.advice().unwrap().contains("`allow_http: "), "{error:?}");
        let site = Site::parse_allowing(address, Tls::default(), &hosts(&["other", allowed])).unwrap();
        assert_eq!((site.route(), site.is_encrypted()), (Route::Network, false));
    }
    for other in
        ["http://vault.lan.example.com", "http://svc", "http://cluster.local.example.com", "http://xsvc"]
    {
        Site::parse_allowing(other, Tls::default(), &hosts(&["vault.lan"])).unwrap_err();
    }
}

#[test]
fn a_client_certificate_and_plain_http_contradict_each_other() {
    let files = ClientFiles { certificate: "me.pem".into(), key: "me.key".into() };
    let tls = Tls { client: Some(files), ..Tls::default() };
    let error = Site::parse("http://localhost", tls.clone()).unwrap_err();
    assert!(error.message().contains("client certificate"), "{error}");
    Site::parse("https://localhost", tls).unwrap();
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
        Site::parse("https://x.test", Tls { ca_file: Some(path.to_owned()), ..Tls::default() }).unwrap()
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
    let site = Site::parse(&address, Tls { accept_any: true, ..Tls::default() }).unwrap();
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

/// Serves one answer to everything on a port of its own, and returns the address.
async fn serve(answer: impl Fn(HeaderMap) -> Response + Clone + Send + Sync + 'static) -> Site {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(move |headers: HeaderMap| std::future::ready(answer(headers)));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    site(&address)
}

fn json() -> axum::http::response::Builder {
    Response::builder().header("content-type", "application/json")
}

fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_compressed_answer_is_asked_for_and_unpacked() {
    let site = serve(|headers| {
        assert_eq!(headers["accept-encoding"], "gzip");
        let body = zipped(format!("{:?}", "x".repeat(100_000)).as_bytes());
        assert!(body.len() < 1_000);
        json().header("content-encoding", "gzip").body(Body::from(body)).unwrap()
    });
    let answer = send(&context(), &site.await, Request::get("/")).await.ok().unwrap();
    assert_eq!(answer.json::<String>().unwrap().len(), 100_000);
}

#[tokio::test]
async fn an_answer_of_more_than_16_mib_is_refused_however_it_is_packed() {
    const MORE: usize = (16 << 20) + 1;
    let packed = serve(|_| {
        let bomb = zipped(&vec![b' '; 4 * MORE]);
        assert!(bomb.len() < 100_000, "a small answer");
        json().header("content-encoding", "gzip").body(Body::from(bomb)).unwrap()
    });
    let announced = serve(|_| json().body(Body::from(vec![b' '; MORE])).unwrap());
    let unannounced = serve(|_| {
        let parts = (0..17).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1 << 20]));
        json().body(Body::from_stream(futures::stream::iter(parts))).unwrap()
    });
    for site in [packed.await, announced.await, unannounced.await] {
        let Err(error) = send(&context(), &site, Request::get("/")).await else { panic!("an answer") };
        assert_eq!((error.kind(), error.is_temporary()), (FetchErrorKind::Malformed, false), "{error}");
        assert!(error.message().ends_with("more than 16 MiB"), "{error}");
    }
    let whole = serve(|_| {
        let text = format!("\"{}\"", "x".repeat(MORE - 3));
        json().body(Body::from(text)).unwrap()
    });
    send(&context(), &whole.await, Request::get("/")).await.ok().unwrap();
}

#[tokio::test]
async fn a_compressed_answer_that_is_cut_short_may_be_whole_the_next_time() {
    let site = serve(|_| {
        let mut body = zipped(format!("{:?}", "x".repeat(100_000)).as_bytes());
        body.truncate(body.len() / 2);
        json().header("content-encoding", "gzip").body(Body::from(body)).unwrap()
    });
    let Err(error) = send(&context(), &site.await, Request::get("/")).await else { panic!("an answer") };
    assert_eq!((error.kind(), error.is_temporary()), (FetchErrorKind::Malformed, true), "{error}");
}

#[tokio::test]
async fn a_pause_is_read_as_seconds_and_as_a_moment() {
    for (asked, date, pause) in [
        ("7", None, Some(7)),
        // The server's own clock is the measure, wherever ours stands.
        ("Wed, 21 Oct 2015 07:28:09 GMT", Some("Wed, 21 Oct 2015 07:28:00 GMT"), Some(9)),
        ("Wed, 21 Oct 2015 07:28:00 GMT", Some("Wed, 21 Oct 2015 07:28:09 GMT"), Some(0)),
        ("soon", None, None),
        ("-1", None, None),
    ] {
        let site = serve(move |_| {
            let response = Response::builder().status(429).header("retry-after", asked);
            let response = match date {
                Some(date) => response.header("date", date),
                None => response,
            };
            response.body(Body::empty()).unwrap()
        });
        let answer = send(&context(), &site.await, Request::get("/")).await.ok().unwrap();
        assert_eq!(answer.retry_after(), pause.map(Duration::from_secs), "{asked}");
    }
}

#[tokio::test]
async fn a_server_gets_no_more_at_once_than_the_smallest_limit_of_its_stores() {
    static NOW: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(|| async {
        MOST.fetch_max(NOW.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(5)).await;
        NOW.fetch_sub(1, Ordering::SeqCst);
        "{}"
    });
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let cx = context();
    for (limit, most) in [(5, 5), (2, 2), (9, 2)] {
        let site = site(&address).with_at_once(limit);
        join_all((0..12).map(|_| send(&cx, &site, Request::get("/")))).await;
        assert_eq!(MOST.swap(0, Ordering::SeqCst), most);
    }
}

#[tokio::test]
async fn waiting_for_a_busy_server_ends_with_the_stores_time() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let site = site(&format!("http://{}", listener.local_addr().unwrap())).with_at_once(1);
    let cx = context();
    let first = send(&cx, &site, Request::get("/"));
    let hurried = cx.for_store("hurried", Some(Duration::from_millis(50)));
    let second = async {
        tokio::task::yield_now().await;
        send(&hurried, &site, Request::get("/")).await
    };
    tokio::select! {
        _ = first => panic!("nobody answers"),
        Err(error) = second => {
            assert_eq!(error.kind(), FetchErrorKind::TimedOut);
            assert!(error.message().contains("was busy with other requests"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_notice_is_told_once_and_only_where_certificates_are_not_checked() {
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let keep = Arc::clone(&told);
    let cx = Context::builder().on_notice(move |text| keep.lock().unwrap().push(text.to_owned())).build();
    let cx = cx.for_store("store", Some(Duration::from_secs(20)));
    let any = Tls { accept_any: true, ..Tls::default() };
    for address in ["https://127.0.0.1:9", "https://127.0.0.1:9", "http://127.0.0.1:9"] {
        let site = Site::parse(address, any.clone()).unwrap();
        let _ = send(&cx, &site, Request::get("/")).await;
    }
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("`store` does not check the certificate of `127.0.0.1:9`"), "{told:?}");
}
