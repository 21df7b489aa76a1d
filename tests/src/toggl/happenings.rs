//! What happens in an account, as Toggl's webhooks tell it: the whole thing after the change, and who did what.
//!
//! The shape is that of recorded deliveries; see the fixtures. They differ from what the API answers: starts and stops
//! end with `Z`, an entry without tags has null, ids beside the thing itself are strings.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::account::Account;
use super::behaviour::Ids;
use super::list::List;
use super::record::Record;
use super::time_entries::TimeEntry;

/// Something has happened to something.
#[derive(Debug, Clone)]
pub(super) struct Happening {
    pub(super) entity: &'static str,
    pub(super) action: &'static str,
    pub(super) workspace_id: i64,
    pub(super) id: i64,
    /// Whose time entry it is.
    pub(super) owner_id: Option<i64>,
    thing: String,
}

/// What happened since somebody last asked; nothing while nobody wants to know.
#[derive(Debug, Clone, Default)]
pub(super) struct Happenings {
    are_wanted: bool,
    all: Vec<Happening>,
}

impl Account {
    /// What happens from now on is kept for whoever asks.
    pub(super) fn keep_happenings(&mut self) {
        self.happenings.are_wanted = true;
    }

    pub(super) fn take_happenings(&mut self) -> Vec<Happening> {
        std::mem::take(&mut self.happenings.all)
    }

    /// Of an entry that is about to take the place of another.
    pub(super) fn happens_to_entry(&mut self, new: &TimeEntry) {
        if !self.happenings.are_wanted {
            return;
        }
        let known = self.time_entries.find(new.id).map(|known| known.is_deleted);
        let action = match (known, new.is_deleted) {
            (None | Some(true), false) => "created",
            (Some(false), false) => "updated",
            (Some(false), true) => "deleted",
            (None | Some(true), true) => return,
        };
        let workspace_id = new.workspace_id.unwrap_or_default();
        self.happenings.all.push(Happening {
            entity: "time_entry",
            action,
            workspace_id,
            id: new.id,
            owner_id: Some(new.user_id),
            thing: new.text().to_owned(),
        });
    }

    /// Of a record that is about to be put into a list.
    pub(super) fn happens_to_record(&mut self, list: List, workspace_id: i64, record: &Record) {
        let is_known = self.records(list, workspace_id).iter().any(|r| r.id() == record.id());
        let action = if is_known { "updated" } else { "created" };
        self.happens(list, workspace_id, record, action);
    }

    /// Of a record that is about to be deleted. Toggl does not tell of tags.
    pub(super) fn happens_to_deleted(&mut self, list: List, workspace_id: i64, record: &Record) {
        if list != List::Tags {
            self.happens(list, workspace_id, record, "deleted");
        }
    }

    fn happens(&mut self, list: List, workspace_id: i64, record: &Record, action: &'static str) {
        let Some(entity) = entity_of(list).filter(|_| self.happenings.are_wanted) else { return };
        self.happenings.all.push(Happening {
            entity,
            action,
            workspace_id,
            id: record.id(),
            owner_id: None,
            thing: record.text().to_owned(),
        });
    }
}

const fn entity_of(list: List) -> Option<&'static str> {
    Some(match list {
        List::Projects => "project",
        List::Clients => "client",
        List::Tags => "tag",
        List::Tasks => "task",
        List::ProjectUsers => "project_user",
        List::WorkspaceUsers => "workspace_user",
        _ => return None,
    })
}

impl Happening {
    /// The event, without what each subscription adds.
    pub(super) fn event(&self, event_id: i64, creator_id: i64, now: Timestamp, ids: Ids) -> Value {
        let id = |id: i64| match ids {
            Ids::Numbers => json!(id),
            Ids::Recorded | Ids::Strings => json!(id.to_string()),
        };
        let own = |id: i64| if ids == Ids::Strings { json!(id.to_string()) } else { json!(id) };
        let plural = if self.entity == "time_entry" {
            "time_entries".to_owned()
        } else {
            format!("{}s", self.entity)
        };
        let path = format!("/api/v9/workspaces/{}/{plural}", self.workspace_id);
        let (request_type, path) = match self.action {
            "created" => ("POST", path),
            "updated" => ("PUT", format!("{path}/{}", self.id)),
            _ => ("DELETE", format!("{path}/{}", self.id)),
        };
        let mut metadata = json!({
            "action": self.action,
            "event_user_id": id(creator_id),
            "model": self.entity,
            "model_owner_id": id(self.owner_id.unwrap_or(creator_id)),
            "path": path,
            "request_body": "{\"created_with\":\"a secret that nobody may keep\"}",
            "request_type": request_type,
            "workspace_id": id(self.workspace_id),
        });
        metadata[format!("{}_id", self.entity)] = id(self.id);
        json!({
            "event_id": own(event_id),
            "created_at": now.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
            "creator_id": creator_id,
            "metadata": metadata,
            "payload": self.payload(own(self.id)),
        })
    }

    /// The thing as webhooks spell it.
    fn payload(&self, id: Value) -> Value {
        let mut thing: Value = serde_json::from_str(&self.thing).expect("a record is JSON");
        thing["id"] = id;
        for field in ["start", "stop"] {
            if let Some(time) = thing[field].as_str() {
                thing[field] = json!(time.replace("+00:00", "Z"));
            }
        }
        if thing["tag_ids"].as_array().is_some_and(Vec::is_empty) {
            thing["tag_ids"] = Value::Null;
        }
        // The thing looks alive.
        if !thing["server_deleted_at"].is_null() {
            thing["server_deleted_at"] = Value::Null;
        }
        thing
    }
}
