//! Every recorded exchange, sent to the fake and compared: status, content type, tag, and the whole body.

use serde_json::Value;

use crate::client::Received;
use crate::exceptions::EXCEPTIONS;
use crate::lab::Lab;
use crate::support::infisical::Generation;
use crate::transcript::{Exchange, Transcript, differences, normalise, unordered};

#[test]
fn the_fake_answers_as_the_recorded_servers_did() {
    let mut failures = Vec::new();
    let mut used = vec![false; EXCEPTIONS.len()];
    let (mut compared, mut excepted) = (0, 0);
    for transcript in Transcript::all() {
        let mut lab = Lab::of(&transcript);
        for exchange in &transcript.exchanges {
            let call = lab.call(exchange);
            lab.before(exchange);
            let received = call.send(&lab.server.url()).unwrap();
            if let (Some(recorded), Some(answered)) = (&exchange.etag, received.headers.get("etag")) {
                lab.learn_tag(recorded, answered);
            }
            let found = compare(transcript.generation(), exchange, &received);
            let exception =
                EXCEPTIONS.iter().position(|(group, name, _)| is_meant(group, name, &transcript, exchange));
            let what = format!("{} {} {}", transcript.generation, transcript.group, exchange.name);
            match (exception, found.is_empty()) {
                (Some(index), false) => {
                    used[index] = true;
                    excepted += 1;
                }
                (Some(_), true) => failures.push(format!("{what}: is an exception, and is followed")),
                (None, true) => compared += 1,
                (None, false) => failures.push(format!("{what}:\n    {}", found.join("\n    "))),
            }
        }
        println!("{}: {}: {} exchanges", transcript.server, transcript.group, transcript.exchanges.len());
    }
    println!("{compared} exchanges are followed, {excepted} are not, for the reasons given");
    for (index, (group, name, reason)) in EXCEPTIONS.iter().enumerate() {
        println!("not followed: {group} {name}: {reason}");
        if !used[index] {
            failures.push(format!("{group} {name}: an exception that nothing needs"));
        }
    }
    assert!(failures.is_empty(), "{} exchanges differ:\n{}", failures.len(), failures.join("\n"));
    assert!(compared >= 648, "only {compared} exchanges were compared");
}

fn is_meant(group: &str, name: &str, transcript: &Transcript, exchange: &Exchange) -> bool {
    let same_name = match name.strip_suffix('*') {
        Some(start) => exchange.name.starts_with(start),
        None => exchange.name == name,
    };
    let here = [transcript.group.clone(), format!("{} {}", transcript.generation, transcript.group)];
    same_name && here.iter().any(|here| here == group)
}

fn compare(generation: Generation, exchange: &Exchange, received: &Received) -> Vec<String> {
    let mut found = Vec::new();
    if exchange.status != received.status {
        found.push(format!("status: recorded {}, answered {}", exchange.status, received.status));
    }
    let header = |name: &str| received.headers.get(name);
    if exchange.content_type.as_ref() != header("content-type") {
        found.push(format!(
            "content type: recorded {:?}, answered {:?}",
            exchange.content_type,
            header("content-type")
        ));
    }
    if exchange.retry_after.as_ref() != header("retry-after") {
        found.push(format!(
            "retry-after: recorded {:?}, answered {:?}",
            exchange.retry_after,
            header("retry-after")
        ));
    }
    let form = |tag: Option<&String>| tag.map(|tag| (tag.len(), tag.starts_with('"')));
    if form(exchange.etag.as_ref()) != form(header("etag")) {
        found.push(format!("etag: recorded {:?}, answered {:?}", exchange.etag, header("etag")));
    }
    let text = String::from_utf8_lossy(&received.body);
    let answered: Value = serde_json::from_str(&text).unwrap_or_else(|_| text.as_ref().into());
    let (recorded, answered) = (exchange.answer.clone(), normalise(&answered));
    let (recorded, answered) = match generation {
        Generation::June2025 => (unordered(&recorded), unordered(&answered)),
        Generation::July2026 => (recorded, answered),
    };
    differences(&recorded, &answered, "body", &mut found);
    found
}
