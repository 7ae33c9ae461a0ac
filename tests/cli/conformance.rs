//! The suite that every backend passes, for Infisical against the fake of both generations.

use std::time::Duration;

use dsops_providers::contract::Descriptor;
use dsops_providers::contract::conformance::{
    self, CANARY, Inapplicable, Scene, Seed, Subject, map, plain, text,
};
use dsops_providers::infisical::Infisical as Backend;

use super::lab::{CLIENT_ID, CLIENT_SECRET, PROJECT};
use crate::support::infisical::{Fault, Generation, Identity, Infisical, Server};

struct Fake(Generation);

fn scene(server: Server) -> Scene {
    let auth = map([
        ("method", text("machine_identity")),
        ("client_id", text(CLIENT_ID)),
        ("client_secret", text(CLIENT_SECRET)),
    ]);
    Scene::new(map([
        ("host", text(server.url())),
        ("project_id", text(PROJECT)),
        ("environment", text("dev")),
        // The suite's values have a `${…}` in them.
        ("expand_references", plain("false")),
        ("auth", auth),
    ]))
    .keep(server)
}

impl Fake {
    fn seeded(&self, seeds: &[Seed]) -> Infisical {
        let mut server =
            Infisical::new(self.0).project(PROJECT, "payroll", &["dev"]).folder("dev", "/team/app");
        for seed in seeds {
            let (folder, name) = seed.path.rsplit_once('/').unwrap_or(("", &seed.path));
            let value = std::str::from_utf8(&seed.value).expect("a value of text");
            server = server.secret("dev", &format!("/{folder}"), name, value);
        }
        server
    }

    fn open(&self, seeds: &[Seed]) -> Infisical {
        self.seeded(seeds).identity(CLIENT_ID, CLIENT_SECRET)
    }
}

#[async_trait::async_trait]
impl Subject for Fake {
    fn descriptor(&self) -> Descriptor {
        Descriptor::of::<Backend>()
    }

    async fn holding(&self, seeds: &[Seed]) -> Scene {
        scene(self.open(seeds).start())
    }

    async fn expired(&self, seeds: &[Seed]) -> Result<Scene, Inapplicable> {
        let identity = Identity::new(CLIENT_ID, CLIENT_SECRET).with_expired_secret();
        Ok(scene(self.seeded(seeds).identity_with(identity).start()))
    }

    async fn slow(&self, seeds: &[Seed]) -> Result<Scene, Inapplicable> {
        Ok(scene(self.open(seeds).fault("*", Fault::delay(Duration::from_secs(60))).start()))
    }

    async fn garbage(&self) -> Result<Vec<(&'static str, Scene)>, Inapplicable> {
        let broken = |name, fault: Fault| {
            let seeds = [Seed { path: "KEY".to_owned(), value: CANARY.as_bytes().to_vec() }];
            let routes = ["GET /api/v3/secrets/raw", "GET /api/v3/secrets/raw/{name}"];
            let server =
                routes.iter().fold(self.open(&seeds), |server, route| server.fault(route, fault.clone()));
            (name, scene(server.start()))
        };
        Ok(vec![
            broken("a page of HTML", Fault::html()),
            broken("cut JSON", Fault::cut()),
            broken("nothing at all", Fault::empty()),
        ])
    }
}

#[tokio::test]
async fn infisical_conforms_with_a_server_of_2025() {
    conformance::run(&Fake(Generation::June2025)).await;
}

#[tokio::test]
async fn infisical_conforms_with_a_server_of_2026() {
    conformance::run(&Fake(Generation::July2026)).await;
}
