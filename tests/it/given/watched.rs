//! Loaders that are watched: by `loader status`, and by what they serve.

use std::time::Duration;

use serde_json::Value;
use tests::servers::wait_for;
use tests::workers::{Finished, Resident, Worker};
use tests::world::World;

/// A loader looks every fifteen seconds, and every three in trouble.
const SEEN: Duration = Duration::from_mins(1);

/// `loader status`, which has to end with this code.
pub(crate) async fn status(world: &World, code: i32) -> Finished {
    ended(world.loader(&["status"]), code).await
}

/// The same as an object.
pub(crate) async fn status_json(world: &World, code: i32) -> Value {
    let finished = ended(world.loader(&["status", "--json"]), code).await;
    serde_json::from_str(&finished.stdout).unwrap()
}

pub(crate) async fn ended(worker: Worker, code: i32) -> Finished {
    let finished = worker.run().await.unwrap();
    assert_eq!(finished.code, Some(code), "{}\n{}", finished.stdout, finished.stderr);
    finished
}

/// What one resource's object says.
pub(crate) fn of<'a>(status: &'a Value, resource: &str) -> &'a Value {
    let resources = status["resources"].as_array().unwrap();
    resources.iter().find(|line| line["resource"] == resource).unwrap()
}

/// All these words stand in what needs attention.
#[track_caller]
pub(crate) fn assert_says(status: &Value, words: &[&str]) {
    let attention = status["attention"].to_string();
    for word in words {
        assert!(attention.contains(word), "{word:?} is missing in {attention}");
    }
}

/// A loader that serves its page at a port of the system's choice.
pub(crate) struct Watched {
    pub(crate) loader: Resident,
    pub(crate) address: String,
    client: reqwest::Client,
}

impl Watched {
    pub(crate) async fn start(world: &World) -> Self {
        Self::of(world.loader(&["--http", "127.0.0.1:0"])).await
    }

    pub(crate) async fn of(worker: Worker) -> Self {
        Self::told(worker, "Status page at http://").await
    }

    /// One that may have to wait for its servers first.
    pub(crate) async fn starting(world: &World) -> Self {
        Self::told(world.loader(&["--http", "127.0.0.1:0"]), "Starting; http://").await
    }

    async fn told(worker: Worker, before_address: &str) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let loader = worker.start().await.unwrap();
        loader.logged(before_address, SEEN).await.unwrap();
        let log = loader.log();
        let (_, rest) = log.split_once(before_address).unwrap();
        let address = rest.split('/').next().unwrap().to_owned();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { loader, address, client }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn get(&self, path: &str) -> reqwest::Response {
        self.client.get(self.url(path)).send().await.unwrap()
    }

    /// Status and text.
    pub(crate) async fn answer(&self, path: &str) -> (u16, String) {
        let response = self.get(path).await;
        (response.status().as_u16(), response.text().await.unwrap())
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> u16 {
        let request = self.client.post(self.url(path)).body(body.to_owned());
        request.send().await.unwrap().status().as_u16()
    }

    /// Waits until an answer has this status and all these words.
    pub(crate) async fn answers(&self, path: &str, status: u16, words: &[&str]) -> String {
        let what = format!("{path} to say {words:?}");
        let answered = wait_for(&what, SEEN, || async {
            let (found, text) = self.answer(path).await;
            let fits = found == status && words.iter().all(|word| text.contains(word));
            fits.then_some(text)
        });
        match answered.await {
            Ok(text) => text,
            Err(error) => {
                let last = self.answer(path).await;
                panic!("{error:#}\n{last:?}\n{}", self.loader.log())
            }
        }
    }
}
