//! Which fault hits which request: decided by the seed and the request alone, whatever order requests come in.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::random::Random;
use crate::support::infisical::{Fault, Generation};

const LOGIN: &str = "POST /api/v1/auth/universal-auth/login";

/// The faults that were dealt out, for the account of a failed run.
pub(crate) type Dealt = Arc<Mutex<Vec<String>>>;

/// How bad it is, for one server.
#[derive(Clone, Debug)]
pub(crate) struct Weather {
    seed: u64,
    /// Of a hundred requests, how many are hit.
    data: usize,
    login: usize,
    /// The one fault that is dealt out, or all of them.
    only: Option<usize>,
    /// Whether a list may be silently empty, which is found out by asking for a name, where one can.
    may_hide: bool,
    /// How many faults are left, where there are few and each is over in a moment.
    passing: Option<usize>,
    /// How long a store waits.
    patience: Duration,
}

impl Weather {
    /// Draws the weather of a scene.
    pub(crate) fn random(random: &mut Random, may_hide: bool, patience: Duration) -> Self {
        let (data, login) = match random.below(10) {
            0 => (0, 0),
            1 | 2 => (4, 4),
            3..=5 => (15, 10),
            6 => (40, 15),
            7 => (0, 60),
            8 => (100, 0),
            _ => (25, 25),
        };
        let only = (data == 100 || random.percent(25)).then(|| random.below(FAULTS.len()));
        Self { seed: random.next(), data, login, only, may_hide, passing: None, patience }
    }

    /// No fault at all.
    pub(crate) fn calm() -> Self {
        let patience = Duration::from_secs(5);
        Self { seed: 0, data: 0, login: 0, only: None, may_hide: false, passing: None, patience }
    }

    /// Every login is refused.
    pub(crate) fn refusing() -> Self {
        let only = FAULTS.iter().position(|fault| *fault == "refused");
        Self { login: 100, only, ..Self::calm() }
    }

    /// A few faults, each of them over in a moment: whoever asks again gets the right answer.
    pub(crate) fn passing(random: &mut Random) -> Self {
        let (passing, seed) = (Some(1 + random.below(3)), random.next());
        Self { seed, data: 40, login: 40, passing, ..Self::calm() }
    }

    /// Returns what decides, and keeps an account.
    pub(crate) fn forecast(
        mut self,
        dealt: Dealt,
    ) -> impl FnMut(&str, &str) -> Option<Fault> + Send + 'static {
        let mut asked: HashMap<String, u64> = HashMap::new();
        move |route, address| {
            let count = asked.entry(format!("{route} {address}")).or_default();
            *count += 1;
            let mut hasher = DefaultHasher::new();
            (route, address, *count).hash(&mut hasher);
            let mut random = Random::new(self.seed, hasher.finish());
            let chance = if route == LOGIN { self.login } else { self.data };
            if !random.percent(chance) || self.passing == Some(0) {
                return None;
            }
            let kind = match (self.passing, self.only) {
                // A token is lost once at most: a second new one that is refused as well is given up.
                (Some(left), _) if left > 1 => {
                    random.pick(&["pause", "500", "proxy", "reset", "cut", "late"])
                }
                (Some(_), _) => random.pick(&["expired", "revoked", "500", "reset"]),
                (None, Some(only)) => FAULTS[only],
                (None, None) => random.pick(FAULTS),
            };
            let fault = self.fault(kind, route, &mut random)?;
            self.passing = self.passing.map(|left| left - 1);
            dealt.lock().expect("no panic while dealing").push(format!("{route} #{count}: {fault:?}"));
            Some(fault)
        }
    }

    fn fault(&self, kind: &str, route: &str, random: &mut Random) -> Option<Fault> {
        let is_login = route == LOGIN;
        let is_list = matches!(route, "GET /api/v3/secrets/raw" | "GET /api/v4/secrets");
        Some(match kind {
            "pause asked for" => Fault::rate_limited(Some(u64::from(random.percent(60)))),
            "pause" => Fault::rate_limited(None),
            "500" => Fault::status(500),
            "proxy" => Fault::status(random.pick(&[502, 503, 504, 408])),
            "404 of a proxy" => Fault::status(404),
            "redirect" => Fault::redirect(),
            "reset" => Fault::reset(),
            "cut" => Fault::cut(),
            "truncated" => Fault::truncated(),
            "empty" => Fault::empty(),
            "slow" => Fault::dribble(Duration::from_millis(50 + random.next() % 300)),
            "too slow" => Fault::dribble(self.patience * 3),
            "late" => Fault::delay(Duration::from_millis(random.next() % 200)),
            "silence" => Fault::silence(),
            "wrong type" => {
                Fault::content_type(random.pick(&["text/plain", "text/html", "application/octet-stream"]))
            }
            "web page" => Fault::html(),
            "other JSON" => Fault::body(random.pick(&[
                "{}",
                "null",
                "[]",
                "{\"secret\":{}}",
                "{\"secrets\":null}",
                "\"\"",
                "{\"accessToken\":5}",
            ])),
            "expired" if !is_login => Fault::expiry(),
            "revoked" if !is_login => Fault::revocation(),
            "route gone" if is_list => {
                Fault::refusal(404, "Not Found", "Route GET:/api/v3/secrets/raw not found")
            }
            "hides" if is_list && self.may_hide => Fault::body("{\"secrets\":[],\"imports\":[]}"),
            "refused" if is_login => {
                let (status, error, message) = random.pick(&[
                    (401, "UnauthorizedError", "Invalid credentials"),
                    (
                        401,
                        "UnauthorizedError",
                        "This identity auth method is temporarily locked, please try again later",
                    ),
                    (403, "ForbiddenError", "IP address not allowed"),
                    (404, "NotFound", "No identity with specified client ID was found"),
                ]);
                Fault::refusal(status, error, message)
            }
            _ => return None,
        })
    }
}

/// Every fault, the likelier ones more than once.
const FAULTS: &[&str] = &[
    "pause asked for",
    "pause",
    "pause",
    "500",
    "500",
    "proxy",
    "proxy",
    "404 of a proxy",
    "redirect",
    "reset",
    "reset",
    "cut",
    "cut",
    "truncated",
    "empty",
    "slow",
    "too slow",
    "late",
    "late",
    "silence",
    "wrong type",
    "web page",
    "other JSON",
    "expired",
    "expired",
    "revoked",
    "revoked",
    "route gone",
    "hides",
    "hides",
    "refused",
    "refused",
];

/// Draws a generation of servers.
pub(crate) fn generation(random: &mut Random) -> Generation {
    random.pick(&[Generation::June2025, Generation::July2026])
}
