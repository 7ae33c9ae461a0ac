//! Random environments in random weather: never a wrong value, never a child without one, never late, never a panic.
//!
//! `DSOPS_CHAOS_BINARY` names another program to run, such as a release build, `DSOPS_CHAOS_RUNS` sets how many runs there are (a full campaign has 10000), `DSOPS_CHAOS_SEED` where chance starts,
//! `DSOPS_CHAOS_SCENE` the first scene, and `DSOPS_CHAOS_THREADS` how many scenes run at a time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::random::Random;
use crate::run::{Ended, Report, Stage};

/// How many runs there are where nobody says otherwise: enough to notice, few enough to wait for.
const RUNS: usize = 150;

/// Returns a setting.
#[expect(clippy::disallowed_methods, reason = "whoever runs the tests sets how long they are")]
pub(crate) fn text(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

pub(crate) fn setting(name: &str, otherwise: u64) -> u64 {
    text(name)
        .map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text:?}")))
}

pub(crate) fn count(name: &str, otherwise: usize) -> usize {
    usize::try_from(setting(name, otherwise as u64)).expect("a small number")
}

/// What the runs came to, taken together.
#[derive(Default)]
struct Tally {
    runs: usize,
    faulty: usize,
    faults: usize,
    requests: usize,
    most_requests: usize,
    latest: u128,
    ends: BTreeMap<String, usize>,
}

impl Tally {
    fn add(&mut self, report: &Report) {
        self.runs += 1;
        self.faulty += usize::from(report.faults > 0);
        self.faults += report.faults;
        self.requests += report.requests;
        self.most_requests = self.most_requests.max(report.requests);
        self.latest = self.latest.max(report.patience_used);
        let weather = if report.faults > 0 { "faults" } else { "no faults" };
        let end = match &report.ended {
            Ended::Started => "started".to_owned(),
            Ended::Refused(codes) => codes.iter().map(String::as_str).collect::<Vec<_>>().join(" + "),
        };
        *self.ends.entry(format!("{weather}: {end}")).or_default() += 1;
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "{} runs, {} of them with faults, {} faults in {} requests, at most {} a run; the latest end came after {} % \
             of the deadline",
            self.runs, self.faulty, self.faults, self.requests, self.most_requests, self.latest
        )?;
        self.ends.iter().try_for_each(|(end, times)| writeln!(f, "{times:>7}  {end}"))
    }
}

/// Runs one scene to its end.
fn scene(seed: u64, index: usize, tally: &Mutex<Tally>) -> Result<(), String> {
    let stream = u64::try_from(index).expect("few scenes");
    let mut random = Random::new(seed, stream);
    let mut stage = Stage::random(&mut random);
    for run in 0..stage.runs() {
        let report = stage.run().map_err(|broken| format!("run {run}: {broken}"))?;
        tally.lock().unwrap_or_else(PoisonError::into_inner).add(&report);
        stage.interlude(&mut random);
    }
    Ok(())
}

#[test]
fn whatever_goes_wrong_the_child_gets_every_value_or_is_not_started() {
    let (seed, first) = (setting("DSOPS_CHAOS_SEED", 1), count("DSOPS_CHAOS_SCENE", 0));
    let (runs, threads) = (count("DSOPS_CHAOS_RUNS", RUNS), count("DSOPS_CHAOS_THREADS", 4));
    let next = AtomicUsize::new(first);
    let tally = Mutex::new(Tally::default());
    let broken = Mutex::new(None);
    let started = Instant::now();
    let work = || {
        loop {
            let done = tally.lock().unwrap_or_else(PoisonError::into_inner).runs;
            if done >= runs || broken.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
                return;
            }
            let index = next.fetch_add(1, Ordering::SeqCst);
            let outcome =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| scene(seed, index, &tally)));
            let why = match outcome {
                Ok(Ok(())) => continue,
                Ok(Err(why)) => why,
                Err(_) => "the test itself panicked, as said above".to_owned(),
            };
            broken.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert((index, why));
        }
    };
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("seed {seed}, {:?}: {tally}", started.elapsed().max(Duration::from_millis(1)));
    if let Some((index, why)) = broken.into_inner().unwrap_or_else(PoisonError::into_inner) {
        panic!(
            "scene {index} of seed {seed}: {why}\nagain: DSOPS_CHAOS_SEED={seed} DSOPS_CHAOS_SCENE={index} \
             DSOPS_CHAOS_RUNS=1 cargo test --test chaos whatever"
        );
    }
}
