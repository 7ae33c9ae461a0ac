//! Every fact about Infisical's interface that reading depends on, with the tests that cover it.
//!
//! The sections are those of the description of the interface that the fake server follows. Facts that concern
//! writing, leases of dynamic secrets and renewals have no row: dsops asks for none of these.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::lab::{
    BOTH, Exec, Expected, GET, LIST, ONE, against, discreet, dsops, fails, file, options, value, with_key,
};
use crate::support::infisical::{Fault, Generation};

/// A section, the fact, and the tests.
type Row = (&'static str, &'static str, &'static [&'static str]);

const ROWS: &[Row] = &[
    ("2", "an address may end with slashes and `/api`", &["the_address_may_end_as_other_clients_write_it"]),
    (
        "2",
        "unknown parameters are dropped, booleans are the words `true` and `false`",
        &["every_flag_is_sent_and_no_header_strays", "what_the_real_server_drops_is_complained_about"],
    ),
    (
        "2",
        "one answer holds a whole list; a reader has its limit",
        &["a_body_without_end_is_not_read_to_its_end"],
    ),
    (
        "2",
        "a name of more than 100 characters has no route of its own, and that 404 is no missing route",
        &[
            "every_name_is_read_alone_among_others_and_through_an_import",
            "a_missing_name_on_the_newer_routes_is_absent_also_where_it_is_long",
            "a_name_that_only_lists_show_is_expanded_by_a_list",
        ],
    ),
    (
        "2",
        "names are encoded as one segment; `.` and `..` are folded away on the way",
        &[
            "every_name_is_read_alone_among_others_and_through_an_import",
            "an_absent_odd_name_is_absent_and_nothing_else",
        ],
    ),
    (
        "2",
        "a stray API key breaks every route; newer servers take none",
        &["an_api_key_is_refused_with_the_reason"],
    ),
    (
        "3.1",
        "the envelope: the server's words and the request's id are shown, `details` never",
        &[
            "every_refusal_becomes_its_kind_with_infisicals_words_and_what_to_do",
            "the_callers_own_rules_are_not_shown",
        ],
    ),
    ("3.1", "on 422 the message is a list", &["a_validation_failure_is_read_as_text"]),
    (
        "3.1",
        "a route that is not there answers in the framework's shape",
        &["a_server_with_neither_generation_of_routes_is_named_unsupported"],
    ),
    (
        "3.1",
        "a proxy answers with HTML, a dashboard with HTML and 200",
        &[
            "what_is_no_answer_of_infisical_is_no_value",
            "an_answer_that_is_no_json_is_malformed_and_says_what_it_is",
        ],
    ),
    (
        "3.2",
        "400, 401, 403, 404, 422, 429, 5xx",
        &["every_refusal_becomes_its_kind_with_infisicals_words_and_what_to_do"],
    ),
    (
        "3.2",
        "a 500 that is a bad request is not asked again, and a real one is",
        &["a_500_that_is_a_bad_request_is_asked_once", "what_passes_is_waited_for"],
    ),
    ("3.2", "400: characters that no path has", &["a_folder_that_no_path_can_name_is_no_absence"]),
    (
        "3.3",
        "the values of `error`, and a membership that is told in `error` or in `message`",
        &[
            "every_refusal_becomes_its_kind_with_infisicals_words_and_what_to_do",
            "a_stranger_to_the_project_is_denied",
        ],
    ),
    (
        "3.4",
        "a list of an unknown folder or environment is empty, or 404",
        &[
            "a_missing_project_environment_folder_or_secret_is_named",
            "a_wrong_project_or_environment_is_no_absence",
            "a_silently_empty_list_of_an_unknown_folder_costs_one_confirmation",
            "an_empty_choice_of_a_folder_that_is_not_there_is_no_empty_choice",
        ],
    ),
    (
        "3.4",
        "an unknown environment and an unknown folder look alike; one more request tells",
        &[
            "a_missing_folder_is_told_from_a_missing_environment_by_one_request",
            "where_the_project_cannot_be_read_the_message_says_what_is_known",
        ],
    ),
    (
        "3.4",
        "an unknown name; another case is another name",
        &["another_case_is_another_folder_environment_and_name"],
    ),
    (
        "4.1",
        "a refused login: wrong, used up, expired, locked, wrong address",
        &[
            "wrong_credentials_are_tried_once",
            "a_refused_login_of_each_kind_is_final",
            "a_locked_identity_is_told_to_wait",
        ],
    ),
    (
        "4.1",
        "`expiresIn` of 0 never ends; a token is replaced before it runs out",
        &["a_token_is_replaced_before_it_runs_out_and_zero_means_that_it_does_not"],
    ),
    (
        "4.2",
        "401, and 403 `TokenError`, of a data call: one new login, never a renewal",
        &[
            "a_token_that_is_refused_costs_one_new_login",
            "a_token_that_is_refused_again_and_again_is_given_up",
        ],
    ),
    (
        "4.2",
        "a renewal destroys tokens on an older server: none is ever sent",
        &["the_second_run_makes_no_login", "a_token_is_used_for_nine_tenths_of_its_life"],
    ),
    (
        "4.3",
        "each login of a machine identity: its route, its body, its refusals",
        &[
            "a_pod_logs_in_by_its_service_account",
            "google_cloud_says_who_a_machine_is",
            "a_key_file_of_google_cloud_signs_for_the_identity_alone",
            "azure_says_which_managed_identity_a_machine_has",
            "aws_is_asked_by_the_server_who_signed",
            "any_issuer_that_the_identity_trusts_will_do",
            "a_user_of_a_directory_has_a_name_and_a_password",
            "a_sub_organization_can_be_acted_in",
        ],
    ),
    (
        "4.3",
        "an identity without the method; a method that the server is too old for",
        &["an_identity_without_the_login_is_told_from_a_wrong_credential"],
    ),
    ("4.3", "an access token is used as it is, and dies of age", &["an_access_token_is_used_as_it_is"]),
    (
        "4.4",
        "GitHub is asked for a token before each login; GitLab puts it into a variable",
        &["a_job_of_github_actions_needs_no_secret", "a_job_of_gitlab_has_its_token_in_a_variable"],
    ),
    (
        "4.4",
        "audience, claim, issuer, expiry, subject, signing key: each refusal",
        &["every_refusal_of_a_token_says_what_to_correct"],
    ),
    ("5", "three parts or four; three are sent", &["a_service_token_opens_its_place_in_three_parts_or_four"]),
    ("5", "two parts are a 500", &["half_a_service_token_is_refused_before_anything_is_sent"]),
    (
        "5",
        "a token of one plain scope is answered for that scope, whatever is asked",
        &[
            "a_service_token_for_another_place_asks_for_nothing",
            "a_target_that_may_not_be_read_is_denied_by_name",
        ],
    ),
    (
        "5",
        "outside of several scopes a list is empty and a single read 403",
        &["what_lies_outside_of_a_service_tokens_scopes_is_denied_and_not_absent"],
    ),
    (
        "5",
        "imports out of scope are entries without secrets",
        &[
            "an_import_that_is_out_of_reach_does_not_hand_its_victory_to_an_earlier_one",
            "a_long_name_is_not_taken_from_an_import_that_a_later_one_may_beat",
        ],
    ),
    (
        "5",
        "a target of a reference that is out of scope",
        &[
            "a_target_that_may_not_be_read_is_denied_by_name",
            "a_list_that_is_refused_for_one_reference_does_not_take_the_others_along",
        ],
    ),
    ("5", "wrong, unknown, run out", &["a_service_token_that_is_wrong_or_has_run_out_is_shown_once"]),
    (
        "6.1",
        "folders below, each with its own path; one name can be in many",
        &[
            "a_recursive_import_takes_what_is_below_and_nothing_beside",
            "a_name_in_two_folders_of_a_recursive_import_is_an_error_that_names_both",
        ],
    ),
    (
        "6.1",
        "tags: any of them; metadata: all of them, 10 at most",
        &[
            "an_import_takes_only_what_its_tags_and_metadata_choose",
            "a_choice_that_cannot_be_asked_for_is_refused_before_anything_is_sent",
            "a_server_that_leaves_a_filter_aside_is_found_out",
        ],
    ),
    (
        "6.1",
        "a user gets both rows by v3, and one of them by a flag of v4",
        &[
            "a_users_own_value_wins_only_where_the_store_asks_for_it",
            "a_users_own_override_is_not_taken_for_the_shared_value",
        ],
    ),
    ("6.1", "an arbitrary order in 2025", &["an_imported_folder_becomes_variables_with_its_prefix"]),
    (
        "6.1",
        "a value that may not be read refuses the list, and in folders below is left out of a recursive one",
        &[
            "a_list_refused_for_one_secret_does_not_take_the_others_along",
            "a_folder_out_of_reach_stops_a_recursive_import",
            "a_value_that_may_not_be_read_is_named_where_it_stops_an_import",
        ],
    ),
    (
        "6.1",
        "a hidden value is a mask and a flag",
        &[
            "a_hidden_value_is_not_its_mask",
            "a_value_that_the_role_does_not_show_is_hidden",
            "hidden_values_are_errors_and_never_the_mask",
        ],
    ),
    (
        "6.2",
        "servers before April 2025 do not look at the version",
        &["a_server_that_does_not_look_at_the_version_is_found_out"],
    ),
    (
        "6.2",
        "an unknown version is a 404 that names the secret",
        &[
            "a_version_that_is_not_there_is_no_other_version",
            "a_version_that_is_not_there_is_not_told_as_a_secret_that_is_not_there",
        ],
    ),
    (
        "6.2",
        "versions of deleted and renamed secrets answer",
        &["a_version_of_a_secret_that_is_gone_or_has_another_name_is_not_used"],
    ),
    (
        "6.2",
        "with imports on, a missing version is the import's latest",
        &["a_pinned_version_is_read_without_imports_and_compared_with_the_latest"],
    ),
    (
        "6.2",
        "references of an old version have the targets of today",
        &["a_pinned_version_is_expanded_against_the_targets_of_today"],
    ),
    (
        "6.3",
        "the folder beats its imports, the last import the others; imports of imports count",
        &[
            "the_servers_own_imports_count_and_what_stands_in_the_folder_beats_them",
            "an_imported_value_refers_to_secrets_of_the_folder_that_it_comes_from",
        ],
    ),
    ("6.3", "three forms of a reference", &["a_reference_is_replaced_and_its_target_is_read_once"]),
    (
        "6.3",
        "a v4 list resolves imported references in the importing folder, a v3 list always expands them",
        &[
            "an_imported_value_refers_to_secrets_of_the_folder_that_it_comes_from",
            "a_value_is_as_it_is_stored_where_references_are_not_expanded",
        ],
    ),
    (
        "6.3",
        "a missing target is nothing, or its text; a circle is left as text",
        &[
            "a_reference_to_a_secret_that_is_not_there_is_an_error",
            "references_in_a_circle_are_an_error_that_shows_the_circle",
            "references_are_followed_as_deep_as_the_server_follows_them",
            "what_the_server_puts_together_is_what_the_targets_hold_or_an_error",
        ],
    ),
    (
        "7.2",
        "v3, and two forms of v4: every flag under both names",
        &[
            "every_flag_is_sent_and_no_header_strays",
            "a_server_without_the_older_routes_is_read_by_the_newer_ones",
        ],
    ),
    (
        "7.3",
        "v4 where v3 is gone, learnt once for an origin",
        &["two_stores_of_one_server_learn_once_that_its_older_routes_are_gone"],
    ),
    (
        "7.4",
        "the list of folders: unknown paths are empty, unknown environments 404",
        &[
            "a_recursive_import_asks_for_the_folders_and_then_lists_each",
            "an_unknown_environment_is_told_by_the_folders_where_the_project_is_closed",
        ],
    ),
    (
        "7.5",
        "a project by its id, wrapped in two ways",
        &["a_missing_environment_is_named_with_those_that_there_are"],
    ),
    (
        "7.5",
        "projects are listed, and found by slug, by the older and the newer routes",
        &["a_project_can_be_named_by_its_slug"],
    ),
    ("7.7", "a project that was never upgraded", &["a_project_of_the_older_form_is_told_to_be_upgraded"]),
    ("7.8", "the status route breaks with a bad token", &["doctor_gets_a_finding_for_every_step"]),
    (
        "8",
        "429 with and without `Retry-After`",
        &[
            "the_pause_that_a_server_asks_for_is_kept",
            "a_pause_that_is_longer_than_the_time_left_ends_the_run_at_once",
        ],
    ),
    (
        "9",
        "no answer, half an answer, another answer",
        &[
            "garbage_in_place_of_a_list_or_a_login_is_no_value_and_shows_none",
            "an_answer_from_another_place_is_refused",
            "an_answer_for_another_name_is_refused",
        ],
    ),
    (
        "9",
        "the names that machines have set for other clients",
        &[
            "every_method_of_the_command_and_the_libraries_is_understood",
            "the_place_comes_from_the_variables_too",
        ],
    ),
    ("6", "values are exact to the byte", &["every_value_is_exact_to_the_byte_by_every_way_of_reading_it"]),
];

