//! Values of Infisical, as a command gets them: exact, from the right place, by every way of logging in.

use crate::lab::{
    BOTH, CLIENT_ID, CLIENT_SECRET, DETAILS, Exec, GET, LIST, PROJECT, SERVICE_TOKEN, against, discreet,
    dsops, file, options, options_with, server, value,
};
use crate::support::infisical::{Fault, Generation, ServiceToken};

#[test]
fn the_command_gets_the_values_of_several_folders() {
    for generation in BOTH {
        let server = server(generation)
            .secret("dev", "/", "ROOT", &value("root"))
            .secret("dev", "/db", "URL", &value("url"))
            .secret("dev", "/a/b/c", "DEEP", &value("deep"))
            .secret("prod", "/", "ROOT", &value("of prod"))
            .start();
        let variables = "
            ROOT: {from: infisical/ROOT}
            URL: {from: {store: infisical/db/URL}}
            DEEP: {from: 'store://infisical/a/b/c/DEEP'}
            PLAIN: {literal: plain}";
        let run = against(&server, variables).exec("echo \"$ROOT $URL $DEEP $PLAIN\"").run();
        let expected = format!("{} {} {} plain\n", value("root"), value("url"), value("deep"));
        let _ = discreet(run, &server).code(0).stdout(expected).stderr_empty();
    }
}

#[test]
fn a_value_is_exact_to_the_byte() {
    let values = [
        String::new(),
        " ".to_owned(),
        format!(" \t{} \n\r\n", value("white space")),
        format!("{}\nsecond line\n\n", value("lines")),
        value("quotes ' \" ` $HOME $(id) \\n \\ # % é 🔑"),
        "\u{1}\u{7f}\u{202e}".to_owned(),
        "x".repeat(120 * 1024),
    ];
    for generation in BOTH {
        for value in &values {
            let server = server(generation).secret("dev", "/", "KEY", value).start();
            let variables = "KEY: {from: infisical/KEY}";
            let _ = discreet(against(&server, variables).get("KEY").run(), &server).code(0).stdout(value);
            let run = against(&server, variables).exec("printenv KEY").run();
            let _ = discreet(run, &server).code(0).stdout(format!("{value}\n"));
        }
    }
}

#[test]
fn references_between_secrets_are_expanded_by_the_server() {
    for generation in BOTH {
        let server = server(generation)
            .secret("dev", "/", "HOST", &value("host"))
            .secret("dev", "/", "URL", "https://${HOST}/${prod.sub.PATH}")
            .secret("prod", "/sub", "PATH", &value("path"))
            .start();
        let run = against(&server, "URL: {from: infisical/URL}").exec("echo $URL").run();
        let _ =
            discreet(run, &server).code(0).stdout(format!("https://{}/{}\n", value("host"), value("path")));
    }
}

#[test]
fn a_value_is_as_it_is_stored_where_references_are_not_expanded() {
    for generation in BOTH {
        let server = server(generation)
            .secret("dev", "/app", "OWN", "own ${HOST}")
            .secret("dev", "/app", "HOST", &value("host"))
            .secret("dev", "/shared", "IMPORTED", "imported ${HOME}")
            .import(("dev", "/app"), ("dev", "/shared"))
            .start();
        let options = format!("{}, expand_references: false", options(&server.url()));
        let variables = "
            OWN: {from: infisical/app/OWN}
            IMPORTED: {from: infisical/app/IMPORTED}
            FIRST: {from: infisical/app/OWN@v1}";
        let run = dsops().config(file(&options, variables)).exec("printenv OWN IMPORTED FIRST").run();
        let _ = discreet(run, &server).code(0).stdout("own ${HOST}\nimported ${HOME}\nown ${HOST}\n");
        let run = dsops().config(file(&options, "import: {store: infisical/app, prefix: X_}"));
        let run = run.exec("printenv X_OWN X_IMPORTED").run();
        let _ = discreet(run, &server).code(0).stdout("own ${HOST}\nimported ${HOME}\n");
    }
}

