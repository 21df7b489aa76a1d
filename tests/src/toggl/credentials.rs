//! Basic authentication as Toggl wants it: the API token as the user, the word `api_token` as the
//! password.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

/// What Toggl makes of a request's credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Credentials {
    Accepted,
    Missing,
    Wrong,
}

pub(super) fn credentials(headers: &HeaderMap, token: &str) -> Credentials {
    let Some(header) = headers.get(AUTHORIZATION) else {
        return Credentials::Missing;
    };
    let expected = format!("Basic {}", base64(format!("{token}:api_token").as_bytes()));
    if header.as_bytes() == expected.as_bytes() {
        Credentials::Accepted
    } else {
        Credentials::Wrong
    }
}

/// Standard base64 with padding; only ever of the one expected header, so a crate would be much.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bytes
        .chunks(3)
        .flat_map(|chunk| {
            let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
            let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
            [18, 12, 6, 0].into_iter().enumerate().map(move |(place, shift)| {
                let sextet = (bits >> shift & 0x3f) as usize;
                if place <= chunk.len() { char::from(ALPHABET[sextet]) } else { '=' }
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_pads_every_remainder() {
        assert_eq!(base64(b"Man"), "TWFu");
        assert_eq!(base64(b"Ma"), "TWE=");
        assert_eq!(base64(b"M"), "TQ==");
    }
}
