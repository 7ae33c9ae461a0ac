//! One answer per locator, in order, by construction.

use std::future::Future;

use futures::StreamExt as _;

use super::{FetchError, Locator, SecretValue};

/// The answers to one batch. There is no way to build one of another length than the batch.
#[derive(Debug)]
pub struct Answers(Vec<Result<SecretValue, FetchError>>);

impl Answers {
    /// Asks for each locator on its own, at most `limit` at a time.
    pub async fn each<'a, F, Fut>(locators: &'a [Locator], limit: usize, ask: F) -> Self
    where
        F: Fn(&'a Locator) -> Fut,
        Fut: Future<Output = Result<SecretValue, FetchError>>,
    {
        // Collected first: a lazy iterator of boxed futures is not general enough for the compiler
        // once the caller is boxed too.
        let asked: Vec<Fut> = locators.iter().map(ask).collect();
        Self(futures::stream::iter(asked).buffered(limit.max(1)).collect().await)
    }

    /// Answers each locator from what has been read already.
    pub fn lookup<F>(locators: &[Locator], answer: F) -> Self
    where
        F: FnMut(&Locator) -> Result<SecretValue, FetchError>,
    {
        Self(locators.iter().map(answer).collect())
    }

    /// Gives every locator the same error.
    #[must_use]
    pub fn all_failed(locators: &[Locator], error: &FetchError) -> Self {
        Self(locators.iter().map(|_| Err(error.clone())).collect())
    }

    /// Returns the answers, in the order of the locators.
    #[must_use]
    pub fn into_vec(self) -> Vec<Result<SecretValue, FetchError>> {
        self.0
    }

    /// Returns how many answers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Says whether the batch was empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
