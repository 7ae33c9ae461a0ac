//! The recorded exchanges that the fake knowingly does not follow, each with its reason.

/// The program only reads, so that a route that writes is none that this fake has.
const WRITES: &str = "the fake has no routes that write; tests change its state directly";

/// The program never has a user's session.
const SESSIONS: &str = "the fake has no users, only identities and service tokens";

/// Reads that the program has no use for.
const UNUSED: &str = "no part of the program asks for it";

/// The end-to-end encrypted past, which current projects answer with nothing.
const ENCRYPTED: &str = "of the encrypted interface only the list that is always empty is there";

/// Ways to log in that the program does not have.
const OTHER_LOGINS: &str = "the program has no such login";

/// Group, exchange (`*` at its end stands for anything), reason.
pub(crate) const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("07-folders", "create-*", WRITES),
    ("07-folders", "viewer-create-*", WRITES),
    ("07-folders", "delete-*", WRITES),
    ("08-projects", "imports-list-*", UNUSED),
    ("09-service-token", "write-*", WRITES),
    ("09-service-token", "delete-v3", WRITES),
    ("11-e2ee-legacy", "v3-secret-one", ENCRYPTED),
    ("11-e2ee-legacy", "v3-create-e2ee", ENCRYPTED),
    ("2025-06 11-e2ee-legacy", "blind-index-status", ENCRYPTED),
    ("2026-07 11-e2ee-legacy", "blind-index-status-new", ENCRYPTED),
    ("11-e2ee-legacy", "encrypted-key", ENCRYPTED),
    ("12-versions", "versions-user*", SESSIONS),
    ("2026-07 13-other-logins", "spiffe-auth-*", OTHER_LOGINS),
    ("13-other-logins", "oci-auth-*", OTHER_LOGINS),
    ("13-other-logins", "alicloud-auth-*", OTHER_LOGINS),
    ("2026-07 13-other-logins", "tls-cert-auth-*", OTHER_LOGINS),
    ("18-names-and-roles", "create-named-batch-*", WRITES),
    ("18-names-and-roles", "delete-named-batch-v3", WRITES),
    ("20-stray-credentials-and-limits", "create-1.2MB", WRITES),
    ("20-stray-credentials-and-limits", "delete-json-header-no-body", WRITES),
];
