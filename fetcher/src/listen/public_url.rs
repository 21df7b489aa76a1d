//! The address that Toggl calls, as the world sees it.

use std::str::FromStr;

use shared::eavesdropping::is_loopback;
use url::Url;

/// What stands before the workspace in the path of a delivery.
pub(super) const DELIVERIES: &str = "deliveries";

/// Where deliveries come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicUrl(Url);

/// The text is no such address. It is not repeated: what it holds is not known to be no secret.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error(
    "not an address that Toggl can call: https://host or https://host/path, without user, password, `?` and `#`"
)]
pub(crate) struct PublicUrlError;

impl FromStr for PublicUrl {
    type Err = PublicUrlError;

    fn from_str(text: &str) -> Result<Self, PublicUrlError> {
        let url: Url = text.trim().parse().map_err(|_| PublicUrlError)?;
        let is_plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        // A simulated Toggl on this machine needs no certificate.
        let stays_here = || url.host().is_some_and(|host| is_loopback(&host));
        let is_safe = url.scheme() == "https" || (url.scheme() == "http" && stays_here());
        if is_plain && is_safe && url.has_host() { Ok(Self(url)) } else { Err(PublicUrlError) }
    }
}

impl PublicUrl {
    /// What Toggl calls for a workspace.
    pub(super) fn callback(&self, workspace_id: i64) -> String {
        format!("{}/{DELIVERIES}/{workspace_id}", self.0.as_str().trim_end_matches('/'))
    }

    /// The host, with its port where that is not the usual one.
    pub(super) fn place(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        self.0.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_comes_in_below_the_address_by_workspace() {
        for (text, callback, place) in [
            ("https://example.com", "https://example.com/deliveries/7", "example.com"),
            ("https://example.com/toggl/", "https://example.com/toggl/deliveries/7", "example.com"),
            (
                "https://example.com:8443",
                "https://example.com:8443/deliveries/7",
                "example.com:8443",
            ),
            ("http://127.0.0.1:9092", "http://127.0.0.1:9092/deliveries/7", "127.0.0.1:9092"),
        ] {
            let url: PublicUrl = text.parse().unwrap();
            assert_eq!((&*url.callback(7), &*url.place()), (callback, place));
        }
    }

    #[test]
    fn what_goes_out_in_clear_or_holds_a_secret_is_refused_and_not_repeated() {
        for text in [
            "",
            "example.com",
            "http://example.com",
            "ftp://example.com",
            "https://u:hunter2@example.com",
            "https://example.com/?token=hunter2",
            "https://example.com/#x",
        ] {
            let error = text.parse::<PublicUrl>().unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{text}");
        }
    }
}
