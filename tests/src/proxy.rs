//! A TCP proxy between a worker and one of its servers, for trouble on the line: cut, slow, silent.
//!
//! A connection that has lost bytes in one direction stays silent there also after [`Proxy::heal`], its
//! end included, as behind a firewall that has forgotten it: whoever waits for it must give up by
//! itself. New connections pass then.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const BUFFER: usize = 64 * 1024;

/// How sqlx ends a transaction: a simple query.
pub const COMMIT: &str = "COMMIT\0";

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the worker.
    ToServer,
    /// To the worker.
    ToClient,
}

/// What the line does to bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    Pass,
    Delay(Duration),
    /// So many bytes a second in one direction.
    Throttle(Direction, u32),
    /// Closes every connection after so many more bytes in one direction, then passes.
    CutAfter(Direction, usize),
    /// In one direction, or in both.
    Swallow(Option<Direction>),
    /// Takes no connections.
    Refuse,
    /// So many times the answer to what holds this text is lost, and its connection with it; then
    /// passes.
    LoseReplies(&'static str, usize),
}

/// A running proxy. Dropping it closes every connection.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    line: Arc<Line>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct Line {
    server: SocketAddr,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    rule: Rule,
    /// Cancelled to close the connections that are open.
    open: CancellationToken,
    lost_replies: usize,
}

/// What both directions of a connection know of each other.
#[derive(Debug)]
struct Link {
    closed: CancellationToken,
    silent_to_server: AtomicBool,
    silent_to_client: AtomicBool,
    asked: AtomicBool,
}

/// What becomes of some bytes.
enum Verdict {
    Pass,
    Delay(Duration),
    Swallow,
    /// Pass the first of them, then close every connection.
    CutAllAfter(usize),
    /// Close this connection.
    Cut,
}

impl Proxy {
    /// To a server on loopback.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(server_port: u16) -> Result<Self> {
        // Connecting to itself is no danger in the ephemeral range, for it never stops listening.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let state = State { rule: Rule::Pass, open: CancellationToken::new(), lost_replies: 0 };
        let server = (Ipv4Addr::LOCALHOST, server_port).into();
        let line = Arc::new(Line { server, state: Mutex::new(state) });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&line)));
        Ok(Self { port, line, accepting })
    }

    /// Where it listens, on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// For NATS clients.
    pub fn nats_url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Closes every open connection; new ones follow the rule as it is.
    pub fn cut(&self) {
        self.line.cut();
    }

    /// Closes every open connection and takes no new ones until [`Self::heal`].
    pub fn refuse(&self) {
        self.line.set(Rule::Refuse);
        self.line.cut();
    }

    /// Closes every open connection once so many more bytes have passed in that direction.
    pub fn cut_after(&self, direction: Direction, bytes: usize) {
        self.line.set(Rule::CutAfter(direction, bytes));
    }

    /// Holds every piece for so long.
    pub fn delay(&self, delay: Duration) {
        self.line.set(Rule::Delay(delay));
    }

    /// Lets no more than so many bytes a second pass in that direction, on each connection.
    pub fn throttle(&self, direction: Direction, bytes_per_second: u32) {
        self.line.set(Rule::Throttle(direction, bytes_per_second));
    }

    /// Takes everything that goes in that direction, or in both, and passes nothing on.
    pub fn swallow(&self, direction: Option<Direction>) {
        self.line.set(Rule::Swallow(direction));
    }

    /// The next so many answers to what holds this text, such as [`COMMIT`], do not arrive; their
    /// connections break instead. It is known only where it comes in one piece.
    pub fn lose_replies(&self, to: &'static str, times: usize) {
        self.line.set(Rule::LoseReplies(to, times));
    }

    /// How many answers were lost so far.
    pub fn lost_replies(&self) -> usize {
        self.line.state().lost_replies
    }

    /// Whether a cut after some bytes, or the loss of replies, is still to come.
    pub fn is_waiting(&self) -> bool {
        matches!(self.line.state().rule, Rule::CutAfter(..) | Rule::LoseReplies(..))
    }

    /// Passes everything again, on connections that have lost nothing.
    pub fn heal(&self) {
        self.line.set(Rule::Pass);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.line.cut();
    }
}

