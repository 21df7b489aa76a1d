//! The same batches through the loader's own code into a real Postgres.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{Timestamp, ToSpan as _};
use loader::apply::{ApplyError, Options, Origin, apply, apply_in_pieces, apply_unread};
use shared::batch::{Batch, Coverage, Record, VERSION};
use shared::digest::Digest;
use shared::resource::Resource;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tests::migrated::migrated_database;
use tests::rows::unrecorded;
use tests::servers::{Database, shared_postgres};
use tests::workers::Worker;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::sent::{Axis, Claim, LONGEST_RUN, Live, PEOPLE, Sent};

/// Ids and moments of one case; cases do not touch.
const CASE: i64 = 10_000;
/// Entries of one case.
const MOST_IDS: i64 = 100;

/// Moments of a case of reports, and what stands for a second in it: seven days are then worth no more than
/// some syncs.
const REPORTS_CASE: i64 = 1_000;
const RUNNING_UNIT: i64 = 7 * 24 * 60 * 60 / LONGEST_RUN;

/// Whether a listing brings nothing new by its digest alone; then it is applied.
async fn known(
    connection: &mut PgConnection,
    resource: &'static Resource,
    batch: &Batch,
    origin: &Origin,
) -> bool {
    let Some(digest) = Digest::of(resource, batch, &[]) else { return false };
    let digest = Digest::read(&digest.to_string(), &[]).unwrap();
    let options = Options::default();
    apply_unread(connection, resource, &digest, origin, options).await.unwrap().is_some()
}

/// A migrated database and two connections, as two loaders have them.
pub(crate) struct Stored {
    url: String,
    connections: [Mutex<PgConnection>; 2],
    cases: AtomicI64,
}

impl Stored {
    pub(crate) async fn start() -> Self {
        let postgres = shared_postgres().await.unwrap();
        let Database { name, url } = migrated_database().await.unwrap();
        let connect = async || Mutex::new(postgres.connect(&name).await.unwrap());
        let connections = [connect().await, connect().await];
        Self { url, connections, cases: AtomicI64::new(1) }
    }

    /// Applies the batches one after the other and answers the live rows.
    pub(crate) async fn apply_in_order(&self, axis: Axis, batches: &[Sent]) -> BTreeMap<i64, Live> {
        let case = Case { axis, base: self.cases.fetch_add(1, Ordering::Relaxed) * CASE };
        let mut connection = self.connections[0].lock().await;
        case.apply(&mut connection, batches.iter()).await;
        case.live_rows(&mut connection).await
    }

    /// Applies the batches one after the other, again and again until nothing changes, and answers the times in
    /// which each version that was superseded was valid.
    pub(crate) async fn past_after_redelivery(
        &self,
        axis: Axis,
        batches: &[Sent],
    ) -> Vec<(i64, i64)> {
        let case = Case { axis, base: self.cases.fetch_add(1, Ordering::Relaxed) * CASE };
        let mut connection = self.connections[0].lock().await;
        case.apply(&mut connection, batches.iter()).await;
        case.redelivery_comes_to_rest(&mut connection, batches).await;
        let sql = "select extract(epoch from valid_from)::bigint - $2, extract(epoch from valid_to)::bigint - $2
                   from raw.toggl_track__history
                   where resource = $1 and source_id between $2 and $2 + $3 order by 1";
        let past = sqlx::query_as(sql).bind(case.resource().name).bind(case.base).bind(CASE - 1);
        past.fetch_all(&mut *connection).await.unwrap()
    }

    /// Applies the batches over both connections at once, while somebody may be forgotten, and answers the
    /// live rows.
    pub(crate) async fn apply(
        &self,
        axis: Axis,
        batches: &[Sent],
        forgotten: Option<i64>,
    ) -> BTreeMap<i64, Live> {
        let case = Case { axis, base: self.cases.fetch_add(1, Ordering::Relaxed) * CASE };
        let [one, other] = &self.connections;
        let (mut one, mut other) = (one.lock().await, other.lock().await);
        tokio::join!(
            case.apply(&mut one, batches.iter().step_by(2)),
            case.apply(&mut other, batches.iter().skip(1).step_by(2)),
            self.forget(forgotten.map(|person| case.person(person))),
        );
        case.claims_are_disjoint(&mut one).await;
        case.history_ends_in_the_live_rows(&mut one).await;
        case.the_view_shows_what_is_stored(&mut one).await;
        // Some will do.
        if (case.base / CASE) % 4 == 0 {
            case.redelivery_comes_to_rest(&mut one, batches).await;
        }
        case.live_rows(&mut one).await
    }

