//! Trouble of every kind, at random, while rows flow from fetchers and past them.
//!
//! Short as it stands here. `SOAK_FAULTS=200 SOAK_ROWS=1000000 LONGEST_TEST_MINUTES=40` is the long one,
//! best with `--nocapture`, for it says what it does to whom.

use std::time::Duration;

use jiff::Timestamp;
use shared::catalogue::CATALOGUE;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use tests::proxy::{COMMIT, Direction, Proxy};
use tests::servers::DEADLINE;
use tests::servers::Shutdown;
use tests::toggl::{Account, AccountSize, TimeEntry};
use tests::workers::{Resident, Worker};
use tests::world::World;

use crate::expected::oracle::assert_catches_up;
use crate::given::admitted::Admitted;
use crate::given::dice::{Dice, setting};
use crate::given::flow::Flow;

const FAULTS: usize = 30;
const ROWS: usize = 40_000;

const ENTRIES_PER_LISTING: i64 = 400;

/// The flow's entries are of later days than the fetchers', by years.
const FIRST_LISTING: i64 = 1_000_000 / ENTRIES_PER_LISTING;

/// What no worker may take, in KiB.
const MEMORY: u64 = 100 * 1024;

const LONGEST_PAUSE: Duration = Duration::from_secs(3);
const MOST_LOADERS: usize = 3;

struct Soak<'a> {
    admitted: &'a Admitted,
    world: &'a World,
    dice: Dice,
    /// Between the loaders and their servers.
    nats: Proxy,
    postgres: Proxy,
    loaders: Vec<Resident>,
    /// The most that any loader, and any fetcher, has had in memory, in KiB.
    loader_memory: u64,
    fetcher_memory: u64,
}

impl<'a> Soak<'a> {
    async fn start(admitted: &'a Admitted) -> Self {
        let world = &admitted.world;
        let nats = Proxy::start(world.nats.port()).await.unwrap();
        let postgres = Proxy::start(world.postgres().port()).await.unwrap();
        let mut soak = Self {
            admitted,
            world,
            dice: Dice::new(),
            nats,
            postgres,
            loaders: Vec::new(),
            loader_memory: 0,
            fetcher_memory: 0,
        };
        soak.more_loaders().await;
        soak
    }

    async fn more_loaders(&mut self) {
        let loader = self.admitted.loader_through(&self.postgres);
        let loader = loader.env("NATS_URL", self.nats.nats_url());
        let loader = loader.start().await.unwrap();
        // It ends if a server is away when it starts, to be started again by whoever runs it.
        loader.logged("Loading", DEADLINE).await.unwrap();
        self.loaders.push(loader);
    }

    fn measure(&mut self) {
        let peaks = self.loaders.iter().filter_map(Resident::peak_memory);
        self.loader_memory = peaks.fold(self.loader_memory, u64::max);
    }

    /// One of them, which is no longer counted among them.
    fn some_loader(&mut self) -> Resident {
        let place = self.dice.below(self.loaders.len());
        self.loaders.swap_remove(place)
    }

    /// Something breaks, and is whole again when this returns.
    #[expect(clippy::print_stderr, reason = "shown with the failure of a test")]
    async fn fault(&mut self) {
        tokio::time::sleep(self.dice.time(LONGEST_PAUSE) / 10).await;
        self.measure();
        let kind = self.dice.below(19);
        eprintln!("{} fault {kind}, {} loaders", Timestamp::now(), self.loaders.len());
        match kind {
            0..=2 => self.change_loaders(kind).await,
            3 | 4 => self.break_nats(kind).await,
            5..=7 => self.break_postgres(kind).await,
            8..=12 => self.break_a_line(kind).await,
            13 | 14 => self.refuse(kind).await,
            15 | 16 => self.hold_a_table_up(kind).await,
            17 => self.delete_a_consumer().await,
            _ => self.restore_a_dump().await,
        }
        for loader in &self.loaders {
            assert_eq!(loader.exit_code(), None, "{}", loader.log());
        }
    }

