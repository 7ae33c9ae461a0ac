//! A suite that nothing can fail would be worth nothing: here is what it says about backends that lie.

use async_trait::async_trait;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::*;
use crate::contract::{
    About, Answers, Backend, Cost, Entry, FetchError, FetchErrorKind, Finding, Lister, Literal, Parts,
};

/// A store of values that does one thing wrong.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LiarConfig {
    fault: String,
    values: IndexMap<String, Literal>,
}

struct Liar(LiarConfig);

impl Liar {
    fn does(&self, fault: &str) -> bool {
        self.0.fault == fault
    }

    fn answer(&self, locator: &Locator) -> Result<SecretValue, FetchError> {
        let shown =
            || self.0.values.values().next().and_then(|value| value.value().expose_str()).unwrap_or("");
        let Some(literal) = self.0.values.get(&locator.path) else {
            return match self.0.fault.as_str() {
                "takes an absence for an empty value" => Ok(SecretValue::from("")),
                "takes an absence for a failure" => {
                    Err(FetchError::new(FetchErrorKind::Unavailable, locator.to_string()))
                }
                "shows a value" => {
                    let message = format!("no `{locator}`, only {}", shown());
                    Err(FetchError::new(FetchErrorKind::NotFound, message))
                }
                "shows a value in the help" => {
                    Err(FetchError::new(FetchErrorKind::NotFound, locator.to_string()).help(shown()))
                }
                "names nothing" => Err(FetchError::new(FetchErrorKind::NotFound, "not found")),
                _ => Err(FetchError::new(FetchErrorKind::NotFound, format!("no `{locator}`"))),
            };
        };
        match literal.value().expose_str().unwrap() {
            value if self.does("trims") => Ok(SecretValue::from(value.trim())),
            value if self.does("turns CRLF into LF") => Ok(SecretValue::from(value.replace("\r\n", "\n"))),
            "" if self.does("takes an empty value for an absence") => {
                Err(FetchError::new(FetchErrorKind::NotFound, locator.to_string()))
            }
            value => Ok(SecretValue::from(value)),
        }
    }
}

#[async_trait]
impl Provider for Liar {
    async fn fetch(&self, cx: &Context, locators: &[Locator]) -> Answers {
        if self.does("costs more than it says") {
            cx.meter().request();
        }
        if self.does("answers in another order") && locators.len() > 100 {
            let mut order = locators.to_vec();
            order.sort();
            order.reverse();
            return Answers::lookup(&order, |locator| self.answer(locator));
        }
        Answers::lookup(locators, |locator| self.answer(locator))
    }

    async fn check(&self, _: &Context) -> Vec<Finding> {
        let error = FetchError::new(FetchErrorKind::Unavailable, "unwell");
        match self.0.fault.as_str() {
            "finds nothing" => Vec::new(),
            "fails its check" => vec![Finding::failed("read", &error)],
            _ => vec![Finding::ok("read", "well")],
        }
    }

    fn lister(&self) -> Option<&dyn Lister> {
        Some(self)
    }
}

#[async_trait]
impl Lister for Liar {
    async fn list(&self, _: &Context, folder: &str) -> Result<Vec<Entry>, FetchError> {
        let all = self.0.values.keys().map(Locator::new);
        let found: Vec<Locator> = match self.0.fault.as_str() {
            "lists what is deeper" => all.filter(|locator| locator.folder().starts_with(folder)).collect(),
            _ => all.filter(|locator| locator.folder() == folder).collect(),
        };
        if found.is_empty() && !folder.is_empty() && !self.does("lists a folder that is not there") {
            return Err(FetchError::new(FetchErrorKind::NotFound, "no such folder"));
        }
        let entry =
            |locator: &Locator| Entry { name: locator.name().to_owned(), value: self.answer(locator) };
        let mut entries: Vec<Entry> = found.iter().map(entry).collect();
        if !self.does("lists in another order") {
            entries.sort_by(|a, b| a.name.cmp(&b.name));
        }
        Ok(entries)
    }
}

