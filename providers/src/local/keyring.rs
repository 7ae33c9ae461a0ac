//! The identity in the desktop's keyring, over the Secret Service.
//!
//! Its client blocks on a runtime of its own, which this runtime's own thread may not do; so each
//! call goes to the pool that the runtime keeps for that.

use zeroize::Zeroizing;

use crate::contract::{Context, EnvSnapshot, FetchError, FetchErrorKind};

#[cfg(feature = "keyring")]
mod item {
    use keyring_core::api::CredentialStoreApi as _;
    use keyring_core::{Entry, Error};
    use zbus_secret_service_keyring_store::Store;
    use zeroize::Zeroizing;

    use crate::contract::{FetchError, FetchErrorKind};

    /// The item's attributes are `service=dsops` and `username=local-identity`.
    fn entry() -> Result<Entry, Error> {
        Store::new()?.build("dsops", "local-identity", Some(&[("label", "dsops identity")].into()))
    }

    pub(super) fn load() -> Result<Option<Zeroizing<String>>, Error> {
        match entry()?.get_password() {
            Ok(text) => Ok(Some(Zeroizing::new(text))),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn store(text: &str) -> Result<(), Error> {
        entry()?.set_password(text)
    }

    /// Says what went wrong. Not in the error's own words: one kind of it holds what was read.
    pub(super) fn failed(error: &Error) -> FetchError {
        let (kind, message, help) = match error {
            Error::NoStorageAccess(_) => (FetchErrorKind::Forbidden, "the keyring is locked", "unlock it"),
            Error::Ambiguous(_) => {
                (FetchErrorKind::Damaged, "the keyring holds more than one identity", "remove all but one")
            }
            Error::BadEncoding(_) | Error::BadDataFormat(..) => (
                FetchErrorKind::Damaged,
                "the identity in the keyring is not text",
                "remove it, and store it again",
            ),
            _ => {
                (FetchErrorKind::Unavailable, "the keyring cannot be reached", "keep the identity in a file")
            }
        };
        FetchError::new(kind, message).temporary(false).help(help)
    }
}

/// Says whether this session has a bus on which a keyring may answer.
pub(super) fn is_within_reach(env: &EnvSnapshot) -> bool {
    cfg!(feature = "keyring")
        && (env.get_os("DBUS_SESSION_BUS_ADDRESS").is_some_and(|address| !address.is_empty())
            || env
                .get_os("XDG_RUNTIME_DIR")
                .is_some_and(|dir| std::path::Path::new(dir).join("bus").exists()))
}

/// Returns the text of the identity, if the keyring holds one.
pub(super) async fn load(cx: &Context) -> Result<Option<Zeroizing<String>>, FetchError> {
    reachable(cx)?;
    #[cfg(feature = "keyring")]
    return in_pool(cx, item::load).await;
    #[cfg(not(feature = "keyring"))]
    Ok(None)
}

/// Puts the text of an identity there.
pub(super) async fn store(cx: &Context, text: Zeroizing<String>) -> Result<(), FetchError> {
    reachable(cx)?;
    #[cfg(feature = "keyring")]
    return in_pool(cx, move || item::store(&text)).await;
    #[cfg(not(feature = "keyring"))]
    {
        drop(text);
        Ok(())
    }
}

fn reachable(cx: &Context) -> Result<(), FetchError> {
    if !cfg!(feature = "keyring") {
        return Err(FetchError::new(FetchErrorKind::ToolMissing, "this dsops is built without keyrings")
            .help("keep the identity in a file"));
    }
    if !is_within_reach(cx.env()) {
        return Err(FetchError::new(
            FetchErrorKind::ToolMissing,
            "there is no keyring: this session has no bus",
        )
        .help("keep the identity in a file, or set `DSOPS_LOCAL_IDENTITY`"));
    }
    Ok(())
}

#[cfg(feature = "keyring")]
async fn in_pool<T: Send + 'static>(
    cx: &Context,
    call: impl FnOnce() -> Result<T, keyring_core::Error> + Send + 'static,
) -> Result<T, FetchError> {
    let called = tokio::task::spawn_blocking(call);
    // A locked keyring asks its owner, who may be away.
    let joined = match cx.time_left()? {
        Some(left) => tokio::time::timeout(left, called).await.map_err(|_| {
            FetchError::new(FetchErrorKind::TimedOut, "the keyring has not answered")
                .help("unlock it, or raise `timeout` on the store")
        })?,
        None => called.await,
    };
    let stopped =
        |_| FetchError::new(FetchErrorKind::Unavailable, "the keyring's client stopped").temporary(false);
    joined.map_err(stopped)?.map_err(|error| item::failed(&error))
}