#[test]
fn a_pinned_version_is_that_version_beside_the_latest() {
    for generation in BOTH {
        let server = server(generation)
            .secret("dev", "/keys", "KEY", &value("one"))
            .secret("dev", "/keys", "KEY", &value("two"))
            .secret("dev", "/keys", "KEY", &value("three"))
            .start();
        let variables = "
            ONE: {from: infisical/keys/KEY@v1}
            TWO: {from: 'store://infisical/keys/KEY?version=2'}
            LATEST: {from: infisical/keys/KEY}";
        let run = against(&server, variables).exec("echo \"$ONE $TWO $LATEST\"").run();
        let expected = format!("{} {} {}\n", value("one"), value("two"), value("three"));
        let _ = discreet(run, &server).code(0).stdout(expected);
        let run = against(&server, variables).args(["get", "infisical/keys/KEY@v2"]).run();
        let _ = discreet(run, &server).code(0).stdout(value("two"));
    }
}

#[test]
fn the_servers_own_imports_count_and_what_stands_in_the_folder_beats_them() {
    for generation in BOTH {
        let server = server(generation)
            .secret("dev", "/app", "OWN", &value("own"))
            .secret("dev", "/first", "OWN", &value("imported"))
            .secret("dev", "/first", "BOTH", &value("first"))
            .secret("prod", "/second", "BOTH", &value("second"))
            .secret("prod", "/second", "REFERS", "<${BOTH}>")
            .import(("dev", "/app"), ("dev", "/first"))
            .import(("dev", "/app"), ("prod", "/second"))
            .start();
        let variables = "
            OWN: {from: infisical/app/OWN}
            BOTH: {from: infisical/app/BOTH}
            REFERS: {from: infisical/app/REFERS}";
        let run = against(&server, variables).exec("echo \"$OWN $BOTH $REFERS\"").run();
        let expected = format!("{} {} <{}>\n", value("own"), value("second"), value("second"));
        let _ = discreet(run, &server).code(0).stdout(expected);
        let run = against(&server, variables).get("BOTH").run();
        let _ = discreet(run, &server).code(0).stdout(value("second"));
    }
}

#[test]
fn an_imported_folder_becomes_variables_with_its_prefix() {
    for generation in BOTH {
        let server = server(generation)
            .secret("dev", "/payments", "KEY", &value("key"))
            .secret("dev", "/payments", "URL", &value("url"))
            .secret("dev", "/payments/deeper", "DEEP", &value("deep"))
            .secret("dev", "/", "ROOT", &value("root"))
            .start();
        let variables = "
            import: [{store: infisical/payments, prefix: PAY_}, {store: infisical}]
            PAY_URL: {literal: of the file}";
        let script = "echo \"$PAY_KEY $PAY_URL $ROOT ${DEEP-unset} ${PAY_DEEP-unset} ${KEY-unset}\"";
        let run = against(&server, variables).exec(script).run();
        let expected = format!("{} of the file {} unset unset unset\n", value("key"), value("root"));
        let _ = discreet(run, &server).code(0).stdout(expected);
        assert_eq!((server.logins(), server.count(LIST), server.total()), (1, 2, 3));
        let run = against(&server, variables).get("PAY_KEY").run();
        let _ = discreet(run, &server).code(0).stdout(value("key"));
    }
}

#[test]
fn a_later_import_beats_an_earlier_one() {
    for generation in BOTH {
        let server = server(generation)
            .secret("dev", "/one", "KEY", &value("one"))
            .secret("dev", "/one", "ONE", &value("only one"))
            .secret("dev", "/two", "KEY", &value("two"))
            .start();
        let run = against(&server, "import: [{store: infisical/one}, {store: infisical/two}]")
            .exec("echo \"$KEY $ONE\"")
            .run();
        let _ = discreet(run, &server).code(0).stdout(format!("{} {}\n", value("two"), value("only one")));
    }
}

#[test]
fn an_empty_folder_can_be_imported_and_an_optional_one_may_be_missing() {
    for generation in BOTH {
        let server = server(generation).folder("dev", "/empty").start();
        let variables = "
            import: [{store: infisical/empty}, {store: infisical/missing, optional: true}]
            A: {literal: one}";
        let run = against(&server, variables).exec("echo $A").run();
        let _ = discreet(run, &server).code(0).stdout("one\n");
    }
}

