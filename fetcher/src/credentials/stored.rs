//! Credentials as the vault keeps them.

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::CredentialsError;
use super::token::token;

/// What opens Toggl.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The API token of a Toggl profile.
    pub api_token: SecretString,
    /// Workspace to read, if one was set.
    pub workspace_id: Option<i64>,
    /// Whose it is, in words, as far as Toggl was asked when it was stored.
    pub owner: Option<String>,
}

#[derive(Deserialize)]
struct Stored {
    api_token: SecretString,
    workspace_id: Option<i64>,
    owner: Option<String>,
}

impl Credentials {
    /// Reads the JSON of the vault's secret. What it says of itself stays out of the error: serde
    /// would quote the value it stumbles over.
    pub(crate) fn from_secret(
        secret: &SecretString,
        account: &str,
    ) -> Result<Self, CredentialsError> {
        let stored: Stored = serde_json::from_str(secret.expose_secret())
            .map_err(|_| CredentialsError::Form { account: account.to_owned() })?;
        let api_token = token(stored.api_token.expose_secret(), "the vault")?;
        Ok(Self { api_token, workspace_id: stored.workspace_id, owner: stored.owner })
    }

    /// The JSON that the vault keeps.
    pub fn to_secret(&self) -> SecretString {
        let mut json = serde_json::json!({
            "api_token": self.api_token.expose_secret(),
            "_auth_type": "api_key",
        });
        if let Some(object) = json.as_object_mut() {
            let workspace_id = self.workspace_id.map(|id| ("workspace_id".to_owned(), id.into()));
            let owner = self.owner.clone().map(|owner| ("owner".to_owned(), owner.into()));
            object.extend(workspace_id.into_iter().chain(owner));
        }
        json.to_string().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::DEFAULT_ACCOUNT;

    #[test]
    fn what_is_stored_is_read_again() {
        for workspace_id in [None, Some(2_230_991)] {
            let credentials = Credentials {
                api_token: "abc123".into(),
                workspace_id,
                owner: workspace_id.map(|_| "Eva".to_owned()),
            };
            let read = Credentials::from_secret(&credentials.to_secret(), DEFAULT_ACCOUNT).unwrap();
            assert_eq!(read.api_token.expose_secret(), "abc123");
            assert_eq!(read.workspace_id, workspace_id);
            assert_eq!(read.owner, credentials.owner);
        }
    }

    #[test]
    fn no_error_or_debug_output_holds_the_token() {
        let credentials =
            Credentials { api_token: "hunter2".into(), workspace_id: None, owner: None };
        assert!(!format!("{credentials:?}").contains("hunter2"));
        for secret in [r#"{"api_token":["hunter2"]}"#, r#"{"api_token":"hunter2 :"}"#, "hunter2"] {
            let error = Credentials::from_secret(&secret.into(), DEFAULT_ACCOUNT).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
