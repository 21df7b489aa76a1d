//! The verdict over inventories, which Postgres holds: what `fetcher verify` says once loaders have stored
//! them, and what it repairs. Beside the vault the only thing that a fetcher asks of Postgres.

use std::collections::BTreeMap;

use jiff::civil::Date;
use secrecy::SecretString;
use shared::postgres::{AddressError, ConnectError, Postgres, Session, while_it_wakes};
use sqlx::{Connection as _, FromRow, PgConnection};

use crate::inventory::Days;
use crate::orchestrator::Repair;

const SESSION: Session = Session { application: "toggl-track-fetcher", settings: &[] };
/// Millions of entries are compared in this.
const BEGIN: &str = "begin read only; set local statement_timeout = '5min'";

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerdictError {
    /// The address is missing or wrong.
    #[error("the verdict stands in Postgres")]
    Address(#[from] AddressError),
    /// Nobody answers, or lets us in.
    #[error("the verdict stands in Postgres")]
    Unreachable(#[from] ConnectError),
    /// No right to it.
    #[error(
        "this database role may not read the verdict (staging.stg_toggl_track__verification); `loader setup \
         --vault` gives toggl_track_fetcher the right, after `loader migrate`; or ask `loader verify`"
    )]
    Forbidden,
    /// The loader is older than this fetcher.
    #[error("this database has no verdict: a loader of this version makes it (`loader migrate`)")]
    NotThere,
    /// Anything else that Postgres says.
    #[error("Postgres does not tell the verdict")]
    Database(#[source] sqlx::Error),
}

impl From<sqlx::Error> for VerdictError {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        match code.as_deref() {
            Some("42501") => Self::Forbidden,
            Some("42P01" | "3F000") => Self::NotThere,
            _ => Self::Database(error),
        }
    }
}

/// What was found of one inventory.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct Finding {
    pub(crate) workspace_id: i64,
    pub(crate) from_date: String,
    pub(crate) to_date: String,
    /// The worst of anybody's.
    pub(crate) verdict: String,
    pub(crate) fault: Option<String>,
    pub(crate) missing: i64,
    pub(crate) gone: i64,
    pub(crate) differing: i64,
    pub(crate) left_out: i64,
    pub(crate) unproven: i64,
    pub(crate) not_kept: i64,
}

impl Finding {
    /// Whether the tables are known to have what Toggl has, as far as they are meant to.
    pub(crate) fn is_good(&self) -> bool {
        matches!(self.verdict.as_str(), "equal" | "not kept")
    }

    /// Whether another inventory would tell nothing new.
    pub(crate) fn is_settled(&self) -> bool {
        self.verdict != "different" && self.left_out == 0
    }

    pub(crate) fn days(&self) -> Option<Days> {
        let day = |text: &str| text.parse::<Date>().ok();
        Some(Days { from: day(&self.from_date)?, to: day(&self.to_date)? })
    }
}

/// A connection that is asked for verdicts.
#[derive(Debug)]
pub(crate) struct Verdicts {
    connection: PgConnection,
}

impl Verdicts {
    /// # Errors
    /// When the address is wrong or nobody answers there.
    pub(crate) async fn connect(url: Option<&SecretString>) -> Result<Self, VerdictError> {
        let postgres = Postgres::read(url, SESSION)?;
        let connection = while_it_wakes(|| postgres.connect_plainly()).await?;
        Ok(Self { connection })
    }

    /// The verdict over each of these inventories, the oldest days first.
    ///
    /// # Errors
    /// See [`VerdictError`].
    pub(crate) async fn findings(&mut self, ids: &[i64]) -> Result<Vec<Finding>, VerdictError> {
        let mut transaction = self.connection.begin_with(BEGIN).await?;
        let findings = sqlx::query_as(FINDINGS)
            .bind(ids)
            .persistent(false)
            .fetch_all(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(findings)
    }

    /// What is to be read once more, workspace by workspace.
    ///
    /// # Errors
    /// See [`VerdictError`].
    pub(crate) async fn repairs(&mut self, ids: &[i64]) -> Result<Vec<Repair>, VerdictError> {
        let mut transaction = self.connection.begin_with(BEGIN).await?;
        let entries: Vec<(i64, i64, String)> = sqlx::query_as(ENTRIES)
            .bind(ids)
            .persistent(false)
            .fetch_all(&mut *transaction)
            .await?;
        let days: Vec<(i64, String, String)> =
            sqlx::query_as(DAYS).bind(ids).persistent(false).fetch_all(&mut *transaction).await?;
        let stored: Vec<(i64, i64)> =
            sqlx::query_as(STORED).bind(ids).persistent(false).fetch_all(&mut *transaction).await?;
        transaction.commit().await?;
        let mut repairs: BTreeMap<i64, Repair> = BTreeMap::new();
        for (workspace_id, id, state) in entries {
            let repair = repairs.entry(workspace_id).or_default();
            let set = if state == "gone" { &mut repair.gone } else { &mut repair.entries };
            set.insert(id);
        }
        for (workspace_id, from, to) in days {
            if let (Ok(from), Ok(to)) = (from.parse(), to.parse()) {
                repairs.entry(workspace_id).or_default().days.push(Days { from, to });
            }
        }
        for (workspace_id, count) in stored {
            if let Some(repair) = repairs.get_mut(&workspace_id) {
                repair.stored = usize::try_from(count).unwrap_or_default();
            }
        }
        for (workspace_id, repair) in &mut repairs {
            repair.workspace_id = *workspace_id;
            // What moved from one inventory's days to another's is there.
            repair.gone = repair.gone.difference(&repair.entries).copied().collect();
        }
        Ok(repairs.into_values().filter(|repair| !repair.is_empty()).collect())
    }

    /// A goodbye that fails changes nothing.
    pub(crate) async fn close(self) {
        drop(self.connection.close().await);
    }
}

const FINDINGS: &str = "
    select workspace_id, from_date::text, to_date::text,
           (array_agg(verdict order by array_position(
               array['no proof', 'not arrived', 'different', 'unproven', 'not kept', 'equal'], verdict)))[1] as verdict,
           max(fault) as fault, sum(missing_count)::bigint as missing,
           sum(gone_count)::bigint as gone, sum(differing_count)::bigint as differing,
           sum(left_out_count)::bigint as left_out, sum(unproven_count)::bigint as unproven,
           sum(not_kept_count)::bigint as not_kept
    from staging.stg_toggl_track__verification
    where inventory_id = any($1)
    group by workspace_id, inventory_id, from_date, to_date
    order by workspace_id, from_date";

const ENTRIES: &str = "
    select workspace_id, time_entry_id, state from staging.stg_toggl_track__verified_entries
    where inventory_id = any($1) and (state in ('missing', 'gone') or starts_with(state, 'other'))";

const DAYS: &str = "
    select distinct workspace_id, from_date::text, to_date::text
    from staging.stg_toggl_track__verified_sums
    where inventory_id = any($1) and state = 'other seconds'";

const STORED: &str = "
    select workspace_id, sum(stored_entry_count)::bigint from staging.stg_toggl_track__verification
    where inventory_id = any($1) group by workspace_id";
