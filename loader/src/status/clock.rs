//! Fetchers whose clocks are ahead, as `loads` has them.

use sqlx::PgConnection;

use super::words::duration;

/// What of the last week's batches was fetched by a clock that is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ClocksAhead {
    pub(crate) batches: i64,
    /// In seconds, of the newest of them.
    pub(crate) ahead: i64,
}

/// By an index of these batches alone.
pub(super) async fn clocks_ahead(connection: &mut PgConnection) -> sqlx::Result<ClocksAhead> {
    let (batches, ahead): (i64, Option<i64>) = sqlx::query_as(
        "select count(*),
                (array_agg(extract(epoch from told_fetched_at - fetched_at)::bigint
                           order by loaded_at desc))[1]
         from raw.toggl_track__loads
         where told_fetched_at is not null and loaded_at > now() - interval '7 days'",
    )
    .fetch_one(connection)
    .await?;
    Ok(ClocksAhead { batches, ahead: ahead.unwrap_or(0) })
}

/// None where all clocks are right.
pub(super) fn of_clocks(clocks: ClocksAhead) -> Option<String> {
    let ClocksAhead { batches, ahead } = clocks;
    (batches > 0).then(|| {
        format!(
            "a machine that runs the fetcher has a clock that is ahead, last by {}: {batches} batch{} of the \
             last 7 days were taken for fetched when JetStream stored them. Set that machine's clock right",
            duration(ahead),
            if batches == 1 { "" } else { "es" }
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_ahead_is_named_with_what_to_do() {
        assert_eq!(of_clocks(ClocksAhead::default()), None);
        let words = of_clocks(ClocksAhead { batches: 2, ahead: 7_200 }).unwrap();
        assert!(words.contains("ahead, last by 2h") && words.contains("2 batches"), "{words}");
        assert!(words.ends_with("Set that machine's clock right"), "{words}");
    }
}
