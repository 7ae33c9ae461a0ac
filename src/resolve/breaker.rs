//! Leaves a store alone that keeps failing, for programs that resolve again and again.
//!
//! One resolve counts as one try, retries included, since those are what a try consists of. Only what says
//! that the store is not there counts against it; a refusal is an answer.

use std::cell::{Cell, RefCell};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use dsops_providers::contract::{FetchError, FetchErrorKind};
use tokio::time::Instant;

use crate::config::BreakerSettings;

/// What is known of one store over the resolves of a process.
#[derive(Debug)]
pub(super) struct Breaker {
    settings: BreakerSettings,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How many tries have failed one after another.
    failures: u32,
    /// Since when the store is left alone.
    open: Option<Open>,
    /// Whether somebody is finding out if the store is back.
    on_trial: bool,
}

#[derive(Debug)]
struct Open {
    at: Instant,
    /// The same moment for people.
    clock: SystemTime,
    why: String,
}

impl Breaker {
    pub(super) fn new(settings: BreakerSettings) -> Self {
        Self { settings, state: Mutex::default() }
    }

    /// Lets a try begin, unless the store is left alone.
    ///
    /// # Errors
    ///
    /// `Unavailable` where it is. Asking again at once is in vain.
    pub(super) fn admit(self: &Arc<Self>) -> Result<Try, FetchError> {
        let mut state = self.lock();
        let is_trial = match &state.open {
            None => false,
            Some(open) => {
                let left = self.settings.half_open_after.saturating_sub(open.at.elapsed());
                if !left.is_zero() || state.on_trial {
                    return Err(self.refusal(&state, open, left));
                }
                state.on_trial = true;
                true
            }
        };
        drop(state);
        let breaker = Arc::clone(self);
        Ok(Try { breaker, is_trial, answered: Cell::new(false), failed: RefCell::default() })
    }

    fn refusal(&self, state: &State, open: &Open, left: Duration) -> FetchError {
        let date = |moment: Option<SystemTime>| {
            moment.map_or_else(|| "the end of time".to_owned(), httpdate::fmt_http_date)
        };
        let since = date(Some(open.clock));
        let until = match left.is_zero() {
            true => "for as long as one try is under way".to_owned(),
            false => format!("until {}", date(open.clock.checked_add(self.settings.half_open_after))),
        };
        let (failures, why) = (state.failures, &open.why);
        FetchError::new(
            FetchErrorKind::Unavailable,
            format!("not asked: left alone since {since}, {until}, after {failures} failures in a row; the last: {why}"),
        )
        .temporary(false)
        .retry_after(left)
        .help("wait until then, or mend the store; `breaker` on the store sets when to leave it alone")
    }

