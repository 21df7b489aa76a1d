//! Which command runs.

use clap::CommandFactory as _;
use shared::consumer::Readers;
use shared::exit::{Exit, Failure, OrExit as _};
use shared::nats::Program;
use shared::shutdown::Shutdown;

use super::{Cli, Command, up};
use crate::http::healthcheck::{Expected, healthcheck};
use crate::postgres::database::AddressError;
use crate::status::{age, command, verify};
use crate::{check, dead_letters, explain, forget, hours, prune, replay};

pub(super) async fn dispatch(cli: Cli) -> Result<Exit, Failure> {
    match &cli.command {
        Some(Command::Healthcheck) => {
            let expected = expected(&cli)?;
            healthcheck(cli.run.http, &expected).await.or_exit(Exit::Failed)?;
            return Ok(Exit::Done);
        }
        Some(Command::Manual(manual)) => return manual.run(Cli::command()),
        Some(Command::Explain(args)) => return explain::run(&cli.nats, &cli.database, args).await,
        _ => {}
    }
    let database = cli.database.database().or_exit(Exit::Usage)?;
    if let Some(Command::DeadLetters(command)) = cli.command {
        return dead_letters::run(database, command, cli.run.history).await;
    }
    if let Some(Command::Verify(args)) = &cli.command {
        return verify::run(database, args).await;
    }
    if let Some(Command::Hours(args)) = &cli.command {
        return hours::run(database, args).await;
    }
    if let Some(Command::Prune(args)) = &cli.command {
        return prune::run(database, cli.retention, args).await;
    }
    let nats = cli.nats.clone();
    let server = nats.server().or_exit(Exit::Usage)?;
    if let Some(Command::Forget(args)) = cli.command {
        return forget::run(server, database, args).await;
    }
    if let Some(Command::Status(args)) = &cli.command {
        let max_age = cli.run.max_age.unwrap_or(age::DEFAULT);
        return command::run(server, database, &cli.readers(), args, max_age).await;
    }
    if matches!(cli.command, Some(Command::Check)) {
        return check::run(server, database, &cli.stream).await;
    }
    let shutdown = Shutdown::on_signals().or_exit(Exit::Failed)?;
    if let Some(Command::Replay(args)) = cli.command {
        args.check()?;
        let client = server.connect(Program::Loader).await.or_exit(Exit::Unreachable)?;
        let history = cli.run.history;
        return replay::run(server.jetstream(client), database, args, history, shutdown).await;
    }
    up::run(cli, database, server, shutdown).await
}

impl Cli {
    pub(super) fn readers(&self) -> Readers {
        self.run.copy.clone().map_or(Readers::Main, Readers::Copy)
    }
}

/// What a loader that is asked has to be, as far as it is set here.
fn expected(cli: &Cli) -> Result<Expected, Failure> {
    let database = match cli.database.database() {
        Ok(database) => Some(database.name()),
        Err(AddressError::Missing) => None,
        Err(error) => return Err(error).or_exit(Exit::Usage),
    };
    let nats = cli.nats.server().or_exit(Exit::Usage)?.names();
    let nats = Some(nats).filter(|_| !cli.nats.is_default());
    Ok(Expected { database, nats, max_age: cli.run.max_age })
}
