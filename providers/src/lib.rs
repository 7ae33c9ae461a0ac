//! The contract between dsops and a store, and one folder per store.

#![forbid(unsafe_code)]

pub mod contract;
pub mod files;
pub mod http;
pub mod process;

/// Declares the backends: one module and one [`contract::Descriptor`] each, in this order.
macro_rules! backends {
    ($($(#[$cfg:meta])* $module:ident :: $backend:ident),* $(,)?) => {
        $($(#[$cfg])* pub mod $module;)*

        /// Every backend of this build. Schema, docs, completion, doctor and `init` derive from it.
        pub static ALL: &[contract::Descriptor] = &[
            $($(#[$cfg])* contract::Descriptor::of::<$module::$backend>(),)*
        ];
    };
}

backends! {
    infisical::Infisical,
    #[cfg(feature = "local")]
    local::LocalStore,
    literal::Literals,
    env::Env,
    dotenv::Dotenv,
    exec::Exec,
}

/// Returns the backend that a `type:` means.
#[must_use]
pub fn find(kind: &str) -> Option<&'static contract::Descriptor> {
    ALL.iter().find(|descriptor| descriptor.answers_to(kind))
}
