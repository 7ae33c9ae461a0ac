//! The tables of `docs/reference/exec.md`: made from what was seen, so that every cell is a run.
//!
//! A row is a scene; a cell is the scene in one mode. What comes of it in each mode has to be what comes of it
//! without dsops, unless the row says why not: that becomes a note below the table, and has to stay true.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::run::{MODES, Mode, Place};

const PAGE: &str = "docs/reference/exec.md";

/// How many cells of one table run at once. They wait more than they work.
const WORKERS: usize = 4;

/// What a scene shows of a command: in a few words, the same in each run.
type Scene = Box<dyn Fn(Mode, Place) -> String + Send + Sync>;

/// One row.
pub(crate) struct Row {
    name: String,
    scene: Scene,
    shown: Option<&'static str>,
    places: Option<Place>,
    modes: &'static [Mode],
    exceptions: Vec<Exception>,
}

/// A cell that is not as without dsops.
struct Exception {
    modes: &'static [Mode],
    place: Option<Place>,
    why: &'static str,
    /// What the page shows in place of what came: that is of this machine.
    shown: Option<&'static str>,
}

impl Row {
    pub(crate) fn new(
        name: impl Into<String>,
        scene: impl Fn(Mode, Place) -> String + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            scene: Box::new(scene),
            shown: None,
            places: None,
            modes: MODES,
            exceptions: Vec::new(),
        }
    }

    /// Shows this in the page in place of what comes without dsops: that is long or of this machine.
    pub(crate) fn shown(mut self, text: &'static str) -> Self {
        self.shown = Some(text);
        self
    }

    /// Runs the row in one place only.
    pub(crate) fn only(mut self, place: Place) -> Self {
        self.places = Some(place);
        self
    }

    /// Runs the row in some modes only.
    pub(crate) fn modes(mut self, modes: &'static [Mode]) -> Self {
        self.modes = modes;
        self
    }

    /// Says that some modes differ, by design, and why.
    pub(crate) fn differs(
        mut self,
        modes: &'static [Mode],
        place: impl Into<Option<Place>>,
        why: &'static str,
    ) -> Self {
        self.exceptions.push(Exception { modes, place: place.into(), why, shown: None });
        self
    }

    /// Shows this in the page for the difference that was said last: what comes is of this machine.
    pub(crate) fn shown_as(mut self, text: &'static str) -> Self {
        if let Some(exception) = self.exceptions.last_mut() {
            exception.shown = Some(text);
        }
        self
    }

    fn exception(&self, mode: Mode, place: Place) -> Option<&Exception> {
        let is_for = |exception: &&Exception| {
            exception.modes.contains(&mode) && exception.place.is_none_or(|listed| listed == place)
        };
        self.exceptions.iter().find(is_for)
    }
}

/// Runs a table and compares it with the page.
#[track_caller]
pub(crate) fn check(id: &str, first: &str, places: &[Place], rows: &[Row]) {
    let cells: Vec<(usize, Place, Mode)> = rows
        .iter()
        .enumerate()
        .flat_map(|(index, row)| {
            let places = places.iter().filter(move |place| row.places.is_none_or(|only| only == **place));
            let modes = MODES.iter().filter(|mode| row.modes.contains(mode));
            places.flat_map(move |place| modes.clone().map(move |mode| (index, *place, *mode)))
        })
        .collect();
    let seen = run(rows, &cells);
    let mut failures = String::new();
    for (index, place, mode) in &cells {
        let row = &rows[*index];
        let (alone, here) = (&seen[&(*index, *place, Mode::Alone)], &seen[&(*index, *place, *mode)]);
        let wanted = if row.exception(*mode, *place).is_some() { "not " } else { "" };
        if (alone == here) != wanted.is_empty() || alone.starts_with(PANIC) {
            let _ = writeln!(
                failures,
                "{id}: {} / {place:?} / {}: expected {wanted}{alone:?}, got {here:?}",
                row.name,
                mode.title()
            );
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
    put(id, &markdown(first, places, rows, &seen));
}

type Seen = BTreeMap<(usize, Place, Mode), String>;

/// What a cell holds whose scene did not come to its end.
const PANIC: &str = "failed: ";

fn run(rows: &[Row], cells: &[(usize, Place, Mode)]) -> Seen {
    let next = AtomicUsize::new(0);
    let seen = Mutex::new(Seen::new());
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some((index, place, mode)) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let cell = catch_unwind(AssertUnwindSafe(|| (rows[*index].scene)(*mode, *place)));
                    let text = cell.unwrap_or_else(|cause| {
                        let cause = cause
                            .downcast_ref::<String>()
                            .cloned()
                            .or_else(|| cause.downcast_ref::<&str>().map(|&text| text.to_owned()));
                        format!("{PANIC}{}", cause.unwrap_or_default())
                    });
                    seen.lock().expect("no panics").insert((*index, *place, *mode), text);
                }
            });
        }
    });
    seen.into_inner().expect("no panics")
}

