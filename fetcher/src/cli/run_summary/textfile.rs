//! A run as metrics in Prometheus' text format. All are gauges, for each run begins anew.

use std::fmt;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::RunSummary;
use super::form::AccountRun;

type Number = Gauge<f64, AtomicU64>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfAccount {
    account: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfEndpoint {
    account: String,
    endpoint: String,
    status: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfReason {
    account: String,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfQuota {
    account: String,
    scope: &'static str,
    workspace_id: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfResource {
    account: String,
    resource: &'static str,
}

/// The whole file.
pub(super) fn render(run_summary: &RunSummary) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("toggl_track_fetcher");
    let one = |registry: &mut Registry, name, help, value| {
        let gauge = Number::default();
        gauge.set(value);
        registry.register(name, help, gauge);
    };
    let begun = run_summary.started_at.as_duration().as_secs_f64();
    let ended = begun + run_summary.duration_seconds;
    one(&mut registry, "last_run_timestamp_seconds", "When the last run ended", ended);
    let duration = run_summary.duration_seconds;
    one(&mut registry, "last_run_duration_seconds", "How long the last run took", duration);
    let code = f64::from(run_summary.exit_code);
    one(&mut registry, "last_run_exit_code", "Exit code of the last run, 0 for success", code);
    let meters = Meters::register(&mut registry);
    for run in &run_summary.accounts {
        meters.set(run);
    }
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

struct Meters {
    exit_code: Family<OfAccount, Number>,
    requests: Family<OfEndpoint, Number>,
    received_bytes: Family<OfEndpoint, Number>,
    waits: Family<OfReason, Number>,
    waited_seconds: Family<OfReason, Number>,
    quota_remaining: Family<OfQuota, Number>,
    records: Family<OfResource, Number>,
    batches: Family<OfResource, Number>,
    sent_bytes: Family<OfResource, Number>,
    unread: Family<OfAccount, Number>,
    dead_letters: Family<OfAccount, Number>,
}

impl Meters {
    fn register(registry: &mut Registry) -> Self {
        macro_rules! family {
            ($name:literal, $help:literal) => {{
                let family = Family::default();
                registry.register($name, $help, family.clone());
                family
            }};
        }
        Self {
            exit_code: family!("account_exit_code", "Exit code of the last run for an account"),
            requests: family!("requests", "Requests to Toggl in the last run; status 0: no answer"),
            received_bytes: family!("received_bytes", "Bytes of Toggl's answers in the last run"),
            waits: family!("waits", "Waits of the last run: pace, quota or retry"),
            waited_seconds: family!("waited_seconds", "Time that the last run waited"),
            quota_remaining: family!("quota_remaining", "Requests left of an hourly quota"),
            records: family!("records", "Records that the last run sent"),
            batches: family!("batches", "Batches that the last run sent"),
            sent_bytes: family!("sent_bytes", "Bytes of the batches that the last run sent"),
            unread: family!("unread_resources", "Resources that were skipped or failed"),
            dead_letters: family!("dead_letters", "Records that could not be used or sent"),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a count that a float cannot tell is no news")]
    fn set(&self, run: &AccountRun) {
        let account = || run.account.clone();
        let of_account = OfAccount { account: account() };
        if let Some(code) = run.exit_code {
            self.exit_code.get_or_create(&of_account).set(f64::from(code));
        }
        let unread = run.skipped.len() + run.failed.len();
        self.unread.get_or_create(&of_account).set(unread as f64);
        self.dead_letters.get_or_create(&of_account).set((run.dead_letters + run.unsent) as f64);
        for one in &run.requests {
            let status = one.status.unwrap_or_default().to_string();
            let labels = OfEndpoint { account: account(), endpoint: one.endpoint.clone(), status };
            self.requests.get_or_create(&labels).set(one.count as f64);
            self.received_bytes.get_or_create(&labels).set(one.bytes as f64);
        }
        for one in &run.waits {
            let labels = OfReason { account: account(), reason: one.reason };
            self.waits.get_or_create(&labels).set(one.count as f64);
            self.waited_seconds.get_or_create(&labels).set(one.seconds);
        }
        for one in &run.quotas {
            let Some(remaining) = one.remaining else { continue };
            let workspace_id = one.workspace_id.map_or_else(String::new, |id| id.to_string());
            let labels = OfQuota { account: account(), scope: one.scope, workspace_id };
            self.quota_remaining.get_or_create(&labels).set(remaining as f64);
        }
        for one in &run.records {
            let labels = OfResource { account: account(), resource: one.resource };
            self.records.get_or_create(&labels).set(one.records as f64);
            self.batches.get_or_create(&labels).set(one.batches as f64);
            self.sent_bytes.get_or_create(&labels).set(one.bytes as f64);
        }
    }
}