    fn settle(&self, is_trial: bool, outcome: Outcome) {
        let mut state = self.lock();
        if is_trial {
            state.on_trial = false;
        }
        match outcome {
            Outcome::Nothing => {}
            Outcome::Answered => *state = State { on_trial: state.on_trial, ..State::default() },
            Outcome::Failed(why) => {
                state.failures = state.failures.saturating_add(1);
                let is_due = state.failures >= self.settings.failures.get();
                // Tries that began before keep nothing open for longer.
                if is_trial || (is_due && state.open.is_none()) {
                    state.open = Some(Open { at: Instant::now(), clock: SystemTime::now(), why });
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Outcome {
    /// The store was not asked, or the try was given up.
    Nothing,
    Answered,
    Failed(String),
}

/// One try. What it came to counts when it is dropped.
#[derive(Debug)]
pub(super) struct Try {
    breaker: Arc<Breaker>,
    is_trial: bool,
    answered: Cell<bool>,
    failed: RefCell<Option<String>>,
}

impl Try {
    /// Notes one answer of the store, or why there is none.
    pub(super) fn note(&self, error: Option<&FetchError>) {
        match error.filter(|error| is_of_availability(error)) {
            Some(error) => *self.failed.borrow_mut() = Some(error.message().to_owned()),
            None => self.answered.set(true),
        }
    }
}

impl Drop for Try {
    fn drop(&mut self) {
        let outcome = match self.failed.take() {
            _ if self.answered.get() => Outcome::Answered,
            Some(why) => Outcome::Failed(why),
            None => Outcome::Nothing,
        };
        self.breaker.settle(self.is_trial, outcome);
    }
}

fn is_of_availability(error: &FetchError) -> bool {
    matches!(
        error.kind(),
        FetchErrorKind::Unavailable | FetchErrorKind::TimedOut | FetchErrorKind::RateLimited
    )
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn breaker() -> Arc<Breaker> {
        let failures = NonZeroU32::new(3).unwrap();
        Arc::new(Breaker::new(BreakerSettings { failures, half_open_after: Duration::from_secs(60) }))
    }

    fn error(kind: FetchErrorKind) -> FetchError {
        FetchError::new(kind, "connection refused")
    }

    fn fail(breaker: &Arc<Breaker>, kind: FetchErrorKind) {
        breaker.admit().unwrap().note(Some(&error(kind)));
    }

    fn unavailable(breaker: &Arc<Breaker>, times: usize) {
        (0..times).for_each(|_| fail(breaker, FetchErrorKind::Unavailable));
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_failures_of_availability_in_a_row() {
        use FetchErrorKind::{RateLimited, TimedOut, Unavailable};
        let breaker = breaker();
        [Unavailable, TimedOut, RateLimited].into_iter().for_each(|kind| fail(&breaker, kind));
        let refusal = breaker.admit().unwrap_err();
        assert_eq!((refusal.kind(), refusal.is_temporary()), (Unavailable, false));
        assert_eq!(refusal.pause(), Some(Duration::from_secs(60)));
        for part in ["left alone since ", ", until ", "3 failures in a row", "the last: connection refused"] {
            assert!(refusal.message().contains(part), "{refusal}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_in_between_and_what_is_no_failure_of_availability_count_from_zero() {
        let breaker = breaker();
        for kind in [FetchErrorKind::Forbidden, FetchErrorKind::NotFound, FetchErrorKind::Unauthenticated] {
            unavailable(&breaker, 2);
            fail(&breaker, kind);
        }
        unavailable(&breaker, 2);
        breaker.admit().unwrap().note(None);
        unavailable(&breaker, 2);
        // Some folders answered, so the store is there.
        let some = breaker.admit().unwrap();
        some.note(None);
        some.note(Some(&error(FetchErrorKind::TimedOut)));
        drop(some);
        unavailable(&breaker, 2);
        drop(breaker.admit().unwrap());
        assert!(breaker.admit().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_while_one_try_finds_out_and_the_others_wait() {
        let breaker = breaker();
        unavailable(&breaker, 3);
        tokio::time::advance(Duration::from_secs(59)).await;
        assert_eq!(breaker.admit().unwrap_err().pause(), Some(Duration::from_secs(1)));
        tokio::time::advance(Duration::from_secs(1)).await;
        let trial = breaker.admit().unwrap();
        assert!(breaker.admit().unwrap_err().message().contains("one try is under way"));
        trial.note(Some(&error(FetchErrorKind::TimedOut)));
        drop(trial);
        // Open again, for as long as before.
        assert_eq!(breaker.admit().unwrap_err().pause(), Some(Duration::from_secs(60)));
        tokio::time::advance(Duration::from_secs(60)).await;
        // A try that is given up leaves the place to the next.
        drop(breaker.admit().unwrap());
        breaker.admit().unwrap().note(None);
        unavailable(&breaker, 2);
        assert!(breaker.admit().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn tries_that_began_before_it_opened_change_nothing() {
        let breaker = breaker();
        let early = breaker.admit().unwrap();
        unavailable(&breaker, 3);
        tokio::time::advance(Duration::from_secs(30)).await;
        early.note(Some(&error(FetchErrorKind::TimedOut)));
        drop(early);
        assert_eq!(breaker.admit().unwrap_err().pause(), Some(Duration::from_secs(30)));
    }
}
