//! What a token opens: its owner, the workspaces and their plans, and what is left of the quotas.

use std::time::Duration;

use serde::de::DeserializeOwned;
use shared::catalogue;

use crate::account::{Account, Workspace};
use crate::masters::{self, Asking};
use crate::toggl::{Client, Error, ListedQuota, QUOTA_PATH};

/// What was found, in words.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) owner: String,
    pub(crate) workspaces: Vec<String>,
    pub(crate) quotas: Vec<String>,
}

/// Asks for the account, the workspaces, their people and the quotas: three requests, and one for each
/// workspace.
///
/// # Errors
/// When Toggl refuses the token or does not answer.
pub(crate) async fn check(client: &Client) -> Result<Found, Error> {
    let account = me(client).await?;
    let workspaces: Vec<Workspace> = list(client, "workspaces").await?;
    let quotas = client.get(QUOTA_PATH, &[]).await?;
    let quotas: Vec<ListedQuota> = serde_json::from_slice(&quotas.body)
        .map_err(|error| client.misfit(QUOTA_PATH, &quotas.body, &error))?;
    let mut described = Vec::with_capacity(workspaces.len());
    for workspace in &workspaces {
        let people = people(client, workspace.id).await;
        described.push(describe(workspace, &account, people));
    }
    Ok(Found {
        owner: owner(&account),
        workspaces: described,
        quotas: quotas.iter().map(|one| quota(one, &workspaces)).collect(),
    })
}

/// Whose the token is, in words.
///
/// # Errors
/// When Toggl refuses the token or does not answer.
pub(crate) async fn owner_of(client: &Client) -> Result<String, Error> {
    let account = me(client).await?;
    let workspace = account
        .default_workspace_id
        .map_or_else(String::new, |id| format!(", default workspace {id}"));
    Ok(format!("{}{workspace}", owner(&account)))
}

async fn me(client: &Client) -> Result<Account, Error> {
    let accounts: Vec<Account> = list(client, "me").await?;
    accounts.into_iter().next().ok_or_else(|| Error::Body {
        path: "/me".to_owned(),
        reason: "it is no object with an id".into(),
    })
}

async fn list<T: DeserializeOwned>(client: &Client, name: &str) -> Result<Vec<T>, Error> {
    let Some(resource) = catalogue::find(name) else {
        return Ok(Vec::new());
    };
    let asking = Asking { client, resource, workspace_id: 0, before: None };
    let fetched = asking.fetch(1).await.map_err(|broken| broken.error)?;
    masters::decode(client, &fetched.listing)
}

/// How many people the workspace has, as far as this account is told.
async fn people(client: &Client, workspace_id: i64) -> Option<usize> {
    let resource = catalogue::find("users")?;
    let asking = Asking { client, resource, workspace_id, before: None };
    asking.fetch(1).await.ok().map(|fetched| fetched.listing.records.len())
}

fn owner(account: &Account) -> String {
    let name = account.fullname.as_deref().unwrap_or("without a name");
    let email = account.email.as_deref().unwrap_or("without an address");
    let zone = account.timezone.as_deref().unwrap_or("UTC");
    format!("{name} <{email}>, user {}, time zone {zone}", account.id)
}

fn describe(workspace: &Workspace, account: &Account, people: Option<usize>) -> String {
    let name = workspace.name.as_deref().unwrap_or("without a name");
    let default = if account.default_workspace_id == Some(workspace.id) { ", default" } else { "" };
    let whose = match people {
        Some(people) if people > 1 => {
            format!("a sync reads the entries of 1 of {people} people, yours")
        }
        _ => "a sync reads your entries".to_owned(),
    };
    let sees = if workspace.is_admin() {
        "reports show everybody's: `fetcher --team DAYS` reads them once a day"
    } else {
        "reports show no more than you may see: everybody's need an admin's token"
    };
    format!("{} {name}{default}: plan {}; {whose}; {sees}", workspace.id, workspace.plan())
}

fn quota(quota: &ListedQuota, workspaces: &[Workspace]) -> String {
    let whose = match quota.organization_id {
        None => "your own (/me)".to_owned(),
        Some(id) => {
            let ids: Vec<_> = workspaces
                .iter()
                .filter(|workspace| workspace.organization_id == Some(id))
                .map(|workspace| workspace.id.to_string())
                .collect();
            format!("organisation {id} (workspaces {})", ids.join(", "))
        }
    };
    let of = quota.total.map_or_else(String::new, |total| format!(" of {total}"));
    let seconds = quota.resets_in_secs.and_then(|seconds| u64::try_from(seconds).ok());
    let resets = seconds.map_or_else(String::new, |seconds| {
        format!(", full again in {}", humantime::format_duration(Duration::from_secs(seconds)))
    });
    format!("{whose}: {}{of}{resets}", quota.remaining)
}
