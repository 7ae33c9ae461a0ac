//! What a program of AWS reads from its `credential_process`.
//!
//! Source: "Process credential provider" in the AWS SDKs and Tools Reference Guide. The SDK runs the program, reads one
//! JSON object from its stdout, and shows what stands on stderr where it ends with anything but 0.

use dsops_providers::contract::SecretValue;
use serde::Serialize;
use zeroize::Zeroizing;

use super::credential::{Misfit, json, word};

/// The keys that are given.
#[derive(Clone, Copy, Debug)]
pub struct Keys<'a> {
    /// The id of the access key.
    pub access_key_id: &'a SecretValue,
    /// The access key.
    pub secret_access_key: &'a SecretValue,
    /// The token, where the keys are those of a session.
    pub session_token: Option<&'a SecretValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Answer<'a> {
    version: u8,
    access_key_id: &'a str,
    secret_access_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration: Option<&'a str>,
}

/// Returns the answer: one line of JSON.
///
/// Without `expiration` an SDK keeps the keys for as long as it runs.
///
/// # Errors
///
/// A value that is empty, or that is not one word of printable ASCII: it would end up in a header, or in the key of a
/// signature that can only be wrong.
pub fn answer(keys: Keys<'_>, expiration: Option<&str>) -> Result<Zeroizing<Vec<u8>>, Misfit> {
    let session_token = keys.session_token.map(|token| word("session_token", token)).transpose()?;
    let answer = Answer {
        version: 1,
        access_key_id: word("access_key_id", keys.access_key_id)?,
        secret_access_key: word("secret_access_key", keys.secret_access_key)?,
        session_token,
        expiration,
    };
    json("secret_access_key", &answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::helper::credential::Unusable;

    fn given(id: &str, key: &str, token: Option<&str>, until: Option<&str>) -> Result<String, Misfit> {
        let (id, key, token) = (SecretValue::from(id), SecretValue::from(key), token.map(SecretValue::from));
        let keys = Keys { access_key_id: &id, secret_access_key: &key, session_token: token.as_ref() };
        answer(keys, until).map(|line| String::from_utf8_lossy(&line).into_owned())
    }

    #[test]
    fn the_answer_has_what_there_is_and_nothing_else() {
        assert_eq!(
            given("AKIA", "a+/=", None, None).as_deref(),
            Ok("{\"Version\":1,\"AccessKeyId\":\"AKIA\",\"SecretAccessKey\":\"a+/=\"}\n")
        );
        assert_eq!(
            given("ASIA", "k", Some("t"), Some("2026-03-01T09:05:00Z")).as_deref(),
            Ok("{\"Version\":1,\"AccessKeyId\":\"ASIA\",\"SecretAccessKey\":\"k\",\"SessionToken\":\"t\",\
                \"Expiration\":\"2026-03-01T09:05:00Z\"}\n")
        );
    }

    #[test]
    fn a_value_that_no_key_has_is_named_by_its_part() {
        let misfit = |part, why| Err(Misfit { part, why });
        assert_eq!(given("", "k", None, None), misfit("access_key_id", Unusable::Empty));
        assert_eq!(given("A", "k\n", None, None), misfit("secret_access_key", Unusable::NotOneWord));
        assert_eq!(given("A", "k", Some(""), None), misfit("session_token", Unusable::Empty));
    }
}
