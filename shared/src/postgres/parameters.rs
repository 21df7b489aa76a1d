//! The parameters that libpq knows: where else each may stand, and what it comes to here.

/// What becomes of a parameter.
#[derive(Debug, Clone, Copy)]
pub(super) enum Use {
    /// It means what libpq means by it.
    Read,
    /// Its absence does no harm: it is told, and goes.
    Idle,
    /// Only these values can be had; what to do about another one.
    Only(&'static [&'static str], &'static str),
    /// It cannot be had; what to do about it.
    Never(&'static str),
}

/// One parameter of a connection.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    /// The environment variable that stands in for it.
    pub(super) variable: Option<&'static str>,
    pub(super) used: Use,
}

const fn read(name: &'static str, variable: &'static str) -> Parameter {
    Parameter { name, variable: Some(variable), used: Use::Read }
}

const fn idle(name: &'static str, variable: Option<&'static str>) -> Parameter {
    Parameter { name, variable, used: Use::Idle }
}

const fn only(
    name: &'static str,
    variable: &'static str,
    values: &'static [&'static str],
    instead: &'static str,
) -> Parameter {
    Parameter { name, variable: Some(variable), used: Use::Only(values, instead) }
}

const fn never(
    name: &'static str,
    variable: Option<&'static str>,
    instead: &'static str,
) -> Parameter {
    Parameter { name, variable, used: Use::Never(instead) }
}

const NO_CRL: &str = "lists of revoked certificates are not read; take it out";
const NO_OAUTH: &str = "log in by password or certificate";
const NO_KEYS: &str = "give the password itself";

/// All of them, as of PostgreSQL 18.
pub(super) const PARAMETERS: &[Parameter] = &[
    read("host", "PGHOST"),
    read("hostaddr", "PGHOSTADDR"),
    read("port", "PGPORT"),
    read("dbname", "PGDATABASE"),
    read("user", "PGUSER"),
    read("password", "PGPASSWORD"),
    read("passfile", "PGPASSFILE"),
    read("service", "PGSERVICE"),
    read("servicefile", "PGSERVICEFILE"),
    read("connect_timeout", "PGCONNECT_TIMEOUT"),
    read("target_session_attrs", "PGTARGETSESSIONATTRS"),
    read("application_name", "PGAPPNAME"),
    Parameter { name: "fallback_application_name", variable: None, used: Use::Read },
    read("options", "PGOPTIONS"),
    read("sslmode", "PGSSLMODE"),
    read("sslrootcert", "PGSSLROOTCERT"),
    read("sslcert", "PGSSLCERT"),
    read("sslkey", "PGSSLKEY"),
    read("channel_binding", "PGCHANNELBINDING"),
    read("sslnegotiation", "PGSSLNEGOTIATION"),
    never(
        "sslpassword",
        None,
        "a key that is encrypted cannot be used; decrypt it into a file of mode 0600 \
         (`openssl pkey -in KEY -out PLAIN`) and name that in sslkey",
    ),
    never("sslcrl", Some("PGSSLCRL"), NO_CRL),
    never("sslcrldir", Some("PGSSLCRLDIR"), NO_CRL),
    only(
        "sslcertmode",
        "PGSSLCERTMODE",
        &["allow"],
        "leave sslcert out to send no certificate; one that is named is sent where it is asked for",
    ),
    only("sslsni", "PGSSLSNI", &["1"], "the host's name is always told; take it out"),
    only(
        "ssl_min_protocol_version",
        "PGSSLMINPROTOCOLVERSION",
        &["TLSv1", "TLSv1.1", "TLSv1.2"],
        "TLS 1.2 and 1.3 are spoken, the newest that both know; set it at the server",
    ),
    only(
        "ssl_max_protocol_version",
        "PGSSLMAXPROTOCOLVERSION",
        &["TLSv1.3"],
        "TLS 1.2 and 1.3 are spoken, the newest that both know; set it at the server",
    ),
    only(
        "gssencmode",
        "PGGSSENCMODE",
        &["disable", "prefer"],
        "GSS encryption is not spoken; use sslmode=verify-full, and take it out",
    ),
    only("replication", "PGREPLICATION", &["false", "off", "no", "0"], "take it out"),
    only(
        "min_protocol_version",
        "PGMINPROTOCOLVERSION",
        &["3.0"],
        "version 3.0 of the protocol is spoken; take it out",
    ),
    only(
        "load_balance_hosts",
        "PGLOADBALANCEHOSTS",
        &["disable"],
        "hosts are tried in the order in which they are named; take it out",
    ),
    never(
        "require_auth",
        Some("PGREQUIREAUTH"),
        "use sslmode=verify-full, which tells only the right server the password, and take it out",
    ),
    never("requirepeer", Some("PGREQUIREPEER"), "take it out"),
    never("scram_client_key", None, NO_KEYS),
    never("scram_server_key", None, NO_KEYS),
    never("oauth_issuer", None, NO_OAUTH),
    never("oauth_client_id", None, NO_OAUTH),
    never("oauth_client_secret", None, NO_OAUTH),
    never("oauth_scope", None, NO_OAUTH),
    idle("client_encoding", Some("PGCLIENTENCODING")),
    idle("keepalives", None),
    idle("keepalives_idle", None),
    idle("keepalives_interval", None),
    idle("keepalives_count", None),
    idle("tcp_user_timeout", None),
    idle("sslcompression", Some("PGSSLCOMPRESSION")),
    idle("sslkeylogfile", None),
    idle("krbsrvname", Some("PGKRBSRVNAME")),
    idle("gsslib", Some("PGGSSLIB")),
    idle("gssdelegation", Some("PGGSSDELEGATION")),
    idle("max_protocol_version", Some("PGMAXPROTOCOLVERSION")),
    idle("authtype", None),
    idle("tty", None),
    // Of other clients, whose users copy their addresses.
    idle("pgbouncer", None),
    idle("connection_limit", None),
    idle("pool_timeout", None),
    idle("pool_size", None),
    idle("pool_mode", None),
    idle("socket_timeout", None),
    idle("schema", None),
    idle("supa", None),
    idle("workaround", None),
    idle("uselibpqcompat", None),
    idle("prepared_statements", None),
    idle("prepareThreshold", None),
    idle("statement_cache_size", None),
    idle("statement-cache-capacity", None),
    idle("single_use_connections", None),
];

/// What sqlx calls some of them.
const ALIASES: [(&str, &str); 6] = [
    ("ssl-mode", "sslmode"),
    ("ssl-root-cert", "sslrootcert"),
    ("ssl-ca", "sslrootcert"),
    ("ssl-cert", "sslcert"),
    ("ssl-key", "sslkey"),
    ("database", "dbname"),
];

/// The parameter of that name.
pub(super) fn find(name: &str) -> Option<&'static Parameter> {
    let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
    let name = alias.map_or(name, |(_, name)| name);
    PARAMETERS.iter().find(|parameter| parameter.name == name)
}
