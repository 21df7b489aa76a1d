//! Whether a delivery is Toggl's: a keyed hash of its body as it came, before anything of it is read.

use ring::hmac::{HMAC_SHA256, Key, verify};
use secrecy::{ExposeSecret as _, SecretString};

/// The header that it stands in.
pub(crate) const SIGNATURE: &str = "x-webhook-signature-256";

const PREFIX: &[u8] = b"sha256=";
const HASH_BYTES: usize = 32;

/// Knows a subscription's secret.
#[derive(Debug)]
pub(crate) struct Verifier(Key);

impl Verifier {
    pub(crate) fn new(secret: &SecretString) -> Self {
        Self(Key::new(HMAC_SHA256, secret.expose_secret().as_bytes()))
    }

    /// Whether the header is that of this body. However wrong it is, that takes the same time.
    pub(crate) fn accepts(&self, header: &[u8], body: &[u8]) -> bool {
        hash(header).is_some_and(|hash| verify(&self.0, body, &hash).is_ok())
    }
}

/// The hash that a header names.
fn hash(header: &[u8]) -> Option<[u8; HASH_BYTES]> {
    let digits = header.strip_prefix(PREFIX)?;
    if digits.len() != HASH_BYTES * 2 {
        return None;
    }
    let mut hash = [0; HASH_BYTES];
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(hash)
}

fn digit(character: u8) -> Option<u8> {
    char::from(character).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Vector {
        secret: String,
        value: String,
        raw_body: String,
    }

    fn vectors() -> Vec<Vector> {
        let text = include_str!("../../../tests/fixtures/webhook_signature_vectors.json");
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_vendors_vectors_are_accepted_and_nothing_else() {
        let vectors = vectors();
        assert_eq!(vectors.len(), 2);
        for Vector { secret, value, raw_body } in vectors {
            let verifier = Verifier::new(&secret.into());
            let accepts =
                |header: &str, body: &str| verifier.accepts(header.as_bytes(), body.as_bytes());
            assert!(accepts(&value, &raw_body));
            let digits = value.strip_prefix("sha256=").unwrap();
            assert!(accepts(&format!("sha256={}", digits.to_uppercase()), &raw_body));
            assert!(!accepts(&value, &format!("{raw_body} ")), "another body");
            let mut short = value.clone();
            let last = short.pop().unwrap();
            let flipped = format!("{short}{}", if last == '0' { '1' } else { '0' });
            for wrong in [
                "",
                "sha256=",
                digits,
                &short,
                &format!("{value}0"),
                &flipped,
                &value.replace("sha256", "sha512"),
                &format!("sha256={}", "g".repeat(64)),
            ] {
                assert!(!accepts(wrong, &raw_body), "{wrong}");
            }
            assert!(
                !Verifier::new(&"another".to_owned().into())
                    .accepts(value.as_bytes(), raw_body.as_bytes())
            );
        }
    }
}
