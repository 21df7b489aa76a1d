//! How long things are kept.

use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use shared::settings::{TimeError, plain};

/// Shorter than this is a mistake of units.
const SHORTEST: Duration = Duration::from_hours(1);

#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Keeping")]
#[expect(clippy::struct_field_names, reason = "they are named as the flags are")]
pub(crate) struct RetentionArgs {
    /// How long `raw.toggl_track__history` reaches back, as in 730d. What a table held at a moment since
    /// then stays known; older versions are deleted once a day. [default: forever]
    #[arg(long, env = "LOADER_KEEP_HISTORY", value_name = "TIME", value_parser = plain(Keep::from_str), global = true)]
    keep_history: Option<Keep>,
    /// How long a batch stays in `raw.toggl_track__loads`; the newest of each resource and workspace always
    /// does. [default: forever]
    #[arg(long, env = "LOADER_KEEP_LOADS", value_name = "TIME", value_parser = plain(Keep::from_str), global = true)]
    keep_loads: Option<Keep>,
    /// How long a dead letter is kept, applied or not. [default: forever]
    #[arg(long, env = "LOADER_KEEP_LETTERS", value_name = "TIME", value_parser = plain(Keep::from_str), global = true)]
    keep_letters: Option<Keep>,
}

impl RetentionArgs {
    pub(crate) fn is_set(self) -> bool {
        self.history().or(self.loads()).or(self.letters()).is_some()
    }

    pub(super) fn history(self) -> Option<Duration> {
        self.keep_history.and_then(|keep| keep.0)
    }

    pub(super) fn loads(self) -> Option<Duration> {
        self.keep_loads.and_then(|keep| keep.0)
    }

    pub(super) fn letters(self) -> Option<Duration> {
        self.keep_letters.and_then(|keep| keep.0)
    }
}

/// A time, or none for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Keep(Option<Duration>);

#[derive(Debug, thiserror::Error)]
pub(crate) enum KeepError {
    #[error("neither a time, as 365d, nor `forever`")]
    Format(#[source] TimeError),
    #[error("an hour at least")]
    Short,
}

impl FromStr for Keep {
    type Err = KeepError;

    fn from_str(text: &str) -> Result<Self, KeepError> {
        if text.eq_ignore_ascii_case("forever") {
            return Ok(Self(None));
        }
        let time = shared::settings::time(text).map_err(KeepError::Format)?;
        if time < SHORTEST { Err(KeepError::Short) } else { Ok(Self(Some(time))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_given_with_its_unit_and_forever_is_none() {
        for forever in ["forever", "Forever"] {
            assert_eq!(forever.parse::<Keep>().unwrap(), Keep(None));
        }
        assert_eq!("2d".parse::<Keep>().unwrap(), Keep(Some(Duration::from_hours(48))));
        for wrong in ["1s", "0d", "30", "-1d", "soon", ""] {
            wrong.parse::<Keep>().unwrap_err();
        }
    }
}
