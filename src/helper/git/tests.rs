//! Tests of git's protocol: what is read, which entry is meant, what is printed.

use proptest::prelude::*;

use super::*;

fn request(text: &str) -> Request {
    Request::parse(text.as_bytes()).unwrap()
}

fn url(url: &str) -> Request {
    Request::of_url(url).unwrap()
}

/// Which of the keys is found, `needs` and the key where only the path is missing.
fn found(keys: &[&str], request: &Request) -> String {
    match find(keys.iter().map(|key| (*key, ())), request) {
        Ok(Found::Entry(key, ())) => key.to_owned(),
        Ok(Found::NeedsPath(key)) => format!("needs {key}"),
        Ok(Found::Nothing) => "nothing".to_owned(),
        Err(error) => format!("error: {error}"),
    }
}

#[test]
fn attributes_are_read_to_the_blank_line_and_unknown_ones_passed_over() {
    let text = "capability[]=authtype\nprotocol=https\nhost=example.com:8443\npath=a=b/c\nusername=me\n\
                wwwauth[]=Basic realm=\"x\"\npassword=secret\nfuture=\n\nhost=other\n";
    let read = request(text);
    assert_eq!(read, Request::read(text.as_bytes()).unwrap());
    let bytes = |text: &str| Some(text.as_bytes().to_vec());
    assert_eq!(read.protocol, bytes("https"));
    assert_eq!(read.host, bytes("example.com:8443"));
    assert_eq!(read.path, bytes("a=b/c"));
    assert_eq!(read.username, bytes("me"));
    assert_eq!(request(""), Request::default());
}

#[test]
fn a_request_that_can_be_understood_in_two_ways_is_refused() {
    let error = |text: &str| Request::parse(text.as_bytes()).unwrap_err().to_string();
    for text in ["host=a\r\n", "host=a\0b\n", "path=a\rhost=b\n", "username=\0\n", "protocol=https\r\n"] {
        assert!(error(text).contains("control character"), "{text:?}");
    }
    assert!(error("host=a\nhost=b\n").contains("twice"));
    assert!(error("host\n").contains("no `=`"));
    assert!(error("url=github.com\n").contains("no URL"));
    assert!(error("url=https://a%0ahost=b\n").contains("no URL"));
    assert!(error("url=https://a@b@c\n").contains("no URL"));
    assert_eq!(request("host=a\nhost=a\n"), request("host=a\n"));
    // Of what is passed over, only its `=` counts.
    assert_eq!(request("wwwauth[]=a\r\0\n"), Request::default());
}

#[test]
fn a_request_is_bounded() {
    let long = |length: usize| {
        let text = format!("host=a\npath={}\n", "x".repeat(length));
        Request::read(text.as_bytes())
    };
    assert!(long(LONGEST_REQUEST - 13).is_ok());
    assert!(matches!(long(LONGEST_REQUEST), Err(RequestError::TooLong)));
    assert!(matches!(Request::read(io::repeat(b'a')), Err(RequestError::TooLong)));
}

