//! What a `literal` store does.

use async_trait::async_trait;

use super::*;
use crate::contract::conformance::{self, Inapplicable, Scene, Seed, Subject, list, map, plain, text};
use crate::contract::{Descriptor, NoExpansion};

struct Values;

#[async_trait]
impl Subject for Values {
    fn descriptor(&self) -> Descriptor {
        Descriptor::of::<Literals>()
    }

    async fn holding(&self, seeds: &[Seed]) -> Scene {
        let values = seeds
            .iter()
            .map(|seed| (seed.path.clone(), text(String::from_utf8(seed.value.clone()).unwrap())));
        Scene::new(map([("values", map(values))]))
    }

    async fn expired(&self, _: &[Seed]) -> Result<Scene, Inapplicable> {
        Err(Inapplicable("there is nothing to log in to"))
    }

    async fn slow(&self, _: &[Seed]) -> Result<Scene, Inapplicable> {
        Err(Inapplicable("nothing is waited for"))
    }

    async fn garbage(&self) -> Result<Vec<(&'static str, Scene)>, Inapplicable> {
        Err(Inapplicable("the values are part of the file, which is checked before"))
    }
}

#[tokio::test]
async fn it_conforms() {
    conformance::run(&Values).await;
}

async fn fetch_one(options: Node, path: &str) -> Result<SecretValue, FetchError> {
    let scene = Scene::new(options);
    let provider = scene.open(&Descriptor::of::<Literals>()).unwrap();
    provider.fetch(&scene.context, &[Locator::new(path)]).await.into_vec().pop().unwrap()
}

#[tokio::test]
async fn a_number_is_the_text_in_the_file() {
    for number in ["0755", "1e3", "12345678901234567890.10", "true"] {
        let options = map([("values", map([("N", plain(number))]))]);
        assert_eq!(fetch_one(options, "N").await.unwrap().expose(), number.as_bytes());
    }
}

#[tokio::test]
async fn the_older_nested_form_is_read() {
    let options = map([("config", map([("values", map([("K", text("v"))]))]))]);
    assert_eq!(fetch_one(options, "K").await.unwrap().expose(), b"v");
}

#[test]
fn values_in_both_places_none_or_of_another_shape_are_refused() {
    let values = || map([("K", text("v"))]);
    let both = map([("values", values()), ("config", map([("values", values())]))]);
    let nested = map([("values", map([("K", map([("deeper", text("v"))]))]))]);
    let wrong = map([("values", list([text("v")]))]);
    let unknown = map([("values", values()), ("valeus", values())]);
    for options in [both, map::<&str>([]), nested, wrong, unknown] {
        let error = (Descriptor::of::<Literals>().validate)(&options, &NoExpansion).unwrap_err();
        assert!(!error.message.is_empty());
    }
}
