//! Entity tags: the framework's over the finished body, and on 2026 a list's own over its content.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::answer::Answer;
use super::caller::Caller;
use super::request::Asked;
use super::world::{World, hash};

/// An answer ready to be sent.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

const JSON: &str = "application/json; charset=utf-8";

impl World {
    /// Tags the answer, or answers 304 to a caller who has it already.
    pub(super) fn reply(&mut self, caller: Option<Caller>, asked: &Asked, answer: Answer) -> Reply {
        let body = answer.body.to_string();
        let tag = match answer.content_tag {
            true => format!("\"{}\"", URL_SAFE_NO_PAD.encode(digest(&body, 32))),
            false => format!("\"{}\"", STANDARD.encode(digest(&body, 20))),
        };
        let mut headers = answer.headers;
        headers.push(("etag", tag.clone()));
        headers.push(("vary", "Origin".into()));
        let has = (answer.status == 200).then(|| asked.header("if-none-match")).flatten();
        // A list that this caller got before is known not to have changed before it is made; such an answer has
        // no content type.
        let key = (caller.map(Caller::key).unwrap_or_default(), asked.address.clone(), tag.clone());
        if answer.content_tag && has == Some(&tag) && self.remembered.contains(&key) {
            return Reply { status: 304, headers, body: Vec::new() };
        }
        if answer.content_tag {
            self.remembered.insert(key);
        }
        headers.push(("content-type", JSON.into()));
        // The newer framework compares weakly. The star never matches on either.
        let bare = |tag: &'_ str| tag.strip_prefix("W/").filter(|_| self.is_2026()).unwrap_or(tag).to_owned();
        if has.is_some_and(|has| bare(has) == tag) {
            return Reply { status: 304, headers, body: Vec::new() };
        }
        Reply { status: answer.status, headers, body: body.into_bytes() }
    }
}

fn digest(body: &str, length: usize) -> Vec<u8> {
    (0..5_u8).flat_map(|part| hash(&(part, body)).to_be_bytes()).take(length).collect()
}
