//! What becomes of an answer that a fault hits: another one in its place, or the right one damaged on its way.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures::future::BoxFuture;
use futures::stream;

use super::answer::{Answer, refuse, something_went_wrong};
use super::etag::Reply;
use super::fault::Kind;

/// In how many pieces a slow body comes.
const PIECES: usize = 10;

/// Returns the answer that a fault puts in the place of the right one, where the server itself would give it.
pub(super) fn in_place_of_an_answer(kind: &Kind) -> Option<Answer> {
    match kind {
        Kind::Status(500) => Some(*something_went_wrong("InternalServerError")),
        Kind::RateLimited(after) => Some(rate_limited(*after)),
        Kind::Refusal(status, error, message) => Some(*refuse(*status, error, *message)),
        _ => None,
    }
}

/// What a proxy that wants a person to log in answers.
pub(super) fn redirect() -> Reply {
    let headers = vec![("location", "/login".into())];
    Reply { status: 302, headers, body: Vec::new() }
}

/// The answer of 2026 in the cloud; without a number it is that of the lockout's lock, whose words were not seen.
fn rate_limited(retry_after: Option<u64>) -> Answer {
    let Some(seconds) = retry_after else {
        return *refuse(429, "RateLimitExceeded", "Rate limit exceeded");
    };
    let message = format!("Rate limit exceeded. Please try again in {seconds} seconds");
    refuse(429, "RateLimitExceeded", message)
        .header("retry-after", seconds)
        .header("x-ratelimit-limit", 40)
        .header("x-ratelimit-remaining", 0)
        .header("x-ratelimit-reset", seconds)
}

/// A page of HTML, as what stands before the server answers.
pub(super) fn web_page(status: u16, title: &str) -> Reply {
    let body = format!("<!doctype html>\n<html><head><title>{title}</title></head><body></body></html>\n");
    let headers = vec![("content-type", "text/html; charset=utf-8".into())];
    Reply { status, headers, body: body.into_bytes() }
}

/// Applies the faults that leave an answer to be sent.
pub(super) fn spoil(mut reply: Reply, kind: Option<Kind>) -> Response {
    let (mut cut, mut slow) = (false, None);
    match kind {
        Some(Kind::Empty) => reply.body.clear(),
        Some(Kind::Body(body)) => reply.body = body,
        Some(Kind::ContentType(other)) => {
            reply.headers.retain(|(name, _)| *name != "content-type");
            reply.headers.push(("content-type", other.into()));
        }
        Some(Kind::Truncated) => reply.body.truncate(reply.body.len() / 2),
        Some(Kind::Cut) => cut = true,
        Some(Kind::Dribble(over)) => slow = Some(over),
        _ => {}
    }
    let mut response = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        response = response.header(*name, value);
    }
    if cut {
        response = response.header("content-length", reply.body.len());
        return response.body(cut_body(&reply.body)).expect("a response");
    }
    if let Some(over) = slow {
        response = response.header("content-length", reply.body.len());
        return response.body(slow_body(&reply.body, over)).expect("a response");
    }
    response.body(Body::from(reply.body)).expect("a response")
}

/// Sends half of the body, and ends the connection when that half is on its way.
fn cut_body(body: &[u8]) -> Body {
    let half = Bytes::copy_from_slice(&body[..body.len() / 2]);
    let end = async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        Err(std::io::Error::other("cut"))
    };
    in_turn(vec![Box::pin(async move { Ok(half) }), Box::pin(end)])
}

/// Sends the body piece by piece.
fn slow_body(body: &[u8], over: Duration) -> Body {
    let pieces = body.chunks(body.len().div_ceil(PIECES).max(1)).map(Bytes::copy_from_slice);
    let pause = over / u32::try_from(PIECES).expect("few pieces");
    let late = |piece| -> Piece {
        Box::pin(async move {
            tokio::time::sleep(pause).await;
            Ok(piece)
        })
    };
    in_turn(pieces.map(late).collect())
}

type Piece = BoxFuture<'static, Result<Bytes, std::io::Error>>;

fn in_turn(pieces: Vec<Piece>) -> Body {
    Body::from_stream(stream::unfold(pieces.into_iter(), |mut pieces| async {
        let next = pieces.next()?;
        Some((next.await, pieces))
    }))
}
