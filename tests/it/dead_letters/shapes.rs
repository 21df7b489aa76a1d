//! Batches of which most is refused: kept whole as one dead letter, got past, and applied or overtaken
//! later.

use std::collections::BTreeSet;

use shared::batch::{Batch, ZSTD};
use shared::listing::{MAX_RECORDS, Span};
use shared::resource::Resource;
use tests::rows::ledger;
use tests::toggl::Account;
use tests::world::World;

use crate::dead_letters::letters::{Letters, named, poison, rejected};
use crate::expected::rows::resource;
use crate::given::batches::{cut, listing, moment};
use crate::replay::replaying::Replaying;

/// Sixty refused records.
fn spoilt(resource: &'static Resource, fetched_at: i64) -> Vec<Batch> {
    listing(resource, fetched_at, poison(resource, 1..=60))
}

impl Letters {
    async fn with_poison_refused(resource: &Resource) -> Self {
        let mut letters = Self::start().await;
        letters.refuse(resource, "no_poison").await;
        letters
    }

    /// When the batches that are kept whole were fetched.
    async fn fetched(&mut self) -> Vec<i64> {
        let sql = "select extract(epoch from fetched_at)::bigint from raw.toggl_track__dead_letters
                   where kind = 'shape' order by 1";
        let fetched: Vec<i64> =
            sqlx::query_scalar(sql).fetch_all(&mut self.connection).await.unwrap();
        fetched.into_iter().map(|at| at - moment(0).as_second()).collect()
    }
}

#[tokio::test]
async fn nothing_of_a_batch_of_another_shape_is_applied_not_even_its_claim() {
    let tags = resource("tags");
    let mut letters = Letters::with_poison_refused(tags).await;
    letters.load(&listing(tags, 10, named(tags, [1, 2, 99], "good"))).await;
    let mut records = poison(tags, 1..=60);
    records.extend(named(tags, 61..=70, "good"));
    letters.load(&listing(tags, 20, records)).await;
    assert_eq!(letters.kinds().await, [("shape".to_owned(), None)]);
    assert_eq!(letters.live(tags).await, BTreeSet::from([1, 2, 99]));
    let loads = ledger(&mut letters.connection, tags.name).await.unwrap();
    assert_eq!(loads.last(), Some(&[70, 0, 0, 0, 0, 70]));

    letters.load(&listing(tags, 30, named(tags, [1, 2], "good"))).await;
    letters.assert_none().await;
    assert_eq!(letters.live(tags).await, BTreeSet::from([1, 2]));
    assert_eq!(letters.loader.terminate().await.unwrap(), Some(0));
}

#[tokio::test]
async fn it_is_applied_whole_once_its_cause_is_gone_and_stays_one_letter_until_then() {
    let tags = resource("tags");
    let mut letters = Letters::with_poison_refused(tags).await;
    letters.load(&listing(tags, 10, named(tags, [1, 99], "good"))).await;
    letters.load(&spoilt(tags, 20)).await;
    let id = letters.only_id().await;
    letters.refuse(tags, "other").await;
    letters.allow(tags, "no_poison").await;
    for _ in 0..2 {
        let finished = letters.run(&["retry", "--all"], 6).await;
        let stays = format!("{id} tags: stays: at least 51 of 60 records are refused");
        assert!(finished.stdout.starts_with(&stays), "{finished:?}");
        assert!(letters.kept().await[0].reason.contains("\"other\""), "the newest reason");
        assert_eq!(letters.only_id().await, id);
    }
    letters.allow(tags, "other").await;
    let finished = letters.run(&["retry", "--all"], 0).await;
    let applied = format!("{id} tags: applied: 60 written, 1 marked deleted\n");
    assert!(finished.stdout.starts_with(&applied), "{finished:?}");
    letters.assert_none().await;
    assert_eq!(letters.live(tags).await, (1..=60).collect());
}

