//! The suite that every backend passes.

use async_trait::async_trait;

use super::support::Fixture;
use crate::contract::Descriptor;
use crate::contract::conformance::{self, CANARY, Inapplicable, Scene, Seed, Subject, map};
use crate::local::{Identity, LocalStore, identity};

struct Files;

fn descriptor() -> Descriptor {
    Descriptor::of::<LocalStore>()
}

/// A store of its own, open to whoever has the identity in its directory.
fn scene(fixture: Fixture) -> Scene {
    let cx = fixture.context(&[]);
    Scene::new(map::<&str>([])).context(cx).keep(fixture)
}

#[async_trait]
impl Subject for Files {
    fn descriptor(&self) -> Descriptor {
        descriptor()
    }

    async fn holding(&self, seeds: &[Seed]) -> Scene {
        let scene = scene(Fixture::new());
        scene.write(&descriptor(), seeds).await.unwrap();
        scene
    }

    async fn expired(&self, seeds: &[Seed]) -> Result<Scene, Inapplicable> {
        let fixture = Fixture::new();
        let cx = fixture.context(&[]);
        let mine = Scene::new(map::<&str>([])).context(cx);
        mine.write(&descriptor(), seeds).await.unwrap();
        // Identities do not expire; they are replaced, and the file stays closed to the new one.
        let path = fixture.dir.path().join(".config/dsops/identity.txt");
        std::fs::remove_file(&path).unwrap();
        identity::write_file(&path, &Identity::generate()).unwrap();
        Ok(scene(fixture))
    }

    async fn slow(&self, _: &[Seed]) -> Result<Scene, Inapplicable> {
        Err(Inapplicable("a file is not waited for"))
    }

    async fn garbage(&self) -> Result<Vec<(&'static str, Scene)>, Inapplicable> {
        let holding = |name, content: &dyn Fn(Vec<u8>) -> Vec<u8>| {
            let fixture = Fixture::new();
            fixture.set("KEY", CANARY);
            let old = std::fs::read(fixture.path()).unwrap();
            std::fs::write(fixture.path(), content(old)).unwrap();
            (name, scene(fixture))
        };
        Ok(vec![
            holding("another format", &|_| format!("KEY={CANARY}\n").into_bytes()),
            holding("cut short", &|old| old[..old.len() / 2].to_vec()),
            holding("nothing at all", &|_| Vec::new()),
        ])
    }
}

#[tokio::test]
async fn it_conforms() {
    conformance::run(&Files).await;
}