#[test]
fn an_absent_value_is_replaced_as_the_file_says() {
    for generation in BOTH {
        let server = server(generation)
            .secret("dev", "/", "THERE", &value("there"))
            .secret("dev", "/backup", "KEY", &value("backup"))
            .start();
        let variables = "
            DEFAULT: {from: infisical/ABSENT, default: replaced}
            OPTIONAL: {from: infisical/ABSENT, optional: true}
            FALLBACK: {from: infisical/ABSENT, fallback: [{store: infisical/no/KEY}, {store: infisical/backup/KEY}]}
            LAST: {from: infisical/ABSENT@v3, fallback: [infisical/ALSO_ABSENT], default: last}
            THERE: {from: infisical/THERE, fallback: [infisical/backup/KEY], default: unused}";
        let script = "echo \"$DEFAULT ${OPTIONAL-unset} $FALLBACK $LAST $THERE\"";
        let run = against(&server, variables).exec(script).run();
        let expected = format!("replaced unset {} last {}\n", value("backup"), value("there"));
        let _ = discreet(run, &server).code(0).stdout(expected).stderr_empty();
    }
}

#[test]
fn fallbacks_are_not_asked_for_where_the_first_place_has_the_value() {
    for generation in BOTH {
        let server = server(generation)
            .secret("dev", "/", "KEY", &value("first"))
            .secret("dev", "/backup", "KEY", &value("backup"))
            .start();
        let variables = "KEY: {from: infisical/KEY, fallback: [{store: infisical/backup/KEY}]}";
        let run = against(&server, variables).exec("echo $KEY").run();
        let _ = discreet(run, &server).code(0).stdout(format!("{}\n", value("first")));
        assert_eq!(server.total(), 2, "a login and one read");
    }
}

#[test]
fn another_store_can_hold_the_credentials() {
    for generation in BOTH {
        let server = server(generation).secret("dev", "/", "KEY", &value("key")).start();
        let auth = "{client_id: {from: keys/team/ID}, client_secret: {from: {store: shell/SECRET}}}";
        let config = format!(
            "secretStores:\n  infisical: {{{}}}\n  keys: {{type: literal, values: {{team/ID: {CLIENT_ID}}}}}\n  \
             shell: {{type: env}}\nenvs: {{dev: {{KEY: {{from: infisical/KEY}}}}}}",
            options_with(&server.url(), auth)
        );
        let run =
            crate::support::Dsops::new().env("SECRET", CLIENT_SECRET).config(config).exec("echo $KEY").run();
        let _ = discreet(run, &server).code(0).stdout(format!("{}\n", value("key")));
        assert_eq!((server.logins(), server.total()), (1, 2));
    }
}

#[test]
fn one_infisical_store_can_hold_the_credentials_of_another() {
    for generation in BOTH {
        let inner = server(generation).secret("dev", "/", "KEY", &value("inner")).start();
        let outer = server(generation)
            .secret("dev", "/machines", "ID", CLIENT_ID)
            .secret("dev", "/machines", "SECRET", CLIENT_SECRET)
            .secret("dev", "/", "OTHER", &value("outer"))
            .start();
        let auth = "{client_id: {from: outer/machines/ID}, client_secret: {from: outer/machines/SECRET}}";
        let config = format!(
            "secretStores:\n  inner: {{{}}}\n  outer: {{{}}}\nenvs:\n  dev:\n    KEY: {{from: inner/KEY}}\n    \
             OTHER: {{from: outer/OTHER}}",
            options_with(&inner.url(), auth),
            options(&outer.url())
        );
        let run = dsops().config(config).exec("echo $KEY $OTHER").run();
        let _ = discreet(discreet(run, &inner), &outer).code(0).stdout(format!(
            "{} {}\n",
            value("inner"),
            value("outer")
        ));
        assert_eq!((outer.logins(), outer.count(LIST), outer.count(GET), outer.total()), (1, 1, 1, 3));
        assert_eq!((inner.logins(), inner.total()), (1, 2));
    }
}

