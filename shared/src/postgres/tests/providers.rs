//! Addresses as providers and libpq's documentation show them.

use sqlx::postgres::PgSslMode::{self, Prefer, Require, VerifyFull};

use super::read;

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
