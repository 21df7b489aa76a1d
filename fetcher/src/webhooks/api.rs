//! The requests that manage subscriptions. Each counts in the quota of the workspace's organisation.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::subscription::{Limits, Subscription, Wanted};
use crate::toggl::{Answer, Client, Error};

const PREFIX: &str = "/webhooks/api/v1";

/// The webhooks of one workspace.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Webhooks<'a> {
    pub(crate) client: &'a Client,
    pub(crate) workspace_id: i64,
}

/// A page of what Toggl has tried to deliver.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Tried {
    pub(crate) total: Option<usize>,
    pub(crate) events: Option<Vec<Box<RawValue>>>,
}

impl Webhooks<'_> {
    /// What the plan allows.
    pub(crate) async fn limits(self) -> Result<Limits, Error> {
        let path = format!("{PREFIX}/limits/{}", self.workspace_id);
        let answer = self.client.get(&path, &[]).await?;
        self.read(&path, &answer)
    }

    /// All subscriptions of the workspace that the account may see.
    pub(crate) async fn list(self) -> Result<Vec<Subscription>, Error> {
        let path = self.path("");
        let answer = self.client.get(&path, &[]).await?;
        Ok(self.read::<Option<Vec<Subscription>>>(&path, &answer)?.unwrap_or_default())
    }

    /// Makes one. Toggl calls its address before it answers.
    pub(crate) async fn create(self, wanted: &Wanted) -> Result<Subscription, Error> {
        let path = self.path("");
        let answer = self.client.post(&path, &wanted.json()).await?;
        self.read(&path, &answer)
    }

    /// Makes one what it should be.
    pub(crate) async fn replace(
        self,
        subscription_id: i64,
        wanted: &Wanted,
    ) -> Result<Subscription, Error> {
        let path = self.path(&format!("/{subscription_id}"));
        let answer = self.client.put(&path, &wanted.json()).await?;
        self.read(&path, &answer)
    }

    pub(crate) async fn remove(self, subscription_id: i64) -> Result<(), Error> {
        self.client.delete(&self.path(&format!("/{subscription_id}"))).await?;
        Ok(())
    }

    /// Has Toggl call the address once more; with a code to be sent back, if that has not been done yet.
    pub(crate) async fn ping(self, subscription_id: i64) -> Result<(), Error> {
        let path = format!("{PREFIX}/ping/{}/{subscription_id}", self.workspace_id);
        self.client.post(&path, &serde_json::json!({})).await?;
        Ok(())
    }

    /// What Toggl has tried to deliver in the last week, from that place on. It is in no description of the API
    /// since 2025.
    pub(crate) async fn tried(self, subscription_id: i64, offset: usize) -> Result<Tried, Error> {
        let path = self.path(&format!("/{subscription_id}/events"));
        let offset = offset.to_string();
        let answer = self.client.get(&path, &[("offset", offset.as_str())]).await?;
        self.read(&path, &answer)
    }

    fn path(self, rest: &str) -> String {
        format!("{PREFIX}/subscriptions/{}{rest}", self.workspace_id)
    }

    fn read<T: for<'de> Deserialize<'de>>(self, path: &str, answer: &Answer) -> Result<T, Error> {
        serde_json::from_slice(&answer.body)
            .map_err(|error| self.client.misfit(path, &answer.body, &error))
    }
}
