//! How to log in to NATS: files are read again at each connection, for they are renewed on disk while a
//! loader runs.

use std::fs;
use std::path::{Path, PathBuf};

use async_nats::{Auth, AuthError};
use nkeys::KeyPair;
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

/// What a log-in is made of.
#[derive(Debug, Clone)]
pub(super) enum Login {
    Password(String, SecretString),
    Token(SecretString),
    /// A file with the seed of an nkey.
    Nkey(PathBuf),
    /// A file with a JWT and the seed of its nkey.
    Credentials(PathBuf),
}

/// A file of a log-in that cannot be used. Its text is left out.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the file {path} ({setting})")]
pub struct LoginError {
    /// The setting that names it.
    setting: &'static str,
    path: PathBuf,
    #[source]
    source: FileError,
}

#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error(transparent)]
    Read(#[from] std::io::Error),
    #[error("it holds no seed of an nkey (a line that begins with SU)")]
    Seed,
    #[error("it holds no JWT")]
    Jwt,
    #[error("its nkey does not sign")]
    Sign,
}

impl Login {
    /// Whether it is the same in all parts.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Password(user, password), Self::Password(user2, password2)) => {
                user == user2 && password.expose_secret() == password2.expose_secret()
            }
            (Self::Token(token), Self::Token(token2)) => {
                token.expose_secret() == token2.expose_secret()
            }
            (Self::Nkey(path), Self::Nkey(path2))
            | (Self::Credentials(path), Self::Credentials(path2)) => path == path2,
            _ => false,
        }
    }

    /// What the server gets for its nonce.
    ///
    /// # Errors
    /// When a file cannot be read now, or holds something else.
    pub(super) fn answer(&self, nonce: &[u8]) -> Result<Auth, LoginError> {
        let mut auth = Auth::new();
        match self {
            Self::Password(user, password) => {
                auth.username = Some(user.clone());
                auth.password = Some(password.expose_secret().to_owned());
            }
            Self::Token(token) => auth.token = Some(token.expose_secret().to_owned()),
            Self::Nkey(path) => {
                let signed = || {
                    let text = Zeroizing::new(fs::read_to_string(path)?);
                    let key = key(&text)?;
                    Ok((key.public_key(), key.sign(nonce).map_err(|_| FileError::Sign)?))
                };
                let (public, signature) = signed().map_err(named("NATS_NKEY", path))?;
                auth.nkey = Some(public);
                auth.signature = Some(signature);
            }
            Self::Credentials(path) => {
                let signed = || {
                    let text = Zeroizing::new(fs::read_to_string(path)?);
                    let jwt = block(&text, "JWT").ok_or(FileError::Jwt)?.to_owned();
                    Ok((jwt, key(&text)?.sign(nonce).map_err(|_| FileError::Sign)?))
                };
                let (jwt, signature) = signed().map_err(named("NATS_CREDS", path))?;
                auth.jwt = Some(jwt);
                auth.signature = Some(signature);
            }
        }
        Ok(auth)
    }
}

impl From<LoginError> for AuthError {
    fn from(error: LoginError) -> Self {
        Self::new(crate::exit::chain(&error))
    }
}

fn named(setting: &'static str, path: &Path) -> impl FnOnce(FileError) -> LoginError {
    let path = path.to_owned();
    move |source| LoginError { setting, path, source }
}

/// The key whose seed the text holds: in a block of its own, or on a line of its own.
fn key(text: &str) -> Result<KeyPair, FileError> {
    let seed = block(text, "SEED")
        .or_else(|| text.lines().map(str::trim).find(|line| line.starts_with("SU")))
        .ok_or(FileError::Seed)?;
    KeyPair::from_seed(seed).map_err(|_| FileError::Seed)
}

/// The line between `-----BEGIN … kind-----` and its end.
fn block<'a>(text: &'a str, kind: &str) -> Option<&'a str> {
    let mut lines = text.lines().map(str::trim);
    lines.find(|line| {
        line.starts_with("---")
            && line.contains("BEGIN")
            && line.trim_end_matches('-').ends_with(kind)
    })?;
    lines.find(|line| !line.is_empty()).filter(|line| !line.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credentials_file_gives_its_jwt_and_signs_with_its_seed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("user.creds");
        let key = KeyPair::new_user();
        let seed = key.seed().unwrap();
        fs::write(
            &path,
            format!(
                "-----BEGIN NATS USER JWT-----\neyJ0.e30.x\n------END NATS USER JWT------\n\n\
                 ************************* IMPORTANT *************************\n\
                 -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
            ),
        )
        .unwrap();
        let auth = Login::Credentials(path.clone()).answer(b"nonce").unwrap();
        assert_eq!(auth.jwt.as_deref(), Some("eyJ0.e30.x"));
        key.verify(b"nonce", &auth.signature.unwrap()).unwrap();

        fs::write(&path, &seed).unwrap();
        let auth = Login::Nkey(path.clone()).answer(b"nonce").unwrap();
        assert_eq!(auth.nkey, Some(key.public_key()));
        let error = Login::Credentials(path).answer(b"nonce").err().unwrap();
        let words = crate::exit::chain(&error);
        assert!(words.contains("NATS_CREDS") && words.contains("no JWT"), "{words}");
        assert!(!words.contains(&seed), "{words}");
    }
}
