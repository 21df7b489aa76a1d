//! Whether a password goes to NATS in clear, over the Internet.

use async_nats::{ServerAddr, ServerInfo};

use super::Server;
use super::login::Login;
use crate::eavesdropping::is_public;

impl Server<'_> {
    /// What a person may want to know of the way to the server that says this of itself. Keys and JWTs are
    /// not sent in a form that could be used again; without a log-in there is no secret.
    pub async fn warning(&self, info: &ServerInfo) -> Option<String> {
        let is_secret = matches!(self.login, Some(Login::Password(..) | Login::Token(_)));
        let args = self.args;
        let is_set = args.nats_tls_first || args.nats_ca.is_some() || args.nats_cert.is_some();
        if !is_secret || is_set || info.tls_required {
            return None;
        }
        for address in self.addresses.iter().filter(|address| !is_encrypted(address)) {
            let (host, port) = (address.host(), address.port());
            if is_public(host, port).await {
                return Some(format!(
                    "NATS at {host}:{port} is on the Internet, and the password and all data go there in \
                     clear: have the server use TLS, and write tls:// in NATS_URL"
                ));
            }
        }
        None
    }
}

fn is_encrypted(address: &ServerAddr) -> bool {
    matches!(address.scheme(), "tls" | "wss")
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::nats::NatsArgs;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        nats: NatsArgs,
    }

    async fn warning(words: &[&str], info: &ServerInfo) -> Option<String> {
        let cli = Cli::parse_from(["x"].iter().chain(words));
        cli.nats.server().unwrap().warning(info).await
    }

    #[tokio::test]
    async fn only_a_password_in_clear_over_the_internet_is_warned_of() {
        let open = ServerInfo::default();
        for words in [
            &["--nats-url", "nats://eva:hunter2@8.8.8.8"][..],
            &["--nats-url", "nats://hunter2@8.8.8.8:4222"],
            &["--nats-url", "ws://8.8.8.8", "--nats-user", "eva", "--nats-password", "hunter2"],
            &["--nats-url", "nats://eva:hunter2@10.0.0.1,8.8.8.8"],
        ] {
            let warning = warning(words, &open).await.unwrap();
            assert!(warning.contains("8.8.8.8") && !warning.contains("hunter2"), "{warning}");
        }
        for words in [
            &["--nats-url", "nats://8.8.8.8"][..],
            &["--nats-url", "tls://eva:hunter2@8.8.8.8"],
            &["--nats-url", "wss://eva:hunter2@8.8.8.8"],
            &["--nats-url", "nats://eva:hunter2@8.8.8.8", "--nats-ca", "ca.pem"],
            &["--nats-url", "nats://8.8.8.8", "--nats-nkey", "user.nk"],
            &["--nats-url", "nats://eva:hunter2@nats"],
            &["--nats-url", "nats://eva:hunter2@127.0.0.1"],
            &["--nats-url", "nats://eva:hunter2@192.168.1.2"],
        ] {
            assert_eq!(warning(words, &open).await, None, "{words:?}");
        }
        let tls = ServerInfo { tls_required: true, ..ServerInfo::default() };
        assert_eq!(warning(&["--nats-url", "nats://eva:hunter2@8.8.8.8"], &tls).await, None);
    }
}
