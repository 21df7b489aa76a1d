//! What became of it in a batch, in words and as a token of JSON.

use super::story::Became;
use super::words::{maybe, time};
use crate::apply::newer::Version;
use crate::dead_letters::text::escaped;

impl Became {
    pub(super) fn words(&self) -> String {
        match self {
            Self::Created => "has it; it was not stored: written".to_owned(),
            Self::Updated { since } => {
                let since = version(since);
                format!("has it, newer than what was stored ({since}) and different: written")
            }
            Self::Restored => "has it; it was marked deleted: live again".to_owned(),
            Self::Deleted => "has it, deleted according to Toggl: marked deleted".to_owned(),
            Self::GoneSince(at) => format!(
                "has it, but a complete listing fetched later, at {}, lacks it: stored as deleted",
                time(*at)
            ),
            Self::Unchanged => "has it, the same as what was stored: not rewritten".to_owned(),
            Self::Stale { than } => {
                format!("has it, not newer than what was stored ({}): not written", version(than))
            }
            Self::MarkedDeleted => "is complete for it and lacks it: marked deleted".to_owned(),
            Self::LeftAlone { confirmed_at } => format!(
                "is complete for it and lacks it, but it was seen later, at {}: left alone",
                time(*confirmed_at)
            ),
            Self::StillDeleted => {
                "is complete for it and lacks it; it was marked deleted already".to_owned()
            }
            Self::DeletedEarlier { than } => format!(
                "is complete for it and lacks it; it was marked deleted at {}: was deleted by this time already",
                time(*than)
            ),
            Self::NotThere => "is complete for it and lacks it; it was not stored".to_owned(),
            Self::Lacks => {
                "is complete for it and lacks it: marked deleted, if it was stored and live"
                    .to_owned()
            }
            Self::NotBelieved(id) => format!(
                "is complete for it and lacks it, but was kept whole as dead letter {id}: left alone"
            ),
            Self::DeadLetter { id, reason } => {
                format!("has it; kept as dead letter {id}: {}", escaped(reason))
            }
            Self::Rejected(reason) => {
                format!("has something of this id that is no record: {}", escaped(reason))
            }
            Self::NotWritten => {
                "has it; the batch wrote nothing: the same as what was stored, not newer, or kept whole"
                    .to_owned()
            }
            Self::Unclear => {
                "has it; written, unless what was stored then was the same or newer".to_owned()
            }
            Self::NotCovered => "neither has it nor is complete for it".to_owned(),
        }
    }

    pub(super) const fn token(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated { .. } => "updated",
            Self::Restored => "restored",
            Self::Deleted => "deleted",
            Self::GoneSince(_) => "gone_since",
            Self::Unchanged => "unchanged",
            Self::Stale { .. } => "stale",
            Self::MarkedDeleted => "marked_deleted",
            Self::LeftAlone { .. } => "left_alone",
            Self::StillDeleted => "still_deleted",
            Self::DeletedEarlier { .. } => "deleted_earlier",
            Self::NotThere => "not_there",
            Self::Lacks => "lacks",
            Self::NotBelieved(_) => "not_believed",
            Self::DeadLetter { .. } => "dead_letter",
            Self::Rejected(_) => "rejected",
            Self::NotWritten => "not_written",
            Self::Unclear => "unclear",
            Self::NotCovered => "not_covered",
        }
    }
}

fn version(version: &Version) -> String {
    let Version { modified_at, confirmed_at } = version;
    format!("modified {}, seen {}", maybe(*modified_at), time(*confirmed_at))
}