#[tokio::test]
async fn the_commands_show_it_as_what_it_is() {
    let tags = resource("tags");
    let mut letters = Letters::with_poison_refused(tags).await;
    let batches = spoilt(tags, 10);
    letters.load(&batches).await;
    let id = letters.only_id().await.to_string();
    let listed = letters.run(&["list", "--json"], 0).await.stdout;
    assert!(listed.contains(r#""kind":"shape""#), "{listed}");
    let shown = letters.run(&["show", &id], 0).await.stdout;
    assert!(shown.starts_with(&format!("Dead letter {id} (shape)\n")), "{shown}");
    assert!(shown.contains("60 records, complete for all ids"), "{shown}");
    assert!(shown.contains("bytes, the batch"), "{shown}");
    assert_eq!([letters.only_batch().await], *batches);
    letters.run(&["discard", "--id", &id, "--yes"], 0).await;
    letters.assert_none().await;
}

#[tokio::test]
async fn of_one_range_the_newest_is_kept_in_whatever_order_they_come() {
    let (tags, groups) = (resource("tags"), resource("groups"));
    let mut letters = Letters::with_poison_refused(tags).await;
    letters.refuse(groups, "no_poison").await;
    for fetched_at in [20, 40, 30, 40] {
        letters.load(&spoilt(tags, fetched_at)).await;
    }
    assert_eq!(letters.fetched().await, [40]);
    letters.load(&spoilt(groups, 50)).await;
    assert_eq!(letters.fetched().await, [40, 50], "another resource");
}

#[tokio::test]
async fn partial_ones_stay_until_complete_listings_cover_all_of_their_records() {
    let tags = resource("tags");
    let mut letters = Letters::with_poison_refused(tags).await;
    for fetched_at in [20, 30] {
        letters.load(&cut(tags, fetched_at, Span::Partial, poison(tags, 1..=60))).await;
    }
    assert_eq!(letters.fetched().await, [20, 30], "neither replaces the other");
    letters.load(&listing(tags, 25, named(tags, 5..=6, "good"))).await;
    assert_eq!(letters.fetched().await, [30]);
    letters.load(&cut(tags, 40, Span::Partial, named(tags, 1..=60, "good"))).await;
    assert_eq!(letters.fetched().await, [30], "nothing is claimed");
    letters.load(&listing(tags, 50, named(tags, 1..=60, "good"))).await;
    letters.assert_none().await;

    let entries = resource("time_entries");
    letters.refuse(entries, "no_poison").await;
    letters.load(&cut(entries, 20, Span::Partial, poison(entries, 1..=60))).await;
    let to = |id: i64| Span::Starts {
        from: moment(0),
        to: moment(id * 100),
        user_id: Some(crate::given::batches::USER),
    };
    letters.load(&cut(entries, 30, to(60), Vec::new())).await;
    assert_eq!(letters.fetched().await, [20], "the last entry starts later");
    letters.load(&cut(entries, 40, to(61), Vec::new())).await;
    letters.assert_none().await;
}

#[tokio::test]
async fn a_replay_goes_on_past_it_and_brings_none_back_that_is_overtaken() {
    let mut replaying = Replaying::start().await;
    let tags = resource("tags");
    let refuse = "alter table raw.toggl_track__tags
                  add constraint no_poison check (data->>'name' not like 'poison%')";
    replaying.execute(refuse).await;
    replaying.load(&spoilt(tags, 10)).await;
    replaying.load(&cut(tags, 20, Span::Partial, named(tags, [70], "good"))).await;
    replaying.truncate().await;
    replaying.execute("truncate raw.toggl_track__dead_letters").await;

    let finished = replaying.replay(&[], 6).await;
    let counts = "  tags: 2 batches, 1 applied, 0 unchanged, 0 stale, 0 deleted, 60 dead, 1 batches kept whole\n";
    assert!(finished.stdout.contains(counts), "{finished:#?}");
    let kinds = "select string_agg(kind, ' ') from raw.toggl_track__dead_letters";
    assert_eq!(replaying.scalar(kinds).await, "shape");
    replaying.replay(&[], 6).await;
    assert_eq!(replaying.scalar(kinds).await, "shape", "the same one");

    replaying.load(&listing(tags, 30, named(tags, 1..=70, "good"))).await;
    assert_eq!(replaying.scalar(kinds).await, "null");
    replaying.replay(&[], 0).await;
    assert_eq!(replaying.scalar(kinds).await, "null");
}

#[tokio::test]
async fn what_is_no_record_keeps_no_batch_from_being_applied_up_to_what_a_fetcher_sends() {
    let mut letters = Letters::start().await;
    let tags = resource("tags");
    let mut batch = cut(tags, 10, Span::Partial, named(tags, 1..=3, "good")).remove(0);
    let texts: Vec<_> = (0..=MAX_RECORDS).map(|place| format!("[{place}]")).collect();
    let texts: Vec<_> = texts.iter().map(|text| (None, text.as_str())).collect();
    batch.rejected = rejected(tags, 10, &texts[..60]).rejected;
    letters.load(&[batch.clone()]).await;
    assert_eq!(letters.live(tags).await, BTreeSet::from([1, 2, 3]));
    assert_eq!(letters.ids().await.len(), 60);

    let groups = resource("groups");
    letters.load(&[rejected(groups, 10, &texts)]).await;
    let kept = letters.kept().await.pop().unwrap();
    assert_eq!(kept.kind, "shape");
    assert_eq!(kept.reason, "2501 of 2501 records are refused, the first because: it is none");
    let whole = Batch::decode(&kept.payload, Some(ZSTD)).unwrap();
    assert_eq!(whole.rejected.len(), texts.len());
}

/// Each statement is a round trip.
#[tokio::test]
async fn as_many_letters_as_a_fetcher_sends_at_once_are_kept_with_few_statements() {
    let world = World::start_with_own_postgres(Account::empty()).await.unwrap();
    let log = format!("alter database {} set log_statement = 'all'", world.database.name);
    let mut connection = world.connect().await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(log)).execute(&mut connection).await.unwrap();
    let mut letters = Letters::over(world).await;
    let tags = resource("tags");
    let texts: Vec<_> = (0..2_400).map(|place| format!(r#"{{"id":{place}}}"#)).collect();
    let mut without_id = true;
    let texts: Vec<_> = (0..2_400)
        .zip(&texts)
        .map(|(place, text)| {
            without_id = !without_id;
            ((!without_id).then_some(place), text.as_str())
        })
        .collect();
    let statements =
        |letters: &Letters| letters.world.postgres().log().matches("LOG:  execute").count();
    for fetched_at in [10, 20] {
        let before = statements(&letters);
        letters.load(&[rejected(tags, fetched_at, &texts)]).await;
        let statements = statements(&letters) - before;
        assert!((1..200).contains(&statements), "{statements} statements");
        assert_eq!(letters.ids().await.len(), 2_400, "at {fetched_at}");
    }
}
