//! What a command answers.

use std::io::{self, ErrorKind, Write as _};

/// Writes to standard output. That its reader has seen enough is no error.
pub(crate) fn print(bytes: impl AsRef<[u8]>) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes.as_ref()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}
