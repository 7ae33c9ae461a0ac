//! Asks again what may be answered a moment later, within the store's one deadline.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder as _, ConstantBuilder, ExponentialBuilder};
use dsops_providers::contract::{Context, FetchError, FetchErrorKind, Locator, Provider};

use super::Answer;

/// The pauses between attempts: from a tenth of a second, doubled, with jitter so that a fleet of
/// machines does not come back as one. Some three seconds in all where the store asks for no longer
/// ones: a server that restarts is waited for, a wrong address is told before patience ends.
fn pauses() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(5))
        .with_factor(2.0)
        .with_max_times(5)
        .with_jitter()
        .build()
}

/// What is added to a pause that the store asked for, so that those who were told the same do not come back
/// as one: between 50 and 100 ms.
fn spread() -> Duration {
    let spread = ConstantBuilder::default().with_delay(Duration::from_millis(50)).with_jitter();
    spread.build().next().unwrap_or_default()
}

/// How long a store's answers are waited for beyond its deadline. Every request ends at the deadline by
/// itself, and what had answered by then counts; this is for what does not end.
const GRACE: Duration = Duration::from_millis(250);

/// Asks for locators until each has an answer that will not change, or the time is up.
///
/// Only the locators whose error is temporary are asked for again.
pub async fn fetch(provider: &dyn Provider, cx: &Context, locators: &[Locator]) -> Vec<Answer> {
    let mut answers: Vec<Option<Answer>> = locators.iter().map(|_| None).collect();
    let mut pending: Vec<usize> = (0..locators.len()).collect();
    let mut pauses = pauses();
    while !pending.is_empty() {
        let asked: Vec<Locator> = pending.iter().filter_map(|index| locators.get(*index).cloned()).collect();
        let got = match within(cx, provider.fetch(cx, &asked)).await {
            Ok(got) => got.into_vec().into_iter().map(|answer| answer.map(Arc::new)).collect(),
            Err(error) => asked.iter().map(|_| Err(error.clone())).collect::<Vec<_>>(),
        };
        let mut again = Vec::new();
        let mut asked_pause = None;
        for (index, answer) in pending.iter().zip(got) {
            if let Err(error) = &answer
                && error.is_temporary()
            {
                again.push(*index);
                asked_pause = asked_pause.max(error.pause());
            }
            if let Some(slot) = answers.get_mut(*index) {
                *slot = Some(match (slot.take(), answer) {
                    (Some(Err(earlier)), Err(error)) => Err(telling(Some(earlier), error)),
                    (_, answer) => answer,
                });
            }
        }
        pending = again;
        if pending.is_empty() || !pause(cx, &mut pauses, asked_pause).await {
            break;
        }
    }
    let silent = || FetchError::new(FetchErrorKind::Malformed, "the store gave no answer");
    answers.into_iter().map(|answer| answer.unwrap_or_else(|| Err(silent()))).collect()
}

/// Does something that may fail for a moment until it is done, refused, or the time is up.
///
/// # Errors
///
/// The last error that tells why.
pub async fn attempt<T, F, Fut>(cx: &Context, mut action: F) -> Result<T, FetchError>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, FetchError>>,
{
    let mut pauses = pauses();
    let mut earlier = None;
    loop {
        let error = match within(cx, action()).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(error)) | Err(error) => error,
        };
        if !error.is_temporary() || !pause(cx, &mut pauses, error.pause()).await {
            return Err(telling(earlier, error));
        }
        earlier = Some(error);
    }
}

/// Returns the error that tells why: that the time ran out during the last of several attempts does not.
fn telling(earlier: Option<FetchError>, error: FetchError) -> FetchError {
    match earlier {
        Some(earlier) if error.kind() == FetchErrorKind::TimedOut => earlier,
        _ => error,
    }
}

/// Waits before the next attempt. False where there will be none, since the time would be up.
async fn pause(cx: &Context, pauses: &mut impl Iterator<Item = Duration>, asked: Option<Duration>) -> bool {
    let Some(own) = pauses.next() else { return false };
    // The store's own word counts, where it is longer than what we would have waited.
    let pause = asked.filter(|asked| *asked > own).map_or(own, |asked| asked.saturating_add(spread()));
    match cx.time_left() {
        Ok(Some(left)) if left <= pause => false,
        Err(_) => false,
        Ok(_) => {
            tracing::debug!(store = cx.store(), pause_ms = pause.as_millis(), "asking again");
            tokio::time::sleep(pause).await;
            true
        }
    }
}

/// Bounds a future by the store's deadline, and a little more.
pub(super) async fn within<T>(cx: &Context, future: impl Future<Output = T>) -> Result<T, FetchError> {
    match cx.time_left()? {
        None => Ok(future.await),
        Some(left) => tokio::time::timeout(left.saturating_add(GRACE), future).await.map_err(|_| late(cx)),
    }
}

