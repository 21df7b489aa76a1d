//! What a token opens: its owner, the workspaces and their plans, and what is left of the quotas.

use std::time::Duration;

use serde::de::DeserializeOwned;
use shared::catalogue;

use crate::account::{Account, Workspace};
use crate::masters;
use crate::toggl::{Client, Error, ListedQuota, QUOTA_PATH};

/// What was found, in words.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) owner: String,
    pub(crate) workspaces: Vec<String>,
    pub(crate) quotas: Vec<String>,
}

/// Asks for the account, the workspaces and the quotas: three requests.
///
/// # Errors
/// When Toggl refuses the token or does not answer.
pub(crate) async fn check(client: &Client) -> Result<Found, Error> {
    let accounts: Vec<Account> = list(client, "me").await?;
    let account = accounts.into_iter().next().ok_or_else(|| Error::Body {
        path: "/me".to_owned(),
        reason: "it is no object with an id".into(),
    })?;
    let workspaces: Vec<Workspace> = list(client, "workspaces").await?;
    let quotas = client.get(QUOTA_PATH, &[]).await?;
    let quotas: Vec<ListedQuota> = serde_json::from_slice(&quotas.body)
        .map_err(|error| client.misfit(QUOTA_PATH, &quotas.body, &error))?;
    Ok(Found {
        owner: owner(&account),
        workspaces: workspaces.iter().map(|one| describe(one, &account)).collect(),
        quotas: quotas.iter().map(|one| quota(one, &workspaces)).collect(),
    })
}

async fn list<T: DeserializeOwned>(client: &Client, name: &str) -> Result<Vec<T>, Error> {
    let Some(resource) = catalogue::find(name) else {
        return Ok(Vec::new());
    };
    let fetched = masters::fetch(client, resource, 0, 1).await.map_err(|broken| broken.error)?;
    masters::decode(client, &fetched)
}

fn owner(account: &Account) -> String {
    let name = account.fullname.as_deref().unwrap_or("without a name");
    let email = account.email.as_deref().unwrap_or("without an address");
    let zone = account.timezone.as_deref().unwrap_or("UTC");
    format!("{name} <{email}>, user {}, time zone {zone}", account.id)
}

fn describe(workspace: &Workspace, account: &Account) -> String {
    let name = workspace.name.as_deref().unwrap_or("without a name");
    let default = if account.default_workspace_id == Some(workspace.id) { ", default" } else { "" };
    let sees = if workspace.is_admin() {
        "reports show everybody's entries"
    } else {
        "reports show your own entries, and others' as far as the workspace lets you"
    };
    format!("{} {name}{default}: plan {}; {sees}", workspace.id, workspace.plan())
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
