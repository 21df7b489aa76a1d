//! Which dead letters a command is about.

use clap::builder::NonEmptyStringValueParser;
use clap::{ArgGroup, Args};
use sqlx::PgConnection;
use sqlx::postgres::PgArguments;
use sqlx::query::QueryAs;
use sqlx::{FromRow, Postgres};

use super::error::LettersError;
use crate::resource_argument::resource_names;

/// The condition of every query that goes by a [`Filter`]: `$1` ids, `$2` resources, `$3` reason.
macro_rules! selected {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            " from raw.toggl_track__dead_letters
              where ($1::bigint[] is null or dead_letter_id = any($1))
                and ($2::text[] is null or resource = any($2))
                and ($3::text is null or position(lower($3) in lower(reason)) > 0) ",
            $after
        )
    };
}
pub(super) use selected;

/// Letters that match all of these.
#[derive(Debug, Args)]
pub(crate) struct Filter {
    /// Only these, by their ids.
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(i64).range(1..))]
    pub(super) id: Vec<i64>,
    /// Only of these resources.
    #[arg(long, value_name = "R", value_delimiter = ',', value_parser = resource_names())]
    resource: Vec<String>,
    /// Only where the reason contains this text, in upper or lower case.
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    reason: Option<String>,
}

/// A filter that may not be left out by mistake.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").args(["id", "resource", "reason", "all"]).required(true).multiple(true))]
pub(crate) struct Selection {
    #[command(flatten)]
    pub(super) filter: Filter,
    /// All that there are.
    #[arg(long, conflicts_with_all = ["id", "resource", "reason"])]
    all: bool,
}

impl Filter {
    /// Binds a query made with [`selected!`].
    pub(super) fn query<R>(&self, sql: &'static str) -> QueryAs<'static, Postgres, R, PgArguments>
    where
        R: for<'r> FromRow<'r, sqlx::postgres::PgRow>,
    {
        let some = |empty: bool| (!empty).then_some(());
        sqlx::query_as(sql)
            .bind(some(self.id.is_empty()).map(|()| self.id.clone()))
            .bind(some(self.resource.is_empty()).map(|()| self.resource.clone()))
            .bind(self.reason.clone())
    }

    /// The ids of the letters there are now, the oldest first.
    pub(super) async fn ids(
        &self,
        connection: &mut PgConnection,
    ) -> Result<Vec<i64>, LettersError> {
        let sql = selected!("select dead_letter_id", "order by dead_letter_id");
        let rows: Vec<(i64,)> = self.query(sql).fetch_all(connection).await?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    /// The ids that were asked for and are not among these.
    pub(super) fn missing<'a>(&'a self, found: &'a [i64]) -> impl Iterator<Item = i64> + 'a {
        self.id.iter().copied().filter(|id| !found.contains(id))
    }
}
