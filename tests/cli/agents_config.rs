//! `agents` and `helpers` in dsops.yaml: what is read, and what is told of mistakes.

use crate::support::Dsops;

const HEAD: &str = "\
secretStores: {lit: {type: literal, values: {KEY: v}}}
envs:
  dev: {OPENAI_API_KEY: {from: lit/KEY}, DB_URL: {literal: x}}
";

fn text_of(output: &crate::support::Output) -> String {
    String::from_utf8_lossy(output.stderr_bytes()).into_owned()
}

fn check(sections: &str) -> crate::support::Output {
    Dsops::new().config(format!("{HEAD}{sections}")).args(["validate", "--error-format", "json"]).run()
}

#[test]
fn sound_sections_pass_and_stale_is_said_to_have_no_effect() {
    let output = check(
        "agents:\n  openclaw: {env: dev, allow: [OPENAI_*, DB_URL], ids: {a/b: lit/KEY, c: {from: lit/KEY, transform: trim}}, raw: on, deadline: 4s}\n  \
           other: {ids: {x: {store: lit, key: KEY}}}\n\
         helpers:\n  git: {https://a.example: {password: lit/KEY}}\n  docker: {ghcr.io: {username: {literal: me}, password: lit/KEY}}\n  \
           aws: {d: {access_key_id: lit/KEY, secret_access_key: lit/KEY, refresh: 15m}}\n  kube: {k: {token: lit/KEY}, c: {client_certificate: lit/KEY, client_key: lit/KEY}}\n  \
           askpass: {\"Enter passphrase for *\": lit/KEY}\n",
    );
    let output = output.code(0);
    assert!(!text_of(&output).contains("no effect"), "{}", text_of(&output));
    let output = check("agents: {openclaw: {env: dev, stale: 24h}}\n");
    let output = output.code(0);
    assert!(text_of(&output).contains("`stale` has no effect yet"), "{}", text_of(&output));
}

#[test]
fn each_mistake_is_told_at_its_place_with_what_to_do() {
    for (sections, told, help) in [
        ("agents: {openclaw: {env: prod}}", "no environment is named `prod`", "`dev`"),
        ("agents: {openclaw: {env: dev, alow: [DB_URL]}}", "unknown key `alow`", "`allow`"),
        ("agents: {openclaw: {env: dev, allow: [DB_ULR]}}", "no variable of this name", "`DB_URL`"),
        ("agents: {openclaw: {env: dev, allow: ['*']}}", "nothing or everything", "`allow`"),
        ("agents: {openclaw: {env: dev, allow: ['A*B']}}", "not at the end", "beginning"),
        ("agents: {openclaw: {env: dev, ids: {'a b': lit/KEY}}}", "nobody can ask", "letters"),
        ("agents: {openclaw: {env: dev, ids: {a/../b: lit/KEY}}}", "nobody can ask", "letters"),
        ("agents: {openclaw: {env: dev, ids: {DB_URL: lit/KEY}}}", "a variable of `dev` too", "another name"),
        ("agents: {openclaw: {env: dev, ids: {a: nosuch/KEY}}}", "no store is named `nosuch`", "`lit`"),
        ("agents: {openclaw: {env: dev, ids: {a: lit/KEY@v3}}}", "version", "take the version out"),
        (
            "agents: {openclaw: {env: dev, ids: {a: {from: lit/KEY, type: file}}}}",
            "no meaning here",
            "take it out",
        ),
        ("agents: {openclaw: {env: dev, raw: maybe}}", "neither on nor off", "`raw: on`"),
        ("agents: {openclaw: {env: dev, deadline: soon}}", "not a length of time", "`deadline: 4s`"),
        ("agents: {openclaw: {env: dev, deadline: 2h}}", "to an hour away", "`deadline: 4s`"),
        ("agents: {openclaw: {env: dev, deadline: 1ms}}", "from 100 ms", "`deadline: 4s`"),
        ("agents: {openclaw: {env: dev, allow: []}}", "chooses nothing", "`allow`"),
        ("agents: {openclaw: {ids: {}}}", "gives nothing", "`env: NAME`"),
        ("agents: {openclaw: {deadline: 4s}}", "gives nothing", "`env: NAME`"),
        ("agents: {openclaw: {allow: [A], ids: {a: lit/KEY}}}", "chooses among nothing", "`env: NAME`"),
        ("helpers: {gti: {x: {password: lit/KEY}}}", "unknown key `gti`", "`git`"),
        ("helpers: {git: {https://x: {username: lit/KEY}}}", "password", ""),
        ("helpers: {git: {https://x: {password: hunter2secret}}}", "a reference needs a store", "`literal`"),
        ("helpers: {kube: {x: {client_key: lit/KEY}}}", "belong together", "certificate"),
        ("helpers: {kube: {x: {server: 'https://a'}}}", "neither `token`", "token"),
        (
            "helpers: {aws: {x: {access_key_id: lit/KEY, secret_access_key: lit/KEY, refresh: never}}}",
            "length of time",
            "`refresh: 30m`",
        ),
        ("helpers: {askpass: {'*': lit/KEY}}", "for every prompt", "beginning"),
        ("helpers: {git: {'https://*': {password: lit/KEY}}}", "no whole part", "https://github.com/acme"),
        (
            "helpers: {git: {a.b: {password: lit/KEY}, 'https://A.b:443/': {password: lit/KEY}}}",
            "the same request",
            "take one",
        ),
    ] {
        let output = check(&format!("{sections}\n"));
        let output = output.code(3);
        let text = text_of(&output);
        let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap_or_default())
            .unwrap_or_else(|error| panic!("{sections}: {error}: {text}"));
        assert!(
            first["message"].as_str().is_some_and(|message| message.contains(told)),
            "{sections}: {text}"
        );
        assert!(first["help"].as_str().unwrap_or_default().contains(help), "{sections}: {text}");
        assert!(first["line"].is_number(), "{sections}: {text}");
        assert!(!text.contains("hunter2secret"), "{text}");
    }
}

#[test]
fn a_value_in_the_place_of_a_reference_is_not_shown_with_its_line() {
    let sections = "helpers:\n  git:\n    https://x:\n      password: hunter2secret\n  docker:\n    y: hunter2secret\n  aws: hunter2secret\n\
                    agents:\n  openclaw: {env: dev, ids: {a: hunter2secret, b: {literal: hunter2secret, nosuch: hunter2secret}}}\n";
    let output = Dsops::new().config(format!("{HEAD}{sections}")).args(["validate"]).run();
    let output = output.code(3);
    assert!(!text_of(&output).contains("hunter2secret"), "{}", text_of(&output));
}
