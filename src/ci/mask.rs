//! Which parts of a value a log must not show, and the commands that say so to a runner.

use std::collections::HashSet;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use dsops_providers::contract::SecretValue;
use zeroize::Zeroizing;

use super::Runner;
use crate::transform::buffer::Buffer;

/// The fewest bytes that are masked. A runner would replace a shorter text wherever it stands in the log, and make it
/// unreadable; GitHub also drops outputs that hold it.
pub const SHORTEST: usize = 4;

/// Words that are in every log and in no secret.
const COMMON: [&[u8]; 4] = [b"true", b"false", b"null", b"none"];

/// Returns the commands that make a runner mask the values in all that it logs from then on, one on each line behind an
/// empty one, and the
/// names of variables that nothing can be masked of. No commands where the runner has none.
///
/// - GitHub Actions: `::add-mask::…`, with `%`, carriage return and newline as `%25`, `%0D` and `%0A` ("Workflow commands for
///   GitHub Actions"; `escapeData` of actions/toolkit).
/// - Azure Pipelines: `##vso[task.setsecret]…`, with `%AZP25`, `%0D` and `%0A` ("Logging commands").
///
/// Runners mask by line, so each line of a value is a mask of its own. A line that is short, or common, or the frame of a PEM
/// file, is none. The whole of a value of more than one line is left out: GitHub's runner would make masks of all its
/// lines. Its base64 form, which none of the lines would cover, is added.
pub fn mask_commands<'a>(
    runner: Runner,
    variables: impl IntoIterator<Item = (&'a str, &'a SecretValue)>,
) -> Option<(Zeroizing<Vec<u8>>, Vec<String>)> {
    let (start, percent): (&[u8], &[u8]) = match runner {
        Runner::GitHub => (b"::add-mask::", b"%25"),
        Runner::Azure => (b"##vso[task.setsecret]", b"%AZP25"),
        Runner::Buildkite | Runner::GitLab | Runner::CircleCi => return None,
    };
    let mut commands = Buffer::default();
    let unmasked = for_each_part(variables, |part| {
        if commands.is_empty() {
            // GitHub takes a command only at the start of a line. Behind what a program wrote without a newline, it would be
            // logged, with the value.
            commands.push(b'\n');
        }
        commands.extend(start);
        for byte in part {
            match byte {
                b'%' => commands.extend(percent),
                other => commands.push(*other),
            }
        }
        commands.push(b'\n');
    });
    Some((commands.into_bytes(), unmasked))
}

/// Hands each part once to `mask`, none of which has a line break, and returns the names of variables that have a value and no part.
pub(super) fn for_each_part<'a>(
    variables: impl IntoIterator<Item = (&'a str, &'a SecretValue)>,
    mut mask: impl FnMut(&[u8]),
) -> Vec<String> {
    let mut seen: HashSet<&[u8]> = HashSet::new();
    let mut unmasked = Vec::new();
    for (name, value) in variables {
        let bytes: &[u8] = value.expose();
        let mut lines = 0;
        for line in bytes.split(|byte| matches!(byte, b'\n' | b'\r')).map(<[u8]>::trim_ascii) {
            if is_worth_it(line) {
                lines += 1;
                if seen.insert(line) {
                    mask(line);
                }
            }
        }
        if lines > 0 && bytes.trim_ascii().iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
            mask(Zeroizing::new(BASE64_STANDARD.encode(bytes)).as_bytes());
        }
        if lines == 0 && !bytes.trim_ascii().is_empty() {
            unmasked.push(name.to_owned());
        }
    }
    unmasked
}

fn is_worth_it(line: &[u8]) -> bool {
    let is_frame =
        line.ends_with(b"-----") && (line.starts_with(b"-----BEGIN ") || line.starts_with(b"-----END "));
    line.len() >= SHORTEST && !is_frame && !COMMON.iter().any(|word| line.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(runner: Runner, values: &[&str]) -> (String, Vec<String>) {
        let values: Vec<SecretValue> = values.iter().map(|value| SecretValue::from(*value)).collect();
        let names: Vec<String> = (0..values.len()).map(|number| format!("V{number}")).collect();
        let variables = names.iter().map(String::as_str).zip(&values);
        let (commands, unmasked) = mask_commands(runner, variables).unwrap();
        (String::from_utf8(commands.to_vec()).unwrap(), unmasked)
    }

    #[test]
    fn a_value_is_one_command_in_the_runners_own_escapes() {
        assert_eq!(commands(Runner::GitHub, &["50% off::x"]).0, "\n::add-mask::50%25 off::x\n");
        assert_eq!(commands(Runner::Azure, &["50% off]x"]).0, "\n##vso[task.setsecret]50%AZP25 off]x\n");
    }

    #[test]
    fn each_line_is_a_mask_once_and_the_base64_form_is_another() {
        let key = "-----BEGIN KEY-----\r\n  MIIEabc\r\nx=\n\n{\n}\nMIIEabc\n-----END KEY-----\n";
        let (text, unmasked) = commands(Runner::GitHub, &[key, "MIIEabc"]);
        let base64 = BASE64_STANDARD.encode(key);
        assert_eq!(text, format!("\n::add-mask::MIIEabc\n::add-mask::{base64}\n"));
        assert!(unmasked.is_empty());
    }

    #[test]
    fn what_would_make_the_log_unreadable_is_no_mask_and_is_named() {
        let values = ["", " \n", "1", "abc", "true", "FALSE", "abcd", "a\nb\nc"];
        let (text, unmasked) = commands(Runner::GitHub, &values);
        assert_eq!(text, "\n::add-mask::abcd\n");
        assert_eq!(unmasked, ["V2", "V3", "V4", "V5", "V7"]);
    }

    #[test]
    fn a_final_newline_makes_no_second_line() {
        assert_eq!(commands(Runner::GitHub, &["secret\n"]).0, "\n::add-mask::secret\n");
    }

    #[test]
    fn bytes_that_are_no_text_stay_what_they_are() {
        let value = SecretValue::copy_of(b"\xff\xfeabc");
        let (text, _) = mask_commands(Runner::GitHub, [("A", &value)]).unwrap();
        assert_eq!(text.as_slice(), b"\n::add-mask::\xff\xfeabc\n");
    }

    #[test]
    fn other_runners_have_no_such_command() {
        for runner in [Runner::GitLab, Runner::CircleCi, Runner::Buildkite] {
            assert!(mask_commands(runner, [("A", &SecretValue::from("secret"))]).is_none());
        }
    }
}
