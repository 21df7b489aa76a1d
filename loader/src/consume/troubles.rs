//! Tells everybody what keeps a table from being loaded: it is written into the metadata of the table's
//! consumer, where every loader, `loader status` and the page see it, and goes when the table is loaded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::jetstream::Context;
use jiff::Timestamp;
use shared::consumer::{EnsureConsumerError, Notes, Readers, Trouble, change_notes};
use shared::exit::chain;
use shared::resource::Resource;
use shared::telemetry::SUBSCRIBER;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{debug, warn};

use super::table::Table;
use super::worker::Worker;
use crate::status::queue::Queue;

/// How soon it is told.
const TICK: Duration = Duration::from_secs(1);

/// What is written is written again after this, for somebody else may have taken it away; and what could
/// not be written is tried again.
const AGAIN: Duration = Duration::from_secs(30);

/// A silent server is not waited for, as others are to be told, too.
const PATIENCE: Duration = Duration::from_secs(5);

/// Handle on what a loader knows and sees of troubles; copies share it.
#[derive(Debug, Clone, Default)]
pub struct Troubles(Arc<Mutex<HashMap<&'static str, Known>>>);

/// What is to stand at a consumer: a trouble, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Note(Option<Trouble>);

/// Of one table.
#[derive(Debug, Clone, Default)]
struct Known {
    /// This loader's own.
    own: Option<Trouble>,
    /// A note may stand there that is not true any more: since when that is thought of.
    doubtful: Option<Instant>,
    /// The queue is empty, so that nothing can be in trouble.
    is_over: bool,
    /// What was written last, and when.
    written: Option<(Note, Instant)>,
}

impl Troubles {
    /// Adds what this loader knows better to what it has seen, and notes what seems to be over.
    pub(crate) fn compare(&self, queue: &mut Queue) {
        let mut known = self.lock();
        for (name, backlog) in &mut queue.backlogs {
            let known = known.entry(name).or_default();
            let is_noted = backlog.trouble.is_some();
            if is_noted && known.own.is_none() {
                known.doubtful.get_or_insert_with(Instant::now);
                known.is_over = backlog.trouble().is_none();
            }
            if known.own.is_some() {
                backlog.trouble.clone_from(&known.own);
            }
        }
    }

    /// Looks at all tables again and again, and writes what is new.
    pub(crate) async fn tell(self, context: Context, readers: Readers, worker: Arc<Worker>) {
        for table in worker.tables.iter() {
            // What an earlier loader has written is not true any more when a batch gets through.
            self.lock().entry(table.resource.name).or_default().doubtful = Some(Instant::now());
        }
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            for table in worker.tables.iter() {
                let Some(wanted) = self.wanted(table) else { continue };
                let begin = Instant::now();
                let writing = write(&context, &readers, table.resource, wanted.clone());
                let result = tokio::time::timeout(PATIENCE, writing).await;
                self.wrote(table.resource, (wanted, begin), &result.ok().transpose());
            }
        }
    }

    /// What is to be written now, if anything.
    fn wanted(&self, table: &Table) -> Option<Note> {
        let trouble = table.trouble(Timestamp::now());
        let note = Note(trouble.clone());
        let mut known = self.lock();
        let known = known.entry(table.resource.name).or_default();
        known.own.clone_from(&trouble);
        let is_recent = known
            .written
            .as_ref()
            .is_some_and(|(written, at)| *written == note && at.elapsed() < AGAIN);
        let is_wanted = match (trouble, known.doubtful) {
            (Some(_), _) => !is_recent,
            (None, Some(since)) => (known.is_over || table.has_loaded_since(since)) && !is_recent,
            (None, None) => false,
        };
        is_wanted.then_some(note)
    }

    fn wrote(
        &self,
        resource: &'static Resource,
        (note, begin): (Note, Instant),
        result: &Result<Option<()>, EnsureConsumerError>,
    ) {
        match result {
            Ok(Some(())) => debug!(target: SUBSCRIBER, resource = resource.name, ?note, "Told"),
            Ok(None) => debug!(target: SUBSCRIBER, "NATS does not answer"),
            Err(error) => warn!(
                target: SUBSCRIBER,
                resource = resource.name,
                "Could not note at its consumer what keeps a table from being loaded, or that nothing does: {}",
                chain(error)
            ),
        }
        let is_written = matches!(result, Ok(Some(())));
        let mut known = self.lock();
        let known = known.entry(resource.name).or_default();
        // What stands there now is taken away when the table is loaded again.
        known.doubtful = (note.0.is_some() || !is_written).then_some(begin);
        known.written = Some((note, Instant::now()));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<&'static str, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn write(
    context: &Context,
    readers: &Readers,
    resource: &Resource,
    Note(trouble): Note,
) -> Result<(), EnsureConsumerError> {
    change_notes(context, readers, resource, |notes| Notes { trouble, ..notes }).await
}
