//! Basic authentication as Toggl wants it: the API token as the user, the word `api_token` as the
//! password.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

/// Whether the request brings credentials at all.
pub(super) fn are_given(headers: &HeaderMap) -> bool {
    headers.contains_key(AUTHORIZATION)
}

/// Whether the request brings this token.
pub(super) fn are_of(headers: &HeaderMap, token: &str) -> bool {
    let expected = of(token);
    headers.get(AUTHORIZATION).is_some_and(|header| header.as_bytes() == expected.as_bytes())
}

/// The header of a token.
pub(super) fn of(token: &str) -> String {
    format!("Basic {}", base64(format!("{token}:api_token").as_bytes()))
}

/// Standard base64 with padding; only ever of the expected header, so a crate would be much.
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
