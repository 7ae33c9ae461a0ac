//! What an `env` store does.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use async_trait::async_trait;

use super::*;
use crate::contract::conformance::{self, Inapplicable, Scene, Seed, Subject, map, text};
use crate::contract::{Descriptor, EnvSnapshot, NoExpansion, Status};

fn scene(options: Node, variables: &[(&str, &[u8])]) -> Scene {
    let env: EnvSnapshot =
        variables.iter().map(|(name, value)| (*name, OsString::from_vec(value.to_vec()))).collect();
    Scene::new(options).context(Context::builder().env(env).build())
}

struct Variables;

#[async_trait]
impl Subject for Variables {
    fn descriptor(&self) -> Descriptor {
        Descriptor::of::<Env>()
    }

    async fn holding(&self, seeds: &[Seed]) -> Scene {
        let variables: Vec<(&str, &[u8])> =
            seeds.iter().map(|seed| (seed.path.as_str(), seed.value.as_slice())).collect();
        scene(map::<&str>([]), &variables)
    }

    async fn expired(&self, _: &[Seed]) -> Result<Scene, Inapplicable> {
        Err(Inapplicable("there is nothing to log in to"))
    }

    async fn slow(&self, _: &[Seed]) -> Result<Scene, Inapplicable> {
        Err(Inapplicable("nothing is waited for"))
    }

    async fn garbage(&self) -> Result<Vec<(&'static str, Scene)>, Inapplicable> {
        Err(Inapplicable("any bytes are a value"))
    }
}

#[tokio::test]
async fn it_conforms() {
    conformance::run(&Variables).await;
}

async fn fetch_one(scene: &Scene, path: &str) -> Result<SecretValue, FetchError> {
    let provider = scene.open(&Descriptor::of::<Env>()).unwrap();
    provider.fetch(&scene.context, &[Locator::new(path)]).await.into_vec().pop().unwrap()
}

#[tokio::test]
async fn bytes_that_are_not_text_are_kept() {
    let scene = scene(map::<&str>([]), &[("RAW", &[0xff, 0xfe, b'\n'])]);
    assert_eq!(fetch_one(&scene, "RAW").await.unwrap().expose(), &[0xff, 0xfe, b'\n']);
}

#[tokio::test]
async fn the_prefix_is_put_before_the_key_and_named_where_the_variable_is_missing() {
    let scene =
        scene(map([("prefix", text("APP_"))]), &[("APP_TOKEN", b"a"), ("TOKEN", b"b"), ("ONLY", b"c")]);
    assert_eq!(fetch_one(&scene, "TOKEN").await.unwrap().expose(), b"a");
    assert_eq!(fetch_one(&scene, "ONLY").await.unwrap_err().message(), "`APP_ONLY` is not set");
}

#[tokio::test]
async fn a_prefix_that_nothing_has_is_a_warning() {
    let scene = scene(map([("prefix", text("APP_"))]), &[("TOKEN", b"b")]);
    let findings = scene.open(&Descriptor::of::<Env>()).unwrap().check(&scene.context).await;
    assert_eq!(findings[0].status, Status::Warning);
}

#[test]
fn what_cannot_be_a_name_is_refused_before_it_is_looked_up() {
    let descriptor = Descriptor::of::<Env>();
    let locators = ["", "A=B", "A\0B", "PLAIN"].map(Locator::new);
    let accepted = (descriptor.accept)(&map::<&str>([]), &NoExpansion, &locators).unwrap();
    assert_eq!(accepted.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, false, false, true]);
    assert!((descriptor.validate)(&map([("prefix", text("A="))]), &NoExpansion).is_err());
}
