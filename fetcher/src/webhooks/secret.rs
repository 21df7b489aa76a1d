//! The secret that deliveries are signed with. It is reckoned from the API token and stored nowhere: whoever has the
//! token has it, and with another token the subscription is given another one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac::{HMAC_SHA256, Key, sign};
use secrecy::{ExposeSecret as _, SecretString};

/// What else is ever reckoned from a token must say something else.
const PURPOSE: &str = "toggl-track webhook 1";
/// Twenty characters, as long as those that Toggl makes: longer ones are not known to be taken.
const BYTES: usize = 15;

/// The secret of the subscription that a workspace has for a place.
pub(crate) fn secret(token: &SecretString, workspace_id: i64, place: &str) -> SecretString {
    let key = Key::new(HMAC_SHA256, token.expose_secret().as_bytes());
    let tag = sign(&key, format!("{PURPOSE}\n{workspace_id}\n{place}").as_bytes());
    let bytes = tag.as_ref().get(..BYTES).unwrap_or_default();
    URL_SAFE_NO_PAD.encode(bytes).into()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_token_workspace_and_place_has_a_secret_of_its_own_which_never_changes() {
        let of = |token: &str, workspace_id, place| {
            secret(&token.to_owned().into(), workspace_id, place).expose_secret().to_owned()
        };
        let all = [of("a", 1, "x"), of("b", 1, "x"), of("a", 2, "x"), of("a", 1, "y")];
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), 4, "{all:?}");
        assert!(all.iter().all(|secret| secret.len() == 20), "{all:?}");
        // Another one would have to be told to Toggl at the next upgrade.
        assert_eq!(of("a", 1, "x"), "yVE9tu8qKvhsPzHvh-kV");
    }
}
