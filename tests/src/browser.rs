//! A real browser without a window, told what to do by the `DevTools` protocol over a pipe.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::servers::folder::RunFolder;

const INSTALL: &str =
    "a test needs Chromium: `apt-get install chromium`, or set CHROMIUM=/path/to/chromium";
const PROGRAMS: [&str; 4] =
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Longer than a page of ours takes on a busy machine.
const DEADLINE: Duration = Duration::from_mins(1);

/// Descriptors 3 and 4 are the pipe; they come as standard input and output.
const LAUNCH: &str = r#"exec "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#;

/// A running browser with one tab; dropping it ends it.
#[derive(Debug)]
pub struct Browser {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    session: Option<String>,
    last_id: u64,
    /// What the browser told unasked.
    events: Vec<Value>,
    _child: Child,
    _profile: RunFolder,
}

/// How a page is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    /// In CSS pixels.
    pub width: u32,
    /// Whether the reader prefers dark colours.
    pub dark: bool,
}

impl Browser {
    /// Starts it.
    ///
    /// # Errors
    /// When none is installed, with the line that installs it.
    pub async fn start() -> Result<Self> {
        let program = find()?;
        let profile = RunFolder::create("browser", None)?;
        let mut command = Command::new("sh");
        command.args(["-c", LAUNCH, "browser"]).arg(&program);
        command.args(["--headless", "--remote-debugging-pipe", "--disable-gpu", "--no-first-run"]);
        command.args(["--disable-dev-shm-usage", "--hide-scrollbars", "--disable-extensions"]);
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        if rustix::process::geteuid().is_root() {
            command.arg("--no-sandbox");
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("could not start {}", program.display()))?;
        let input = child.stdin.take().context("no pipe")?;
        let output = BufReader::new(child.stdout.take().context("no pipe")?);
        let mut browser = Self {
            input,
            output,
            session: None,
            last_id: 0,
            events: Vec::new(),
            _child: child,
            _profile: profile,
        };
        browser.open_tab().await?;
        Ok(browser)
    }

    async fn open_tab(&mut self) -> Result<()> {
        let tab = self.call("Target.createTarget", json!({ "url": "about:blank" })).await?;
        let attach = json!({ "targetId": tab["targetId"], "flatten": true });
        let attached = self.call("Target.attachToTarget", attach).await?;
        self.session = Some(attached["sessionId"].as_str().context("no session")?.to_owned());
        for domain in ["Page", "Runtime", "Network", "Log"] {
            self.call(&format!("{domain}.enable"), json!({})).await?;
        }
        Ok(())
    }

    /// Loads a page as it is on this screen; what earlier pages did is forgotten.
    ///
    /// # Errors
    /// When it does not load within a minute.
    pub async fn open(&mut self, url: &str, screen: Screen) -> Result<()> {
        let Screen { width, dark } = screen;
        let size =
            json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.call("Emulation.setDeviceMetricsOverride", size).await?;
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", media).await?;
        self.events.clear();
        let navigated = self.call("Page.navigate", json!({ "url": url })).await?;
        if let Some(error) = navigated["errorText"].as_str() {
            bail!("{url} does not load: {error}");
        }
        let loaded = async {
            while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
                let event = self.receive().await?;
                self.events.push(event);
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(DEADLINE, loaded).await.context("the page does not load")?
    }

    /// Shows the page as it would be printed, on paper of this width in CSS pixels.
    ///
    /// # Errors
    /// When the browser does not do it.
    pub async fn print(&mut self, width: u32) -> Result<()> {
        let size =
            json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", size).await?;
        self.call("Emulation.setEmulatedMedia", json!({ "media": "print", "features": [] }))
            .await?;
        Ok(())
    }

    /// The value of an expression in the page.
    ///
    /// # Errors
    /// When it throws.
    pub async fn value(&mut self, expression: &str) -> Result<Value> {
        let question = json!({ "expression": expression, "returnByValue": true });
        let answer = self.call("Runtime.evaluate", question).await?;
        if answer.get("exceptionDetails").is_some() {
            bail!("{expression}: {answer}");
        }
        Ok(answer["result"]["value"].clone())
    }

    /// The whole page as a picture.
    ///
    /// # Errors
    /// When it cannot be taken or written.
    pub async fn screenshot(&mut self, path: &Path) -> Result<()> {
        let settings = json!({ "format": "png", "captureBeyondViewport": true });
        let picture = self.call("Page.captureScreenshot", settings).await?;
        let bytes = STANDARD.decode(picture["data"].as_str().context("no picture")?)?;
        Ok(std::fs::write(path, bytes)?)
    }

    /// The top of the page as a picture for other pages: so many CSS pixels high, with more pixels than that, so
    /// that it is sharp.
    ///
    /// # Errors
    /// As [`screenshot`](Self::screenshot).
    pub async fn picture(&mut self, path: &Path, width: u32, height: u32) -> Result<()> {
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1.1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", size).await?;
        let picture = self.call("Page.captureScreenshot", json!({ "format": "png" })).await?;
        let bytes = STANDARD.decode(picture["data"].as_str().context("no picture")?)?;
        Ok(std::fs::write(path, bytes)?)
    }

    /// What was asked of servers since the page was opened.
    pub fn requests(&self) -> Vec<String> {
        let requests =
            self.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        requests.map(|event| event["params"]["request"]["url"].to_string()).collect()
    }

    /// What the browser complained about since the page was opened.
    pub fn complaints(&self) -> Vec<String> {
        let complaints = self.events.iter().filter(|event| {
            event["method"] == "Log.entryAdded" || event["method"] == "Runtime.exceptionThrown"
        });
        complaints.map(Value::to_string).collect()
    }

    async fn call(&mut self, method: &str, params: Value) -> Result<Value> {
        self.last_id += 1;
        let id = self.last_id;
        let mut message = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        let answered = async {
            self.input.write_all(&bytes).await?;
            loop {
                let received = self.receive().await?;
                if received["id"] == id {
                    return anyhow::Ok(received);
                }
                self.events.push(received);
            }
        };
        let answer = tokio::time::timeout(DEADLINE, answered)
            .await
            .with_context(|| format!("the browser does not answer {method}"))??;
        match answer.get("error") {
            Some(error) => bail!("the browser refuses {method}: {error}"),
            None => Ok(answer["result"].clone()),
        }
    }

    async fn receive(&mut self) -> Result<Value> {
        let mut bytes = Vec::new();
        self.output.read_until(0, &mut bytes).await?;
        if bytes.pop() != Some(0) {
            bail!("the browser has ended");
        }
        Ok(serde_json::from_slice(&bytes)?)
    }
}

fn find() -> Result<PathBuf> {
    if let Some(named) = env::var_os("CHROMIUM") {
        return Ok(named.into());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let mut candidates =
        env::split_paths(&path).flat_map(|folder| PROGRAMS.map(|program| folder.join(program)));
    candidates.find(|program| program.is_file()).context(INSTALL)
}

/// Where pictures of pages are left for people to look at.
///
/// # Errors
/// When the folder cannot be made.
pub fn picture_folder() -> Result<PathBuf> {
    let target = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(target).join("screenshots");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}