#[test]
fn reading_stops_at_the_blank_line_where_the_pipe_stays_open() {
    /// Gives its pieces and fails after them.
    struct Open(Vec<&'static [u8]>);
    impl Read for Open {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let piece = if self.0.is_empty() {
                return Err(io::ErrorKind::WouldBlock.into());
            } else {
                self.0.remove(0)
            };
            buffer[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        }
    }
    let read = Request::read(Open(vec![b"host=", b"a\n", b"\n"])).unwrap();
    assert_eq!(read, request("host=a\n"));
    assert_eq!(Request::read(Open(vec![b"\n"])).unwrap(), Request::default());
    assert!(matches!(Request::read(Open(vec![b"host=a\n"])), Err(RequestError::Read(_))));
}

#[test]
fn a_url_is_the_same_as_its_parts() {
    let parts = "protocol=https\nhost=a.example:8443\npath=b c/d.git\nusername=m@e\n";
    assert_eq!(url("https://m%40e:pass@a.example:8443/b%20c/d.git/"), request(parts));
    assert_eq!(request("host=before\nurl=https://a\n"), url("https://a"));
    assert_eq!(url("cert:///path").host, Some(Vec::new()));
}

#[test]
fn an_entry_is_chosen_as_git_chooses_a_section() {
    let asked = url("https://GitHub.com/acme/a.git");
    for (keys, wanted) in [
        (&["github.com"][..], "github.com"),
        (&["https://github.com:443/"], "https://github.com:443/"),
        (&["HTTPS://GITHUB.COM"], "HTTPS://GITHUB.COM"),
        (&["http://github.com"], "nothing"),
        (&["https://github.com:80"], "nothing"),
        (&["https://api.github.com", "https://*.github.com", "https://*.com"], "https://*.com"),
        (&["github.com", "https://github.com/acme", "*.com"], "https://github.com/acme"),
        (&["https://github.com/acme/a.git", "https://github.com/acme"], "https://github.com/acme/a.git"),
        (&["https://github.com/acm", "https://github.com/acme/a"], "nothing"),
        (&["https://github.com/Acme"], "nothing"),
        (&["https://me@github.com"], "nothing"),
        (&["*.com/acme/a.git", "github.com"], "github.com"),
    ] {
        assert_eq!(found(keys, &asked), wanted, "{keys:?}");
    }
}

#[test]
fn a_star_is_one_label() {
    let keys = &["*.example.com"];
    assert_eq!(found(keys, &url("https://a.example.com")), "*.example.com");
    for other in
        ["https://example.com", "https://a.b.example.com", "https://.example.com", "https://example.com."]
    {
        assert_eq!(found(keys, &url(other)), "nothing", "{other}");
    }
    for host in ["*.example.com", "a%2f.example.com", "a .example.com", "evil.example/.example.com"] {
        let request = request(&format!("protocol=https\nhost={host}\n"));
        assert_eq!(found(keys, &request), "nothing", "{host}");
    }
}

#[test]
fn ports_and_addresses_are_compared_as_what_they_are() {
    assert_eq!(found(&["http://a:80"], &url("http://a")), "http://a:80");
    assert_eq!(found(&["http://a"], &url("http://a:80")), "http://a");
    assert_eq!(found(&["ssh://a"], &url("ssh://a:22")), "nothing");
    assert_eq!(found(&["https://[::1]:8443"], &url("https://[::1]:8443")), "https://[::1]:8443");
    assert_eq!(found(&["https://[::1]"], &url("https://[::1]:443")), "https://[::1]");
    for port in ["", "x", "+443", "0443x", "99999"] {
        let request = request(&format!("protocol=https\nhost=a:{port}\n"));
        assert_eq!(found(&["a"], &request), "nothing", "{port}");
    }
}

#[test]
fn a_user_in_the_key_is_the_one_who_asks() {
    let keys = &["github.com", "https://me@github.com"];
    assert_eq!(found(keys, &url("https://me@github.com")), "https://me@github.com");
    assert_eq!(found(keys, &url("https://you@github.com")), "github.com");
    assert_eq!(found(keys, &url("https://github.com")), "github.com");
    assert_eq!(
        found(&["https://m%40e@a"], &request("protocol=https\nhost=a\nusername=m@e\n")),
        "https://m%40e@a"
    );
}

#[test]
fn a_path_is_whole_parts_without_steps() {
    let keys = &["https://a/team"];
    for path in ["team", "team/", "team/x.git", "/team/x"] {
        let request = request(&format!("protocol=https\nhost=a\npath={path}\n"));
        assert_eq!(found(keys, &request), "https://a/team", "{path}");
    }
    for path in ["team2/x", "tea", "team/../other", "./team/x", "team//x", "x/team", ""] {
        let request = request(&format!("protocol=https\nhost=a\npath={path}\n"));
        assert_eq!(found(keys, &request), "nothing", "{path}");
    }
    assert_eq!(found(keys, &url("https://a")), "needs https://a/team");
    assert_eq!(found(&["https://a/team", "a"], &url("https://a")), "a");
}

#[test]
fn a_key_that_says_nothing_is_an_error() {
    for (key, why) in [
        ("", "names no host"),
        ("https://", "names no host"),
        ("https:///path", "names no host"),
        ("a..b", "names no host"),
        ("a:port", "names no host"),
        ("https://u:pass@a", "a password in it"),
        ("https://u@v@a", "no URL"),
        ("a?b", "a query"),
        ("a b", "a space"),
        ("*", "no whole part"),
        ("a.*", "no whole part"),
        ("g*.example.com", "no whole part"),
        ("a/../b", "`..`"),
        ("a/b*", "a `*` in its path"),
    ] {
        let error = Pattern::parse(key).unwrap_err().to_string();
        assert!(error.contains(why), "{key}: {error}");
    }
    // Whatever is asked for.
    assert!(found(&["b", "*"], &url("https://b")).starts_with("error"));
}

#[test]
fn two_keys_for_the_same_request_are_an_error() {
    let error = "error: `https://a:443` and `a` are for the same request";
    assert_eq!(found(&["a", "https://a:443"], &url("https://a")), error);
    assert_eq!(found(&["a", "https://a:443"], &url("https://b")), "nothing");
    assert!(found(&["*.b.c", "a.*.c"], &url("https://a.b.c")).starts_with("error"));
    // One that fits better settles it.
    assert_eq!(found(&["*.b.c", "a.*.c", "a.b.c"], &url("https://a.b.c")), "a.b.c");
    assert_eq!(found(&["a.b.c", "*.b.c", "a.*.c"], &url("https://a.b.c")), "a.b.c");
}

fn answered(request: &Request, username: Option<&[u8]>, password: &[u8]) -> Result<Option<String>, Unfit> {
    let username = username.map(SecretValue::copy_of);
    let text = answer(request, username.as_ref(), &SecretValue::copy_of(password))?;
    Ok(text.map(|text| String::from_utf8(text.to_vec()).unwrap()))
}

#[test]
fn the_answer_has_the_user_of_the_entry_else_the_one_who_asks() {
    let (any, me) = (url("https://a"), url("https://me@a"));
    let both = Ok(Some("username=me\npassword= p=w \n".to_owned()));
    assert_eq!(answered(&any, Some(b"me"), b" p=w "), both);
    assert_eq!(answered(&me, Some(b"me"), b" p=w "), both);
    assert_eq!(answered(&me, None, b" p=w "), both);
    assert_eq!(answered(&any, None, b"pw"), Ok(Some("password=pw\n".to_owned())));
    assert_eq!(answered(&me, Some(b"you"), b"pw"), Ok(None));
}

#[test]
fn what_does_not_fit_on_a_line_is_not_told() {
    let any = url("https://a");
    assert_eq!(answered(&any, Some(b"me"), b"a\nb"), Err(Unfit::LineBreak("password")));
    assert_eq!(answered(&any, Some(b"me"), b"a\r"), Err(Unfit::LineBreak("password")));
    assert_eq!(answered(&any, Some(b"m\0e"), b"a"), Err(Unfit::Nul("username")));
    let long = vec![b'a'; LONGEST_VALUE + 1];
    assert_eq!(answered(&any, None, &long), Err(Unfit::TooLong("password", LONGEST_VALUE)));
    assert!(answered(&any, None, &long[1..]).is_ok());
}

proptest! {
    #[test]
    fn no_request_panics_and_none_is_understood_in_two_ways(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(request) = Request::parse(&bytes) {
            for part in [&request.protocol, &request.host, &request.path, &request.username].into_iter().flatten() {
                prop_assert!(!is_broken(part));
            }
            let _ = find([("https://*.example.com/a", ()), ("b", ())], &request);
        }
    }

    #[test]
    fn attributes_in_any_order_with_any_text_are_read(
        lines in proptest::collection::vec("(protocol|host|path|username|url|wwwauth\\[\\]|x)?=?[a-z:/@%.0-9=\\r\\x00]{0,12}", 0..8),
    ) {
        let _ = Request::parse(lines.join("\n").as_bytes());
    }

    #[test]
    fn no_key_panics(key in "\\PC{0,24}", host in "\\PC{0,24}") {
        if let Ok(pattern) = Pattern::parse(&key) {
            let _ = pattern.closeness(&Request { protocol: Some(b"https".to_vec()), host: Some(host.into_bytes()), ..Request::default() });
        }
    }

    #[test]
    fn what_is_printed_is_one_login_and_nothing_else(
        username in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40)),
        password in proptest::collection::vec(any::<u8>(), 0..40),
        inject in "[a-z=]{0,4}(\n|\r|\0)?(quit=1|host=evil)?",
    ) {
        let password = [&password, inject.as_bytes()].concat();
        let secret = username.as_deref().map(SecretValue::copy_of);
        let text = answer(&Request::default(), secret.as_ref(), &SecretValue::copy_of(&password));
        let is_unfit = |value: &[u8]| value.is_empty() || is_broken(value);
        let unfit = is_unfit(&password) || username.as_deref().is_some_and(is_unfit);
        prop_assert_eq!(text.is_err(), unfit);
        if let Ok(Some(text)) = text {
            let mut lines: Vec<Vec<u8>> = Vec::new();
            lines.extend(username.map(|name| [b"username=", &name[..]].concat()));
            lines.push([b"password=", &password[..]].concat());
            let read: Vec<Vec<u8>> = text.strip_suffix(b"\n").unwrap().split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
            prop_assert_eq!(read, lines);
        }
    }
}
