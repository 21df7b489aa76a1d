//! Keeps each workspace's subscription as it should be: made where there is none, mended where it differs, tried
//! where Toggl has had no proof yet; and looked at again now and then, for Toggl, or somebody, may disable it.

use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use secrecy::ExposeSecret as _;
use shared::exit::chain;
use shared::output::report;
use shared::retry::Delays;
use shared::telemetry::WEBHOOKS;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::doors::{Door, Doors, Standing};
use super::metrics::Metrics;
use crate::toggl::{Client, Error};
use crate::webhooks::{Filter, Limits, Subscription, Webhooks};

/// The first pause after trouble; it doubles up to the time between two looks.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// A subscription that is found disabled so often, and tells nothing in between, is left alone for [`REST`].
const MOST_MENDS: u32 = 4;
const REST: Duration = Duration::from_hours(24);

/// Whoever looks after the subscriptions.
pub(super) struct Keeper<'a> {
    pub(super) client: &'a Client,
    pub(super) doors: Arc<Doors>,
    pub(super) metrics: Metrics,
    /// Between two looks while all is well.
    pub(super) every: Duration,
}

/// What is known of one workspace's subscription between two looks.
struct Tended<'a> {
    door: &'a Door,
    due: Instant,
    pauses: Delays,
    /// Mended so often without an event in between.
    mends: u32,
    /// Whether it was given its secret by this program, where Toggl does not tell which it has.
    has_secret: bool,
}

impl Keeper<'_> {
    /// Looks after all of them until it is dropped. `tended` is called once each was looked at.
    ///
    /// # Errors
    /// When Toggl refuses the token.
    pub(super) async fn run(&self, tended: impl FnOnce()) -> Error {
        let mut all: Vec<Tended<'_>> = self.doors.iter().map(|door| self.begin(door)).collect();
        let mut tended = Some(tended);
        loop {
            for one in &mut all {
                if one.due <= Instant::now()
                    && let Err(error) = self.look(one).await
                {
                    return error;
                }
            }
            if let Some(tended) = tended.take() {
                tended();
            }
            match all.iter().map(|one| one.due).min() {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        }
    }

    fn begin<'d>(&self, door: &'d Door) -> Tended<'d> {
        let pauses = Delays::forever(FIRST_PAUSE.min(self.every), self.every);
        Tended { door, due: Instant::now(), pauses, mends: 0, has_secret: false }
    }

    async fn look(&self, one: &mut Tended<'_>) -> Result<(), Error> {
        let door = one.door;
        if door.take_heard() > 0 {
            one.mends = 0;
        }
        let standing = match self.tend(one).await {
            Ok(standing) => standing,
            Err(error @ Error::Credentials { .. }) => return Err(error),
            Err(error @ Error::Unavailable { .. }) => Standing::Closed(told(door, &error)),
            Err(error) => Standing::Failed(told(door, &error)),
        };
        let pause = match &standing {
            Standing::Rings => {
                one.pauses.reset();
                self.every
            }
            Standing::Closed(_) => self.every,
            Standing::Failed(_) if one.mends >= MOST_MENDS => REST.max(self.every),
            _ => one.pauses.next_delay().unwrap_or(self.every).min(self.every),
        };
        one.due = Instant::now() + pause;
        let before = door.set_standing(standing.clone());
        self.metrics.subscription(door);
        if before != standing {
            say(door, &standing);
        }
        Ok(())
    }

    async fn tend(&self, one: &mut Tended<'_>) -> Result<Standing, Error> {
        let door = one.door;
        let webhooks = Webhooks { client: self.client, workspace_id: door.workspace_id };
        let all = webhooks.list().await?;
        let is_ours = |subscription: &&Subscription| {
            subscription.description.as_ref() == Some(&door.wanted.description)
        };
        let subscription = if let Some(known) = all.iter().find(is_ours) {
            let Some(mended) = self.mended(webhooks, one, known).await? else {
                return Ok(Standing::Failed("it is disabled again and again".to_owned()));
            };
            mended
        } else {
            door.set_subscription_id(None);
            let limits = webhooks.limits().await?;
            if let Some(reason) = no_room(limits, all.len()) {
                return Ok(Standing::Closed(reason));
            }
            info!(target: WEBHOOKS, "Making the subscription of workspace {}", door.workspace_id);
            let made = created(webhooks, door, limits).await?;
            one.has_secret = true;
            made
        };
        door.set_subscription_id(subscription.id);
        if subscription.is_validated() {
            return Ok(Standing::Rings);
        }
        let Some(id) = subscription.id else {
            return Ok(Standing::Failed("Toggl does not tell its id".to_owned()));
        };
        // It was tried when it was made, and may have been reached: the next look tells.
        webhooks.ping(id).await?;
        Ok(Standing::Unvalidated)
    }

    /// One that exists, as it should be; none where that was in vain too often.
    async fn mended(
        &self,
        webhooks: Webhooks<'_>,
        one: &mut Tended<'_>,
        known: &Subscription,
    ) -> Result<Option<Subscription>, Error> {
        let Tended { door, mends, has_secret, .. } = one;
        door.set_subscription_id(known.id);
        let unknown_secret =
            (!known.tells_secret() && !*has_secret).then_some("its secret is not told");
        let Some(reason) = known.differs(&door.wanted).or(unknown_secret) else {
            return Ok(Some(known.clone()));
        };
        let Some(id) = known.id else { return Ok(Some(known.clone())) };
        if *mends >= MOST_MENDS {
            return Ok(None);
        }
        warn!(target: WEBHOOKS, "Mending the subscription of workspace {}: {reason}", door.workspace_id);
        let mut mended = match webhooks.replace(id, &door.wanted).await {
            Err(error) if is_refused(&error) => {
                let filters = Filter::each(webhooks.limits().await?.filters());
                webhooks.replace(id, &door.wanted.with(filters)).await?
            }
            mended => mended?,
        };
        *mends += 1;
        *has_secret = true;
        mended.id = Some(id);
        Ok(Some(mended))
    }

    /// Removes the subscriptions, and says so.
    ///
    /// # Errors
    /// When Toggl refuses any; the others are removed.
    pub(super) async fn remove(&self) -> Result<(), Error> {
        let mut first = None;
        for door in self.doors.iter() {
            if let Err(error) = self.remove_one(door).await {
                warn!(
                    target: WEBHOOKS,
                    "Could not remove the subscription of workspace {}: {}", door.workspace_id, told(door, &error)
                );
                first.get_or_insert(error);
            }
        }
        first.map_or(Ok(()), Err)
    }

    async fn remove_one(&self, door: &Door) -> Result<(), Error> {
        let workspace_id = door.workspace_id;
        let webhooks = Webhooks { client: self.client, workspace_id };
        let all = webhooks.list().await?;
        let description = Some(&door.wanted.description);
        let ours = all.iter().filter(|one| one.description.as_ref() == description);
        let mut count = 0;
        for id in ours.filter_map(|one| one.id) {
            webhooks.remove(id).await?;
            count += 1;
        }
        report(format!("Workspace {workspace_id}: {count} subscriptions removed\n"));
        Ok(())
    }
}

