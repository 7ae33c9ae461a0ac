//! The files of `type: file` variables: made right before the command starts, gone when it has ended.
//!
//! Where the command takes the place of dsops they are files without a name in memory, which the kernel frees with the
//! last process that holds them. Where dsops stays they lie in a private directory, which dsops removes at the end, and
//! [`Keeper`](super::keeper::Keeper) where dsops was killed.

mod directory;
mod memory;

use std::path::PathBuf;

use super::{ExecError, ExecErrorKind};
use crate::environment::ChildEnvironment;
use directory::Directory;
use memory::Memory;

/// Where files lie, where they lie in a directory.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// The directory that the user named (`--files-dir`). It may be on disk.
    pub named: Option<PathBuf>,
    /// `$XDG_RUNTIME_DIR`, which is used where it is in memory and the user's own. Next comes `/dev/shm`.
    pub runtime_dir: Option<PathBuf>,
}

/// The files of a command. They are there as long as this is.
#[derive(Debug)]
#[must_use = "the files go when this is dropped"]
pub struct Files {
    form: Form,
    place: Place,
}

#[derive(Debug)]
enum Form {
    None,
    Memory(Memory),
    Directory(Box<Directory>),
}

impl Files {
    /// Makes the files in memory, for a command that takes the place of dsops, and puts their paths into the
    /// environment.
    ///
    /// # Errors
    ///
    /// `Files`, where there is no such memory or no `/proc` to name it.
    pub(super) fn in_memory(environment: &mut ChildEnvironment) -> Result<Self, ExecError> {
        let form = match environment.has_files() {
            true => Form::Memory(Memory::make(environment)?),
            false => Form::None,
        };
        Ok(Self { form, place: Place::default() })
    }

    /// Makes the files in a directory, for a command that dsops stays beside, and puts their paths into the
    /// environment.
    ///
    /// # Errors
    ///
    /// `Files`, where there is no directory to use, or it cannot be used.
    pub(super) fn in_directory(environment: &mut ChildEnvironment, place: Place) -> Result<Self, ExecError> {
        let mut files = Self { form: Form::None, place };
        files.rewrite(environment)?;
        Ok(files)
    }

    /// Puts new contents in the place of the old, each at once, and the paths into the new environment. A command that
    /// has a file open goes on reading the old one; whoever opens the path gets the new one. Files that the new
    /// environment does not have are removed.
    ///
    /// # Errors
    ///
    /// `Files`. The files that were not reached are the old ones.
    pub fn rewrite(&mut self, environment: &mut ChildEnvironment) -> Result<(), ExecError> {
        match &mut self.form {
            Form::Directory(directory) => directory.write(environment)?,
            Form::None if environment.has_files() => {
                self.form = Form::Directory(Box::new(Directory::make(environment, &self.place)?));
            }
            Form::None => {}
            Form::Memory(_) => return Err(failed("files in memory cannot be changed")),
        }
        Ok(())
    }

    /// Lets the command have the files in memory. Nothing else may be started from here on.
    pub(super) fn hand_over(&self) -> Result<(), ExecError> {
        match &self.form {
            Form::Memory(memory) => memory.hand_over(),
            Form::None | Form::Directory(_) => Ok(()),
        }
    }
}

fn failed(message: impl Into<String>) -> ExecError {
    ExecError::new(ExecErrorKind::Files, message)
}