/// The error of a store whose time is up.
fn late(cx: &Context) -> FetchError {
    FetchError::new(FetchErrorKind::TimedOut, format!("`{}` did not answer in time", cx.store()))
        .help("see `dsops doctor` for its latency, or raise `timeout` on the store")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use dsops_providers::contract::{Answers, Finding};

    use super::*;

    /// Is unavailable at first, and then says nothing any more.
    #[derive(Default)]
    struct Fading(AtomicUsize);

    #[async_trait::async_trait]
    impl Provider for Fading {
        async fn fetch(&self, _: &Context, locators: &[Locator]) -> Answers {
            if self.0.fetch_add(1, Ordering::Relaxed) > 0 {
                std::future::pending::<()>().await;
            }
            Answers::all_failed(locators, &unavailable())
        }

        async fn check(&self, _: &Context) -> Vec<Finding> {
            Vec::new()
        }
    }

    fn unavailable() -> FetchError {
        FetchError::new(FetchErrorKind::Unavailable, "connection refused")
    }

    fn context() -> Context {
        Context::builder().build().for_store("store", Some(Duration::from_millis(400)))
    }

    #[tokio::test]
    async fn what_went_wrong_is_told_also_where_the_time_runs_out_later() {
        let fading = Fading::default();
        let answers = fetch(&fading, &context(), &[Locator::new("A")]).await;
        assert_eq!(answers[0].as_ref().unwrap_err().kind(), FetchErrorKind::Unavailable);
        assert_eq!(fading.0.load(Ordering::Relaxed), 2);

        let tries = AtomicUsize::new(0);
        let cx = context();
        let error = attempt(&cx, || async {
            if tries.fetch_add(1, Ordering::Relaxed) > 0 {
                std::future::pending::<()>().await;
            }
            Err::<(), _>(unavailable())
        });
        assert_eq!(error.await.unwrap_err().kind(), FetchErrorKind::Unavailable);
        assert_eq!(tries.load(Ordering::Relaxed), 2);
    }

    /// Asks for a pause once, or answers some locators and leaves the others until the deadline.
    struct Slow {
        pause: Option<Duration>,
        asked: AtomicUsize,
    }

    #[async_trait::async_trait]
    impl Provider for Slow {
        async fn fetch(&self, cx: &Context, locators: &[Locator]) -> Answers {
            if let Some(pause) = self.pause
                && self.asked.fetch_add(1, Ordering::Relaxed) == 0
            {
                let limited = FetchError::new(FetchErrorKind::RateLimited, "slowly").retry_after(pause);
                return Answers::all_failed(locators, &limited);
            }
            Answers::each(locators, locators.len(), |locator| async move {
                if locator.name() == "SLOW" {
                    tokio::time::sleep(cx.time_left()?.unwrap_or_default()).await;
                    return Err(FetchError::new(FetchErrorKind::TimedOut, "no answer in time"));
                }
                Ok(dsops_providers::contract::SecretValue::from("value"))
            })
            .await
        }

        async fn check(&self, _: &Context) -> Vec<Finding> {
            Vec::new()
        }
    }

    #[tokio::test]
    async fn what_answered_in_time_counts_although_something_else_did_not() {
        let slow = Slow { pause: None, asked: AtomicUsize::new(0) };
        let locators = [Locator::new("FAST"), Locator::new("SLOW"), Locator::new("OTHER")];
        let answers = fetch(&slow, &context(), &locators).await;
        let kinds: Vec<_> =
            answers.iter().map(|answer| answer.as_ref().err().map(FetchError::kind)).collect();
        assert_eq!(kinds, [None, Some(FetchErrorKind::TimedOut), None]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_that_the_store_asks_for_is_lengthened_by_a_little_only() {
        for seconds in [1, 7] {
            let slow = Slow { pause: Some(Duration::from_secs(seconds)), asked: AtomicUsize::new(0) };
            let cx = Context::builder().build().for_store("store", Some(Duration::from_secs(30)));
            let started = tokio::time::Instant::now();
            let answers = fetch(&slow, &cx, &[Locator::new("A")]).await;
            assert!(answers[0].is_ok());
            let beyond = started.elapsed() - Duration::from_secs(seconds);
            assert!((50..=105).contains(&beyond.as_millis()), "{beyond:?}");
        }
    }

    #[tokio::test]
    async fn a_store_that_never_answers_is_timed_out() {
        let silent = Fading(AtomicUsize::new(1));
        let answers = fetch(&silent, &context(), &[Locator::new("A")]).await;
        assert_eq!(answers[0].as_ref().unwrap_err().kind(), FetchErrorKind::TimedOut);
    }
}
