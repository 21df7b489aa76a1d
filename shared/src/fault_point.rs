//! Named places at which a test lets a worker die or panic, as a crash at the worst moment would.
//!
//! In debug builds only, `FAULT_POINT=die:before-commit:3` ends the process without any farewell when
//! it gets to that place for the third time, and `panic:…` panics there. A release build does not
//! read the variable, and [`reach`] is empty.

/// A message has come from JetStream.
pub const DELIVERED: &str = "delivered";
/// The batch is written, the transaction still open.
pub const BEFORE_COMMIT: &str = "before-commit";
/// A claim that changed no row is committed, and may be lost with the server; its row of `loads` is not written.
pub const BEFORE_LEDGER: &str = "before-ledger";
/// The batch is committed, its message not acknowledged.
pub const BEFORE_ACK: &str = "before-ack";
/// The message is acknowledged.
pub const AFTER_ACK: &str = "after-ack";
/// A batch is about to be published.
pub const BEFORE_PUBLISH: &str = "before-publish";
/// JetStream has stored a batch, and the run does not know it yet.
pub const AFTER_PUBLISH: &str = "after-publish";
/// What the next run needs is about to be written down.
pub const BEFORE_CURSOR: &str = "before-cursor";

/// The process gets to a place.
#[cfg(not(debug_assertions))]
#[inline]
pub const fn reach(_place: &str) {}

/// The process gets to a place.
#[cfg(debug_assertions)]
pub fn reach(place: &str) {
    chosen::reach(place);
}

#[cfg(debug_assertions)]
mod chosen {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct FaultPoint {
        action: String,
        place: String,
        times_left: AtomicUsize,
    }

    static CHOSEN: LazyLock<Option<FaultPoint>> = LazyLock::new(|| {
        let setting = std::env::var_os("FAULT_POINT")?;
        let mut parts = setting.to_str()?.split(':').map(ToOwned::to_owned);
        let (action, place, times) = (parts.next()?, parts.next()?, parts.next()?);
        Some(FaultPoint { action, place, times_left: times.parse::<usize>().ok()?.into() })
    });

    pub(super) fn reach(place: &str) {
        let Some(chosen) = CHOSEN.as_ref().filter(|chosen| chosen.place == place) else {
            return;
        };
        if chosen.times_left.fetch_sub(1, Ordering::SeqCst) != 1 {
            return;
        }
        assert!(chosen.action != "panic", "asked for by FAULT_POINT");
        std::process::abort();
    }
}
