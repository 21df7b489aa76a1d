//! An operator of NATS with one account: the tokens that `nsc` would make.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use serde_json::{Value, json};

pub(crate) struct Operator {
    own: KeyPair,
    system: KeyPair,
    account: KeyPair,
}

impl Operator {
    pub(crate) fn new() -> Self {
        Self {
            own: KeyPair::new_operator(),
            system: KeyPair::new_account(),
            account: KeyPair::new_account(),
        }
    }

    /// For a server that trusts it and knows its accounts.
    pub(crate) fn configuration(&self) -> String {
        let operator = token(&self.own, &self.own, None, json!({ "type": "operator" }));
        let (system, account) =
            (self.of_account(&self.system, 0), self.of_account(&self.account, -1));
        format!(
            "operator: {operator}\nsystem_account: {0}\nresolver: MEMORY\n\
             resolver_preload {{ {0}: {system}, {1}: {account} }}",
            self.system.public_key(),
            self.account.public_key()
        )
    }

    /// A file of credentials of a new user, which expire after so long.
    pub(crate) fn credentials(&self, lifetime: Option<Duration>) -> String {
        let user = KeyPair::new_user();
        let claims = json!({ "type": "user", "subs": -1, "data": -1, "payload": -1 });
        let token = token(&self.account, &user, lifetime, claims);
        let seed = user.seed().unwrap();
        format!(
            "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        )
    }

    fn of_account(&self, account: &KeyPair, storage: i64) -> String {
        let limits = json!({
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
            "conn": -1, "leaf": -1, "mem_storage": storage, "disk_storage": storage,
            "streams": storage, "consumer": storage,
        });
        token(&self.own, account, None, json!({ "type": "account", "limits": limits }))
    }
}

fn token(
    issuer: &KeyPair,
    subject: &KeyPair,
    lifetime: Option<Duration>,
    mut nats: Value,
) -> String {
    nats["version"] = json!(2);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut claims = json!({
        "jti": subject.public_key(), "iat": now.as_secs(), "iss": issuer.public_key(),
        "name": "test", "sub": subject.public_key(), "nats": nats,
    });
    if let Some(lifetime) = lifetime {
        claims["exp"] = json!((now + lifetime).as_secs());
    }
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed =
        format!("{}.{}", encode(&json!({ "typ": "JWT", "alg": "ed25519-nkey" })), encode(&claims));
    let signature = URL_SAFE_NO_PAD.encode(issuer.sign(signed.as_bytes()).unwrap());
    format!("{signed}.{signature}")
}
