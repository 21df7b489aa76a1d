//! Writing a file whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use uuid::Uuid;

/// Writes beside the file first, and takes its place once everything is on the disk. A link stays a link, rights
/// stay as they were; what is no plain file, such as a pipe, is written to as it is.
pub(super) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let before = match fs::metadata(path) {
        Ok(before) if before.is_dir() => return Err(io::Error::other("it is a folder")),
        Ok(before) if !before.is_file() => {
            return OpenOptions::new().write(true).open(path)?.write_all(bytes);
        }
        Ok(before) => Some(before),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let target = if before.is_some() { fs::canonicalize(path)? } else { path.to_owned() };
    let beside = beside(&target)?;
    let written = fill(&beside, bytes)
        .and_then(|()| {
            before.map_or(Ok(()), |before| fs::set_permissions(&beside, before.permissions()))
        })
        .and_then(|()| fs::rename(&beside, &target));
    if written.is_err() {
        fs::remove_file(&beside).ok();
    }
    written
}

fn beside(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| io::Error::other("it has no name"))?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}", Uuid::now_v7().simple()));
    Ok(path.with_file_name(hidden))
}

fn fill(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn folder() -> PathBuf {
        let folder = std::env::temp_dir().join(format!("hours-{}", Uuid::now_v7().simple()));
        fs::create_dir(&folder).unwrap();
        folder
    }

    #[test]
    fn a_file_is_replaced_whole_with_its_rights_and_through_its_link() {
        let folder = folder();
        let (file, link) = (folder.join("hours.html"), folder.join("link.html"));
        write(&file, b"first").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&file, &link).unwrap();

        write(&link, b"second").unwrap();

        assert_eq!(fs::read(&file).unwrap(), b"second");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "nothing is left beside it");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing() {
        let folder = folder();
        assert!(write(&folder, b"x").is_err());
        assert!(write(&folder.join("no folder").join("hours.html"), b"x").is_err());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        fs::remove_dir_all(folder).unwrap();
    }
}
