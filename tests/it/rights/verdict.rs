//! What the fetcher's role may know of the tables: the verdict over its inventories.

use sqlx::{Connection as _, Executor as _};
use tests::workers::Finished;

use crate::expected::endings::assert_fails;
use crate::given::guarded::{FETCHER, Guarded};
use crate::reports::reporting::days_ago;

fn assert_judged(finished: &Finished) {
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert!(finished.stdout.contains(": equal to Toggl"), "{}", finished.stdout);
}

#[tokio::test]
async fn the_fetcher_reads_the_verdict_whichever_came_first_and_never_a_table() {
    let guarded = Guarded::start().await;
    guarded.set_up().await;
    let loader = guarded.loader(&[]).start().await.unwrap();
    guarded.world.sync(&["--days", "30"]).await.unwrap();
    guarded.world.loaded_by(&loader).await.unwrap();
    let from = days_ago(9);
    let verify =
        async || guarded.fetcher(&["verify", "--from", &from, "--repair"]).run().await.unwrap();

    // The roles are older than the views.
    assert_judged(&verify().await);
    guarded.execute("revoke select on all tables in schema staging from toggl_track_fetcher").await;
    let refused = verify().await;
    assert_fails(&refused, 1, &["may not read the verdict", "loader setup --vault"]);
    guarded.make_roles().await;
    assert_judged(&verify().await);

    let mut connection = guarded.connect_as(FETCHER).await;
    for table in ["raw.toggl_track__inventories", "staging.stg_toggl_track__time_entries"] {
        let sql = format!("select from {table}");
        let error = connection.execute(sqlx::AssertSqlSafe(sql)).await.unwrap_err();
        assert!(error.to_string().contains("permission denied"), "{table}: {error}");
    }
    connection.close().await.unwrap();
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
}