#[test]
fn several_stores_are_asked_at_once_and_unused_ones_never() {
    for generation in BOTH {
        let (one, two, unused) = (server(generation), server(generation), server(generation));
        let one = one.secret("dev", "/", "KEY", &value("one")).start();
        let two = two.secret("dev", "/", "KEY", &value("two")).start();
        let unused = unused.start();
        let config = format!(
            "secretStores:\n  one: {{{}}}\n  two: {{{}}}\n  unused: {{{}}}\n  broken: {{type: infisical, project_id: x, \
             environment: dev, auth: {{client_id: '${{UNSET_A}}', client_secret: '${{UNSET_B}}'}}}}\nenvs:\n  dev:\n    \
             ONE: {{from: one/KEY}}\n    TWO: {{from: two/KEY}}\n    HERE: {{from: here/HERE}}\n  other:\n    \
             X: {{from: broken/X}}\n",
            options(&one.url()),
            options(&two.url()),
            options(&unused.url())
        )
        .replace("envs:\n", "  here: {type: env}\nenvs:\n");
        let run = dsops().env("HERE", "here").config(config).exec("echo $ONE $TWO $HERE").run();
        let _ = discreet(discreet(run, &one), &two).code(0).stdout(format!(
            "{} {} here\n",
            value("one"),
            value("two")
        ));
        assert_eq!((one.total(), two.total(), unused.connections()), (2, 2, 0));
    }
}

#[test]
fn the_address_may_end_as_other_clients_write_it() {
    for generation in BOTH {
        for end in ["", "/", "/api", "/api/"] {
            let server = server(generation).secret("dev", "/", "KEY", &value("key")).start();
            let host = format!("{}{end}", server.url());
            let run =
                dsops().config(file(&options(&host), "KEY: {from: infisical/KEY}")).exec("echo $KEY").run();
            let _ = discreet(run, &server).code(0).stdout(format!("{}\n", value("key")));
        }
    }
}

#[test]
fn the_address_can_come_from_the_environment() {
    let server = server(Generation::July2026).secret("dev", "/", "KEY", &value("key")).start();
    let run = dsops()
        .env("INFISICAL_DOMAIN", server.url())
        .config(file(
            &options("${INFISICAL_DOMAIN:-https://app.infisical.com}"),
            "KEY: {from: infisical/KEY}",
        ))
        .exec("echo $KEY")
        .run();
    let _ = discreet(run, &server).code(0).stdout(format!("{}\n", value("key")));
}

/// Names that Infisical takes and that addresses do not carry as they are.
fn odd_names() -> Vec<String> {
    let mut names: Vec<String> = [
        "with space",
        "100%",
        "%41",
        "what?",
        "a#b",
        "a+b",
        "a=b",
        "a&b",
        ".",
        "..",
        "é",
        "a@b",
        "a@v1x",
        "'\"`",
        "\\",
    ]
    .map(str::to_owned)
    .to_vec();
    names.extend(["x".repeat(100), "x".repeat(101), "é".repeat(101), "y".repeat(400)]);
    names
}

/// Returns a reference to a name of any characters.
fn reference(folder: &str, name: &str) -> String {
    let escaped = name.replace('%', "%25").replace('#', "%23").replace('?', "%3F");
    format!("store://infisical/{folder}{escaped}").replace('\'', "''")
}

#[test]
fn a_name_may_have_odd_characters_alone_and_among_others() {
    for generation in BOTH {
        let mut prepared = server(generation);
        for name in odd_names() {
            prepared = prepared.secret("dev", "/odd", &name, &value(&name));
        }
        let server = prepared.start();
        let mut variables = String::new();
        for (number, name) in odd_names().iter().enumerate() {
            variables.push_str(&format!("N{number}: {{from: '{}'}}\n", reference("odd/", name)));
        }
        for (number, name) in odd_names().iter().enumerate() {
            let run = against(&server, &variables).get(&format!("N{number}")).run();
            let _ = discreet(run, &server).code(0).stdout(value(name));
        }
        let script = "i=0; while [ $i -lt 19 ]; do printenv N$i; i=$((i+1)); done";
        let run = against(&server, &variables).exec(script).run();
        let expected: String = odd_names().iter().map(|name| format!("{}\n", value(name))).collect();
        let _ = discreet(run, &server).code(0).stdout(expected);
    }
}

#[test]
fn an_absent_odd_name_is_absent_and_nothing_else() {
    for generation in BOTH {
        let server = server(generation).secret("dev", "/odd", "KEY", &value("key")).start();
        for name in odd_names() {
            let variables = format!("A: {{from: '{}', default: replaced}}", reference("odd/", &name));
            let run = against(&server, &variables).get("A").run();
            let _ = discreet(run, &server).code(0).stdout("replaced");
        }
    }
}

