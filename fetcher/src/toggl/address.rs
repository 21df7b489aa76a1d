//! Reads the address of Toggl's API from the command line or the environment.

use std::ffi::OsStr;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Command, Error};
use url::Url;

/// Takes no address with user and password, which would be sent beside the token. No error repeats
/// what it was given, as clap's own do.
#[derive(Debug, Clone, Copy)]
pub(super) struct AddressParser;

impl TypedValueParser for AddressParser {
    type Value = Url;

    fn parse_ref(
        &self,
        command: &Command,
        _argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Url, Error> {
        let address = value.to_str().and_then(|text| text.parse().ok()).filter(is_plain);
        address.ok_or_else(|| {
            let words = "TOGGL_URL (--toggl-url) is not an address of Toggl's API \
                         (https://host, without user and password)\n";
            Error::raw(ErrorKind::ValueValidation, words).with_cmd(command)
        })
    }
}

fn is_plain(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
}