async fn accept(listener: TcpListener, line: Arc<Line>) {
    while let Ok((client, _)) = listener.accept().await {
        let (rule, open) = {
            let state = line.state();
            (state.rule, state.open.child_token())
        };
        if rule != Rule::Refuse {
            tokio::spawn(connect(client, Arc::clone(&line), open));
        }
    }
}

/// A server that is not there closes the client's connection too.
async fn connect(client: TcpStream, line: Arc<Line>, closed: CancellationToken) -> io::Result<()> {
    let server = TcpStream::connect(line.server).await?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    let link = Arc::new(Link {
        closed,
        silent_to_server: AtomicBool::new(false),
        silent_to_client: AtomicBool::new(false),
        asked: AtomicBool::new(false),
    });
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let up = pump(from_client, to_server, Direction::ToServer, &line, &link);
    let down = pump(from_server, to_client, Direction::ToClient, &line, &link);
    tokio::join!(up, down);
    Ok(())
}

/// Until one side ends or the connection is cut. A silent direction does not tell of its end.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    direction: Direction,
    line: &Line,
    link: &Link,
) {
    let passing = async {
        let mut buffer = vec![0; BUFFER];
        loop {
            let count = from.read(&mut buffer).await.unwrap_or(0);
            let bytes = &buffer[..count];
            let verdict = line.verdict(direction, bytes, link);
            if count == 0 {
                if matches!(verdict, Verdict::Swallow) {
                    std::future::pending::<()>().await;
                }
                return to.shutdown().await;
            }
            match verdict {
                Verdict::Pass => to.write_all(bytes).await?,
                Verdict::Delay(delay) => {
                    tokio::time::sleep(delay).await;
                    to.write_all(bytes).await?;
                }
                Verdict::Swallow => {}
                Verdict::CutAllAfter(first) => {
                    to.write_all(&bytes[..first]).await?;
                    line.cut();
                }
                Verdict::Cut => link.closed.cancel(),
            }
        }
    };
    if let Some(Err(_)) = link.closed.run_until_cancelled(passing).await {
        link.closed.cancel();
    }
}

impl Line {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, rule: Rule) {
        self.state().rule = rule;
    }

    fn cut(&self) {
        let old = std::mem::take(&mut self.state().open);
        old.cancel();
    }

    fn verdict(&self, direction: Direction, bytes: &[u8], link: &Link) -> Verdict {
        let silent = match direction {
            Direction::ToServer => &link.silent_to_server,
            Direction::ToClient => &link.silent_to_client,
        };
        if silent.load(Ordering::SeqCst) {
            return Verdict::Swallow;
        }
        let mut state = self.state();
        match &mut state.rule {
            Rule::Delay(delay) => Verdict::Delay(*delay),
            Rule::Throttle(way, rate) if *way == direction => {
                let bytes = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                Verdict::Delay(Duration::from_secs(1) * bytes / *rate)
            }
            Rule::CutAfter(way, left) if *way == direction => {
                if let Some(rest) = left.checked_sub(bytes.len()).filter(|rest| *rest > 0) {
                    *left = rest;
                    return Verdict::Pass;
                }
                let first = *left;
                state.rule = Rule::Pass;
                Verdict::CutAllAfter(first)
            }
            Rule::Swallow(way) if way.is_none_or(|way| way == direction) => {
                silent.store(true, Ordering::SeqCst);
                Verdict::Swallow
            }
            Rule::LoseReplies(to, left) => match direction {
                Direction::ToServer => {
                    if bytes.windows(to.len()).any(|window| window == to.as_bytes()) {
                        link.asked.store(true, Ordering::SeqCst);
                    }
                    Verdict::Pass
                }
                Direction::ToClient if link.asked.load(Ordering::SeqCst) => {
                    *left -= 1;
                    if *left == 0 {
                        state.rule = Rule::Pass;
                    }
                    state.lost_replies += 1;
                    Verdict::Cut
                }
                Direction::ToClient => Verdict::Pass,
            },
            Rule::Pass
            | Rule::Refuse
            | Rule::Throttle(..)
            | Rule::CutAfter(..)
            | Rule::Swallow(_) => Verdict::Pass,
        }
    }
}

#[cfg(test)]
mod tests;
