//! A file that a command writes for others, as a summary for a monitoring.
//!
//! A regular file is replaced as a whole, so that a reader sees the old one or the new one; what cannot
//! be replaced is written where it is: a file that is mounted or stands in a folder that is not ours,
//! a device, a named pipe. A symbolic link stays, and what it names is written.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{
    FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown,
};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{Access, OFlags, access};

use crate::output::{self, OutputError};

/// As the system bounds it, too.
const MOST_LINKS: usize = 40;
/// How long the reader of a named pipe may be awaited: it is started beside us, or never.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(20);

/// Where to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// `-`.
    Stdout,
    /// A file of any kind.
    File(PathBuf),
}

impl From<PathBuf> for Destination {
    fn from(path: PathBuf) -> Self {
        match path.to_str() {
            Some("-" | "/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1") => Self::Stdout,
            _ => Self::File(path),
        }
    }
}

/// Why it cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum DestinationError {
    /// The folder has to be there.
    #[error("cannot write {}: there is no folder {}", path.display(), folder.display())]
    NoFolder {
        /// What was to be written.
        path: PathBuf,
        /// What is missing.
        folder: PathBuf,
    },
    /// A name for the file is missing.
    #[error("cannot write {}: it is a folder; name a file in it", .0.display())]
    Folder(PathBuf),
    /// The other end is not open, or nothing is taken from it.
    #[error("cannot write {}: nobody reads this named pipe", .0.display())]
    Unread(PathBuf),
    /// The system refuses.
    #[error("cannot write {}", path.display())]
    System {
        /// What was to be written.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It was to be standard output.
    #[error(transparent)]
    Output(#[from] OutputError),
}

impl Destination {
    /// Whether it can be written later, as far as that can be told. Nothing is made or opened.
    ///
    /// # Errors
    /// When it cannot.
    pub fn check(&self) -> Result<(), DestinationError> {
        let Self::File(path) = self else { return Ok(()) };
        let target = target(path)?;
        let system = |source: io::Error| system(path, source);
        match fs::metadata(&target) {
            Ok(found) if found.is_dir() => Err(DestinationError::Folder(path.clone())),
            Ok(found) if found.is_file() && is_open(folder_of(&target)).is_ok() => Ok(()),
            Ok(_) => access(&target, Access::WRITE_OK).map_err(|error| system(error.into())),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let folder = folder_of(&target);
                if !folder.is_dir() {
                    let (path, folder) = (path.clone(), folder.to_owned());
                    return Err(DestinationError::NoFolder { path, folder });
                }
                is_open(folder).map_err(system)
            }
            Err(error) => Err(system(error)),
        }
    }

    /// Writes it, in place of what it held.
    ///
    /// # Errors
    /// When it cannot be written; a regular file that could be replaced then holds what it held.
    pub fn write(&self, bytes: &[u8]) -> Result<(), DestinationError> {
        let Self::File(path) = self else { return Ok(output::print(bytes)?) };
        self.check()?;
        let target = target(path)?;
        let written = match fs::metadata(&target) {
            Ok(found) if found.is_file() && !is_descriptor(&target) => {
                match replace(&target, Some(&found), bytes) {
                    Err(error) if is_fixed(&error) => in_place(&target, bytes),
                    ended => ended,
                }
            }
            Ok(found) if found.file_type().is_fifo() => {
                return into_pipe(path, &target, bytes);
            }
            // A device; or what the shell has opened, and may have written to.
            Ok(_) => append(&target, bytes),
            Err(_) => replace(&target, None, bytes),
        };
        written.map_err(|source| system(path, source))
    }
}

fn system(path: &Path, source: io::Error) -> DestinationError {
    DestinationError::System { path: path.to_owned(), source }
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or_else(|| Path::new("."))
}

fn is_open(folder: &Path) -> io::Result<()> {
    Ok(access(folder, Access::WRITE_OK | Access::EXEC_OK)?)
}

/// What a link names in the end, whether or not that is there.
fn target(path: &Path) -> Result<PathBuf, DestinationError> {
    let mut target = path.to_owned();
    for _ in 0..MOST_LINKS {
        if is_descriptor(&target) {
            return Ok(target);
        }
        match fs::read_link(&target) {
            Ok(next) => target = folder_of(&target).join(next),
            // No link, or nothing.
            Err(_) => return Ok(target),
        }
    }
    Err(system(path, io::Error::other("too many symbolic links")))
}

/// Whether it names what a process has open, as `/dev/fd/3` and `/dev/stderr` do in the end.
fn is_descriptor(path: &Path) -> bool {
    let folder = folder_of(path).canonicalize().unwrap_or_default();
    folder.starts_with("/proc") && folder.ends_with("fd")
}

/// Whether another file cannot take its place: it is mounted there, or the folder is not ours.
fn is_fixed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::ResourceBusy
            | ErrorKind::CrossesDevices
    )
}

