//! Addresses of NATS, and the log-in that stands in them.
//!
//! Nothing of an address is repeated in an error, for it may hold a password.

use std::str::FromStr as _;

use async_nats::ServerAddr;
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::login::Login;

/// The schemes that the client speaks.
const SCHEMES: [&str; 4] = ["nats", "tls", "ws", "wss"];

/// What is wrong with `NATS_URL`. Its text is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not an address at all.
    #[error("NATS_URL is not an address of NATS (nats://host:4222, several with commas between)")]
    Unreadable,
    /// Of another protocol.
    #[error("an address in NATS_URL begins with none of nats://, tls://, ws:// and wss://")]
    Scheme,
    /// The client goes by one or the other.
    #[error("NATS_URL has addresses of WebSockets beside others; give one kind")]
    Mixed,
    /// The client logs in everywhere as the same.
    #[error(
        "the addresses in NATS_URL hold different log-ins; give one, or NATS_USER and NATS_PASSWORD"
    )]
    Logins,
    /// A percent sign that stands for itself, most likely.
    #[error("the log-in in NATS_URL is not text after percent-decoding; write % as %25")]
    Encoding,
}

/// Reads addresses with commas between, and takes the log-in out of them.
pub(super) fn parse(text: &SecretString) -> Result<(Vec<ServerAddr>, Option<Login>), AddressError> {
    let mut addresses = Vec::new();
    let mut login: Option<Login> = None;
    for address in text.expose_secret().split(',').map(str::trim).filter(|text| !text.is_empty()) {
        let (address, own) = parse_one(address)?;
        if let Some(own) = own {
            match &login {
                Some(other) if !other.is_same(&own) => return Err(AddressError::Logins),
                _ => login = Some(own),
            }
        }
        addresses.push(address);
    }
    if addresses.is_empty() {
        return Err(AddressError::Unreadable);
    }
    let websockets = addresses.iter().filter(|address| address.is_websocket()).count();
    if websockets != 0 && websockets != addresses.len() {
        return Err(AddressError::Mixed);
    }
    Ok((addresses, login))
}

fn parse_one(text: &str) -> Result<(ServerAddr, Option<Login>), AddressError> {
    let whole = if text.contains("://") { text.to_owned() } else { format!("nats://{text}") };
    let mut url = Url::from_str(&whole).map_err(|_| AddressError::Unreadable)?;
    if !SCHEMES.contains(&url.scheme()) {
        return Err(AddressError::Scheme);
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(AddressError::Unreadable);
    }
    let decode = |part: &str| {
        let text = percent_decode_str(part).decode_utf8().map_err(|_| AddressError::Encoding)?;
        Ok::<_, AddressError>(SecretString::from(text.into_owned()))
    };
    let login = match (url.username(), url.password()) {
        ("", None) => None,
        // As every client of NATS has it: what stands alone is a token.
        (token, None) => Some(Login::Token(decode(token)?)),
        (user, Some(password)) => {
            let user = decode(user)?.expose_secret().to_owned();
            Some(Login::Password(user, decode(password)?))
        }
    };
    // So that no error of the client can show it.
    url.set_username("").and_then(|()| url.set_password(None)).ok();
    let address = ServerAddr::from_url(url).map_err(|_| AddressError::Unreadable)?;
    Ok((address, login))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<(Vec<String>, Option<Login>), AddressError> {
        let (addresses, login) = parse(&text.into())?;
        Ok((addresses.iter().map(|address| address.as_url_str().to_owned()).collect(), login))
    }

    #[test]
    fn a_log_in_is_taken_out_of_the_address_and_decoded() {
        let (addresses, login) = parsed("nats://eva:p%40ss%2Fword@one:4222, two").unwrap();
        assert_eq!(addresses, ["nats://one:4222", "nats://two"]);
        assert!(login.unwrap().is_same(&Login::Password("eva".into(), "p@ss/word".into())));
        let (_, login) = parsed("tls://s3cr%25t@host").unwrap();
        assert!(login.unwrap().is_same(&Login::Token("s3cr%t".into())));
        assert!(parsed("nats://host").unwrap().1.is_none());
    }

    #[test]
    fn what_cannot_be_used_is_named_without_its_text() {
        for (text, error) in [
            ("", AddressError::Unreadable),
            ("nats://host:no-port", AddressError::Unreadable),
            ("http://host", AddressError::Scheme),
            ("redis://eva:hunter2@host", AddressError::Scheme),
            ("nats://a,ws://b", AddressError::Mixed),
            ("nats://eva:one@a,nats://eva:two@b", AddressError::Logins),
            ("nats://eva:%ff@a", AddressError::Encoding),
        ] {
            let found = parsed(text).unwrap_err();
            assert_eq!(found, error, "{text}");
            assert!(!found.to_string().contains("hunter2"));
        }
        assert!(parsed("nats://eva:one@a,nats://eva:one@b,c").is_ok());
    }
}
