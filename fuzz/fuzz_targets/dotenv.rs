//! Dotenv files: no bytes panic, and every key that a list shows can be fetched with the same value.
#![no_main]

use dsops_providers::contract::{Context, Locator, NoExpansion, Node, NodeKind, Span};
use futures::executor::block_on;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let place = tempfile::tempdir().expect("a directory");
    std::fs::write(place.path().join(".env"), bytes).expect("a file");
    let cx = Context::builder().base_dir(place.path()).build();
    let options = Node { span: Span { start: 0, len: 0 }, kind: NodeKind::Map(Vec::new()) };
    let descriptor = dsops_providers::find("dotenv").expect("a backend");
    let store = (descriptor.open)(&options, &NoExpansion, &cx).expect("nothing is read yet");
    let Ok(entries) = block_on(store.lister().expect("it can be listed").list(&cx, "")) else { return };
    let locators: Vec<Locator> = entries.iter().map(|entry| Locator::new(&entry.name)).collect();
    let answers = block_on(store.fetch(&cx, &locators)).into_vec();
    for (entry, answer) in entries.iter().zip(&answers) {
        match (&entry.value, answer) {
            (Ok(listed), Ok(fetched)) => assert_eq!(listed.expose(), fetched.expose()),
            (listed, fetched) => assert_eq!(listed.is_err(), fetched.is_err()),
        }
    }
});
