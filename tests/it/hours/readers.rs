//! Who may read a report: an analyst, with the address of the database and nothing else.

use tests::workers::Worker;

use crate::expected::endings::assert_fails;
use crate::given::guarded::Guarded;
use crate::given::watched::ended;

const READER: &str = "reader";

#[tokio::test]
async fn an_analyst_may_make_reports_and_who_may_nothing_hears_what_is_missing() {
    let guarded = Guarded::start().await;
    guarded.set_up().await;
    guarded.create_role(READER, "").await;
    let address = format!(
        "postgres://{READER}:password%20of%20{READER}@127.0.0.1:{}/{}",
        guarded.world.postgres().port(),
        guarded.world.database.name
    );
    // No NATS, no token.
    let hours = || {
        Worker::new("loader", &["hours", "--by", "client,user,tag", "--format", "html"])
            .env("DATABASE_URL", &address)
    };
    let refused = hours().run().await.unwrap();
    assert_fails(
        &refused,
        1,
        &["grant toggl_track_analyst to", "permission denied for schema staging"],
    );
    guarded.execute(&format!("grant toggl_track_analyst to {READER}")).await;
    let page = ended(hours(), 0).await.stdout;
    assert!(page.contains("Nothing was tracked"), "{page}");
    let verdict = ended(
        Worker::new("loader", &["hours", "--from", "2020-01-01"]).env("DATABASE_URL", &address),
        0,
    )
    .await;
    assert!(
        verdict.stdout.contains("`fetcher verify`"),
        "the verdict may be read: {}",
        verdict.stdout
    );
}
