//! `fetcher check`: everything that a sync needs, tried in order and without leaving a trace.

use async_nats::jetstream::Context;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use futures::{StreamExt as _, stream as futures_stream};
use shared::catalogue::CATALOGUE;
use shared::checkup::Checkup;
use shared::exit::{Exit, Failure, OrExit as _};
use shared::nats::Program;
use shared::stream::{self, Found, STREAM};

use super::CommonArgs;
use super::failures::{credentials_failure, failure};
use super::runs::{client, workspaces};
use super::summary;
use crate::check;
use crate::credentials::{Login, vault};
use crate::state::{BUCKET, State, StateError};
use crate::toggl;

/// No stream has that many messages: whatever is said to come after this one is refused, by a server
/// that would have taken it otherwise.
const NEVER: u64 = 1 << 52;

/// A right that the NATS user lacks, or a server that does not answer.
#[derive(Debug, thiserror::Error)]
enum ProbeError {
    #[error(
        "NATS does not let this user publish to {subject}; the block `authorization` of \
         docker-compose.yml has the rights that the fetcher needs"
    )]
    Publish {
        subject: String,
        #[source]
        source: PublishError,
    },
    #[error("the stream {STREAM} cannot be looked up")]
    Stream(#[source] async_nats::jetstream::context::GetStreamError),
}

/// Trouble is printed, and is the exit code.
pub(super) async fn run(common: &CommonArgs) -> Result<Exit, Failure> {
    let server = common.nats.server().or_exit(Exit::Usage)?;
    let mut checkup = Checkup::default();
    if let Some(warning) = vault::warning(common.credentials.database_url.as_ref()).await {
        checkup.note(warning);
    }
    match common.credentials.load().await.map_err(credentials_failure) {
        Ok(logins) => {
            let asking = logins.iter().map(|login| async move {
                let client = client(common, login)?;
                Ok::<_, Failure>((login, check::check(&client, &workspaces(common, login)).await))
            });
            let mut asking =
                futures_stream::iter(asking).buffered(usize::from(common.accounts_at_once));
            while let Some(asked) = asking.next().await {
                let (login, found) = asked?;
                tell(&mut checkup, login, (logins.len() > 1).then_some(&*login.account), found);
            }
        }
        Err(Failure { exit, error }) => {
            checkup.bad(exit, error.as_ref());
            checkup.untried("Toggl");
        }
    }
    match server.connect(Program::Fetcher).await {
        Ok(connected) => {
            let max_payload = connected.server_info().max_payload;
            checkup.good(format_args!("NATS lets us in; messages of up to {max_payload} bytes"));
            if let Some(warning) = server.warning(&connected.server_info()).await {
                checkup.note(warning);
            }
            broker(&mut checkup, common, &server.jetstream(connected)).await;
        }
        Err(error) => {
            checkup.bad(Exit::Unreachable, &error);
            checkup.untried(format_args!("the stream {STREAM} and the bucket {BUCKET}"));
        }
    }
    Ok(checkup.exit())
}

fn tell(
    checkup: &mut Checkup,
    login: &Login,
    account: Option<&str>,
    found: Result<check::Found, toggl::Error>,
) {
    match found {
        Ok(found) => {
            checkup
                .good(format_args!("Toggl takes the API token of the account {}", login.account));
            summary::check(&found, account);
        }
        Err(error) => {
            let Failure { exit, error } = failure(error.into());
            checkup.bad(exit, error.as_ref());
        }
    }
}

/// Nothing is made or changed.
async fn broker(checkup: &mut Checkup, common: &CommonArgs, context: &Context) {
    match stream::inspect_stream(context, &common.stream).await {
        Ok(Found::Absent) => checkup
            .good(format_args!("the stream {STREAM} is not there yet; the next sync makes it")),
        Ok(Found::Current | Found::Changes) => match probe_stream(checkup, context).await {
            Ok(()) => checkup.good(format_args!("the stream {STREAM} takes batches")),
            Err(error) => checkup.bad(Exit::Unreachable, &error),
        },
        Err(error) => checkup.bad(Exit::Unreachable, &error),
    }
    match bucket(common, context).await {
        Ok(Found::Absent) => checkup
            .good(format_args!("the bucket {BUCKET} is not there yet; the next sync makes it")),
        Ok(_) => checkup.good(format_args!("the bucket {BUCKET} can be read and written")),
        Err(error) => checkup.bad(Exit::Unreachable, &error),
    }
}

async fn bucket(common: &CommonArgs, context: &Context) -> Result<Found, StateError> {
    let found = stream::inspect_bucket(context, &common.stream).await?;
    if found != Found::Absent {
        State::of(context).await?.probe(NEVER).await?;
    }
    Ok(found)
}

async fn probe_stream(checkup: &mut Checkup, context: &Context) -> Result<(), ProbeError> {
    let stream = context.get_stream(STREAM).await.map_err(ProbeError::Stream)?;
    let info = stream.cached_info();
    let bytes = i64::try_from(info.state.bytes).unwrap_or(i64::MAX);
    if info.config.max_bytes > 0 && bytes > info.config.max_bytes / 10 * 9 {
        checkup.note(format_args!(
            "the stream {STREAM} is nearly full ({bytes} of {} bytes): raise STREAM_MAX_BYTES, or \
             lower STREAM_MAX_AGE",
            info.config.max_bytes
        ));
    }
    for resource in CATALOGUE {
        let subject = resource.subject();
        let message = PublishMessage::build()
            .payload("".into())
            .expected_stream(STREAM)
            .expected_last_sequence(NEVER);
        let answered = match context.send_publish(subject.clone(), message).await {
            Ok(acknowledgement) => acknowledgement.await.map(drop),
            Err(error) => Err(error),
        };
        match answered {
            Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => {}
            Err(source) => return Err(ProbeError::Publish { subject, source }),
            Ok(()) => {}
        }
    }
    Ok(())
}
