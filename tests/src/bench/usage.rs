//! What processes use, as Linux tells in `/proc`.

use std::fs;

use anyhow::{Context as _, Result};

/// Of `/proc/*/stat`, on every Linux there is.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU seconds that a process has used, those of its ended children included.
pub(super) fn cpu(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    seconds(&stat, 11..15)
}

/// The same of a process and all its present children: Postgres' postmaster with its backends.
pub(super) fn cpu_of_family(pid: u32) -> Result<f64> {
    let mut sum = cpu(pid)?;
    for process in fs::read_dir("/proc")? {
        // A process may have ended since the folder was read.
        let Ok(stat) = fs::read_to_string(process?.path().join("stat")) else { continue };
        if fields(&stat).nth(1) == Some(&pid.to_string()) {
            sum += seconds(&stat, 11..15)?;
        }
    }
    Ok(sum)
}

/// The most memory that a process has had resident so far, in MiB.
pub(super) fn peak_mib(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).context("it has ended")?;
    Ok(kib.parse::<f64>()? / 1024.0)
}

/// From the state on; the name before it may hold anything.
fn fields(stat: &str) -> impl Iterator<Item = &str> {
    stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ')
}

fn seconds(stat: &str, places: std::ops::Range<usize>) -> Result<f64> {
    let ticks = fields(stat).skip(places.start).take(places.len());
    ticks.map(|ticks| Ok(ticks.parse::<f64>()? / TICKS_PER_SECOND)).sum()
}
