//! Answers in the server's own shapes: bodies of success, the error envelope, and the framework's missing route.

use serde_json::{Map, Value, json};

use super::world::hash;

/// What a handler decided: status, body, and the header by which lists are compared.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
    /// Whether the entity tag is one over the content (lists of 2026) in place of the framework's.
    pub(super) content_tag: bool,
    pub(super) headers: Vec<(&'static str, String)>,
}

/// A handler's answer; the error side is an early refusal.
pub(super) type Answered = Result<Answer, Box<Answer>>;

impl Answer {
    pub(super) fn ok(body: Value) -> Self {
        Self { status: 200, body, content_tag: false, headers: Vec::new() }
    }

    pub(super) fn with_content_tag(mut self, yes: bool) -> Self {
        self.content_tag = yes;
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }
}

/// Makes the error envelope.
pub(super) fn refuse(status: u16, error: &str, message: impl Into<Value>) -> Box<Answer> {
    refuse_with(status, error, message, None)
}

/// Makes the error envelope with `details`.
pub(super) fn refuse_with(
    status: u16,
    error: &str,
    message: impl Into<Value>,
    details: Option<Value>,
) -> Box<Answer> {
    let message = message.into();
    let mut body = Map::new();
    body.insert("reqId".into(), request_id(&message.to_string()).into());
    body.insert("statusCode".into(), status.into());
    body.insert("message".into(), message);
    if let Some(details) = details {
        body.insert("details".into(), details);
    }
    body.insert("error".into(), error.into());
    Box::new(Answer { status, body: Value::Object(body), content_tag: false, headers: Vec::new() })
}

/// Makes the refusal of something that is not there.
pub(super) fn not_found(message: impl Into<Value>) -> Box<Answer> {
    refuse(404, "NotFound", message)
}

/// Makes the refusal of a field that is missing.
pub(super) fn required(fields: &[&str]) -> Box<Answer> {
    let issue = |field: &&str| {
        json!({"code": "invalid_type", "expected": "string", "received": "undefined", "path": [field],
               "message": "Required"})
    };
    refuse(422, "ValidationFailure", fields.iter().map(issue).collect::<Value>())
}

/// Makes the refusal of a value that is none of those allowed.
pub(super) fn not_among(field: &str, options: [&str; 2], received: &str) -> Box<Answer> {
    let message =
        format!("Invalid enum value. Expected '{}' | '{}', received '{received}'", options[0], options[1]);
    let issue = json!([{"received": received, "code": "invalid_enum_value", "options": options, "path": [field],
                        "message": message}]);
    refuse(422, "ValidationFailure", issue)
}

/// Makes the answer to a route that the server does not have, which repeats the address.
pub(super) fn no_route(method: &str, address: &str) -> Box<Answer> {
    let message = format!("Route {method}:{address} not found");
    let body = json!({"message": message, "error": "Not Found", "statusCode": 404});
    Box::new(Answer { status: 404, body, content_tag: false, headers: Vec::new() })
}

/// Makes the answer to what the server did not foresee.
pub(super) fn something_went_wrong(error: &str) -> Box<Answer> {
    refuse(500, error, "Something went wrong")
}

/// Returns `req-` and 14 letters or digits.
fn request_id(seed: &str) -> String {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let letter = |index: u64| char::from(LETTERS[usize::try_from(hash(&(seed, index)) % 62).unwrap_or(0)]);
    std::iter::once("req-".to_owned()).chain((0..14).map(|index| letter(index).to_string())).collect()
}