#[test]
fn every_row_has_its_tests() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut names = BTreeSet::new();
    for folder in ["tests/cli", "tests/contract", "providers/src/infisical/tests"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let text = std::fs::read_to_string(path).unwrap();
            let functions = text.lines().filter_map(|line| {
                let line = line.trim_start().trim_start_matches("async ");
                line.strip_prefix("fn ")?.split('(').next()
            });
            names.extend(functions.map(str::to_owned));
        }
    }
    for (section, fact, tests) in ROWS {
        assert!(!tests.is_empty(), "{section}: {fact}");
        for test in *tests {
            assert!(names.contains(*test), "{section}: {fact}: no test is named `{test}`");
        }
    }
}

#[test]
fn a_500_that_is_a_bad_request_is_asked_once() {
    for generation in BOTH {
        let fault = Fault::refusal(500, "Find one", "Something went wrong");
        let server = with_key(generation).fault(GET, fault).start();
        let started = Instant::now();
        let expected = Expected {
            exit: 6,
            code: "dsops::fetch::unsupported",
            says: &["no UUID", "Something went wrong"],
            advises: "project_id",
        };
        fails(|| against(&server, ONE), Some(&server), &expected);
        assert_eq!(server.count(GET), 2, "once for each of the two runs");
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}

#[test]
fn a_project_of_the_older_form_is_told_to_be_upgraded() {
    let message = "Project bot for project with ID x not found. Please upgrade your project.";
    let two = "A: {from: infisical/KEY}\nB: {from: infisical/OTHER}";
    for (route, variables) in [(GET, ONE), (LIST, two)] {
        let fault = Fault::refusal(404, "bot_not_found_error", message);
        let server = with_key(Generation::June2025).fault(route, fault).start();
        let run = against(&server, variables).exec("true").run().code(125).stdout_empty();
        let run = discreet(run, &server).stderr_has("dsops::fetch::unsupported");
        let _ = run.stderr_has("Please upgrade").stderr_has("Upgrade Project");
    }
}

#[test]
fn a_folder_that_no_path_can_name_is_no_absence() {
    for generation in BOTH {
        let server = with_key(generation).start();
        let variables = "A: {from: 'infisical/with space/KEY', optional: true, default: d}";
        let run = against(&server, variables).get("A").run().code(6).stdout_empty();
        let _ = discreet(run, &server).stderr_has("dsops::fetch::unsupported").stderr_has("alphanumeric");
    }
}

#[test]
fn another_case_is_another_folder_environment_and_name() {
    for generation in BOTH {
        let server = with_key(generation).secret("dev", "/app", "ONE", &value("one")).start();
        for (variables, says) in [
            ("A: {from: infisical/App/ONE}", "folder not found"),
            ("A: {from: infisical/App/ONE}\nB: {from: infisical/App/TWO}", "folder not found"),
            ("A: {from: infisical/app/One}", "secret not found"),
            ("A: {from: infisical/app/One}\nB: {from: infisical/app/ONE}", "did you mean `ONE`?"),
        ] {
            let run = against(&server, variables).exec("true").run().code(125).stdout_empty();
            let _ = discreet(run, &server).stderr_has("dsops::fetch::not_found").stderr_has(says);
        }
        let cased = options(&server.url()).replace("environment: dev", "environment: DEV");
        let run = dsops().config(file(&cased, ONE)).get("A").run().code(5).stdout_empty();
        let run = discreet(run, &server).stderr_has("environment not found: `DEV`");
        let _ = run.stderr_has("did you mean `dev`?");
    }
}

#[test]
fn an_unknown_environment_is_told_by_the_folders_where_the_project_is_closed() {
    for generation in BOTH {
        let closed = Fault::refusal(403, "PermissionDenied", "You are not allowed to read on project");
        let server = with_key(generation).fault("GET /api/v1/workspace/{id}", closed).start();
        let qa = options(&server.url()).replace("environment: dev", "environment: qa");
        let run = dsops().config(file(&qa, ONE)).get("A").run().code(5).stdout_empty();
        let _ =
            discreet(run, &server).stderr_has("place_not_found").stderr_has("environment not found: `qa`");
        let run = against(&server, "A: {from: infisical/nope/KEY, default: d}").get("A").run();
        let _ = discreet(run, &server).code(0).stdout("d");
    }
}

#[test]
fn the_callers_own_rules_are_not_shown() {
    use crate::lab::{CLIENT_ID, CLIENT_SECRET, PROJECT};
    use crate::support::infisical::{Identity, Infisical};
    for generation in BOTH {
        let identity =
            Identity::new(CLIENT_ID, CLIENT_SECRET).may_describe("dev", "/hush").may_read("dev", "/hush");
        let server = Infisical::new(generation).project(PROJECT, "p", &["dev"]).identity_with(identity);
        let server = server.secret("dev", "/", "KEY", &value("key")).start();
        let run = against(&server, ONE).get("A").run().code(4).stdout_empty();
        let _ = discreet(run, &server).stderr_has("no permission").stderr_lacks("hush");
    }
}