    async fn forget(&self, user_id: Option<i64>) {
        let Some(user_id) = user_id else { return };
        let forget = Worker::new("loader", &["forget", "--yes", "--user", &user_id.to_string()]);
        // NATS is only asked what it still has.
        let forget = forget.env("DATABASE_URL", &self.url).env("NATS_URL", "nats://127.0.0.1:1");
        let forgotten = forget.run().await.unwrap();
        assert_eq!(forgotten.code, Some(0), "{}", forgotten.stderr);
    }
}

#[derive(Clone, Copy)]
struct Case {
    axis: Axis,
    base: i64,
}

impl Case {
    /// The id of one of its people.
    fn person(self, person: i64) -> i64 {
        self.base + CASE / 2 + person
    }

    fn resource(self) -> &'static Resource {
        let name = match self.axis {
            Axis::Ids => "projects",
            Axis::Starts => "time_entries",
            Axis::Reports => "time_entries_report",
        };
        shared::catalogue::find(name).unwrap()
    }

    /// Later cases are later, so that no case finds newer claims of another.
    fn moment(self, at: i64) -> Timestamp {
        let second = match self.axis {
            Axis::Ids | Axis::Starts => self.base + at,
            Axis::Reports => (self.base / CASE * REPORTS_CASE + at) * RUNNING_UNIT,
        };
        Timestamp::from_second(second).unwrap()
    }

    async fn apply(self, connection: &mut PgConnection, batches: impl Iterator<Item = &Sent>) {
        for sent in batches {
            let origin = Origin {
                subject: self.resource().subject(),
                stream_sequence: 1,
                published_at: self.moment(sent.fetched_at),
                promised_age: None,
            };
            let batch = self.batch(sent);
            let (resource, options) = (self.resource(), Options::default());
            // Some are cut, as where Postgres is slow.
            let most = usize::try_from(sent.fetched_at.rem_euclid(5)).unwrap();
            loop {
                let applied = if most == 0 {
                    if known(connection, resource, &batch, &origin).await {
                        break;
                    }
                    apply(connection, resource, &batch, &origin, options).await
                } else {
                    apply_in_pieces(connection, resource, &batch, &origin, options, most).await
                };
                match applied {
                    // As a loader does where somebody is forgotten at that moment.
                    Err(ApplyError::ForgottenChanged) => {}
                    applied => {
                        applied.unwrap();
                        break;
                    }
                }
            }
            // Now and then the views' copy is brought up to date.
            if sent.fetched_at.rem_euclid(3) == 0 {
                let settle = "select raw.toggl_track__settle('0')";
                sqlx::query(settle).execute(&mut *connection).await.unwrap();
            }
        }
    }

    fn batch(self, sent: &Sent) -> Batch {
        let is_entry = self.axis != Axis::Ids;
        let is_mine = self.axis == Axis::Starts;
        let records = sent.seen.iter().map(|seen| Record {
            source_id: self.base + seen.id,
            workspace_id: is_mine.then_some(self.base),
            modified_at: Some(self.moment(seen.live.modified_at)),
            started_at: (is_entry && !seen.live.running).then(|| self.moment(seen.live.start)),
            user_id: is_entry.then_some(self.base),
            deleted_at: seen.deleted.then(|| self.moment(seen.live.modified_at)),
            data: self.data(seen.id, seen.live, seen.deleted).into(),
        });
        Batch {
            version: VERSION,
            run_id: Uuid::now_v7(),
            resource: self.resource().name.to_owned(),
            workspace_id: if is_mine { 0 } else { self.base },
            api_version: "v9".to_owned(),
            fetched_at: self.moment(sent.fetched_at) + sent.hours_ahead.hours(),
            part: 0,
            coverage: self.coverage(sent.claim),
            records: records.collect(),
            rejected: Vec::new(),
        }
    }

    fn coverage(self, claim: Option<Claim>) -> Coverage {
        let Some(Claim { axis, low, high }) = claim else { return Coverage::Partial };
        match axis {
            Axis::Ids => Coverage::Ids {
                after: low.map(|low| self.base + low),
                through: high.map(|high| self.base + high),
            },
            Axis::Starts | Axis::Reports => Coverage::Starts {
                from: self.moment(low.unwrap()),
                to: self.moment(high.unwrap()),
                user_id: (self.axis == Axis::Starts).then_some(self.base),
            },
        }
    }

    /// Newer claims are cut out of older ones, so that the record of claims stays as small as the
    /// ranges are distinct.
    async fn claims_are_disjoint(self, connection: &mut PgConnection) {
        let overlapping: i64 = sqlx::query_scalar(
            "select count(*) from raw.toggl_track__claims a, raw.toggl_track__claims b
             where a.ctid < b.ctid and a.resource = b.resource
               and a.workspace_id = b.workspace_id and a.user_id is not distinct from b.user_id
               and (a.ids && b.ids or a.starts && b.starts)
               and (a.user_id = $1 or a.workspace_id = $1) and (b.user_id = $1 or b.workspace_id = $1)",
        )
        .bind(self.base)
        .fetch_one(connection)
        .await
        .unwrap();
        assert_eq!(overlapping, 0, "claims overlap");
    }

    async fn history_ends_in_the_live_rows(self, connection: &mut PgConnection) {
        let ids = self.base..=self.base + CASE - 1;
        let unrecorded = unrecorded(connection, self.resource(), ids).await.unwrap();
        assert_eq!(unrecorded, Vec::<String>::new(), "the history lags behind");
    }

    /// Whichever entries were noted as written: the view says the same where all are read from the raw table.
    async fn the_view_shows_what_is_stored(self, connection: &mut PgConnection) {
        if self.axis == Axis::Ids {
            return;
        }
        let mut transaction = connection.begin().await.unwrap();
        let seen = self.shown(&mut transaction).await;
        sqlx::query("select raw.toggl_track__note_touched(array(select generate_series($1, $2)))")
            .bind(self.base)
            .bind(self.base + MOST_IDS)
            .execute(&mut *transaction)
            .await
            .unwrap();
        assert_eq!(seen, self.shown(&mut transaction).await, "the view is behind");
        transaction.rollback().await.unwrap();
    }

    async fn shown(self, connection: &mut PgConnection) -> Vec<String> {
        let sql = "select v::text from staging.stg_toggl_track__time_entries v
                   where time_entry_id between $1 and $2 order by time_entry_id";
        let shown = sqlx::query_scalar(sql).bind(self.base).bind(self.base + CASE - 1);
        shown.fetch_all(connection).await.unwrap()
    }

    /// A listing that came late, after what it lacks was seen again, dates a deletion too early; the one that saw
    /// it again says so where it comes again. So each time that a record came back may take a delivery of all
    /// of them, and what is on record then is more complete. After that nothing is written.
    async fn redelivery_comes_to_rest(self, connection: &mut PgConnection, batches: &[Sent]) {
        for _ in 0..=batches.len() {
            let before = self.versions(connection).await;
            self.apply(connection, batches.iter()).await;
            if self.versions(connection).await == before {
                return;
            }
        }
        panic!("batches that come again are recorded again and again");
    }

    /// Every version of the case, superseded or present: the id, since when, until when, and what it said.
    async fn versions(self, connection: &mut PgConnection) -> Vec<String> {
        let sql = format!(
            "select concat_ws(' ', source_id, valid_from, valid_to, is_deleted, modified_at, data)
             from raw.toggl_track__history
             where resource = '{}' and source_id between $1 and $2
             union all
             select concat_ws(' ', source_id, valid_from, deleted_at, fetched_at, modified_at, data)
             from raw.{}
             where source_id between $1 and $2
             order by 1",
            self.resource().name,
            self.resource().table()
        );
        let versions = sqlx::query_scalar(AssertSqlSafe(sql)).bind(self.base);
        versions.bind(self.base + CASE - 1).fetch_all(connection).await.unwrap()
    }

    async fn live_rows(self, connection: &mut PgConnection) -> BTreeMap<i64, Live> {
        let sql = format!(
            "select source_id, (data->>'content')::int, (data->>'began')::bigint,
                    extract(epoch from modified_at)::bigint,
                    data->>'stop' is null
             from raw.{} where workspace_id = $1 and deleted_at is null",
            self.resource().table()
        );
        let rows: Vec<(i64, i32, i64, i64, bool)> =
            sqlx::query_as(AssertSqlSafe(sql)).bind(self.base).fetch_all(connection).await.unwrap();
        rows.into_iter()
            .map(|(id, content, start, modified, running)| {
                let content = u8::try_from(content).unwrap();
                let modified_at = self.since_base(modified);
                (id - self.base, Live { content, start, modified_at, running })
            })
            .collect()
    }

    /// The reverse of [`moment`](Self::moment).
    fn since_base(self, second: i64) -> i64 {
        match self.axis {
            Axis::Ids | Axis::Starts => second - self.base,
            Axis::Reports => second / RUNNING_UNIT - self.base / CASE * REPORTS_CASE,
        }
    }

    /// Like Toggl's, the JSON of a listing says the same of an unchanged record every time.
    fn data(self, id: i64, live: Live, deleted: bool) -> String {
        let Live { content, start, modified_at, running } = live;
        let stop = if running { "null" } else { r#""then""# };
        let deleted = if deleted { r#""then""# } else { "null" };
        let uid = self.person(id % PEOPLE);
        format!(
            r#"{{"id":{id},"uid":{uid},"content":{content},"start":"{}","began":{start},"at":{modified_at},"stop":{stop},"server_deleted_at":{deleted}}}"#,
            self.moment(start)
        )
    }
}
