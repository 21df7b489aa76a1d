//! The process itself, as the system sees it.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, setrlimit};

/// Keeps the memory, and the secrets in it, out of core dumps, and on Linux also from debuggers and
/// the environment (`/proc/<pid>/environ`) from other processes of the same user.
///
/// # Errors
/// When the system refuses.
pub fn hide_memory() -> io::Result<()> {
    // A dump that is piped to a program, as systemd's, does not heed the limit; `dumpable` it does.
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(())
}

/// Asks another process to end in order, by SIGTERM.
///
/// # Errors
/// When there is none of that number, or it is somebody else's.
pub fn terminate(pid: u32) -> io::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    Ok(kill_process(pid, Signal::TERM)?)
}

/// Where the program that runs was started from, as it is found there again after an upgrade.
///
/// What the system tells of a running program is its file: that was deleted when another took its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program(PathBuf);

impl Program {
    /// The one that runs; to be asked for at its start.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn running() -> io::Result<Self> {
        let file = std::env::current_exe()?;
        let running = std::fs::metadata(&file)?;
        let name = std::env::args_os().next().unwrap_or_default();
        let named = named(&name).into_iter().find(|path| is_same(path, &running));
        Ok(Self(named.unwrap_or(file)))
    }

    /// Its file, or whatever stands there by now.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

/// What a shell would have started by this name.
fn named(name: &OsStr) -> Vec<PathBuf> {
    if name.as_encoded_bytes().contains(&b'/') {
        return std::path::absolute(name).into_iter().collect();
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::env::split_paths(&folders).map(|folder| folder.join(name));
    paths.filter_map(|path| std::path::absolute(path).ok()).collect()
}

fn is_same(path: &Path, running: &Metadata) -> bool {
    let found = std::fs::metadata(path);
    found.is_ok_and(|found| (found.dev(), found.ino()) == (running.dev(), running.ino()))
}

/// The name of this machine, for people.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_memory_is_neither_dumped_nor_open_to_others() {
        hide_memory().unwrap();
        assert_eq!(rustix::process::getrlimit(Resource::Core).current, Some(0));
        #[cfg(target_os = "linux")]
        assert_eq!(
            rustix::process::dumpable_behavior().unwrap(),
            rustix::process::DumpableBehavior::NotDumpable
        );
    }
}
