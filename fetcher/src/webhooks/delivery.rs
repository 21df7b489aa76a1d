//! What a delivery says: a ping, or that something was created, changed or deleted.
//!
//! Of an event only what tells where to look is kept: which kind of thing, its id, whose it is, and when. Deliveries
//! of 2023 have ids as strings in one place and as numbers in another, so either is read anywhere; what is missing
//! or of another form is none, and leads to a wider look.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::lenient;

/// More ids than this in one event are no ids.
const MOST_IDS: usize = 1_000;

/// What has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Toggl tries the address.
    Ping {
        subscription_id: Option<i64>,
        /// To be sent back, which proves that whoever answers wants the deliveries.
        code: Option<String>,
    },
    Event(Event),
}

/// Something has happened to something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) subscription_id: Option<i64>,
    /// Its own, which rises with time.
    pub(crate) id: Option<i64>,
    pub(crate) entity: Entity,
    pub(crate) action: Action,
    /// Of what; several where Toggl was told about several at once, none where nobody knows.
    pub(crate) ids: Vec<i64>,
    /// Whose time entry it is.
    pub(crate) user_id: Option<i64>,
    /// When it happened, by Toggl's clock.
    pub(crate) at: Option<Timestamp>,
}

/// Kinds of things that Toggl tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Entity {
    TimeEntry,
    Project,
    Client,
    Tag,
    Task,
    ProjectUser,
    WorkspaceUser,
    Workspace,
    /// Groups of projects, and what Toggl may think of later.
    Other,
}

impl Entity {
    /// Those that are looked at, the ones first that are read most often.
    pub(super) const KNOWN: [Self; 8] = [
        Self::TimeEntry,
        Self::Project,
        Self::Client,
        Self::Tag,
        Self::Task,
        Self::WorkspaceUser,
        Self::ProjectUser,
        Self::Workspace,
    ];

    /// By Toggl's name.
    fn of(name: &str) -> Self {
        Self::KNOWN.into_iter().find(|entity| entity.name() == name).unwrap_or(Self::Other)
    }

    /// Toggl's name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::TimeEntry => "time_entry",
            Self::Project => "project",
            Self::Client => "client",
            Self::Tag => "tag",
            Self::Task => "task",
            Self::ProjectUser => "project_user",
            Self::WorkspaceUser => "workspace_user",
            Self::Workspace => "workspace",
            Self::Other => "other",
        }
    }
}

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Created,
    /// And whatever else is neither of the other two.
    Updated,
    Deleted,
}

impl Action {
    fn of(name: &str) -> Self {
        match name {
            "created" => Self::Created,
            "deleted" => Self::Deleted,
            _ => Self::Updated,
        }
    }

    /// Toggl's name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
        }
    }
}

/// A delivery as it comes; all else in it is passed over.
#[derive(Deserialize)]
struct Body {
    #[serde(default, deserialize_with = "lenient::id")]
    subscription_id: Option<i64>,
    #[serde(default, deserialize_with = "lenient::id")]
    event_id: Option<i64>,
    #[serde(default, deserialize_with = "lenient::text")]
    created_at: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    validation_code: Option<String>,
    metadata: Option<Box<RawValue>>,
    payload: Option<Box<RawValue>>,
}

/// What is said about the event. The id stands under the name of its kind.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    #[serde(deserialize_with = "lenient::text")]
    action: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    model: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    path: Option<String>,
    #[serde(deserialize_with = "lenient::id")]
    model_owner_id: Option<i64>,
    #[serde(deserialize_with = "lenient::id")]
    time_entry_id: Option<i64>,
    #[serde(deserialize_with = "lenient::id")]
    project_id: Option<i64>,
    #[serde(deserialize_with = "lenient::id")]
    client_id: Option<i64>,
    #[serde(deserialize_with = "lenient::id")]
    tag_id: Option<i64>,
    #[serde(deserialize_with = "lenient::id")]
    task_id: Option<i64>,
    #[serde(deserialize_with = "lenient::id")]
    project_user_id: Option<i64>,
    #[serde(deserialize_with = "lenient::id")]
    workspace_user_id: Option<i64>,
    #[serde(deserialize_with = "lenient::id")]
    workspace_id: Option<i64>,
}

/// What is left of the thing itself.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Payload {
    #[serde(deserialize_with = "lenient::id")]
    id: Option<i64>,
    #[serde(deserialize_with = "lenient::id")]
    user_id: Option<i64>,
    #[serde(deserialize_with = "lenient::id")]
    uid: Option<i64>,
}

impl Delivery {
    /// None where it is no JSON object, or says neither that it is a ping nor what has happened.
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        let body: Body = serde_json::from_slice(body).ok()?;
        let payload = body.payload.as_deref().map_or("", RawValue::get);
        if payload == r#""ping""# {
            let code = body.validation_code;
            return Some(Self::Ping { subscription_id: body.subscription_id, code });
        }
        body.event().map(Self::Event)
    }
}

/// The events in a list of those that Toggl has tried to deliver, as far as they can be read.
pub(crate) fn events_of(bodies: &[Box<RawValue>]) -> impl Iterator<Item = Event> {
    let bodies = bodies.iter().filter_map(|text| serde_json::from_str::<Body>(text.get()).ok());
    bodies.filter_map(Body::event)
}

impl Body {
    fn event(self) -> Option<Event> {
        let metadata: Metadata = serde_json::from_str(self.metadata.as_deref()?.get()).ok()?;
        let entity = Entity::of(metadata.model.as_deref()?);
        let action = Action::of(metadata.action.as_deref()?);
        let payload = self.payload.as_deref().map_or("null", RawValue::get);
        // One that is no object tells nothing.
        let payload: Payload = serde_json::from_str(payload).unwrap_or_default();
        let user_id = payload.user_id.or(payload.uid).or(metadata.model_owner_id);
        Some(Event {
            subscription_id: self.subscription_id,
            id: self.event_id,
            entity,
            action,
            ids: ids(entity, &metadata, payload.id),
            user_id: user_id.filter(|_| entity == Entity::TimeEntry),
            at: self.created_at.and_then(|at| at.parse().ok()),
        })
    }
}

/// By the request that changed several at once those of all, else that of the thing itself.
fn ids(entity: Entity, metadata: &Metadata, payload_id: Option<i64>) -> Vec<i64> {
    let of_path = metadata.path.as_deref().map_or_else(Vec::new, ids_of_path);
    if of_path.len() > 1 && of_path.len() <= MOST_IDS {
        return of_path;
    }
    let named = match entity {
        Entity::TimeEntry => metadata.time_entry_id,
        Entity::Project => metadata.project_id,
        Entity::Client => metadata.client_id,
        Entity::Tag => metadata.tag_id,
        Entity::Task => metadata.task_id,
        Entity::ProjectUser => metadata.project_user_id,
        Entity::WorkspaceUser => metadata.workspace_user_id,
        Entity::Workspace => metadata.workspace_id,
        Entity::Other => None,
    };
    match payload_id.or(named) {
        Some(id) => vec![id],
        None => of_path,
    }
}

/// The ids at the end of a path; none where it ends with anything else.
fn ids_of_path(path: &str) -> Vec<i64> {
    let last = path.split('?').next().and_then(|path| path.rsplit('/').next());
    let ids = last.into_iter().flat_map(|last| last.split(','));
    ids.map(|id| id.parse().ok()).collect::<Option<Vec<i64>>>().unwrap_or_default()
}

#[cfg(test)]
mod tests;
