//! Tokens between runs: a kept one is used until nine tenths of its life, one process logs in for all.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use dsops_providers::contract::{
    Context, EnvSnapshot, FetchError, FetchErrorKind, HeldToken, SecretValue, Token, TokenCache, TokenKey,
    usable,
};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::directory::{Directory, directory};
use super::{lock, seal};

/// How long a token of no known end is used.
const NO_END: Duration = Duration::from_secs(24 * 3600);
/// How long to wait for another process's login where nothing limits the store's time.
const PATIENCE: Duration = Duration::from_secs(15);
/// When files that nobody has changed go: tokens live for 30 days unless somebody set it otherwise.
const FORGOTTEN: Duration = Duration::from_secs(60 * 24 * 3600);
/// The ending of the lock's name.
const LOCK: &str = ".lock";

/// The tokens in a user's cache directory.
#[derive(Clone, Debug)]
pub struct Tokens(PathBuf);

impl Tokens {
    /// Returns the tokens of the user that an environment is of. `None` where it names no directory, and
    /// where `DSOPS_TOKEN_CACHE` is `off`.
    #[must_use]
    pub fn of(env: &EnvSnapshot) -> Option<Self> {
        if env.get("DSOPS_TOKEN_CACHE").is_some_and(|word| matches!(word, "off" | "0" | "false" | "no")) {
            return None;
        }
        directory(env).map(Self)
    }
}

/// A token that is kept. What it is for only its credential can tell.
#[derive(Clone, Debug, Serialize)]
pub struct KeptToken {
    /// The name of its file.
    pub file: String,
    /// The seconds since it was written.
    pub age: u64,
}

impl Tokens {
    /// Returns the directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Returns what is kept, the youngest first.
    #[must_use]
    pub fn kept(&self) -> Vec<KeptToken> {
        let files = Directory::open(&self.0).map(|directory| directory.files()).unwrap_or_default();
        let mut kept: Vec<KeptToken> = files
            .into_iter()
            .filter(|(name, _)| !name.ends_with(LOCK))
            .map(|(file, age)| KeptToken { file, age: age.as_secs() })
            .collect();
        kept.sort_by(|one, other| (one.age, &one.file).cmp(&(other.age, &other.file)));
        kept
    }

    /// Removes everything, and returns how many tokens that were. Runs that are under way log in again.
    ///
    /// # Errors
    ///
    /// Where a file cannot be removed.
    pub fn clear(&self) -> io::Result<usize> {
        let kept = self.kept().len();
        if let Some(directory) = Directory::open(&self.0) {
            for (name, _) in directory.files() {
                directory.remove(&name)?;
            }
        }
        Ok(kept)
    }
}

/// What one file holds, before it is sealed.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Body<T> {
    Token {
        token: T,
        /// Milliseconds since 1970.
        issued_at: u64,
        /// Milliseconds; none where the server named no end.
        lifetime: Option<u64>,
    },
    /// A refused login, for those who waited for it.
    Refused {
        /// Milliseconds since 1970.
        at: u64,
        forbidden: bool,
        message: String,
        help: Option<String>,
    },
}

#[async_trait]
impl TokenCache for Tokens {
    async fn obtain(
        &self,
        cx: &Context,
        key: &TokenKey<'_>,
        refused: Option<&SecretValue>,
        login: BoxFuture<'_, Result<Token, FetchError>>,
    ) -> Result<HeldToken, FetchError> {
        let Some(name) = seal::name(&key.place, key.credential.expose()) else {
            return login.await.map(HeldToken::fresh);
        };
        let slot = |directory| Slot { directory, name: &name, key };
        if let Some(kept) = Directory::open(&self.0).and_then(|directory| slot(directory).token(refused)) {
            tracing::debug!(store = cx.store(), "a kept token is used");
            return Ok(kept);
        }
        let Some(slot) = Directory::create(&self.0).map(slot) else {
            return login.await.map(HeldToken::fresh);
        };
        let waits_since = now();
        // The lock ends with this function.
        let _lock = slot.lock(cx).await?;
        // What another process got, or was refused, while this one waited, whether or not it is done.
        if let Some(kept) = slot.token(refused) {
            return Ok(kept);
        }
        if let Some(refusal) = slot.refusal(waits_since) {
            return Err(refusal);
        }
        let before = now();
        let outcome = login.await;
        slot.keep(&outcome, before);
        outcome.map(HeldToken::fresh)
    }
}

