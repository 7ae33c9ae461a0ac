//! How many requests one server gets at once, whichever stores ask.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Site;
use crate::contract::{Context, FetchError, FetchErrorKind};

/// How many requests are under way to one server at once, where no store says otherwise.
pub const AT_ONCE: u32 = 32;

/// One gate for each server of this process.
#[derive(Default)]
pub(super) struct Gates(Mutex<HashMap<String, Gate>>);

struct Gate {
    permits: Arc<Semaphore>,
    /// How many permits there are, those that are out included.
    size: usize,
}

impl Gates {
    /// Waits until the server may be asked, within the time that the store has left.
    ///
    /// # Errors
    ///
    /// `TimedOut` where others keep the server busy until the time is up.
    pub(super) async fn pass(
        &self,
        cx: &Context,
        site: &Site,
    ) -> Result<Option<OwnedSemaphorePermit>, FetchError> {
        let waiting = self.permits(site).acquire_owned();
        let permit = match cx.time_left()? {
            None => waiting.await,
            Some(left) => match tokio::time::timeout(left, waiting).await {
                Ok(permit) => permit,
                Err(_) => return Err(busy(site)),
            },
        };
        // The semaphore is never closed.
        Ok(permit.ok())
    }

    /// Returns the permits of a server. Where stores differ, the smallest limit holds.
    fn permits(&self, site: &Site) -> Arc<Semaphore> {
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = usize::try_from(site.at_once().max(1)).unwrap_or(Semaphore::MAX_PERMITS);
        let gate = gates
            .entry(site.origin())
            .or_insert_with(|| Gate { permits: Arc::new(Semaphore::new(wanted)), size: wanted });
        // Those that are out cannot be taken back; the next to come takes them.
        gate.size -= gate.permits.forget_permits(gate.size.saturating_sub(wanted));
        Arc::clone(&gate.permits)
    }
}

fn busy(site: &Site) -> FetchError {
    FetchError::new(
        FetchErrorKind::TimedOut,
        format!("`{}` was busy with other requests until the time was up", site.host()),
    )
    .help("raise `timeout` or `max_concurrent_requests` on the store")
}
