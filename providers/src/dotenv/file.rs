//! What a dotenv file says: one value or one error per key.

use indexmap::IndexMap;

use super::grammar::{Assignment, Expansion, Mistake, Piece, parse};
use crate::contract::{EnvSnapshot, FetchError, FetchErrorKind, SecretValue};

/// The values of a file.
pub(super) struct File<'a>(IndexMap<&'a str, Slot>);

/// What stands under a key.
struct Slot {
    value: Result<SecretValue, FetchError>,
    line: usize,
    /// A later line that gives the same key another value.
    contradicted: Option<usize>,
}

impl<'a> File<'a> {
    /// Reads the bytes of a file. `${NAME}` is an earlier key or, where there is none, a variable.
    pub(super) fn read(bytes: &'a [u8], expansion: Expansion, env: &EnvSnapshot) -> Result<Self, Mistake> {
        let mut file = Self(IndexMap::new());
        for assignment in parse(bytes, expansion)? {
            let value = file.value_of(&assignment, env);
            file.assign(&assignment, value);
        }
        Ok(file)
    }

    /// Returns the value of a key, or why it has none.
    pub(super) fn get(&self, name: &str) -> Option<Result<SecretValue, FetchError>> {
        self.0.get(name).map(|slot| slot.answer(name))
    }

    /// Returns the keys, in the order of the file.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.0.keys().copied()
    }

    fn assign(&mut self, assignment: &Assignment<'a>, value: Result<SecretValue, FetchError>) {
        let line = assignment.line;
        let Some(slot) = self.0.get_mut(assignment.name) else {
            self.0.insert(assignment.name, Slot { value, line, contradicted: None });
            return;
        };
        let same = matches!((&slot.value, &value), (Ok(a), Ok(b)) if a.expose() == b.expose());
        if !same && slot.contradicted.is_none() {
            slot.contradicted = Some(line);
        }
    }

    fn value_of(&self, assignment: &Assignment<'_>, env: &EnvSnapshot) -> Result<SecretValue, FetchError> {
        let parts = assignment.pieces.iter().map(|piece| self.part(piece, assignment, env));
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        // Of the right size at once: a vector that grows leaves a copy behind.
        let mut value = Vec::with_capacity(parts.iter().map(|part| part.len()).sum());
        for part in parts {
            value.extend_from_slice(part);
        }
        Ok(SecretValue::new(value))
    }

    /// Returns the bytes that a piece stands for.
    fn part<'s>(
        &'s self,
        piece: &'s Piece<'_>,
        assignment: &Assignment<'_>,
        env: &'s EnvSnapshot,
    ) -> Result<&'s [u8], FetchError> {
        let (name, default) = match piece {
            Piece::Bytes(bytes) => return Ok(bytes),
            Piece::Byte(byte) => return Ok(std::slice::from_ref(byte)),
            Piece::Variable { name, default } => (*name, *default),
        };
        let found = match self.0.get(name) {
            Some(slot) => Some(slot.usable(name)?.expose()),
            None => env.get_os(name).map(std::ffi::OsStr::as_encoded_bytes),
        };
        match (found, default) {
            (None | Some([]), Some(default)) => Ok(default),
            (Some(bytes), None) | (Some(bytes @ [_, ..]), Some(_)) => Ok(bytes),
            (None, None) => Err(damaged(format!(
                "`{}` on line {} needs `{name}`, which is neither an earlier key nor a variable",
                assignment.name, assignment.line
            ))
            .help(format!("define `{name}` above it, or write `${{{name}:-default}}`"))),
        }
    }
}

impl Slot {
    fn answer(&self, name: &str) -> Result<SecretValue, FetchError> {
        self.usable(name).map(|value| SecretValue::copy_of(value.expose()))
    }

    fn usable(&self, name: &str) -> Result<&SecretValue, FetchError> {
        if let Some(line) = self.contradicted {
            return Err(damaged(format!(
                "`{name}` has one value on line {} and another on line {line}",
                self.line
            ))
            .help(format!("take one of the two lines of `{name}` out of the file")));
        }
        self.value.as_ref().map_err(FetchError::clone)
    }
}

fn damaged(message: String) -> FetchError {
    FetchError::new(FetchErrorKind::Damaged, message)
}