impl Backend for Liar {
    type Config = LiarConfig;

    const KIND: &'static str = "liar";

    const ABOUT: About = About {
        title: "Liar",
        summary: "does one thing wrong",
        parts: Parts { folders: true, fields: false, versions: true },
        own_env: &[],
        example: "type: liar\n",
        readme: "",
    };

    fn cost(config: &LiarConfig, _: &[Locator], _: &[String]) -> Cost {
        Cost { requests: usize::from(config.fault == "costs less than it says"), ..Cost::default() }
    }

    fn open(config: LiarConfig, _: &Context) -> Result<Self, FetchError> {
        Ok(Self(config))
    }
}

struct Lying(&'static str);

impl Lying {
    fn scene(&self, seeds: &[Seed]) -> Scene {
        let value = |seed: &Seed| text(String::from_utf8(seed.value.clone()).unwrap());
        let values = map(seeds.iter().map(|seed| (seed.path.clone(), value(seed))));
        Scene::new(map([("fault", text(self.0)), ("values", values)]))
    }
}

#[async_trait]
impl Subject for Lying {
    fn descriptor(&self) -> Descriptor {
        Descriptor::of::<Liar>()
    }

    async fn holding(&self, seeds: &[Seed]) -> Scene {
        self.scene(seeds)
    }

    async fn expired(&self, seeds: &[Seed]) -> Result<Scene, Inapplicable> {
        match self.0 {
            "answers with expired credentials" => Ok(self.scene(seeds)),
            _ => Err(Inapplicable("there is nothing to log in to")),
        }
    }

    async fn slow(&self, seeds: &[Seed]) -> Result<Scene, Inapplicable> {
        match self.0 {
            "answers although it is slow" => Ok(self.scene(seeds)),
            _ => Err(Inapplicable("nothing is waited for")),
        }
    }

    async fn garbage(&self) -> Result<Vec<(&'static str, Scene)>, Inapplicable> {
        match self.0 {
            "takes garbage for an absence" => Ok(vec![("noise", self.scene(&[]))]),
            _ => Err(Inapplicable("there is no format")),
        }
    }

    fn leaves_out(&self, case: Case) -> Option<&'static str> {
        let versions = case == Case::WrongVersion && self.0 != "ignores the version";
        versions.then_some("only one liar is asked for versions")
    }
}

#[tokio::test]
async fn every_lie_is_found_out_by_the_case_that_is_about_it() {
    for (fault, case) in [
        ("trims", Case::WhiteSpace),
        ("turns CRLF into LF", Case::WhiteSpace),
        ("takes an absence for an empty value", Case::Absent),
        ("takes an absence for a failure", Case::Absent),
        ("takes an empty value for an absence", Case::Empty),
        ("names nothing", Case::Absent),
        ("shows a value", Case::Absent),
        ("shows a value in the help", Case::Absent),
        ("ignores the version", Case::WrongVersion),
        ("answers in another order", Case::TwoHundred),
        ("costs more than it says", Case::NothingAsked),
        ("costs more than it says", Case::Cost),
        ("costs less than it says", Case::Cost),
        ("finds nothing", Case::Checked),
        ("fails its check", Case::Checked),
        ("lists what is deeper", Case::Listed),
        ("lists in another order", Case::Listed),
        ("lists a folder that is not there", Case::Listed),
        ("answers with expired credentials", Case::ExpiredCredentials),
        ("answers although it is slow", Case::Slow),
        ("takes garbage for an absence", Case::Garbage),
    ] {
        let failures = failures(&Lying(fault)).await;
        let named = format!("{case:?}: ");
        assert!(failures.iter().any(|failure| failure.starts_with(&named)), "{fault}: {failures:#?}");
    }
}

#[tokio::test]
async fn a_backend_without_a_fault_passes() {
    run(&Lying("none")).await;
}

#[tokio::test]
#[should_panic(expected = "liar does not conform\n  WhiteSpace: ")]
async fn a_failure_names_the_backend_and_the_case() {
    run(&Lying("trims")).await;
}
