use proptest::prelude::*;
use sqlx::postgres::PgSslMode::{self, Prefer, Require, VerifyCa, VerifyFull};

use super::address::parse;
use super::connect::{Postgres, Session};
use super::error::AddressError;
use super::pooler::Pooler;
use super::target::{Target, Wanted};

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

/// Address, name, user (none where it does not matter) and TLS.
type Shape = (&'static str, &'static str, &'static str, PgSslMode);

const SHAPES: [Shape; 20] = [
    // Supabase: direct, session pooler, transaction pooler.
    (
        "postgresql://postgres:pw-1234@db.apbkobhfnmcqqzqeeqss.supabase.co:5432/postgres",
        "db.apbkobhfnmcqqzqeeqss.supabase.co:5432/postgres",
        "postgres",
        Prefer,
    ),
    (
        "postgres://postgres.apbkobhfnmcqqzqeeqss:pw-1234@aws-0-us-east-1.pooler.supabase.com:5432/postgres",
        "aws-0-us-east-1.pooler.supabase.com:5432/postgres",
        "postgres.apbkobhfnmcqqzqeeqss",
        Prefer,
    ),
    (
        "postgresql://postgres.apbkobhfnmcqqzqeeqss:pw-1234@aws-0-us-east-1.pooler.supabase.com:6543/postgres?pgbouncer=true&connection_limit=1",
        "aws-0-us-east-1.pooler.supabase.com:6543/postgres",
        "postgres.apbkobhfnmcqqzqeeqss",
        Prefer,
    ),
    // Neon: its pooler and its compute, and for clients without SNI.
    (
        "postgresql://alex:AbC123dEf@ep-cool-darkness-a1b2c3d4-pooler.us-east-2.aws.neon.tech/dbname?sslmode=require&channel_binding=require",
        "ep-cool-darkness-a1b2c3d4-pooler.us-east-2.aws.neon.tech:5432/dbname",
        "alex",
        VerifyFull,
    ),
    (
        "postgresql://alex:AbC123dEf@ep-cool-darkness-a1b2c3d4.us-east-2.aws.neon.tech/dbname?sslmode=require&options=endpoint%3Dep-cool-darkness-a1b2c3d4",
        "ep-cool-darkness-a1b2c3d4.us-east-2.aws.neon.tech:5432/dbname",
        "alex",
        Require,
    ),
    // RDS and Aurora, a cluster of two.
    (
        "host=mydb.123456789012.us-east-1.rds.amazonaws.com port=5432 dbname=testDB user=testuser sslmode=require",
        "mydb.123456789012.us-east-1.rds.amazonaws.com:5432/testDB",
        "testuser",
        Require,
    ),
    (
        "postgres://eva:pw@a.rds.amazonaws.com:5432,b.rds.amazonaws.com:5433/db?target_session_attrs=read-write",
        "a.rds.amazonaws.com:5432, b.rds.amazonaws.com:5433/db",
        "eva",
        Prefer,
    ),
    // Cloud SQL, by the socket of its proxy.
    (
        "postgres://eva:pw@/db?host=/cloudsql/project:europe-west1:instance",
        "/cloudsql/project:europe-west1:instance:5432/db",
        "eva",
        Prefer,
    ),
    // Azure, as its portal shows it.
    (
        "host=mydemoserver.postgres.database.azure.com port=5432 dbname=postgres user=myadmin password={your_password} sslmode=require",
        "mydemoserver.postgres.database.azure.com:5432/postgres",
        "myadmin",
        Require,
    ),
    // PlanetScale.
    (
        "postgresql://pscale_api_abc.def:pscale_pw_ghi@aws-us-east-2-1.pg.psdb.cloud:5432/postgres?sslmode=verify-full&sslrootcert=system&sslnegotiation=direct",
        "aws-us-east-2-1.pg.psdb.cloud:5432/postgres",
        "pscale_api_abc.def",
        VerifyFull,
    ),
    // Heroku, DigitalOcean, Aiven, Crunchy Bridge.
    (
        "postgres://u5n:p1d@ec2-3-2-1-4.compute-1.amazonaws.com:5432/d7q",
        "ec2-3-2-1-4.compute-1.amazonaws.com:5432/d7q",
        "u5n",
        Prefer,
    ),
    (
        "postgresql://doadmin:AVNS_x@db-do-user-1-0.b.db.ondigitalocean.com:25060/defaultdb?sslmode=require",
        "db-do-user-1-0.b.db.ondigitalocean.com:25060/defaultdb",
        "doadmin",
        Require,
    ),
    // The forms of libpq's own documentation.
    ("postgresql://localhost", "localhost:5432", "", Prefer),
    ("postgresql://localhost:5433", "localhost:5433", "", Prefer),
    ("postgresql://user@localhost", "localhost:5432", "user", Prefer),
    (
        "postgresql://other@localhost/otherdb?connect_timeout=10&application_name=myapp",
        "localhost:5432/otherdb",
        "other",
        Prefer,
    ),
    ("postgresql:///mydb?host=localhost&port=5433", "localhost:5433/mydb", "", Prefer),
    ("postgresql://[2001:db8::1234]/database", "2001:db8::1234:5432/database", "", Prefer),
    (
        "postgresql://%2Fvar%2Flib%2Fpostgresql/dbname",
        "/var/lib/postgresql:5432/dbname",
        "",
        Prefer,
    ),
    (
        "postgresql://host1:123,host2:456/somedb?target_session_attrs=any&application_name=myapp",
        "host1:123, host2:456/somedb",
        "",
        Prefer,
    ),
];

#[test]
fn the_addresses_of_every_providers_documentation_are_read() {
    for (address, name, user, tls) in SHAPES {
        let target = read(address).unwrap();
        assert_eq!(target.name(), name, "{address}");
        let found = target.hosts[0].1.get_username();
        assert!(user.is_empty() || found == user, "{address}: {found}");
        assert_eq!(format!("{:?}", target.tls), format!("{tls:?}"), "{address}");
    }
}

#[test]
fn start_up_options_are_sent_as_they_are_given_and_nothing_else_is() {
    let target = read("postgres://eva@h/db?options=endpoint%3Dep-cool-1").unwrap();
    assert_eq!(target.hosts[0].1.get_options(), Some("endpoint=ep-cool-1"));
    let target = read("postgres://eva@h/db?options[work_mem]=1%20MB").unwrap();
    assert_eq!(target.hosts[0].1.get_options(), Some(r"-c work_mem=1\ MB"));
    assert_eq!(read("postgres://eva@h/db").unwrap().hosts[0].1.get_options(), None);
}

#[test]
fn the_two_forms_of_an_address_mean_the_same() {
    let url = parse("postgres://eva:p%40ss%27w%5Cd@h:1/d%20b?sslmode=require").unwrap();
    let pairs = r"host = h port=1 dbname='d b' user=eva password='p@ss\'w\\d' sslmode = require";
    assert_eq!(url.keys().collect::<Vec<_>>(), parse(pairs).unwrap().keys().collect::<Vec<_>>());
    let (url, pairs) =
        (read("postgres://eva:p%40ss%27w%5Cd@h:1/d%20b").unwrap(), read(pairs).unwrap());
    assert_eq!(password(&url), r"p@ss'w\d");
    assert_eq!(password(&pairs), password(&url));
    assert_eq!(pairs.name(), url.name());
}

#[test]
fn the_environment_stands_in_for_what_the_address_leaves_open() {
    let environment = [
        ("PGHOST", "db1,db2"),
        ("PGPORT", "5433"),
        ("PGUSER", "eva"),
        ("PGPASSWORD", "hunter2"),
        ("PGDATABASE", "toggl"),
        ("PGSSLMODE", "require"),
        ("PGCONNECT_TIMEOUT", "30"),
        ("PGTARGETSESSIONATTRS", "primary"),
    ];
    let target = read_in(None, &environment).unwrap();
    assert_eq!(target.name(), "db1:5433, db2:5433/toggl");
    assert_eq!((target.timeout.as_secs(), target.wanted), (30, Wanted::Primary));
    assert_eq!(target.hosts[1].1.get_username(), "eva");
    assert_eq!(password(&target), "hunter2");
    let target = read_in(Some("postgres://ann:other@h/db"), &environment).unwrap();
    assert_eq!(target.name(), "h:5433/db");
    assert_eq!((target.hosts[0].1.get_username(), &*password(&target)), ("ann", "other"));
    // An empty address, as compose files leave it, is none.
    assert_eq!(read_in(Some(""), &environment).unwrap().name(), "db1:5433, db2:5433/toggl");
    for nothing in [&[][..], &[("PGUSER", "eva")], &[("PGHOST", "")]] {
        assert!(matches!(read_in(None, nothing), Err(AddressError::Missing)), "{nothing:?}");
    }
}

#[test]
fn a_service_and_the_file_of_passwords_are_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().to_str().unwrap();
    let services = "# ours\n[other]\nhost=no\n\n[toggl]\nhost=db1\nport=5433\nuser=eva\ndbname=t\n";
    std::fs::write(folder.path().join(".pg_service.conf"), services).unwrap();
    let passwords = folder.path().join(".pgpass");
    std::fs::write(&passwords, "# c\ndb2:*:*:*:no\ndb1:5433:t:eva:hun\\:ter2\n*:*:*:*:last\n")
        .unwrap();
    let environment = [("HOME", home), ("PGSERVICE", "toggl")];
    std::fs::set_permissions(&passwords, std::fs::Permissions::from_mode(0o600)).unwrap();
    let target = read_in(None, &environment).unwrap();
    assert_eq!(
        (target.name(), password(&target)),
        ("db1:5433/t".to_owned(), "hun:ter2".to_owned())
    );
    let target = read_in(Some("postgres://eva@elsewhere/t?service=toggl"), &environment).unwrap();
    assert_eq!(
        (target.name(), password(&target)),
        ("elsewhere:5433/t".to_owned(), "last".to_owned())
    );
    // Others can read it.
    std::fs::set_permissions(&passwords, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(password(&read_in(None, &environment).unwrap()), "");
    let error = read_in(None, &[("HOME", home), ("PGSERVICE", "gone")]).unwrap_err().to_string();
    assert!(error.starts_with("PGSERVICE names a service"), "{error}");
}

#[test]
fn what_cannot_be_had_is_named_with_what_to_do_and_without_its_value() {
    for (parameter, words) in [
        (
            "sslpassword=hunter2",
            "sslpassword in DATABASE_URL is not supported: a key that is encrypted",
        ),
        ("sslcrl=/hunter2", "sslcrl in DATABASE_URL is not supported"),
        ("require_auth=hunter2", "require_auth"),
        ("gssencmode=require", "gssencmode"),
        (
            "sslmode=hunter2",
            "sslmode in DATABASE_URL is none of disable, allow, prefer, require, verify-ca, verify-full",
        ),
        (
            "target_session_attrs=hunter2",
            "none of any, read-write, read-only, primary, standby, prefer-standby",
        ),
        ("channel_binding=hunter2", "channel_binding in DATABASE_URL is none of"),
        ("connect_timeout=hunter2", "connect_timeout in DATABASE_URL is none of"),
        ("port=hunter2", "port in DATABASE_URL is none of"),
        ("sslrootcert=/no/hunter2", "the file that sslrootcert in DATABASE_URL names"),
        ("sslmode=require&sslrootcert=system", "sslmode=verify-full"),
        ("sslmode=disable&channel_binding=require", "channel_binding=require goes with TLS"),
        ("sslcert=/hunter2", "sslkey"),
        ("no_such_thing=hunter2", "(no_such_thing)"),
        ("password=a&ter2=hunter2", "clients do not know: "),
    ] {
        let error = read(&format!("postgres://eva@h/db?{parameter}")).unwrap_err();
        let said = format!("{error} {error:?}");
        assert!(said.contains(words), "{parameter}: {said}");
        assert!(!said.contains("hunter2") && !said.contains("ter2"), "{parameter}: {said}");
    }
    let error = read_in(None, &[("PGHOST", "h"), ("PGSSLCRL", "/x")]).unwrap_err().to_string();
    assert!(error.starts_with("PGSSLCRL is not supported"), "{error}");
}

#[test]
fn what_has_no_effect_here_is_told_by_name() {
    let target = read("postgres://h/db?keepalives_idle=30&pgbouncer=true&sslmode=require").unwrap();
    let names: Vec<String> = target.idle.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["keepalives_idle in DATABASE_URL", "pgbouncer in DATABASE_URL"]);
}

