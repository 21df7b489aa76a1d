//! What a run has left in the bucket for the next, and time that passes for it.

use async_nats::jetstream::kv::Store;
use fetcher::state::BUCKET;
use futures::TryStreamExt as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tests::world::World;

/// The bucket of a world.
pub(crate) struct Bucket {
    store: Store,
    user_id: i64,
}

impl Bucket {
    /// After a first run, which makes it.
    pub(crate) async fn of(world: &World) -> Self {
        let user_id = world.toggl.with_account(|account| account.user_id());
        let store = world.jetstream().await.unwrap().get_key_value(BUCKET).await.unwrap();
        Self { store, user_id }
    }

    /// A key of the account, as `since` or `report.7.all.2026-01-01.today`.
    fn key(&self, of_account: &str) -> String {
        let (name, rest) = of_account.split_once('.').unwrap_or((of_account, ""));
        let key = format!("{name}.{}.{rest}", self.user_id);
        key.trim_end_matches('.').to_owned()
    }

    /// What stands there; null where nothing does.
    pub(crate) async fn read(&self, of_account: &str) -> Value {
        let text = self.store.get(self.key(of_account)).await.unwrap();
        text.map_or(Value::Null, |text| serde_json::from_slice(&text).unwrap())
    }

    pub(crate) async fn write(&self, of_account: &str, value: &Value) {
        self.store.put(self.key(of_account), value.to_string().into()).await.unwrap();
    }

    pub(crate) async fn forget(&self, of_account: &str) {
        self.store.purge(self.key(of_account)).await.unwrap();
    }

    /// Lets time pass for what is written there: it was all written so much longer ago.
    pub(crate) async fn age(&self, of_account: &str, by: SignedDuration) {
        let mut value = self.read(of_account).await;
        assert!(age(&mut value, by) > 0, "no time stands in {of_account}: {value}");
        self.write(of_account, &value).await;
    }

    /// The same for what is known of the token's owner, and of nobody else; what stands there then.
    pub(crate) async fn age_profile(&self, by: SignedDuration) -> Value {
        let keys: Vec<String> = self.store.keys().await.unwrap().try_collect().await.unwrap();
        let key = keys.iter().find(|key| key.starts_with("profile.")).unwrap();
        let stored = self.store.get(key).await.unwrap().unwrap();
        let mut profile: Value = serde_json::from_slice(&stored).unwrap();
        assert_eq!(age(&mut profile, by), 1, "{profile}");
        self.store.put(key, profile.to_string().into()).await.unwrap();
        profile
    }
}

/// Puts back every field `at` or `…_at`, and says how many there are.
fn age(value: &mut Value, by: SignedDuration) -> usize {
    match value {
        Value::Array(values) => values.iter_mut().map(|value| age(value, by)).sum(),
        Value::Object(fields) => fields.iter_mut().map(|field| age_field(field, by)).sum(),
        _ => 0,
    }
}

fn age_field((name, value): (&String, &mut Value), by: SignedDuration) -> usize {
    let at = value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    match at.filter(|_| name == "at" || name.ends_with("_at")) {
        Some(at) => {
            *value = (at - by).to_string().into();
            1
        }
        None => age(value, by),
    }
}
