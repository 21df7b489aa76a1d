//! What a token opens: its owner, the workspaces and their plans, and what is left of the quotas.

use std::time::Duration;

use serde::de::DeserializeOwned;
use shared::catalogue;

use crate::account::{Account, Workspace, Workspaces};
use crate::lists::{self, Asking};
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
pub(crate) async fn check(client: &Client, wanted: &Workspaces) -> Result<Found, Error> {
    let account = me(client).await?;
    let workspaces: Vec<Workspace> = list(client, "workspaces").await?;
    let quotas = match client.get(QUOTA_PATH, &[]).await {
        Ok(quotas) => serde_json::from_slice::<Vec<ListedQuota>>(&quotas.body)
            .map_err(|error| client.misfit(QUOTA_PATH, &quotas.body, &error))?,
        // Everything else can be read without.
        Err(Error::Unavailable { .. }) => Vec::new(),
        Err(error) => return Err(error),
    };
    let mut described = Vec::with_capacity(workspaces.len());
    for workspace in &workspaces {
        let people = people(client, workspace.id).await;
        described.push(describe(workspace, &account, &people));
    }
    described.extend(none_of(wanted, &workspaces).map(|id| {
        format!(
            "{id} is none of this account's (any more): nothing of it is read; is TOGGL_WORKSPACE_ID right?"
        )
    }));
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
    lists::decode(client, &fetched.listing)
}

/// How many people the workspace has; nothing where this account is not told.
async fn people(client: &Client, workspace_id: i64) -> Result<Option<usize>, Error> {
    let Some(resource) = catalogue::find("users") else { return Ok(None) };
    let asking = Asking { client, resource, workspace_id, before: None };
    match asking.fetch(1).await {
        Ok(fetched) => Ok(Some(fetched.listing.records.len())),
        Err(broken) => Err(broken.error),
    }
}

/// The workspaces that are to be read and are not among these.
fn none_of<'a>(
    wanted: &'a Workspaces,
    workspaces: &'a [Workspace],
) -> impl Iterator<Item = i64> + 'a {
    let ids: &[i64] = match wanted {
        Workspaces::Ids(ids) => ids,
        Workspaces::Default | Workspaces::All => &[],
    };
    ids.iter().copied().filter(|id| workspaces.iter().all(|workspace| workspace.id != *id))
}

fn owner(account: &Account) -> String {
    let name = account.fullname.as_deref().unwrap_or("without a name");
    let email = account.email.as_deref().unwrap_or("without an address");
    let zone = account.timezone.as_deref().unwrap_or("UTC");
    format!("{name} <{email}>, user {}, time zone {zone}", account.id)
}

fn describe(
    workspace: &Workspace,
    account: &Account,
    people: &Result<Option<usize>, Error>,
) -> String {
    let name = workspace.name.as_deref().unwrap_or("without a name");
    let default = if account.default_workspace_id == Some(workspace.id) { ", default" } else { "" };
    let closed = match (&workspace.suspended_at, people) {
        (Some(at), _) => format!("suspended since {at}: what is stored of it grows old; "),
        (None, Err(error @ Error::Unavailable { .. })) => {
            format!("does not tell who is in it ({}); ", error.told())
        }
        (None, _) => String::new(),
    };
    let whose = match people {
        Ok(Some(people)) if *people > 1 => {
            format!("a sync reads the entries of 1 of {people} people, yours")
        }
        _ => "a sync reads your entries".to_owned(),
    };
    let sees = if workspace.is_admin() {
        "reports show everybody's: `fetcher --team DAYS` reads them once a day"
    } else {
        "reports show no more than you may see: everybody's need an admin's token"
    };
    format!("{} {name}{default}: plan {}; {closed}{whose}; {sees}", workspace.id, workspace.plan())
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
            match ids.as_slice() {
                [] => format!("organisation {id}"),
                ids => format!("organisation {id} (workspaces {})", ids.join(", ")),
            }
        }
    };
    let of = quota.total.map_or_else(String::new, |total| format!(" of {total}"));
    let seconds = quota.resets_in_secs.and_then(|seconds| u64::try_from(seconds).ok());
    let resets = seconds.map_or_else(String::new, |seconds| {
        format!(", full again in {}", humantime::format_duration(Duration::from_secs(seconds)))
    });
    format!("{whose}: {}{of}{resets}", quota.remaining)
}
