//! Entries whose stop lies before their start, or whose duration still says that they run.

use jiff::{SignedDuration, Timestamp};
use tests::toggl::{Account, TimeEntry, with_fields};
use tests::world::World;

const IDS: [i64; 3] = [9_000_000_001, 9_000_000_002, 9_000_000_003];

/// An entry of the last days, like those there are, with these fields.
fn put(account: &mut Account, id: i64, fields: &[(&str, &str)]) {
    let own = format!("\"user_id\":{}", account.user_id());
    let is_own = |entry: &&TimeEntry| entry.text().contains(&own);
    let text = account.time_entries().find(is_own).unwrap().text().to_owned();
    let id = id.to_string();
    let fields: Vec<_> = [("id", id.as_str())].into_iter().chain(fields.iter().copied()).collect();
    account.put_time_entry(&with_fields(&text, &fields));
}

#[tokio::test]
async fn an_entry_with_a_stop_does_not_run_whatever_its_duration() {
    let mut account = Account::sample_at(Timestamp::now());
    // A report claims and shows no day that is not over everywhere.
    let start = Timestamp::now() - SignedDuration::from_hours(60);
    let text = |hours: i64| {
        let at = start + SignedDuration::from_hours(hours);
        format!("\"{}\"", at.strftime("%Y-%m-%dT%H:%M:%S+00:00"))
    };
    let running_since = (-start.as_second()).to_string();
    let (begin, before, after) = (text(0), text(-1), text(2));
    let fields =
        |stop, duration| [("start", begin.as_str()), ("stop", stop), ("duration", duration)];
    put(&mut account, IDS[0], &fields(after.as_str(), running_since.as_str()));
    put(&mut account, IDS[1], &fields(before.as_str(), "-3600"));
    put(&mut account, IDS[2], &fields("null", running_since.as_str()));
    let world = World::start(account).await.unwrap();
    for arguments in [&["--days", "5"] as &[_], &["report", "--days", "5"]] {
        let finished = world.sync_and_load(arguments).await.unwrap();
        assert_eq!(finished.code, Some(0), "{finished:#?}");
        let mut connection = world.connect().await.unwrap();
        let sql = "select time_entry_id, is_running, duration_seconds
                   from staging.stg_toggl_track__time_entries
                   where time_entry_id > 9000000000 order by 1";
        let rows: Vec<(i64, bool, Option<i64>)> =
            sqlx::query_as(sql).fetch_all(&mut connection).await.unwrap();
        let wanted = [(IDS[0], false, Some(7_200)), (IDS[1], false, Some(0)), (IDS[2], true, None)];
        assert_eq!(rows, wanted, "{arguments:?}");
    }
}