    async fn change_loaders(&mut self, kind: usize) {
        match kind {
            0 => self.some_loader().kill9().unwrap(),
            1 => {
                let loader = self.some_loader();
                assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
            }
            _ => {}
        }
        if self.loaders.len() < MOST_LOADERS {
            self.more_loaders().await;
        }
    }

    async fn break_nats(&mut self, kind: usize) {
        let nats = &self.world.nats;
        if kind == 3 {
            nats.kill9().unwrap();
            tokio::time::sleep(self.dice.time(LONGEST_PAUSE)).await;
            nats.restart().await.unwrap();
        } else {
            nats.signal("STOP").unwrap();
            tokio::time::sleep(self.dice.time(LONGEST_PAUSE)).await;
            nats.signal("CONT").unwrap();
        }
    }

    async fn break_postgres(&mut self, kind: usize) {
        let postgres = self.world.postgres();
        match kind {
            5 => postgres.restart(Shutdown::Fast).await.unwrap(),
            6 => postgres.restart(Shutdown::Immediate).await.unwrap(),
            _ => {
                let mut connection = self.world.connect().await.unwrap();
                let end = "select pg_terminate_backend(pid) from pg_stat_activity
                           where application_name = 'toggl-track-loader'";
                connection.execute(end).await.unwrap();
                connection.close().await.unwrap();
            }
        }
    }

    /// Log-ins, or more connections than a few.
    async fn refuse(&mut self, kind: usize) {
        let (refuse, admit) = match kind {
            13 => ("alter role {role} nologin", "alter role {role} login"),
            _ => ("alter role {role} connection limit 2", "alter role {role} connection limit -1"),
        };
        self.admitted.execute(refuse).await;
        self.admitted.end_sessions().await;
        tokio::time::sleep(self.dice.time(LONGEST_PAUSE)).await;
        self.admitted.execute(admit).await;
    }

    /// By a lock, or a trigger that takes its time.
    async fn hold_a_table_up(&mut self, kind: usize) {
        let table = if self.dice.below(2) == 0 { "time_entries" } else { "tags" };
        let mut connection = self.world.connect().await.unwrap();
        let pause = self.dice.time(LONGEST_PAUSE * 2);
        if kind == 15 {
            let mut transaction = connection.begin().await.unwrap();
            let lock = format!("lock table raw.toggl_track__{table} in access exclusive mode");
            transaction.execute(AssertSqlSafe(lock)).await.unwrap();
            tokio::time::sleep(pause).await;
            transaction.rollback().await.unwrap();
        } else {
            let slow = format!(
                "create or replace function public.slow() returns trigger language plpgsql as
                 $$ begin perform pg_sleep(0.02); return new; end $$;
                 create trigger slow before insert or update on raw.toggl_track__{table}
                 for each row execute function public.slow()"
            );
            sqlx::raw_sql(AssertSqlSafe(slow)).execute(&mut connection).await.unwrap();
            tokio::time::sleep(pause).await;
            let quick = format!("drop trigger slow on raw.toggl_track__{table}");
            connection.execute(AssertSqlSafe(quick)).await.unwrap();
        }
        connection.close().await.unwrap();
    }

    async fn break_a_line(&mut self, kind: usize) {
        let directions = [Direction::ToServer, Direction::ToClient];
        let direction = directions[self.dice.below(2)];
        let (bytes, pause) = (self.dice.below(20_000), self.dice.time(LONGEST_PAUSE));
        let proxy = if self.dice.below(2) == 0 { &self.nats } else { &self.postgres };
        match kind {
            8 => proxy.cut(),
            9 => proxy.cut_after(direction, bytes),
            10 => self.postgres.lose_replies(COMMIT, 2),
            11 => proxy.swallow(Some(direction)),
            _ => proxy.delay(pause / 20),
        }
        tokio::time::sleep(pause).await;
        self.nats.heal();
        self.postgres.heal();
        if kind == 11 {
            // Else each of them would wait for its time limit.
            self.nats.cut();
            self.postgres.cut();
        }
    }

