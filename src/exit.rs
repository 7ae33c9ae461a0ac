//! The exit codes. They are public: scripts branch on them.

/// Declares each code once, for the program, the documentation of the constant and the table.
macro_rules! exit_codes {
    ($($constant:ident $name:literal = $code:literal: $meaning:literal;)*) => {
        $(
            #[doc = $meaning]
            pub const $constant: u8 = $code;
        )*

        /// Every code with its name and its meaning, in order, for the table in the documentation.
        pub const ALL: &[(u8, &str, &str)] = &[$(($code, $name, $meaning),)*];
    };
}

exit_codes! {
    OK "ok" = 0: "The command did what was asked.";
    PROBLEMS "problems" = 1: "A check ran to its end and found problems, or a helper has no answer.";
    USAGE "usage" = 2: "The command line is wrong.";
    CONFIGURATION "configuration" = 3: "The configuration file, or a reference in it, is wrong.";
    AUTH "auth" = 4: "Credentials are missing, expired, denied, or do not reach the secret.";
    NOT_FOUND "not_found" = 5: "The store was asked and has no such secret, version, folder, environment or project.";
    STORE "store" = 6: "A store failed: unavailable, timed out, rate limited, malformed, damaged, unsupported, or without the tool that it needs.";
    TRANSFORM "transform" = 7: "A value could not be transformed.";
    EMPTY "empty" = 8: "A value that must not be empty is empty.";
    HIDDEN "hidden" = 9: "The secret is there, and the store keeps its value from this caller.";
    POLICY "policy" = 10: "A policy of the configuration forbids it.";
    BUG "bug" = 70: "dsops has a bug; the number is `EX_SOFTWARE` of sysexits.h.";
    TIMEOUT "timeout" = 124: "`exec` only: the time given with `--timeout` passed, as for timeout(1).";
    NOT_STARTED "not_started" = 125: "`exec` and `shell` only: dsops failed before the command was started, as for env(1).";
    NOT_EXECUTABLE "not_executable" = 126: "`exec` and `shell` only: the command was found and cannot be executed, as for env(1).";
    COMMAND_NOT_FOUND "command_not_found" = 127: "`exec` and `shell` only: the command was not found, as for env(1).";
    SIGNALLED "signalled" = 128: "`exec` and `shell` only: 128 and the number of the signal that ended the command, where dsops could not end by the same signal.";
}

/// Returns the code that a shell reports for a program that a signal ended: 128 and its number.
#[must_use]
pub fn for_signal(number: i32) -> u8 {
    u8::try_from(number).ok().and_then(|number| SIGNALLED.checked_add(number)).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_ascend_and_no_name_stands_twice() {
        assert!(ALL.is_sorted_by(|a, b| a.0 < b.0));
        let names: std::collections::BTreeSet<_> = ALL.iter().map(|(_, name, _)| name).collect();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn a_signal_is_128_and_its_number() {
        assert_eq!(for_signal(15), 143);
        assert_eq!(for_signal(64), 192);
        assert_eq!(for_signal(-1), u8::MAX);
    }
}
