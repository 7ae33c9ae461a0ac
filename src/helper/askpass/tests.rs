//! Tests of the askpass protocol: which entry a prompt means, and which prompts mean none.

use proptest::prelude::*;

use super::*;

const KEY: &str = "Enter passphrase for key '/home/me/.ssh/id'";

fn found<'a>(keys: &[&'a str], prompt: &str) -> Result<Option<&'a str>, KeyError> {
    find(keys.iter().map(|key| (*key, *key)), prompt)
}

fn url_of(prompt: &str) -> Option<(Wanted, Request)> {
    git_prompt(prompt)
}

#[test]
fn a_key_is_the_whole_prompt_without_its_end() {
    for prompt in [KEY.to_owned(), format!("{KEY}: "), format!("{KEY}:"), format!("{KEY} : ")] {
        assert_eq!(found(&[KEY], &prompt), Ok(Some(KEY)), "{prompt}");
        assert!(found(&[&format!("{KEY}: ")], &prompt).unwrap().is_some(), "{prompt}");
    }
    for prompt in
        ["", ":", "Enter", &format!(" {KEY}"), &format!("{KEY}2"), &format!("({KEY}) "), &format!("{KEY}::")]
    {
        assert_eq!(found(&[KEY], prompt), Ok(None), "{prompt}");
    }
}

#[test]
fn a_star_is_any_end_and_the_longest_beginning_wins() {
    let keys = ["Enter passphrase for *", "Enter *", KEY];
    assert_eq!(found(&keys, &format!("{KEY}: ")), Ok(Some(KEY)));
    assert_eq!(found(&keys, "Enter passphrase for key '/x': "), Ok(Some(keys[0])));
    assert_eq!(found(&keys, "Enter PIN: "), Ok(Some("Enter *")));
    // What a server writes stands behind who is asked.
    assert_eq!(found(&keys, &format!("(me@evil.example) {KEY}: ")), Ok(None));
}

#[test]
fn a_prompt_with_control_characters_is_never_answered() {
    for prompt in ["Enter\nPIN: ", "Enter PIN\u{1b}[2K: ", "Enter \u{0}", "Enter \u{9b}x"] {
        assert_eq!(found(&["Enter*"], prompt), Ok(None), "{prompt:?}");
    }
    assert!(!shown("a\u{1b}[2Kb\nc\u{202e}\u{9b}").contains(['\u{1b}', '\n', '\u{202e}', '\u{9b}']));
    assert!(shown(&"x".repeat(5000)).len() < 200);
}

#[test]
fn a_key_that_would_be_for_everything_is_an_error() {
    for key in ["", "*", " *", ": *", "a*b", "**", "a**", "a\n", "a\u{1b}*"] {
        assert!(check(key).is_err(), "{key:?}");
        assert!(found(&[KEY, key], KEY).is_err(), "{key:?}");
    }
    let error = found(&["Enter PIN", "Enter PIN: "], "Enter PIN: ").unwrap_err().to_string();
    assert_eq!(error, "`Enter PIN: ` and `Enter PIN` are for the same prompt");
}

#[test]
fn the_prompts_of_git_are_read() {
    let (wanted, request) = url_of("Username for 'https://github.com': ").unwrap();
    assert_eq!((wanted, request), (Wanted::Username, Request::of_url("https://github.com").unwrap()));
    let (wanted, request) = url_of("Password for 'https://m%40e@github.com:8443/a/b.git': ").unwrap();
    assert_eq!((wanted, request.username.as_deref()), (Wanted::Password, Some(&b"m@e"[..])));
    assert_eq!(request.host.as_deref(), Some(&b"github.com:8443"[..]));
    assert_eq!(request.path.as_deref(), Some(&b"a/b.git"[..]));
}

#[test]
fn a_prompt_of_git_that_could_name_two_hosts_is_none() {
    for prompt in [
        "Password for 'https://github.com/x@evil.example': ",
        "Password for 'https://github.com?@evil.example': ",
        "Password for 'https://github.com#@evil.example': ",
        "Password for 'https://github.com': @evil.example': ",
        "Password for 'https://me@github.com@evil.example': ",
        "Password for 'https://me:pw@github.com': ",
        "Password for 'https://me@github.com\\@evil.example': ",
        "Password for 'https://github.com\n': ",
        "Password for 'https://github.com%0a.evil.example': ",
        "Password for 'https://github.com",
        "Password for 'github.com': ",
        "Password for \"https://github.com\": ",
        "(me@evil.example) Password for 'https://github.com': ",
        "password for 'https://github.com': ",
        "Password: ",
    ] {
        assert_eq!(url_of(prompt), None, "{prompt:?}");
    }
}

#[test]
fn an_answer_is_one_line_that_is_not_cut() {
    let value = |text: &str| SecretValue::from(text);
    assert_eq!(*answer(&value("a b"), Asked::ByAny).unwrap(), b"a b\n");
    for text in ["a\nb", "a\r", "a\0"] {
        assert!(answer(&value(text), Asked::ByGit).is_err(), "{text:?}");
    }
    let long = value(&"x".repeat(LONGEST_FOR_SSH + 1));
    assert_eq!(answer(&long, Asked::ByAny), Err(Unfit::TooLong("value", LONGEST_FOR_SSH)));
    assert!(answer(&long, Asked::ByGit).is_ok());
}

proptest! {
    #[test]
    fn no_prompt_panics_and_what_is_shown_is_plain(prompt in any::<String>(), end in "[^\\x00-\\x1f]{0,8}") {
        let _ = (found(&[KEY, "Enter*"], &prompt), git_prompt(&prompt));
        let _ = git_prompt(&format!("Password for 'https://{end}': "));
        prop_assert!(is_plain(&shown(&prompt)));
    }

    #[test]
    fn a_prompt_is_answered_only_from_its_beginning(before in "[ -~]{1,12}", after in "[ -~]{0,12}") {
        let prompt = format!("{before}{KEY}{after}");
        if !prompt.starts_with(KEY) {
            prop_assert_eq!(found(&[KEY, "Enter passphrase for key '/home/me*"], &prompt), Ok(None));
        }
    }
}
