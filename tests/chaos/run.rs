//! One run of the program in one scene, and everything that must hold for it whatever went wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::random::Random;
use crate::scene::{Due, STORES, Scene};
use crate::support::infisical::{Generation, Infisical, Server};
use crate::support::{Dsops, Output};
use crate::vault::{CANARY, ENVIRONMENT, Vault};
use crate::weather::{Dealt, Weather, generation};

const PROJECT: &str = "9cd41904-ea03-4da2-aff5-cafa69d1eadc";
const CLIENT_ID: &str = "4b2f1c7e-6d1f-4a52-8a6e-0f4c5d3b2a19";
pub(crate) const CLIENT_SECRET: &str = "client-secret-9f8e7d6c5b4a39281706f5e4d3c2b1a0";

/// What a run may take beyond its stores' deadline: to start, to give up and to say so, on a machine that is busy.
const MARGIN: Duration = Duration::from_secs(2);

/// How a run that kept every promise ended.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Ended {
    /// The child got everything.
    Started,
    /// It did not start; these are the codes that were reported.
    Refused(BTreeSet<String>),
}

/// What is told of a run that kept every promise.
pub(crate) struct Report {
    pub(crate) ended: Ended,
    /// How many faults were dealt out.
    pub(crate) faults: usize,
    /// How many requests were made.
    pub(crate) requests: usize,
    /// How much of the time that its stores allow was used, in percent.
    pub(crate) patience_used: u128,
}

/// A scene with its servers.
pub(crate) struct Stage {
    vaults: Vec<Vault>,
    scene: Scene,
    servers: Vec<Server>,
    dealt: Dealt,
    patience: Duration,
    /// Whether all that goes wrong is over in a moment.
    passing: bool,
    cache: Option<tempfile::TempDir>,
    runs: usize,
}

impl Stage {
    /// Draws a scene and starts its servers.
    pub(crate) fn random(random: &mut Random) -> Self {
        let mut vaults = vec![Vault::random(STORES[0], random)];
        if random.percent(35) {
            vaults.push(Vault::random(STORES[1], random));
        }
        let scene = Scene::random(&vaults, random);
        let patience = Duration::from_millis(random.pick(&[500, 700, 1000, 2000]));
        let mut stage = Self::still(vaults, scene, patience);
        stage.passing = random.percent(20);
        for vault in &stage.vaults {
            let weather = match stage.passing {
                true => Weather::passing(random),
                false => Weather::random(random, stage.scene.can_be_asked_singly(), patience),
            };
            let server = Infisical::new(generation(random)).project(PROJECT, "payroll", &[ENVIRONMENT]);
            let server = vault.fill(server.identity(CLIENT_ID, CLIENT_SECRET));
            stage.servers.push(server.faults_by(weather.forecast(stage.dealt.clone())).lenient().start());
        }
        if stage.passing {
            stage.patience = Duration::from_secs(10);
        }
        // A third of the scenes see several runs that share what is kept between runs.
        if random.percent(33) {
            stage.runs = 3;
            stage.cache = Some(tempfile::tempdir().expect("a temporary directory"));
        }
        stage
    }

    fn still(vaults: Vec<Vault>, scene: Scene, patience: Duration) -> Self {
        Self {
            vaults,
            scene,
            servers: Vec::new(),
            dealt: Dealt::default(),
            patience,
            passing: false,
            cache: None,
            runs: 1,
        }
    }

    /// Returns how many runs the scene is for.
    pub(crate) fn runs(&self) -> usize {
        self.runs
    }

    /// Lets something happen between two runs.
    pub(crate) fn interlude(&mut self, random: &mut Random) {
        for (vault, server) in self.vaults.iter_mut().zip(&self.servers) {
            match random.below(5) {
                0 => server.change(|world| {
                    world.expire_tokens();
                }),
                1 => server.change(|world| {
                    world.revoke_tokens();
                }),
                2 => {
                    if let Some(((folder, name), value)) = vault.rewrite(random) {
                        server.change(|world| {
                            world.secret(ENVIRONMENT, &folder, &name, &value);
                        });
                    }
                }
                _ => {}
            }
        }
    }

