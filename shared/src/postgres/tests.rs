//! What addresses and settings come to.

mod environment;
mod parameters;
mod providers;
mod secrets;
mod tls;

use super::error::AddressError;
use super::target::Target;

fn read_in(address: Option<&str>, environment: &[(&str, &str)]) -> Result<Target, AddressError> {
    let variable = |name: &str| {
        let found = environment.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Target::read(address, &variable, "test")
}

fn read(address: &str) -> Result<Target, AddressError> {
    read_in(Some(address), &[])
}

/// The URL of libpq's password that a target would send, which is nowhere else to be seen.
fn password(target: &Target) -> String {
    use sqlx::ConnectOptions as _;
    let url = target.hosts[0].1.to_url_lossy();
    let password = url.password().unwrap_or_default();
    percent_encoding::percent_decode_str(password).decode_utf8().unwrap().into_owned()
}