fn replace(path: &Path, old: Option<&Metadata>, bytes: &[u8]) -> io::Result<()> {
    let mut file = tempfile::Builder::new()
        .prefix(".toggl-track-")
        // For others to read, as far as the umask lets them.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder_of(path))?;
    file.write_all(bytes)?;
    if let Some(old) = old {
        let new = file.as_file().metadata()?;
        if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
            // Its owner stays where we may see to that; before the mode, which this changes.
            fchown(file.as_file(), Some(old.uid()), Some(old.gid())).ok();
        }
        file.as_file().set_permissions(old.permissions())?;
    }
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn in_place(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).truncate(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn append(path: &Path, bytes: &[u8]) -> io::Result<()> {
    OpenOptions::new().append(true).open(path)?.write_all(bytes)
}

/// Waits a while for somebody who reads. That the reader has seen enough is no error.
fn into_pipe(path: &Path, target: &Path, bytes: &[u8]) -> Result<(), DestinationError> {
    let mut deadline = Instant::now() + PATIENCE;
    let mut pipe: Option<File> = None;
    let mut rest = bytes;
    while !rest.is_empty() {
        let worked = match &mut pipe {
            None => open_pipe(target).map(|opened| {
                pipe = Some(opened);
                0
            }),
            Some(pipe) => pipe.write(rest),
        };
        match worked {
            Ok(written) => {
                rest = rest.get(written..).unwrap_or_default();
                deadline = Instant::now() + PATIENCE;
            }
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            Err(error) if is_patient(&error) => {
                if Instant::now() >= deadline {
                    return Err(DestinationError::Unread(path.to_owned()));
                }
                std::thread::sleep(LOOK);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(source) => return Err(system(path, source)),
        }
    }
    Ok(())
}

fn open_pipe(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    OpenOptions::new().write(true).custom_flags(flags).open(path)
}

/// Nobody reads yet, or not fast enough.
fn is_patient(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock
        || error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rustix::io::Errno;

    use super::*;

    fn at(path: &Path) -> Destination {
        Destination::from(path.to_owned())
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        fs::write(&path, "an old and longer text").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let mut reader = File::open(&path).unwrap();
        at(&path).write(b"new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(mode(&path), 0o640);
        // Whoever was reading reads the old one to its end.
        assert_eq!(io::read_to_string(&mut reader).unwrap(), "an old and longer text");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_stays_and_what_it_names_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let [file, link, second] = ["real", "link", "second"].map(|name| folder.path().join(name));
        symlink("real", &link).unwrap();
        symlink(&link, &second).unwrap();
        for text in ["made", "replaced"] {
            at(&second).check().unwrap();
            at(&second).write(text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), text);
            assert!(fs::symlink_metadata(&second).unwrap().is_symlink());
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        }
    }

    #[test]
    fn what_cannot_be_written_is_told_before() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("no/such/run.json");
        assert!(matches!(at(&missing).check(), Err(DestinationError::NoFolder { .. })));
        assert!(matches!(at(folder.path()).check(), Err(DestinationError::Folder(_))));
        let circle = folder.path().join("circle");
        symlink("circle", &circle).unwrap();
        assert!(at(&circle).check().is_err());
        let through_a_file = folder.path().join("file/run.json");
        fs::write(folder.path().join("file"), "").unwrap();
        assert!(at(&through_a_file).check().is_err());
        for good in ["new", "/dev/null", "-"] {
            at(&folder.path().join(good)).check().unwrap();
        }
    }

    #[test]
    fn what_cannot_be_replaced_is_written_where_it_is() {
        for error in [Errno::BUSY, Errno::ACCESS, Errno::PERM, Errno::ROFS, Errno::XDEV] {
            assert!(is_fixed(&error.into()), "{error:?}");
        }
        assert!(!is_fixed(&Errno::NOSPC.into()));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mounted");
        fs::write(&path, "an old and longer text").unwrap();
        let before = fs::metadata(&path).unwrap();
        in_place(&path, b"new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().ino(), before.ino());
    }

    #[test]
    fn devices_are_written_where_they_are() {
        at(Path::new("/dev/null")).write(b"text").unwrap();
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
        assert!(at(Path::new("/dev/full")).write(b"text").is_err());
    }

    #[test]
    fn a_named_pipe_is_read_by_whoever_opens_it_and_is_not_waited_for_in_vain() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).unwrap();
        at(&path).check().unwrap();
        // More than a pipe holds.
        let text = "0123456789".repeat(50_000);
        let reader = std::thread::spawn({
            let path = path.clone();
            move || fs::read_to_string(path)
        });
        at(&path).write(text.as_bytes()).unwrap();
        assert_eq!(reader.join().unwrap().unwrap(), text);
        assert!(matches!(at(&path).write(b"text"), Err(DestinationError::Unread(_))));
        assert!(fs::metadata(&path).unwrap().file_type().is_fifo());
    }
}