#[test]
fn a_service_token_opens_its_place_in_three_parts_or_four() {
    for generation in BOTH {
        for end in ["", ".8899aabbccddeeff0011223344556677"] {
            let server = server(generation)
                .secret("dev", "/app", "KEY", &value("key"))
                .secret("dev", "/app", "OTHER", &value("other"))
                .service_token(ServiceToken::new(SERVICE_TOKEN).scope("dev", "/app"))
                .start();
            let options = options_with(&server.url(), "{method: service_token, token: '${TOKEN}'}");
            let variables = "KEY: {from: infisical/app/KEY}\nOTHER: {from: infisical/app/OTHER}";
            let run = crate::support::Dsops::new()
                .env("TOKEN", format!("{SERVICE_TOKEN}{end}\n"))
                .config(file(&options, variables))
                .exec("echo $KEY $OTHER ${TOKEN-gone}")
                .run();
            let _ =
                discreet(run, &server).code(0).stdout(format!("{} {} gone\n", value("key"), value("other")));
            assert_eq!((server.count(DETAILS), server.count(LIST), server.total()), (1, 1, 2));
        }
    }
}

#[test]
fn a_service_token_with_a_glob_reads_below_it_and_finds_what_is_absent_absent() {
    for generation in BOTH {
        let server = server(generation)
            .secret("dev", "/app/a", "KEY", &value("a"))
            .secret("dev", "/app/b", "KEY", &value("b"))
            .service_token(ServiceToken::new(SERVICE_TOKEN).scope("dev", "/app/**"))
            .start();
        let options = options_with(&server.url(), "{method: service_token, service_token: '${TOKEN}'}");
        let variables = "
            A: {from: infisical/app/a/KEY}
            B: {from: infisical/app/b/KEY}
            C: {from: infisical/app/b/ABSENT, default: replaced}";
        let run = crate::support::Dsops::new()
            .env("TOKEN", SERVICE_TOKEN)
            .config(file(&options, variables))
            .exec("echo $A $B $C")
            .run();
        let _ = discreet(run, &server).code(0).stdout(format!("{} {} replaced\n", value("a"), value("b")));
    }
}

#[test]
fn the_project_id_is_sent_as_it_is_written() {
    let server = server(Generation::July2026).secret("dev", "/", "KEY", &value("key")).start();
    let _ = against(&server, "KEY: {from: infisical/KEY}").exec("true").run().code(0);
    let read = server.requests().into_iter().find(|seen| seen.route == GET).unwrap();
    assert_eq!(read.param("workspaceId"), Some(PROJECT));
    assert_eq!(read.param("environment"), Some("dev"));
}

#[test]
fn proxies_of_the_environment_do_not_come_between_loopback_addresses() {
    for generation in BOTH {
        let server = server(generation).secret("dev", "/", "KEY", &value("key")).start();
        let mut run = against(&server, "KEY: {from: infisical/KEY}");
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            // Nothing listens on port 1.
            run = run.env(name, "http://127.0.0.1:1").env(name.to_lowercase(), "http://127.0.0.1:1");
        }
        let _ = discreet(run.exec("echo $KEY").run(), &server).code(0).stdout(format!("{}\n", value("key")));
    }
}

#[test]
fn the_child_does_not_inherit_what_opens_the_store() {
    let server = server(Generation::July2026).secret("dev", "/", "KEY", &value("key")).start();
    let run = against(&server, "KEY: {from: infisical/KEY}")
        .env("INFISICAL_TOKEN", "st.a.b")
        .exec("env | grep -c ^INFISICAL_; printenv KEY")
        .run();
    let _ = discreet(run, &server).stdout(format!("0\n{}\n", value("key")));
}

#[test]
fn a_slow_store_within_its_time_is_waited_for() {
    let server = server(Generation::June2025)
        .secret("dev", "/", "KEY", &value("key"))
        .fault("*", Fault::delay(std::time::Duration::from_millis(300)))
        .start();
    let run = against(&server, "KEY: {from: infisical/KEY}").exec("echo $KEY").run();
    let _ = discreet(run, &server).code(0).stdout(format!("{}\n", value("key")));
}
