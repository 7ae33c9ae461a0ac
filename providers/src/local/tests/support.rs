//! A store in a directory of its own.

use std::path::PathBuf;

use crate::contract::{Backend as _, Context, EnvSnapshot, Prompt, SecretValue};
use crate::local::{
    Identity, Keys, LocalConfig, LocalStore, Named, Passphrase, Recipient, Seal, Vault, identity,
};

pub(super) struct Fixture {
    pub(super) dir: tempfile::TempDir,
    pub(super) identity: Identity,
    pub(super) vault: Vault,
}

impl Fixture {
    /// Makes an empty store for one identity, which lies where it does by default.
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let identity = Identity::generate();
        identity::write_file(&dir.path().join(".config/dsops/identity.txt"), &identity).unwrap();
        let vault = Vault::at(dir.path().join("secrets.age"));
        vault.create(&Seal::Recipients(vec![named(identity.recipient())])).unwrap();
        Self { dir, identity, vault }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.vault.path().to_owned()
    }

    pub(super) fn keys(&self) -> Keys {
        Keys::Identities(vec![self.identity.clone()])
    }

    pub(super) fn set(&self, name: &str, value: impl AsRef<[u8]>) -> u64 {
        let value = SecretValue::copy_of(value.as_ref());
        self.vault.edit(&self.keys(), |document| document.set(name, value, None)).unwrap()
    }

    pub(super) fn get(&self, name: &str) -> Vec<u8> {
        self.vault.read(&self.keys()).unwrap().get(name, None).unwrap().expose().to_vec()
    }

    /// A context whose home directory is the fixture's.
    pub(super) fn context(&self, env: &[(&str, &str)]) -> Context {
        self.context_with(env, crate::contract::NoPrompt)
    }

    pub(super) fn context_with(&self, env: &[(&str, &str)], prompt: impl Prompt + 'static) -> Context {
        let home = self.dir.path().to_str().unwrap();
        let env: EnvSnapshot = std::iter::once(("HOME", home)).chain(env.iter().copied()).collect();
        Context::builder().env(env).base_dir(self.dir.path()).prompt(prompt).build()
    }

    pub(super) fn open(&self, cx: &Context) -> LocalStore {
        LocalStore::open(LocalConfig::default(), cx).unwrap()
    }

    /// Everything that lies in the directory of the store.
    pub(super) fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

pub(super) fn named(recipient: Recipient) -> Named {
    Named { recipient, name: None }
}

pub(super) fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(&SecretValue::from(text)).unwrap().weakened()
}