    /// Runs the program once.
    ///
    /// # Errors
    ///
    /// Which promise was broken, with everything that is known of the run.
    pub(crate) fn run(&self) -> Result<Report, String> {
        let before: Vec<usize> = self.servers.iter().map(Server::total).collect();
        self.dealt.lock().expect("no panic while dealing").clear();
        let file = self.file();
        let run = prepared(&file, self.cache.as_ref().map(tempfile::TempDir::path));
        let started = Instant::now();
        let output = run.run();
        let took = started.elapsed();
        let broken = self.judge(&output, took, &before);
        let faults = self.dealt.lock().expect("no panic while dealing").clone();
        let requests = self.servers.iter().zip(&before).map(|(server, before)| server.total() - before).sum();
        let patience_used = took.as_millis() * 100 / self.patience.as_millis();
        broken.map(|ended| Report { ended, faults: faults.len(), requests, patience_used }).map_err(|broken| {
            let due = self.scene.due(&self.vaults);
            format!(
                "{broken}\n--- after {took:?} of {:?}\n--- faults\n{}\n--- due\n{due:#?}\n--- file\n{file}\n--- {output}",
                self.patience,
                faults.join("\n")
            )
        })
    }

    fn options(&self, host: &str) -> String {
        format!(
            "type: infisical, host: '{host}', project_id: {PROJECT}, environment: {ENVIRONMENT}, timeout_ms: {}, auth: \
             {{method: machine_identity, client_id: '${{ID}}', client_secret: '${{SECRET}}'}}",
            self.patience.as_millis()
        )
    }

    /// Looks for a promise that a run broke. `before` is how many requests each server had seen.
    pub(crate) fn judge(&self, output: &Output, took: Duration, before: &[usize]) -> Result<Ended, String> {
        let stderr = String::from_utf8_lossy(output.stderr_bytes()).into_owned();
        let claim = |holds: bool, broken: &str| if holds { Ok(()) } else { Err(broken.to_owned()) };
        claim(!stderr.contains("panicked"), "the program panicked")?;
        claim(!stderr.contains("has a bug"), "the program found a bug in itself")?;
        claim(!stderr.contains(CANARY), "a value stands on stderr")?;
        claim(!stderr.contains(CLIENT_SECRET), "the client secret stands on stderr")?;
        let tokens = self.servers.iter().flat_map(Server::tokens);
        claim(!tokens.into_iter().any(|token| stderr.contains(&token)), "a token stands on stderr")?;
        claim(took <= self.patience + MARGIN, "the deadline passed")?;
        for (server, before) in self.servers.iter().zip(before) {
            refused_logins_are_final(server, *before)?;
            let complaints = server.complaints();
            claim(complaints.is_empty(), &format!("careless requests: {complaints:?}"))?;
        }
        let due = self.scene.due(&self.vaults);
        let ended = match output.exit_code() {
            Some(0) => self.judge_child(output, &due, &stderr)?,
            Some(125) => {
                claim(output.stdout_bytes().is_empty(), "the child was started and the run failed")?;
                judge_refusal(&stderr, &due)?
            }
            code => return Err(format!("ended with {code:?}")),
        };
        let calm = self.dealt.lock().expect("no panic while dealing").is_empty();
        let possible = due.values().all(|due| matches!(due, Due::Set(_)));
        claim(
            !(calm || self.passing) || possible == (ended == Ended::Started),
            "nothing went wrong for more than a moment, and the run failed",
        )?;
        Ok(ended)
    }

    /// Compares what the child got with what it has to get.
    fn judge_child(
        &self,
        output: &Output,
        due: &BTreeMap<String, Due>,
        stderr: &str,
    ) -> Result<Ended, String> {
        let mut got = BTreeMap::new();
        for entry in output.stdout_bytes().split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
            let entry = String::from_utf8(entry.to_vec()).map_err(|_| "a value that is no text")?;
            let (name, value) = entry.split_once('=').ok_or("the child wrote no environment")?;
            got.insert(name.to_owned(), value.to_owned());
        }
        if !got.contains_key("PATH") {
            return Err("the child did not start, and the run succeeded".into());
        }
        got.retain(|name, _| name == "L" || name.starts_with("V_") || name.starts_with("I_"));
        for (name, due) in due {
            let Due::Set(value) = due else {
                return Err(format!("the child was started though {name} is {due:?}"));
            };
            match got.remove(name) {
                None => return Err(format!("the child was started without {name}")),
                Some(other) if other != *value => {
                    return Err(format!("{name} has the wrong value {other:?}, {value:?} is right"));
                }
                Some(_) => {}
            }
        }
        match (got.is_empty(), stderr.is_empty()) {
            (false, _) => Err(format!("the child got what nobody asked for: {got:?}")),
            (true, false) => Err("a run that succeeded complains".into()),
            (true, true) => Ok(Ended::Started),
        }
    }
}

