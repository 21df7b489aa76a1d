//! Toggl's webhooks: how a subscription is asked for and mended, what is delivered, and how it is known to come from
//! Toggl. What follows from a delivery is not decided here.

mod api;
mod delivery;
mod lenient;
mod secret;
mod signature;
mod subscription;

pub(crate) use self::api::Webhooks;
pub(crate) use self::delivery::{Action, Delivery, Entity, Event, events_of};
pub(crate) use self::secret::secret;
pub(crate) use self::signature::{SIGNATURE, Verifier};
pub(crate) use self::subscription::{Filter, Limits, Subscription, Wanted};
