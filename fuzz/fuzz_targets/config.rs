//! Files: no text panics or takes long, every mistake lies inside the text, and what loads can be planned.
#![no_main]

use std::path::Path;

use dsops::config;
use dsops::plan::Plan;
use dsops_providers::contract::EnvSnapshot;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match config::load_text(Path::new("dsops.yaml"), text.to_owned()) {
        Ok(config) => {
            for environment in config.environments.values() {
                let _ = Plan::new(&config, environment, &EnvSnapshot::default());
            }
        }
        Err(report) => {
            assert!(!report.errors.is_empty(), "a refusal without a reason");
            for label in report.errors.iter().flat_map(|error| &error.labels) {
                assert!(label.span.start <= text.len(), "a place outside the text");
            }
        }
    }
});
