//! What is to be looked at, written down before Toggl is told that it was heard: whatever ends this program, the next
//! one knows.

use std::sync::Arc;

use shared::exit::chain;
use shared::telemetry::WEBHOOKS;
use tokio::sync::Mutex;
use tracing::warn;

use super::bell::{Bell, Memory};
use super::seldom::Seldom;
use crate::state::{State, StateError};

/// Shared by whoever answers and whoever looks.
#[derive(Debug, Clone)]
pub(super) struct Notes(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: State,
    key: String,
    bell: Bell,
    /// The version of what the bell knows that is written down. One writes at a time, and what comes meanwhile is
    /// written together.
    written: Mutex<u64>,
    failed: Seldom,
}

impl Notes {
    pub(super) fn new(state: &State, user_id: i64, bell: &Bell) -> Self {
        let (state, key, bell) = (state.clone(), Memory::key(user_id), bell.clone());
        Self(Arc::new(Inner {
            state,
            key,
            bell,
            written: Mutex::default(),
            failed: Seldom::default(),
        }))
    }

    /// Writes down what the bell knows by now, unless it is written; whether it is then.
    pub(super) async fn write(&self) -> bool {
        match self.try_write().await {
            Ok(()) => true,
            Err(error) => {
                if self.0.failed.count().is_some() {
                    let error = chain(&error);
                    warn!(target: WEBHOOKS, "Could not write down what is to be looked at: {error}");
                }
                false
            }
        }
    }

    async fn try_write(&self) -> Result<(), StateError> {
        let Inner { state, key, bell, written, .. } = &*self.0;
        let wanted = bell.version();
        let mut written = written.lock().await;
        if *written < wanted {
            let (version, memory) = bell.memory();
            state.save(key, &memory).await?;
            *written = version;
        }
        Ok(())
    }
}
