//! What /me/quota answers, and what a 402 that names no reason was about.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Client;
use crate::toggl::error::Error;
use crate::toggl::error_class::ErrorClass;
use crate::toggl::limit_headers::{self, ListedQuota, Quota};
use crate::toggl::question_and_reply::{MAX_BODY_BYTES, Question, Verb};
use crate::toggl::quotas::Bucket;
use crate::toggl::request_log::Wait;

/// Where Toggl tells what is left of every quota.
pub(crate) const QUOTA_PATH: &str = "/api/v9/me/quota";
/// An answer of /me/quota is believed for this long.
const QUOTAS_KEPT: Duration = Duration::from_mins(1);

/// What /me/quota answered last; no body where it refused.
#[derive(Debug, Clone)]
pub(super) struct ListedQuotas {
    at: Instant,
    body: Option<Bytes>,
}

impl Client {
    /// Finds out what a 402 that named no reason was about: /me/quota knows. Where that fails, it is
    /// taken for the quota once, and for the plan if it persists after the reset.
    pub(super) async fn explain(
        &self,
        path: &str,
        bucket: Bucket,
        class: ErrorClass,
    ) -> ErrorClass {
        let ErrorClass::Doubtful(error) = class else { return class };
        match self
            .quotas_body()
            .await
            .and_then(|body| limit_headers::quota_in_list(&body, bucket == Bucket::User))
        {
            Some(Quota { remaining: Some(left), .. }) if left != 0 => ErrorClass::Lasting(error),
            Some(quota) => ErrorClass::Quota(quota),
            None if self.doubts.persists(path) => ErrorClass::Lasting(error),
            None => ErrorClass::Lasting(Error::Quota { bucket, resets_at: None }),
        }
    }

    /// The body of /me/quota; none where it is closed, which is asked once a run.
    async fn quotas_body(&self) -> Option<Bytes> {
        let kept = || self.listed_quotas.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept().clone();
        if let Some(known) = known.filter(ListedQuotas::is_fresh) {
            return known.body;
        }
        self.meter.waiting(Wait::Pace, self.pace.turn()).await;
        let most_bytes = MAX_BODY_BYTES;
        let question =
            Question { verb: Verb::Get, path: QUOTA_PATH, query: &[], json: None, most_bytes };
        let asked = self.ask_once(question).await;
        let body = asked.ok().filter(|answer| answer.status.is_success()).map(|a| a.body);
        *kept() = Some(ListedQuotas { at: Instant::now(), body: body.clone() });
        body
    }

    /// What Toggl says of every quota; none where it does not tell.
    pub(crate) async fn listed_quotas(&self) -> Option<Vec<ListedQuota>> {
        serde_json::from_slice(&self.quotas_body().await?).ok()
    }
}

impl ListedQuotas {
    fn is_fresh(&self) -> bool {
        self.body.is_none() || self.at.elapsed() < QUOTAS_KEPT
    }
}
