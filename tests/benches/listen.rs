//! How long it takes from a change at Toggl to its row, by `fetcher listen` as it is set up by default. Prints the
//! median and the longest time for one's own entries, other people's and deletions, and how many times that is what a
//! batch takes from its publishing to its row.
#![expect(clippy::print_stdout, reason = "this is the output of the program")]

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use jiff::{SignedDuration, Timestamp};
use shared::catalogue;
use shared::listing::{Listing, MAX_BYTES, Span};
use shared::message::message;
use sqlx::{AssertSqlSafe, PgConnection};
use tests::servers::free_port;
use tests::toggl::Account;
use tests::world::World;
use uuid::Uuid;

const ROUNDS: i64 = 12;
/// Longer than the least time between two looks, so that each change is looked at alone.
const PAUSE: Duration = Duration::from_millis(2_500);
/// Between two looks whether a row is there.
const LOOK: Duration = Duration::from_millis(5);
const DEADLINE: Duration = Duration::from_mins(1);
const FIRST: i64 = 9_000_000_000;
const OTHER_USER: i64 = 77;

#[tokio::main]
async fn main() -> Result<()> {
    let world = World::start(Account::sample_at(Timestamp::now())).await?;
    world.sync(&[]).await?;
    let loader = world.start_loader().await?;
    loader.logged("Loading", DEADLINE).await?;
    world.loaded().await?;
    let mut connection = world.connect().await?;
    let bare = times(async |n| published(&world, &mut connection, n).await).await?;
    let address = format!("127.0.0.1:{}", free_port()?);
    let url = format!("http://{address}");
    let listen = ["listen", "--public-url", &url, "--address", &address];
    let listener = world.fetcher(&listen).start().await?;
    listener.logged("Toggl tells of workspace", DEADLINE).await?;
    listener.logged("Finished in", DEADLINE).await?;

    let own = times(async |n| changed(&world, &mut connection, FIRST + n, None).await).await?;
    let (user, first) = (Some(OTHER_USER), FIRST + ROUNDS);
    let others = times(async |n| changed(&world, &mut connection, first + n, user).await).await?;
    let gone = times(async |n| deleted(&world, &mut connection, FIRST + n).await).await?;
    println!("{:<24} {:>8} {:>8} {:>8}", "", "median", "longest", "ratio");
    let ceiling = median(&bare);
    for (name, times) in [
        ("a batch by itself", bare),
        ("an own entry", own),
        ("somebody else's", others),
        ("a deletion", gone),
    ] {
        let (median, longest) = (median(&times), times.iter().copied().max().unwrap_or_default());
        let [median, longest] = [median, longest].map(|time| time.as_secs_f64());
        println!(
            "{name:<24} {median:>7.3}s {longest:>7.3}s {:>8.1}",
            median / ceiling.as_secs_f64()
        );
    }
    listener.terminate().await?;
    loader.terminate().await?;
    Ok(())
}

async fn times(mut round: impl AsyncFnMut(i64) -> Result<Duration>) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    for number in 0..ROUNDS {
        tokio::time::sleep(PAUSE).await;
        times.push(round(number).await?);
    }
    Ok(times)
}

fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// A batch that somebody publishes, until its row is there.
async fn published(world: &World, connection: &mut PgConnection, number: i64) -> Result<Duration> {
    let resource = catalogue::find("tags").context("there are tags")?;
    let id = FIRST + number;
    let record = shared::batch::Record {
        source_id: id,
        workspace_id: None,
        modified_at: Some(Timestamp::now()),
        started_at: None,
        user_id: None,
        deleted_at: None,
        data: format!(r#"{{"id":{id},"name":"tag {id}"}}"#).into(),
    };
    let listing = Listing {
        resource,
        workspace_id: 1,
        fetched_at: Timestamp::now(),
        span: Span::Partial,
        records: vec![record],
        rejected: Vec::new(),
    };
    let context = world.jetstream().await?;
    let batches = listing.into_batches(Uuid::now_v7(), 0, MAX_BYTES);
    let started = Instant::now();
    for batch in &batches {
        let message = message(resource, batch, batch.encode()?, None);
        context.send_publish(resource.subject(), message).await?.await?;
    }
    seen(connection, &format!("raw.toggl_track__tags where source_id = {id}")).await?;
    Ok(started.elapsed())
}

/// An entry that is made at Toggl, until its row is there.
async fn changed(
    world: &World,
    connection: &mut PgConnection,
    id: i64,
    other: Option<i64>,
) -> Result<Duration> {
    let started = Instant::now();
    world.toggl.with_account(|account| {
        let now = Timestamp::now();
        let start = now - SignedDuration::from_hours(30);
        let stop = start + SignedDuration::from_hours(1);
        let (workspace_id, user_id) = (account.workspace_id(), other.unwrap_or(account.user_id()));
        account.put_time_entry(&format!(
            r#"{{"id":{id},"workspace_id":{workspace_id},"user_id":{user_id},"start":"{start:.0}","stop":"{stop:.0}","at":"{now:.0}","duration":3600}}"#
        ));
    });
    let table = if other.is_some() { "time_entries_report" } else { "time_entries" };
    seen(connection, &format!("raw.toggl_track__{table} where source_id = {id}")).await?;
    Ok(started.elapsed())
}

/// The same for one that is deleted.
async fn deleted(world: &World, connection: &mut PgConnection, id: i64) -> Result<Duration> {
    let started = Instant::now();
    world.toggl.with_account(|account| account.delete_time_entry(id, Timestamp::now()));
    let gone =
        format!("raw.toggl_track__time_entries where source_id = {id} and deleted_at is not null");
    seen(connection, &gone).await?;
    Ok(started.elapsed())
}

async fn seen(connection: &mut PgConnection, rows: &str) -> Result<()> {
    let sql = format!("select exists (select from {rows})");
    let look = async {
        while !sqlx::query_scalar(AssertSqlSafe(&*sql)).fetch_one(&mut *connection).await? {
            tokio::time::sleep(LOOK).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(DEADLINE, look).await.with_context(|| format!("no {rows}"))?
}