    /// What was loaded since it was taken is gone.
    async fn restore_a_dump(&mut self) {
        let admitted = self.admitted;
        // A database is copied while nobody is connected.
        admitted.execute("alter database {database} allow_connections false").await;
        admitted
            .execute(
                "select pg_terminate_backend(pid) from pg_stat_activity
                 where datname = '{database}'",
            )
            .await;
        admitted.execute("create database {database}_dump template {database}").await;
        admitted.execute("alter database {database} allow_connections true").await;
        tokio::time::sleep(self.dice.time(LONGEST_PAUSE)).await;
        admitted.execute("drop database {database} with (force)").await;
        admitted.execute("create database {database} template {database}_dump owner {role}").await;
        admitted.execute("drop database {database}_dump").await;
    }

    async fn delete_a_consumer(&mut self) {
        let resource = &CATALOGUE[self.dice.below(CATALOGUE.len())];
        let stream = self.world.stream().await.unwrap();
        // It may be gone for another reason.
        stream.delete_consumer(&resource.consumer()).await.ok();
    }
}

/// Syncs an account that changes; one run in three is killed.
async fn fetch(world: &World, dice: &mut Dice) -> u64 {
    world.toggl.with_account(|account| {
        let ids: Vec<_> = account.time_entries().map(TimeEntry::id).collect();
        for id in ids.iter().step_by(7) {
            let description = format!(r#""{}""#, Timestamp::now());
            account.edit_time_entry(*id, Timestamp::now(), &[("description", &description)]);
        }
    });
    let fetcher = fetcher(world).start().await.unwrap();
    let killed = (dice.below(3) == 0).then(|| dice.time(LONGEST_PAUSE) / 10);
    let started = std::time::Instant::now();
    let mut peak = 0;
    // As long as NATS may be away, and a publish be repeated.
    while fetcher.exit_code().is_none() {
        peak = fetcher.peak_memory().unwrap_or(peak);
        if killed.is_some_and(|after| started.elapsed() > after) {
            // It may have ended at this moment.
            fetcher.kill9().ok();
            break;
        }
        assert!(started.elapsed() < Duration::from_mins(2), "{}", fetcher.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    peak
}

fn fetcher(world: &World) -> Worker {
    world.fetcher(&["--only", "time_entries", "--days", "60", "--if-running", "skip"])
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "memory is shown")]
async fn random_faults_while_rows_flow_lose_and_double_nothing_and_memory_is_bounded() {
    let (faults, rows) =
        (setting("SOAK_FAULTS").unwrap_or(FAULTS), setting("SOAK_ROWS").unwrap_or(ROWS));
    let size = AccountSize { time_entries: 400, days: 50, ..AccountSize::default() };
    let world = World::start_with_own_postgres(Account::generate(&size)).await.unwrap();
    let admitted = Admitted::over(world).await;
    let world = &admitted.world;
    let mut soak = Soak::start(&admitted).await;
    world.loaded_by(&soak.loaders[0]).await.unwrap();
    let mut flow = Flow::new(world, ENTRIES_PER_LISTING).await.beginning_at(FIRST_LISTING);
    let mut dice = Dice::new();
    for fault in 1..=faults {
        let publishing = async {
            while flow.oracle.acknowledged() < rows / faults * fault {
                flow.publish(3).await;
            }
        };
        let ((), (), memory) = tokio::join!(publishing, soak.fault(), fetch(world, &mut dice));
        soak.fetcher_memory = soak.fetcher_memory.max(memory);
        // A fetcher that was killed holds it; the first may even have died before there was any.
        world.forget_lease().await.ok();
    }
    let finished = fetcher(world).run().await.unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let loaders: Vec<_> = soak.loaders.iter().collect();
    assert_catches_up(world, &flow.oracle, &loaders).await;

    soak.measure();
    let (loader, fetcher) = (soak.loader_memory / 1024, soak.fetcher_memory / 1024);
    eprintln!(
        "{faults} faults, {} rows; at most {loader} MiB in a loader, {fetcher} MiB in a fetcher",
        flow.oracle.acknowledged()
    );
    assert!(soak.loader_memory < MEMORY && soak.fetcher_memory < MEMORY);
    for loader in &soak.loaders {
        assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
    }
}