#[test]
fn tls_means_what_it_means_to_libpq() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("ca.pem");
    std::fs::write(&root, "").unwrap();
    let root = root.to_str().unwrap();
    for (parameters, wanted) in [
        (String::new(), Prefer),
        ("ssl=true".to_owned(), Require),
        ("sslrootcert=system".to_owned(), VerifyFull),
        ("sslmode=verify-full&sslrootcert=system".to_owned(), VerifyFull),
        // With roots at hand they are used.
        (format!("sslmode=require&sslrootcert={root}"), VerifyCa),
        (format!("sslmode=verify-full&sslrootcert={root}"), VerifyFull),
        ("sslmode=require&channel_binding=prefer".to_owned(), Require),
    ] {
        let target = read(&format!("postgres://eva@h/db?{parameters}")).unwrap();
        assert_eq!(format!("{:?}", target.tls), format!("{wanted:?}"), "{parameters}");
    }
}

#[test]
fn an_address_that_is_none_is_not_repeated() {
    for text in [
        "hunter2",
        "hunter2=abc",
        "mysql://eva:hunter2@h/db",
        "postgres//eva:hunter2@h",
        "postgres://eva:/hun?ter2secret@h/db",
        "postgres://eva:12345#hunter2@h/db",
        "postgres://eva:12345?user=hunter2@h/db",
        "postgres://eva:12345/hunter2@h/db",
        "postgres://eva:p@hunter2@h/db",
        "postgres://eva:hunter2%@h/db",
        "postgres://eva:hunter2%zz@h/db",
        "postgres://eva:hunter2",
        "postgres://eva@h/db?hunter2",
        "host=h password=hun ter2 dbname=x",
        "host=h password='hunter2",
        "password=hunter2 1hunter2=x",
    ] {
        let error = read(text).unwrap_err();
        let said = format!("{error} {error:?}");
        assert!(!said.contains("hunter2") && !said.contains("12345"), "{text}: {said}");
        assert!(!said.contains("ter2"), "{text}: {said}");
    }
}

