//! The process itself, as the system sees it.

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, setrlimit};

/// Keeps the memory, and the secrets in it, out of core dumps, and on Linux also from debuggers and
/// the environment (`/proc/<pid>/environ`) from other processes of the same user.
///
/// # Errors
/// When the system refuses.
pub fn hide_memory() -> std::io::Result<()> {
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
pub fn terminate(pid: u32) -> std::io::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::InvalidInput))?;
    Ok(kill_process(pid, Signal::TERM)?)
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
