//! The parameters of an address, in either of its forms.

use super::{password, read, read_in};
use crate::postgres::address::parse;
use crate::postgres::pooler::Pooler;

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