/// The place of one token.
struct Slot<'a> {
    directory: Directory,
    name: &'a str,
    key: &'a TokenKey<'a>,
}

impl Slot<'_> {
    /// Waits until no other process logs in here. `None` where that takes too long, or cannot be known.
    async fn lock(&self, cx: &Context) -> Result<Option<File>, FetchError> {
        // Half of the time at most: whoever holds the lock may hang, and a login of our own takes time too.
        let patience = cx.time_left()?.map_or(PATIENCE, |left| left / 2);
        let Ok(file) = self.directory.lock_file(&format!("{}{LOCK}", self.name)) else { return Ok(None) };
        Ok(lock::take(&file, patience).await.then_some(file))
    }

    /// Returns the token, where it is there, still good, and not the one that was refused.
    fn token(&self, refused: Option<&SecretValue>) -> Option<HeldToken> {
        let Body::Token { token, issued_at, lifetime } = self.read()? else { return None };
        if refused.is_some_and(|refused| refused.expose() == token.expose()) {
            return None;
        }
        let used_for = lifetime.map(Duration::from_millis).map_or(NO_END, usable);
        // A clock that was set back makes a token look younger than it is: not younger than new.
        let age = now().checked_sub(Duration::from_millis(issued_at))?;
        let left = used_for.checked_sub(age).filter(|left| !left.is_zero())?;
        Some(HeldToken { value: token, replace_in: lifetime.map(|_| left), kept: true })
    }

    /// Returns the refusal that another process met after this time.
    fn refusal(&self, since: Duration) -> Option<FetchError> {
        let Body::Refused { at, forbidden, message, help } = self.read()? else { return None };
        if at < millis(since) {
            return None;
        }
        let kind = if forbidden { FetchErrorKind::Forbidden } else { FetchErrorKind::Unauthenticated };
        let refusal = FetchError::new(kind, message);
        Some(match help {
            Some(help) => refusal.help(help),
            None => refusal,
        })
    }

    fn read(&self) -> Option<Body<SecretValue>> {
        let sealed = self.directory.read(self.name)?;
        let body = seal::open(&self.key.place, self.key.credential.expose(), &sealed)?;
        serde_json::from_slice(&body).ok()
    }

    /// Keeps what a login came to. What cannot be kept is only a login more, so no failure is one.
    fn keep(&self, outcome: &Result<Token, FetchError>, issued_at: Duration) {
        let body = match outcome {
            Ok(token) => Body::Token {
                token: token.value.expose_str().unwrap_or_default(),
                issued_at: millis(issued_at),
                lifetime: token.lifetime.map(millis),
            },
            Err(refusal) => {
                let forbidden = refusal.kind() == FetchErrorKind::Forbidden;
                if refusal.is_temporary() || !(forbidden || refusal.kind() == FetchErrorKind::Unauthenticated)
                {
                    return;
                }
                Body::Refused {
                    at: millis(now()),
                    forbidden,
                    message: refusal.message().to_owned(),
                    help: refusal.advice().map(str::to_owned),
                }
            }
        };
        let Ok(body) = serde_json::to_vec(&body).map(Zeroizing::new) else { return };
        let Some(sealed) = seal::seal(&self.key.place, self.key.credential.expose(), &body) else { return };
        if let Err(error) = self.directory.write_whole(self.name, &sealed) {
            tracing::debug!(%error, "the token is not kept");
        }
        self.directory.forget(FORGOTTEN);
    }
}

/// Returns the time since 1970.
fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