fn markdown(first: &str, places: &[Place], rows: &[Row], seen: &Seen) -> String {
    let mut notes: Vec<&str> = Vec::new();
    let mut page = format!("| {first} |");
    for place in places {
        for mode in MODES {
            let at = if places.len() > 1 && *place == Place::Terminal { ", terminal" } else { "" };
            let _ = write!(page, " {}{at} |", mode.title());
        }
    }
    let _ = write!(page, "\n| --- |{}", " --- |".repeat(places.len() * MODES.len()));
    for (index, row) in rows.iter().enumerate() {
        let _ = write!(page, "\n| {} |", row.name.replace('|', "\\|"));
        for place in places {
            for mode in MODES {
                let Some(here) = seen.get(&(index, *place, *mode)) else {
                    page.push_str(" |");
                    continue;
                };
                let text = match (mode, row.exception(*mode, *place)) {
                    (Mode::Alone, _) => row.shown.unwrap_or(here).to_owned(),
                    (_, None) => "same".to_owned(),
                    (_, Some(exception)) => {
                        let number = notes.iter().position(|note| *note == exception.why);
                        let number = number.unwrap_or_else(|| {
                            notes.push(exception.why);
                            notes.len() - 1
                        });
                        format!("{} ({})", exception.shown.unwrap_or(here), number + 1)
                    }
                };
                let _ = write!(page, " {} |", text.replace('|', "\\|"));
            }
        }
    }
    if !notes.is_empty() {
        page.push('\n');
    }
    for (index, note) in notes.iter().enumerate() {
        let _ = write!(page, "\n{}. {note}", index + 1);
    }
    page
}

/// Compares a table with the page, or writes it there.
#[track_caller]
fn put(id: &str, text: &str) {
    static PAGE_LOCK: Mutex<()> = Mutex::new(());
    let _lock = PAGE_LOCK.lock();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = fs::read_to_string(&file).expect("the page");
    let (open, close) = (format!("<!-- table: {id} -->\n"), format!("<!-- end: {id} -->"));
    let (before, rest) = page.split_once(&open).unwrap_or_else(|| panic!("{PAGE} has no `{}`", open.trim()));
    let (_, after) = rest.split_once(&close).unwrap_or_else(|| panic!("{PAGE} has no `{close}`"));
    let wanted = format!("{before}{open}\n{text}\n\n{close}{after}");
    if wanted == page {
        return;
    }
    #[expect(clippy::disallowed_methods, reason = "the developer's wish is not part of a dsops.yaml")]
    let update = std::env::var_os("UPDATE").is_some();
    assert!(
        update,
        "{PAGE} is not what was seen; rewrite it with `UPDATE=1 cargo test --test process`\n{text}"
    );
    fs::write(file, wanted).expect("a writable page");
}

#[test]
fn every_table_of_the_page_is_run() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = fs::read_dir(root.join("tests/process")).expect("the tests").flatten();
    let sources: String = sources.filter_map(|file| fs::read_to_string(file.path()).ok()).collect();
    let page = fs::read_to_string(root.join(PAGE)).expect("the page");
    let mut table = None;
    for line in page.lines() {
        if let Some(id) = line.strip_prefix("<!-- table: ").and_then(|rest| rest.strip_suffix(" -->")) {
            assert!(sources.contains(&format!("check(\"{id}\"")), "no test runs the table `{id}`");
            table = Some(id);
        }
        assert!(table.is_some() || !line.starts_with('|'), "nothing runs {line:?}");
        if line.starts_with("<!-- end: ") {
            table = None;
        }
    }
}
