//! The calls that Toggl makes: real requests, signed, one after the other.

use std::time::Duration;

use bytes::Bytes;
use ring::hmac::{HMAC_SHA256, Key, sign};
use serde_json::Value;

/// Nobody who is there takes that long.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Whoever calls.
#[derive(Debug)]
pub(super) struct Ringer(reqwest::Client);

/// What an address has answered.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) body: Bytes,
}

impl Default for Ringer {
    fn default() -> Self {
        shared::exit::ensure_tls_provider();
        let client = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build();
        Self(client.expect("a client of plain HTTP"))
    }
}

impl Ringer {
    /// None where nobody answers.
    pub(super) async fn call(&self, url: &str, secret: &str, event: &Value) -> Option<Answered> {
        let body = event.to_string();
        let request = self
            .0
            .post(url)
            .header("content-type", "application/json")
            .header("x-webhook-signature-256", signature(secret, body.as_bytes()))
            .body(body);
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        Some(Answered { status, body: response.bytes().await.ok()? })
    }
}

/// As Toggl signs a body.
pub fn signature(secret: &str, body: &[u8]) -> String {
    let tag = sign(&Key::new(HMAC_SHA256, secret.as_bytes()), body);
    let digits = tag.as_ref().iter().map(|byte| format!("{byte:02x}"));
    format!("sha256={}", digits.collect::<String>())
}
