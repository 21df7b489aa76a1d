//! A limit on the time that something takes.

use std::time::Duration;

use super::applied::ApplyError;

/// A limit on the time that something takes; the connection is in an unknown state past it.
pub(crate) async fn within<T, E: Into<ApplyError>>(
    limit: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, ApplyError> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result.map_err(Into::into),
        Err(_) => Err(ApplyError::TimedOut(limit)),
    }
}
