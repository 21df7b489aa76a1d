//! `fetcher listen`: what Toggl tells by itself, looked at within seconds.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::str::FromStr as _;
use std::time::Duration;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Args, Command, Error};
use shared::exit::{Exit, Failure, OrExit as _};
use shared::settings::{plain, time};
use shared::telemetry::WEBHOOKS;
use tracing::info;

use super::CommonArgs;
use super::broker::{interrupted, start};
use super::failures::{credentials_failure, failure};
use super::runs::{patience, unfinished, workspaces};
use crate::credentials::CredentialsError;
use crate::listen::{ListenOptions, Listening, PublicUrl, PublicUrlError, bind};
use crate::orchestrator::{Listener, Turn};

pub(super) const EXAMPLES: &str = "\
Examples:
  fetcher listen --public-url https://hooks.example.com             behind a proxy on this machine
  fetcher listen --public-url https://example.com/toggl --workspace all
  fetcher listen --public-url https://hooks.example.com --address 0.0.0.0:9092
  fetcher listen --public-url https://hooks.example.com --unsubscribe   Toggl tells nothing more";

/// What runs have seen is compared with what was told so often, or as often as the subscriptions are looked at.
const WATCH_EVERY: Duration = Duration::from_mins(5);

/// Where to listen, and how much to spend.
#[derive(Debug, Args)]
pub(super) struct ListenArgs {
    /// The address that Toggl calls: https, and as the world sees it. Requests to it have to arrive at --address,
    /// as by a reverse proxy. `/deliveries/` and the workspace are appended.
    #[arg(long, env = "FETCHER_PUBLIC_URL", value_name = "URL", value_parser = plain(PublicUrlParser))]
    public_url: PublicUrl,
    /// Where to listen for deliveries, in plain HTTP. /healthz, /readyz and /metrics are there, too.
    #[arg(long, env = "FETCHER_LISTEN_ADDRESS", value_name = "IP:PORT", default_value = "127.0.0.1:9092", value_parser = plain(SocketAddr::from_str))]
    address: SocketAddr,
    /// Remove this account's subscriptions for --public-url from the workspaces, and end.
    #[arg(long)]
    unsubscribe: bool,
    /// How much of each hourly quota looks may take, in per cent; the rest is for syncs and whoever else uses the
    /// token. What is told once the share is used up is looked at in the next hour.
    #[arg(long, env = "FETCHER_LISTEN_SHARE", value_name = "PERCENT", default_value_t = 50, value_parser = plain(clap::value_parser!(u8).range(1..=100)))]
    share: u8,
    /// Least time between two looks: all that is told meanwhile is looked at together.
    #[arg(long, env = "FETCHER_LISTEN_GAP", value_name = "DURATION", default_value = "2s", value_parser = plain(time))]
    gap: Duration,
    /// How often to see whether the subscriptions are as they should be: one request for each workspace.
    #[arg(long, env = "FETCHER_LISTEN_CHECK_EVERY", value_name = "DURATION", default_value = "1h", value_parser = plain(a_second_or_more))]
    check_every: Duration,
}

/// No error repeats what it was given, as clap's own do: it may hold a log-in.
#[derive(Debug, Clone, Copy)]
struct PublicUrlParser;

impl TypedValueParser for PublicUrlParser {
    type Value = PublicUrl;

    fn parse_ref(
        &self,
        command: &Command,
        _argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<PublicUrl, Error> {
        let parsed = value.to_str().ok_or(PublicUrlError).and_then(PublicUrl::from_str);
        parsed.map_err(|error| {
            let words = format!("FETCHER_PUBLIC_URL (--public-url) is {error}\n");
            Error::raw(ErrorKind::ValueValidation, words).with_cmd(command)
        })
    }
}

fn a_second_or_more(text: &str) -> Result<Duration, String> {
    let duration = time(text).map_err(|error| error.to_string())?;
    if duration < Duration::from_secs(1) {
        Err("must be 1s or more".to_owned())
    } else {
        Ok(duration)
    }
}

/// Listens until SIGTERM or Ctrl-C.
pub(super) async fn run(common: &CommonArgs, args: &ListenArgs) -> Result<Exit, Failure> {
    common.credentials.account_name().map_err(credentials_failure)?;
    // Before anything is asked: a second one on this machine shall not mend the first one's subscriptions.
    let socket =
        if args.unsubscribe { None } else { Some(bind(args.address).await.or_exit(Exit::Failed)?) };
    let (logins, broker) = Box::pin(start(common)).await?;
    let [login] = logins.as_slice() else {
        return Err(credentials_failure(CredentialsError::OneAccount));
    };
    let (client, publisher, turn) =
        (broker.client(common, login), broker.publisher(), Turn::alone());
    let wanted = workspaces(common, login);
    let opening =
        Listener::open(&client, &publisher, &broker.state, &turn, (&wanted, patience(common)));
    let Some(opened) = broker.until_interrupted(Box::pin(opening)).await else {
        return Err(interrupted());
    };
    let listener = match opened {
        Ok(listener) => listener,
        Err(error) => return unfinished(common, error),
    };
    let listening = Listening {
        client: &client,
        state: &broker.state,
        token: &login.credentials.api_token,
        user_id: listener.account().id,
        run: &|| (broker.client(common, login), broker.publisher()),
        options: ListenOptions {
            public_url: args.public_url.clone(),
            workspaces: wanted,
            workspace_ids: listener.workspace_ids.clone(),
            patience: patience(common),
            gap: args.gap,
            percent: args.share,
            check_every: args.check_every,
            watch_every: WATCH_EVERY.min(args.check_every),
        },
    };
    let ended = match socket {
        None => {
            let removing = broker.until_interrupted(Box::pin(listening.unsubscribe())).await;
            removing.ok_or_else(interrupted)?.map_err(Into::into)
        }
        Some(socket) => Box::pin(listening.run(socket, broker.ending())).await,
    };
    drop(listener);
    broker.state.settle().await;
    ended.map_err(failure)?;
    if !args.unsubscribe {
        info!(target: WEBHOOKS, "Stopped");
    }
    Ok(Exit::Done)
}
