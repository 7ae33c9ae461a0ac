//! Faults on demand: what networks, proxies and servers do to a request.

use std::time::Duration;

/// Something that goes wrong on a route, for as many requests as told.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(super) kind: Kind,
    skip: u32,
    times: Option<u32>,
}

/// What happens to a request that a fault hits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Delay(Duration),
    Status(u16),
    RateLimited(Option<u64>),
    Html,
    Cut,
    Truncated,
    Dribble(Duration),
    Redirect,
    Refusal(u16, &'static str, &'static str),
    Empty,
    Reset,
    Silence,
    ContentType(&'static str),
    Expiry,
    Revocation,
    Body(Vec<u8>),
    Gone,
}

impl Fault {
    fn new(kind: Kind) -> Self {
        Self { kind, skip: 0, times: None }
    }

    /// The answer comes after a while. Requests wait side by side.
    pub(crate) fn delay(by: Duration) -> Self {
        Self::new(Kind::Delay(by))
    }

    /// The server fails with 500 in its own shape, or a proxy in front of it with 502, 503 or 504 in HTML.
    pub(crate) fn status(status: u16) -> Self {
        Self::new(Kind::Status(status))
    }

    /// 429, with `Retry-After` in seconds or, as in a burst of bad logins, without.
    pub(crate) fn rate_limited(retry_after: Option<u64>) -> Self {
        Self::new(Kind::RateLimited(retry_after))
    }

    /// 200 with a web page, as a dashboard in front answers to paths that it does not know.
    pub(crate) fn html() -> Self {
        Self::new(Kind::Html)
    }

    /// The right answer, but its connection ends in the middle of the body.
    pub(crate) fn cut() -> Self {
        Self::new(Kind::Cut)
    }

    /// Half of the right answer, whole as far as HTTP can tell.
    pub(crate) fn truncated() -> Self {
        Self::new(Kind::Truncated)
    }

    /// The right answer, spread over a while.
    pub(crate) fn dribble(over: Duration) -> Self {
        Self::new(Kind::Dribble(over))
    }

    /// What a proxy that wants a person to log in answers: it sends them elsewhere.
    pub(crate) fn redirect() -> Self {
        Self::new(Kind::Redirect)
    }

    /// A refusal in the server's own shape: status, `error` and `message`.
    pub(crate) fn refusal(status: u16, error: &'static str, message: &'static str) -> Self {
        Self::new(Kind::Refusal(status, error, message))
    }

    /// The right status with an empty body.
    pub(crate) fn empty() -> Self {
        Self::new(Kind::Empty)
    }

    /// The connection is reset in place of an answer.
    pub(crate) fn reset() -> Self {
        Self::new(Kind::Reset)
    }

    /// No answer ever comes.
    pub(crate) fn silence() -> Self {
        Self::new(Kind::Silence)
    }

    /// The right answer under a wrong content type.
    pub(crate) fn content_type(content_type: &'static str) -> Self {
        Self::new(Kind::ContentType(content_type))
    }

    /// 200 and JSON by its content type, with this in place of the right body.
    pub(crate) fn body(body: impl Into<Vec<u8>>) -> Self {
        Self::new(Kind::Body(body.into()))
    }

    /// The server has no such route (any more).
    pub(crate) fn gone() -> Self {
        Self::new(Kind::Gone)
    }

    /// All tokens have expired when the request arrives; the answer is the right one to that.
    pub(crate) fn expiry() -> Self {
        Self::new(Kind::Expiry)
    }

    /// All tokens have been revoked when the request arrives; the answer is the right one to that.
    pub(crate) fn revocation() -> Self {
        Self::new(Kind::Revocation)
    }

    /// Lets the fault hit this many requests only.
    pub(crate) fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Lets this many requests pass before the first is hit.
    pub(crate) fn after(mut self, requests: u32) -> Self {
        self.skip = requests;
        self
    }

    /// Counts a request and tells whether the fault hits it.
    fn hits(&mut self) -> bool {
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        match self.times.as_mut() {
            None => true,
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }
}

/// The faults that are set, by route; `*` is every route.
#[derive(Default)]
pub(super) struct Faults {
    set: Vec<(String, Fault)>,
    choose: Option<Choose>,
}

/// Decides by route and address what goes wrong with a request.
pub(super) type Choose = Box<dyn FnMut(&str, &str) -> Option<Fault> + Send>;

impl Faults {
    pub(super) fn add(&mut self, route: &str, fault: Fault) {
        self.set.push((route.into(), fault));
    }

    pub(super) fn choose_by(&mut self, choose: Choose) {
        self.choose = Some(choose);
    }

    /// Returns how long to wait, and the first other fault that hits.
    pub(super) fn hit(&mut self, route: &str, exact: &str, address: &str) -> (Duration, Option<Kind>) {
        let mut delay = Duration::ZERO;
        let mut kind = None;
        for (on, fault) in &mut self.set {
            let here = on == "*" || on == route || on == exact;
            match &fault.kind {
                _ if !here => {}
                Kind::Delay(by) => {
                    let by = *by;
                    delay += if fault.hits() { by } else { Duration::ZERO };
                }
                other if kind.is_none() => {
                    let other = other.clone();
                    kind = fault.hits().then_some(other);
                }
                _ => {}
            }
        }
        let chosen = self.choose.as_mut().and_then(|choose| choose(route, address));
        match chosen.map(|fault| fault.kind) {
            Some(Kind::Delay(by)) => delay += by,
            Some(other) => kind = kind.or(Some(other)),
            None => {}
        }
        (delay, kind)
    }
}
