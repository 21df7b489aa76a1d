//! Who may listen on the way to a server, as far as its address tells.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use url::Host;

/// A name that takes longer to look up is not known to be anybody's.
const LOOKUP: Duration = Duration::from_secs(2);

/// Whether what is sent there never leaves this machine. Names count by what they are reserved for
/// (RFC 6761), not by what somebody makes of them.
pub fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            name == "localhost" || name.ends_with(".localhost")
        }
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => IpAddr::V6(*address).to_canonical().is_loopback(),
    }
}

/// Whether the way there goes over the Internet: only where every address of the host is one of it. A name
/// that cannot be looked up, as one of a container's network, is not known to be.
pub async fn is_public(host: &str, port: u16) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let looking = tokio::net::lookup_host((host, port));
    let Ok(Ok(found)) = tokio::time::timeout(LOOKUP, looking).await else { return false };
    let mut found = found.peekable();
    found.peek().is_some() && found.all(|address| is_global(address.ip()))
}

/// Whether a connection to Postgres is encrypted, as its address has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// `sslmode=disable` or `allow`.
    Never,
    /// `sslmode=prefer`, or nothing.
    IfOffered,
    /// Every other `sslmode`.
    Always,
}

/// What a person may want to know of the way to a Postgres server: that its password goes over the Internet in
/// clear, or may.
pub async fn postgres_warning(host: &str, port: u16, tls: Tls) -> Option<String> {
    let what = match tls {
        Tls::Never => "go there in clear",
        Tls::IfOffered => "go there in clear if somebody on the way says that it offers no TLS",
        Tls::Always => return None,
    };
    let is_public = is_public(host, port).await;
    is_public.then(|| {
        format!(
            "Postgres at {host}:{port} is on the Internet, and the password and all data {what}: add \
             ?sslmode=verify-full&sslrootcert=… to DATABASE_URL, or at least ?sslmode=require"
        )
    })
}

/// Whether an address is reachable from everywhere; those of private networks, of carriers and overlays
/// (100.64.0.0/10), of links and of documents are not.
fn is_global(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_global_v4(address),
        IpAddr::V6(address) => is_global_v6(address),
    }
}

fn is_global_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_multicast()
        || first == 0
        || first >= 240
        || (first == 100 && (64..128).contains(&second))
        || (first == 198 && matches!(second, 18 | 19))
        || (first == 192 && second == 0 && third == 0))
}

/// Of IPv6 only `2000::/3` is given out; in it `2001:db8::/32` is for documents.
fn is_global_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    first & 0xe000 == 0x2000 && (first, second) != (0x2001, 0xdb8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_this_machine_and_nothing_that_looks_like_it() {
        for host in [
            "localhost",
            "LOCALHOST",
            "localhost.",
            "toggl.localhost",
            "127.0.0.1",
            "127.8.8.8",
            "0x7f.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
        ] {
            let host = Host::parse(host).unwrap();
            let host = match &host {
                Host::Domain(name) => Host::Domain(name.as_str()),
                Host::Ipv4(address) => Host::Ipv4(*address),
                Host::Ipv6(address) => Host::Ipv6(*address),
            };
            assert!(is_loopback(&host), "{host}");
        }
        for host in ["notlocalhost", "localhost.example", "127.0.0.1.example"] {
            assert!(!is_loopback(&Host::Domain(host)), "{host}");
        }
        for host in ["0.0.0.0", "10.0.0.1", "128.0.0.1"] {
            assert!(!is_loopback(&Host::Ipv4(host.parse().unwrap())), "{host}");
        }
    }

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        for public in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8"]
        {
            assert!(is_global(public.parse().unwrap()), "{public}");
        }
        for own in [
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "127.0.0.1",
            "169.254.1.1",
            "100.101.102.103",
            "0.0.0.0",
            "::1",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(!is_global(own.parse().unwrap()), "{own}");
        }
    }

    #[tokio::test]
    async fn a_name_that_nobody_knows_is_not_called_public() {
        for host in ["postgres", "nats.invalid", "localhost", "[::1]", ""] {
            assert!(!is_public(host, 5432).await, "{host}");
        }
        assert!(is_public("8.8.8.8", 4222).await);
        assert!(is_public("[2606:4700::1111]", 4222).await);
    }

    #[tokio::test]
    async fn a_postgres_on_the_internet_is_warned_of_unless_tls_is_insisted_on() {
        for tls in [Tls::Never, Tls::IfOffered] {
            let warning = postgres_warning("8.8.8.8", 5432, tls).await.unwrap();
            assert!(warning.contains("sslmode=verify-full"), "{warning}");
            assert_eq!(postgres_warning("10.0.0.1", 5432, tls).await, None);
            assert_eq!(postgres_warning("/var/run/postgresql", 5432, tls).await, None);
        }
        assert_eq!(postgres_warning("8.8.8.8", 5432, Tls::Always).await, None);
    }
}
