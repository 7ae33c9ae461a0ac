//! `dotenv`: a file of `KEY=value` lines.

mod config;
mod file;
mod grammar;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use zeroize::Zeroizing;

pub use self::config::DotenvConfig;
use self::file::File;
use self::grammar::Expansion;
use crate::contract::{
    About, Answers, Backend, Context, Entry, FetchError, FetchErrorKind, Finding, Lister, Locator,
    LocatorError, LocatorPart, Parts, Provider,
};

/// The most that a file may hold: more is not meant to be one.
const MAX_FILE: u64 = 16 << 20;

/// An opened `dotenv` store.
pub struct Dotenv {
    path: PathBuf,
    expansion: Expansion,
}

#[async_trait]
impl Provider for Dotenv {
    async fn fetch(&self, cx: &Context, locators: &[Locator]) -> Answers {
        let answers = self.with_file(cx, |file| {
            Answers::lookup(locators, |locator| {
                file.get(&locator.path).unwrap_or_else(|| Err(self.no_key(&locator.path)))
            })
        });
        answers.unwrap_or_else(|error| Answers::all_failed(locators, &error))
    }

    async fn check(&self, cx: &Context) -> Vec<Finding> {
        let path = self.path.display();
        let checked = self.with_file(cx, |file| {
            let broken = file.names().find_map(|name| file.get(name)?.err());
            match broken {
                Some(error) => Finding::warning(
                    "read",
                    format!("`{path}`: {error}"),
                    error.advice().unwrap_or("correct the file"),
                ),
                None => Finding::ok("read", format!("`{path}` has {} keys", file.names().count())),
            }
        });
        vec![checked.unwrap_or_else(|error| Finding::failed("read", &error))]
    }

    fn files(&self) -> Vec<PathBuf> {
        vec![self.path.clone()]
    }

    fn lister(&self) -> Option<&dyn Lister> {
        Some(self)
    }
}

#[async_trait]
impl Lister for Dotenv {
    async fn list(&self, cx: &Context, folder: &str) -> Result<Vec<Entry>, FetchError> {
        if !folder.is_empty() {
            return Err(FetchError::new(
                FetchErrorKind::NotFound,
                format!("no folder `{folder}`: a dotenv file has none"),
            )
            .help("import the store itself, without a folder"));
        }
        self.with_file(cx, |file| {
            let entry = |name: &str| Some(Entry { name: name.to_owned(), value: file.get(name)? });
            let mut entries: Vec<Entry> = file.names().filter_map(entry).collect();
            entries.sort_by(|a, b| a.name.cmp(&b.name));
            entries
        })
    }
}

impl Dotenv {
    /// Reads the file anew and gives it to `then`: what it borrows from is overwritten afterwards.
    fn with_file<T>(&self, cx: &Context, then: impl FnOnce(&File<'_>) -> T) -> Result<T, FetchError> {
        let bytes = self.bytes()?;
        let path = self.path.display();
        if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
            return Err(damaged(format!("`{path}` is UTF-16")).help("save the file as UTF-8"));
        }
        let file = File::read(&bytes, self.expansion, cx.env()).map_err(|mistake| {
            damaged(format!(
                "{} at `{path}` line {}, column {}",
                mistake.message, mistake.line, mistake.column
            ))
            .help(mistake.help)
        })?;
        Ok(then(&file))
    }

    fn bytes(&self) -> Result<Zeroizing<Vec<u8>>, FetchError> {
        let failed = |error: std::io::Error| unreadable(&self.path, error);
        let metadata = std::fs::metadata(&self.path).map_err(failed)?;
        let path = self.path.display();
        if !metadata.is_file() {
            // A pipe could make us wait for ever, and would be empty the second time.
            return Err(unusable(format!("`{path}` is no regular file")).help("name a file in `path`"));
        }
        if metadata.len() > MAX_FILE {
            return Err(unusable(format!("`{path}` has more than {MAX_FILE} bytes"))
                .help("name a file of `KEY=value` lines in `path`"));
        }
        std::fs::read(&self.path).map(Zeroizing::new).map_err(failed)
    }

    fn no_key(&self, name: &str) -> FetchError {
        FetchError::new(FetchErrorKind::NotFound, format!("`{}` has no key `{name}`", self.path.display()))
            .help("add the key to the file, or correct the reference")
    }
}

fn damaged(message: String) -> FetchError {
    FetchError::new(FetchErrorKind::Damaged, message)
}

/// A file that is not there is not a secret that is not there: `optional` must not hide it.
fn unusable(message: String) -> FetchError {
    FetchError::new(FetchErrorKind::Unavailable, message).temporary(false)
}

fn unreadable(path: &Path, error: std::io::Error) -> FetchError {
    let path = path.display();
    let help = match error.kind() {
        std::io::ErrorKind::NotFound => "create the file, or correct `path`, which starts at dsops.yaml",
        std::io::ErrorKind::PermissionDenied => "make the file readable for the user that runs dsops",
        _ => "check the file and the disk that it is on",
    };
    match error.kind() {
        std::io::ErrorKind::NotFound => unusable(format!("there is no file `{path}`")),
        _ => unusable(format!("`{path}` cannot be read")).caused_by(error),
    }
    .help(help)
}

impl Backend for Dotenv {
    type Config = DotenvConfig;

    const KIND: &'static str = "dotenv";

    const ABOUT: About = About {
        title: "Dotenv file",
        summary: "a file of KEY=value lines",
        // The file as a whole is the one folder, and can be imported.
        parts: Parts { folders: true, fields: false, versions: false },
        own_env: &[],
        example: "type: dotenv\npath: .env\n",
        readme: include_str!("README.md"),
    };

    fn accept(_: &DotenvConfig, locator: &Locator) -> Result<(), LocatorError> {
        let name = &locator.path;
        let is_key = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '.' | '-');
        let (message, help) = match name.as_str() {
            "" => ("no key", "name a key of the file"),
            name if name.contains('/') => {
                ("a folder, which a dotenv file does not have", "name the key alone")
            }
            name if !name.chars().all(is_key) => {
                ("not a key that a dotenv file can have", "use letters, digits, `_`, `.` and `-`")
            }
            _ => return Ok(()),
        };
        Err(LocatorError {
            part: LocatorPart::Path,
            message: message.to_owned(),
            help: Some(help.to_owned()),
        })
    }

    fn open(config: DotenvConfig, cx: &Context) -> Result<Self, FetchError> {
        let expansion = if config.expand { Expansion::On } else { Expansion::Off };
        Ok(Self { path: cx.resolve_path(&config.path), expansion })
    }
}