/// A new one. Where Toggl does not take everything as one filter, kind by kind.
async fn created(
    webhooks: Webhooks<'_>,
    door: &Door,
    limits: Limits,
) -> Result<Subscription, Error> {
    match webhooks.create(&door.wanted).await {
        Err(error) if is_refused(&error) => {
            let filters = Filter::each(limits.filters());
            webhooks.create(&door.wanted.with(filters)).await
        }
        created => created,
    }
}

/// Why the plan has no room for one more, if so.
fn no_room(limits: Limits, taken: usize) -> Option<String> {
    let most = limits.max_webhooks?;
    if most <= 0 {
        return Some("the plan of this workspace has no webhooks".to_owned());
    }
    let taken = i64::try_from(taken).unwrap_or(i64::MAX);
    (taken >= most).then(|| {
        format!("all of the {most} webhooks that the plan allows are taken by others; remove one at Toggl")
    })
}

fn is_refused(error: &Error) -> bool {
    matches!(error, Error::Status { status, .. } if *status == StatusCode::BAD_REQUEST)
}

/// In words, which do not hold the secret even where Toggl repeats it.
fn told(door: &Door, error: &Error) -> String {
    chain(error).replace(door.wanted.secret.expose_secret(), "***")
}

fn say(door: &Door, standing: &Standing) {
    let Door { workspace_id, wanted, .. } = door;
    match standing {
        Standing::Unknown => {}
        Standing::Rings => {
            info!(target: WEBHOOKS, "Toggl tells of workspace {workspace_id} at {}", wanted.url_callback);
        }
        Standing::Unvalidated => info!(
            target: WEBHOOKS,
            "Waiting until Toggl has reached {} for workspace {workspace_id}", wanted.url_callback
        ),
        Standing::Closed(words) => error!(
            target: WEBHOOKS,
            "Toggl tells nothing of workspace {workspace_id}, which only syncs read: {words}"
        ),
        Standing::Failed(words) => warn!(
            target: WEBHOOKS,
            "The subscription of workspace {workspace_id} is not as it should be: {words}"
        ),
    }
}
