//! A dead letter inside the transaction that applies its batch again.

use sqlx::PgConnection;

use super::whole::storable;
use crate::apply::applied::Applied;
use crate::apply::dead_record::DeadRecord;

/// What a dead letter holds, as the table's generated column `kind` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A record that Postgres refuses, as a batch of its own.
    Record,
    /// A whole batch whose claim was not believed; its records were loaded.
    Claim,
    /// A whole batch of which most is refused; nothing of it was applied.
    Shape,
    /// A message that could not be decoded.
    Message,
    /// What the fetcher could make no record of.
    Rejected,
}

impl Kind {
    /// A kind that this loader does not know is a newer one's, and nothing that it could apply.
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "record" => Self::Record,
            "claim" => Self::Claim,
            "shape" => Self::Shape,
            "message" => Self::Message,
            _ => Self::Rejected,
        }
    }
}

/// A dead letter on its way into its table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Letter {
    /// `dead_letter_id`.
    pub(crate) id: i64,
    pub(crate) kind: Kind,
}

impl Letter {
    /// Holds the letter until the transaction ends; false if somebody settled it first. Comes after
    /// the lock on resource and workspace, as loaders take them in this order.
    pub(crate) async fn hold(self, connection: &mut PgConnection) -> sqlx::Result<bool> {
        sqlx::query(
            "select from raw.toggl_track__dead_letters where dead_letter_id = $1 for update",
        )
        .bind(self.id)
        .fetch_optional(connection)
        .await
        .map(|row| row.is_some())
    }

    /// Whether what the letter stands for was refused as a whole: then it stays, unless it is overtaken.
    pub(crate) const fn is_refused_again(self, applied: Applied) -> bool {
        match self.kind {
            Kind::Record => applied.dead > 0,
            Kind::Claim | Kind::Shape => applied.kept_whole,
            Kind::Message | Kind::Rejected => false,
        }
    }

    /// Deletes the letter, or gives it its newest reason if what it stands for was refused again.
    /// True if it stays.
    pub(crate) async fn settle(
        self,
        connection: &mut PgConnection,
        dead: &[DeadRecord],
        refused: Option<&str>,
    ) -> sqlx::Result<bool> {
        let again = match self.kind {
            Kind::Record => dead.first().map(|dead| (&*dead.reason, dead.sqlstate.as_deref())),
            Kind::Claim => refused.map(|reason| (reason, None)),
            // What is refused of a batch that is applied at last is kept as letters of its own.
            Kind::Shape | Kind::Message | Kind::Rejected => None,
        };
        match again {
            Some((reason, sqlstate)) => self.set_reason(connection, reason, sqlstate).await?,
            None => self.delete(connection).await?,
        }
        Ok(again.is_some())
    }

    /// What becomes of it where the shape of its batch is another one: it stays with this reason. A message
    /// that is read at last is kept as a batch from now on, and its letter goes. True if it stays.
    pub(crate) async fn settle_shape(
        self,
        connection: &mut PgConnection,
        reason: &str,
    ) -> sqlx::Result<bool> {
        let stays = self.kind != Kind::Message;
        if stays {
            self.set_reason(connection, reason, None).await?;
        } else {
            self.delete(connection).await?;
        }
        Ok(stays)
    }

    /// Notes why it was refused this time.
    pub(crate) async fn set_reason(
        self,
        connection: &mut PgConnection,
        reason: &str,
        sqlstate: Option<&str>,
    ) -> sqlx::Result<()> {
        sqlx::query(
            "update raw.toggl_track__dead_letters set reason = $2, sqlstate = $3
             where dead_letter_id = $1",
        )
        .bind(self.id)
        .bind(storable(reason))
        .bind(sqlstate)
        .execute(connection)
        .await
        .map(drop)
    }

    /// Why it was refused the last time; none if it is gone.
    pub(crate) async fn reason(
        self,
        connection: &mut PgConnection,
    ) -> sqlx::Result<Option<String>> {
        sqlx::query_scalar(
            "select reason from raw.toggl_track__dead_letters where dead_letter_id = $1",
        )
        .bind(self.id)
        .fetch_optional(connection)
        .await
    }

    async fn delete(self, connection: &mut PgConnection) -> sqlx::Result<()> {
        sqlx::query("delete from raw.toggl_track__dead_letters where dead_letter_id = $1")
            .bind(self.id)
            .execute(connection)
            .await
            .map(drop)
    }
}
