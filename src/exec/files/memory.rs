//! Files without a name, in memory: memfd_create(2). The variable holds `/proc/self/fd/N`.

#[cfg(any(target_os = "linux", target_os = "android"))]
mod platform {
    use std::fs::File;
    use std::io::Write as _;
    use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
    use std::path::PathBuf;

    use rustix::fs::{MemfdFlags, Mode, SealFlags, fchmod, fcntl_add_seals, fstat, memfd_create};
    use rustix::io::{Errno, FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};

    use super::super::failed;
    use crate::environment::{ChildEnvironment, PendingFile};
    use crate::exec::ExecError;

    /// The lowest descriptor of a file: above those that scripts open by number.
    const LOWEST: RawFd = 64;
    /// The lowest where the limit of descriptors leaves no other: above what POSIX lets a script name.
    const LOWEST_AT_LEAST: RawFd = 10;

    /// Files in memory, which nobody can change any more.
    #[derive(Debug)]
    pub(in crate::exec::files) struct Memory {
        files: Vec<OwnedFd>,
    }

    impl Memory {
        pub(in crate::exec::files) fn make(environment: &mut ChildEnvironment) -> Result<Self, ExecError> {
            let mut files = Vec::new();
            environment.place_files(|name, file| {
                let made = make(file).map_err(|error| {
                    failed(format!("the file of `{}` cannot be made in memory", name.display()))
                        .caused_by(error)
                        .help("name a directory for it: `--files-dir DIR`")
                })?;
                let path = PathBuf::from(format!("/proc/self/fd/{}", made.as_raw_fd()));
                files.push(made);
                Ok(path)
            })?;
            Ok(Self { files })
        }

        pub(in crate::exec::files) fn hand_over(&self) -> Result<(), ExecError> {
            self.files.iter().try_for_each(|file| {
                fcntl_setfd(file, FdFlags::empty())
                    .map_err(|errno| failed("a file cannot be handed over").caused_by(errno))
            })
        }
    }

    fn make(file: &PendingFile) -> std::io::Result<OwnedFd> {
        let mode = Mode::from_raw_mode(file.options.mode);
        let memory = create(file.options.mode)?;
        let mut memory = File::from(memory);
        memory.write_all(file.content.expose())?;
        fchmod(&memory, mode)?;
        fcntl_add_seals(&memory, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
        // What the command gets is a descriptor for reading, at the start of the file, got in the way in which the
        // command will get its own: where `/proc` is not there, it is found out here.
        let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
        let read = File::open(path)?;
        let (made, seen) = (fstat(&memory)?, fstat(&read)?);
        if (made.st_dev, made.st_ino) != (seen.st_dev, seen.st_ino) {
            return Err(std::io::Error::other("/proc shows another file"));
        }
        match fcntl_dupfd_cloexec(&read, LOWEST) {
            // Beyond the limit of descriptors.
            Err(Errno::INVAL | Errno::MFILE) => Ok(fcntl_dupfd_cloexec(&read, LOWEST_AT_LEAST)?),
            other => Ok(other?),
        }
    }

    /// Says to the kernel whether the file may ever be executed, which newer ones may insist on. Older ones do not know
    /// the question.
    fn create(mode: u32) -> rustix::io::Result<OwnedFd> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let executable = if mode & 0o111 == 0 { MemfdFlags::NOEXEC_SEAL } else { MemfdFlags::EXEC };
        match memfd_create("dsops", flags | executable) {
            Err(Errno::INVAL) => memfd_create("dsops", flags),
            other => other,
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod platform {
    use super::super::failed;
    use crate::environment::ChildEnvironment;
    use crate::exec::ExecError;

    /// Not there on this system.
    #[derive(Debug)]
    pub(in crate::exec::files) struct Memory;

    impl Memory {
        pub(in crate::exec::files) fn make(_: &mut ChildEnvironment) -> Result<Self, ExecError> {
            Err(failed("this system has no files in memory that a path leads to")
                .help("name a directory for them: `--files-dir DIR`"))
        }

        pub(in crate::exec::files) fn hand_over(&self) -> Result<(), ExecError> {
            Ok(())
        }
    }
}

pub(super) use platform::Memory;