#[test]
fn each_pooler_is_told_from_its_host() {
    for (host, pooler) in [
        ("aws-0-us-east-1.pooler.supabase.com", Pooler::Supabase),
        ("db.apbkobhfnmcqqzqeeqss.supabase.co", Pooler::Supabase),
        ("ep-cool-darkness-a1b2c3d4-pooler.us-east-2.aws.neon.tech", Pooler::Neon),
        ("127.0.0.1", Pooler::Other),
    ] {
        assert_eq!(Pooler::of(host), pooler, "{host}");
    }
}

/// Pieces of four characters and more.
fn pieces(password: &str) -> Vec<String> {
    let characters: Vec<char> = password.chars().collect();
    characters.windows(4).map(|piece| piece.iter().collect()).collect()
}

fn said_of(address: &str) -> String {
    match read(address) {
        Ok(target) => format!("{target:?} {} {:?}", target.name(), target.idle),
        Err(error) => format!("{error} {error:?}"),
    }
}

/// Letters that are in no message, and everything that may mean something in an address.
fn passwords() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![
            3 => "[QZXJ6-9]{1,6}".prop_map(|text| text),
            2 => r"[/?#@%:=&,;\\'\t\[\]{}+!$]".prop_map(|text| text),
            1 => Just("é".to_owned()),
        ],
        1..8,
    )
    .prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn nothing_that_is_said_of_an_address_holds_a_piece_of_its_password(password in passwords()) {
        let encoded: String =
            percent_encoding::utf8_percent_encode(&password, percent_encoding::NON_ALPHANUMERIC).to_string();
        let quoted = password.replace('\\', r"\\").replace('\'', r"\'");
        for address in [
            format!("postgres://eva:{password}@db.test:5432/toggl?sslmode=require"),
            format!("postgres://eva:{encoded}@db.test:5432/toggl"),
            format!("postgres://db.test/toggl?user=eva&password={password}"),
            format!("postgres://db.test/toggl?password={encoded}&keepalives=1"),
            format!("host=db.test user=eva password={password} dbname=toggl"),
            format!("host=db.test user=eva password='{quoted}' dbname=toggl"),
            format!("host=db.test sslpassword={password}"),
        ] {
            let said = said_of(&address);
            for piece in pieces(&password).into_iter().chain(pieces(&encoded)) {
                prop_assert!(!said.contains(&piece), "{piece} of {address}: {said}");
            }
        }
    }

    #[test]
    fn a_password_that_is_encoded_arrives_as_it_is(secret in passwords()) {
        let encoded =
            percent_encoding::utf8_percent_encode(&secret, percent_encoding::NON_ALPHANUMERIC).to_string();
        let quoted = secret.replace('\\', r"\\").replace('\'', r"\'");
        for address in [
            format!("postgres://eva:{encoded}@db.test/toggl"),
            format!("postgres://db.test/toggl?user=eva&password={encoded}"),
            format!("host=db.test user=eva password='{quoted}'"),
        ] {
            prop_assert_eq!(password(&read(&address).unwrap()), secret.clone());
        }
    }
}

#[tokio::test]
async fn a_server_on_the_internet_is_warned_of_unless_tls_is_insisted_on() {
    for (url, is_warned_of) in [
        ("postgres://eva:hunter2@8.8.8.8/d", true),
        ("postgres://eva:hunter2@8.8.8.8/d?sslmode=disable", true),
        ("postgres://eva:hunter2@8.8.8.8/d?sslmode=allow", true),
        ("postgres://eva:hunter2@10.0.0.1,8.8.8.8/d", true),
        ("postgres://eva:hunter2@8.8.8.8/d?sslmode=require", false),
        ("postgres://eva:hunter2@8.8.8.8/d?sslmode=verify-full", false),
        ("postgres://eva:hunter2@%2Frun%2Fpostgresql/d", false),
        ("postgres://eva:hunter2@10.0.0.1/d", false),
        ("postgres://eva:hunter2@127.0.0.1/d", false),
    ] {
        let address = url.into();
        let session = Session { application: "test", settings: &[] };
        let warning = Postgres::read(Some(&address), session).unwrap().warning().await;
        assert_eq!(warning.is_some(), is_warned_of, "{url}");
        assert!(!warning.unwrap_or_default().contains("hunter2"), "{url}");
    }
}
