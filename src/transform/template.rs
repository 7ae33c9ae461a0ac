//! `template`: text with `{{ value }}` in it.

use std::collections::BTreeMap;

use dsops_providers::contract::SecretValue;
use minijinja::Value;

use super::error::{Failure, Fault};
use super::jinja::{self, Broken};

/// The longest template, in bytes: it stands in a configuration file.
const MAX_SOURCE: usize = 64 << 10;

/// A template that was checked. It sees one variable, `value`.
#[derive(Clone)]
pub(super) struct Template {
    source: String,
}

impl Template {
    /// Checks the template: that it compiles, and that it uses only names that there are.
    pub(super) fn new(source: String) -> Result<Self, Fault> {
        if source.len() > MAX_SOURCE {
            return Err(Fault::new(format!("the template is longer than {MAX_SOURCE} bytes")));
        }
        let environment = jinja::environment();
        jinja::check(&environment, &source, &["value"]).map_err(|broken| {
            match jinja::go_advice(&source) {
                Some(advice) => Fault::new(broken.message).help(advice),
                None => Fault::new(broken.message).help("write `{{ value }}` where the value goes"),
            }
        })?;
        Ok(Self { source })
    }

    pub(super) fn source(&self) -> &str {
        &self.source
    }

    pub(super) fn apply(&self, value: &SecretValue) -> Result<SecretValue, Failure> {
        let text = value.expose_str().ok_or_else(Failure::not_text)?;
        let context = Value::from(BTreeMap::from([("value", Value::from(text))]));
        let rendered = jinja::render(&jinja::environment(), &self.source, context)
            .map_err(|Broken { message, .. }| Failure::template(message))?;
        Ok(rendered.to_value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(template: &str, value: &str) -> Result<String, String> {
        let template =
            Template::new(template.to_owned()).map_err(|fault| format!("parse: {}", fault.message))?;
        match template.apply(&SecretValue::from(value)) {
            Ok(value) => Ok(value.expose_str().unwrap().to_owned()),
            Err(failure) => Err(failure.message),
        }
    }

    #[test]
    fn the_value_stands_in_the_template_as_it_is() {
        assert_eq!(rendered("Bearer {{ value }}\n", "a<b>&\"'").as_deref(), Ok("Bearer a<b>&\"'\n"));
        assert_eq!(rendered("{{ value }}", "{{ value }}").as_deref(), Ok("{{ value }}"));
        assert_eq!(rendered("{{ value | trim | upper | replace('A', 'b') }}", " xa ").as_deref(), Ok("Xb"));
    }

    #[test]
    fn a_name_that_is_not_there_is_found_before_any_value() {
        for (template, message) in [
            ("{{ valeu }}", "parse: the template uses `valeu`, which is not there"),
            ("{{ value | no_such }}", "parse: line 1 of the template: unknown filter"),
            ("{{ value", "parse: line 1 of the template: syntax error"),
            ("{{ env('HOME') }}", "parse: the template uses `env`, which is not there"),
            ("{% include 'x' %}", "parse: line 1 of the template: syntax error"),
        ] {
            let found = rendered(template, "x").unwrap_err();
            assert!(found.starts_with(message), "{template}: {found}");
        }
    }

    #[test]
    fn a_template_of_the_go_program_gets_advice() {
        let fault = Template::new("Bearer {{.}}".to_owned()).map(|_| ()).unwrap_err();
        assert!(fault.help.unwrap().contains("{{ value }}"));
    }

    #[test]
    fn a_template_that_runs_on_is_stopped() {
        let endless =
            "{% for a in range(9999) %}{% for b in range(9999) %}{{ value }}{% endfor %}{% endfor %}";
        assert_eq!(
            rendered(endless, "hunter2"),
            Err("line 1 of the template: it takes too long or writes too much".to_owned())
        );
    }

    #[test]
    fn a_failure_shows_nothing_of_the_value() {
        for template in
            ["{{ value | b64decode }}", "{{ value + 1 }}", "{{ value | int }}", "{{ value.hunter3 }}"]
        {
            let message = rendered(template, "hunter2!").unwrap_err();
            assert!(!message.contains("hunter2"), "{message}");
        }
    }
}
