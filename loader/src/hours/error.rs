//! Why there is no report.

use std::path::PathBuf;

use jiff::civil::Date;
use shared::destination::DestinationError;
use shared::exit::Exit;
use shared::output::OutputError;
use sqlx::error::DatabaseError;

use crate::postgres::database::ConnectError;
use crate::postgres::trouble::{Lack, Trouble, classify, lack};

#[derive(Debug, thiserror::Error)]
pub(super) enum HoursError {
    #[error("--from {from} is after --to {to}")]
    Order { from: Date, to: Date },
    #[error("--from {0} lies in the future; to see what is planned there, name --to as well")]
    Future(Date),
    #[error("--by takes at most {0} of them")]
    TooMany(usize),
    #[error("--by has {0} twice")]
    Twice(&'static str),
    #[error("the ending of {} says nothing: name it .html, .csv, .json or .txt, or say --format", .0.display())]
    Ending(PathBuf),
    #[error(
        "the views of this database are missing or older than this loader; run `loader migrate`"
    )]
    NotMigrated(#[source] sqlx::Error),
    // Only as words: what a loader would need is another matter.
    #[error(
        "this database role may not read the views: `grant toggl_track_analyst to ROLE` lets it ({0})"
    )]
    Forbidden(String),
    #[error(
        "Postgres knows no such time zone ({0}); name one of its view pg_timezone_names by --time-zone"
    )]
    Zone(String),
    #[error("Postgres took longer than {0} minutes; ask for fewer days")]
    TooLong(u8),
    #[error("Postgres does not do it")]
    Database(#[source] sqlx::Error),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Written(#[from] DestinationError),
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// What a statement may take.
pub(super) const MOST_MINUTES: u8 = 5;

impl HoursError {
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Order { .. }
            | Self::Future(_)
            | Self::TooMany(_)
            | Self::Twice(_)
            | Self::Ending(_)
            | Self::Zone(_) => Exit::Usage,
            Self::Connect(_) => Exit::Unreachable,
            Self::Database(error) if classify(error) == Trouble::Passing => Exit::Unreachable,
            _ => Exit::Failed,
        }
    }
}

impl From<sqlx::Error> for HoursError {
    fn from(error: sqlx::Error) -> Self {
        let told = error.as_database_error();
        let message = told.map_or_else(String::new, |told| told.message().to_owned());
        match (lack(&error), told.and_then(DatabaseError::code).as_deref()) {
            (Some(Lack::Tables), _) | (_, Some("42883")) => Self::NotMigrated(error),
            (Some(Lack::Rights), _) => Self::Forbidden(message),
            (_, Some("22023")) => Self::Zone(message),
            (_, Some("57014")) => Self::TooLong(MOST_MINUTES),
            _ => Self::Database(error),
        }
    }
}