impl Stage {
    /// A stage with one variable that is there, and any weather: for tests of the judge.
    pub(crate) fn plain(weather: Weather) -> Self {
        let (vault, scene) = (Vault::plain(), Scene::plain());
        let mut stage = Self::still(vec![vault], scene, Duration::from_secs(5));
        let server = Infisical::new(Generation::July2026).project(PROJECT, "payroll", &[ENVIRONMENT]);
        let server = stage.vaults[0].fill(server.identity(CLIENT_ID, CLIENT_SECRET)).lenient();
        stage.servers.push(server.faults_by(weather.forecast(stage.dealt.clone())).start());
        stage
    }

    /// Returns the first server.
    pub(crate) fn server(&self) -> &Server {
        &self.servers[0]
    }

    /// Returns the file.
    pub(crate) fn file(&self) -> String {
        let options: Vec<String> = self.servers.iter().map(|server| self.options(&server.url())).collect();
        self.scene.file(&options)
    }
}

/// Prepares a run that lets its child write its environment down.
pub(crate) fn prepared(file: &str, cache: Option<&Path>) -> Dsops {
    let mut run = Dsops::new().config(file).env("ID", CLIENT_ID).env("SECRET", CLIENT_SECRET);
    if let Some(cache) = cache {
        run = run.env("XDG_CACHE_HOME", cache);
    }
    if let Some(binary) = crate::chaos::text("DSOPS_CHAOS_BINARY") {
        run = run.instead(binary);
    }
    run.args(["--error-format", "json", "exec", "--env", "dev", "--", "env", "-0"])
}

/// Checks what a run that did not start its child says: each of the five different things by its own name.
fn judge_refusal(stderr: &str, due: &BTreeMap<String, Due>) -> Result<Ended, String> {
    let mut codes = BTreeSet::new();
    for line in stderr.lines() {
        let error: serde_json::Value =
            serde_json::from_str(line).map_err(|_| format!("no JSON on stderr: {line:?}"))?;
        let code = error["code"].as_str().unwrap_or_default().to_owned();
        if error["help"].as_str().is_none_or(str::is_empty) {
            return Err(format!("an error without advice: {error}"));
        }
        let expected = match code.as_str() {
            "dsops::fetch::not_found" | "dsops::fetch::version_not_found" => Some(Due::Missing),
            "dsops::fetch::hidden" => Some(Due::Hidden),
            "dsops::fetch::rate_limited" | "dsops::fetch::unavailable" | "dsops::fetch::timed_out" => None,
            "dsops::fetch::malformed" | "dsops::fetch::unsupported" => None,
            "dsops::auth::refused" | "dsops::auth::denied" => None,
            // What the question after the missing place came to may be a fault.
            "dsops::fetch::place_not_found" => None,
            other => return Err(format!("an error of a kind that nothing calls for: {other}")),
        };
        let names = error["variables"].as_array().into_iter().flatten().filter_map(|name| name.as_str());
        for name in names {
            if expected.as_ref().is_some_and(|expected| due.get(name) != Some(expected)) {
                return Err(format!("{name} is called {code}, and is {:?}", due.get(name)));
            }
        }
        codes.insert(code);
    }
    if codes.is_empty() {
        return Err("the run failed and does not say why".into());
    }
    Ok(Ended::Refused(codes))
}

/// Checks that no login follows one that was refused.
fn refused_logins_are_final(server: &Server, before: usize) -> Result<(), String> {
    let mut refused = false;
    for seen in server.requests().into_iter().skip(before).filter(|seen| seen.path.ends_with("/login")) {
        if refused {
            return Err("a refused login was repeated".into());
        }
        refused = matches!(seen.status, Some(400..=407 | 409..=428));
    }
    Ok(())
}
