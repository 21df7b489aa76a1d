//! `loader setup --vault`: what an administrator of Postgres does once, in one command: the roles with the
//! rights of `migrations/roles.sql` and passwords of their own, and the vault with its root key.

mod address;
mod login;

use clap::Args;
use shared::exit::{Exit, Failure, OrExit as _};
use shared::output::print;
use shared::telemetry::MIGRATIONS;
use sqlx::{Connection as _, PgConnection};
use tracing::info;

use self::login::Login;
use crate::migrations::rights::{LOADER_ROLE, ROLES};
use crate::migrations::{self, Key, VaultArgs};
use crate::postgres::database::{DatabaseArgs, Endpoint};
use crate::postgres::trouble::{Lack, lack};

/// The role of `migrations/roles.sql` that fetchers log in as.
const FETCHER_ROLE: &str = "toggl_track_fetcher";

pub(crate) const EXAMPLES: &str = "\
Examples:
  NATS_USER=admin NATS_PASSWORD=… loader setup    with an administrator's DATABASE_URL, too
  DATABASE_URL=postgres://postgres@localhost/toggl loader setup --vault";

/// What an administrator wants besides the tables, the stream and the bucket.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct SetupArgs {
    /// Also make what keeps credentials in Postgres: the roles `toggl_track_loader`, `toggl_track_fetcher`
    /// and `toggl_track_analyst` with no more rights than they need, and the vault with its root key if there
    /// is none. Prints the addresses that loader and fetcher log in with. Run it as often as you like:
    /// passwords that are set stay, and another vault, such as Supabase's, is used as it is.
    #[arg(long)]
    vault: bool,
    /// Give the roles new passwords, also where they have some.
    #[arg(long, requires = "vault")]
    new_passwords: bool,
}

/// Why the roles could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    #[error(
        "could not make the roles, for {user} may not: run this with the DATABASE_URL of an administrator, \
         the superuser or, on a managed server, the user that it came with"
    )]
    Forbidden {
        user: String,
        #[source]
        source: sqlx::Error,
    },
    #[error("could not make the roles")]
    Roles(#[source] sqlx::Error),
    #[error("could not make passwords: the system gives no random numbers")]
    Random,
}

/// What was made, to be told when the tables are up to date as well.
pub(crate) struct Made {
    loader: Login,
    fetcher: Login,
}

impl SetupArgs {
    /// Makes the roles and the vault's root key, if that is asked for; before the tables, which become the
    /// loader's.
    pub(crate) async fn prepare(
        self,
        connection: &mut PgConnection,
        vault: &VaultArgs,
    ) -> Result<Option<Made>, SetupError> {
        if !self.vault {
            return Ok(None);
        }
        match self.make(connection, vault).await {
            Err(SetupError::Roles(source)) if lack(&source) == Some(Lack::Rights) => {
                let user = sqlx::query_scalar("select quote_ident(current_user)");
                let user = user.fetch_one(connection).await.map_err(SetupError::Roles)?;
                Err(SetupError::Forbidden { user, source })
            }
            made => made.map(Some),
        }
    }

    async fn make(
        self,
        connection: &mut PgConnection,
        vault: &VaultArgs,
    ) -> Result<Made, SetupError> {
        let known = login::existing(connection, &[LOADER_ROLE, FETCHER_ROLE]).await;
        let known = known.map_err(SetupError::Roles)?;
        let known = if self.new_passwords { Vec::new() } else { known };
        let mut transaction = connection.begin().await.map_err(SetupError::Roles)?;
        // It may wait for loaders that write, as long as it says itself.
        let roles = sqlx::AssertSqlSafe(format!("set local statement_timeout = 0;\n{ROLES}"));
        sqlx::raw_sql(roles).execute(&mut *transaction).await.map_err(SetupError::Roles)?;
        transaction.commit().await.map_err(SetupError::Roles)?;
        info!(target: MIGRATIONS, "The roles are up to date");
        let loader = Login::give(connection, LOADER_ROLE, &known).await?;
        let fetcher = Login::give(connection, FETCHER_ROLE, &known).await?;
        if let Key::Made(path) =
            migrations::make_key(connection, vault).await.map_err(SetupError::Roles)?
        {
            info!(
                target: MIGRATIONS,
                "Made the vault's root key, {path} on the database server: keep a copy apart from the backups"
            );
        }
        Ok(Made { loader, fetcher })
    }
}

impl Made {
    /// Prints what to put where. Incomplete where there is no vault to be used.
    pub(crate) async fn tell(
        &self,
        connection: &mut PgConnection,
        args: &DatabaseArgs,
        endpoint: &Endpoint,
    ) -> Result<Exit, Failure> {
        let told = self.words(connection, args, endpoint).await;
        let (words, exit) = told.or_exit(Exit::Unreachable)?;
        print(words).or_exit(Exit::Failed)?;
        Ok(exit)
    }

    async fn words(
        &self,
        connection: &mut PgConnection,
        args: &DatabaseArgs,
        endpoint: &Endpoint,
    ) -> sqlx::Result<(String, Exit)> {
        let port: String = sqlx::query_scalar("show port").fetch_one(&mut *connection).await?;
        let own = args.database_url.as_ref();
        let address = |login: &Login| address::of(own, endpoint, login, &port);
        let mut text = format!(
            "For the loader:\n  DATABASE_URL={}\nFor the fetcher:\n  DATABASE_URL={}\n",
            address(&self.loader),
            address(&self.fetcher)
        );
        if !(self.loader.is_known() && self.fetcher.is_known()) {
            text.push_str(
                "A password that is not shown is the one that was set before; --new-passwords makes others.\n",
            );
        }
        if migrations::has_vault(connection).await? {
            text.push_str(
                "The vault is ready. Store the API token with the administrator's DATABASE_URL: fetcher \
                 credentials set\n",
            );
            return Ok((text, Exit::Done));
        }
        text.push_str(
            "There is no vault that can be used, for that takes a superuser, pgcrypto and a root key on the \
             database server (see above). Without one give the API token by TOGGL_API_TOKEN or \
             --api-token-file; all else works.\n",
        );
        Ok((text, Exit::Incomplete))
    }
}
