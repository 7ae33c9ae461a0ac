//! How a command ends is how dsops ends: each exit code, and each signal.

use crate::run::{Mode, Place, Run, name};
use crate::table::{Row, check};

#[test]
fn dsops_ends_as_the_command_ended() {
    let mut rows = vec![Row::new("exit with each code from 0 to 255", |mode, _| {
        let odd = (0..=255).find(|code: &i32| {
            let script = format!("exit {code}");
            Run::new(mode, Place::Apart).start(&["sh", "-c", &script]).end() != format!("exit {code}")
        });
        odd.map_or_else(|| "that code".to_owned(), |code| format!("another for {code}"))
    })];
    rows.extend(
        (1..=31)
            .filter(|signal| !matches!(signal, 17..=23 | 28))
            .map(|signal| Row::new(format!("by {}", name(signal)), move |mode, _| ended_by(mode, signal))),
    );
    rows.push(Row::new("by each of 34 to 64", |mode, _| {
        let odd = (34..=64).find(|&signal| ended_by(mode, signal) != format!("ends by {}", name(signal)));
        odd.map_or_else(|| "ends by it".to_owned(), |signal| format!("otherwise for {signal}"))
    }));
    check("ends", "the command ends", &[Place::Apart], &rows);
}

fn ended_by(mode: Mode, signal: i32) -> String {
    Run::new(mode, Place::Apart).start(&["probe", "raise", &signal.to_string()]).end()
}
