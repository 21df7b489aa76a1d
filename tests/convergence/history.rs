//! Random histories of an account, and the batches that syncs at random moments make of them.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::sent::{Axis, Claim, Live, PEOPLE, Seen, Sent};

/// What happens to the account between two syncs.
#[derive(Debug, Clone, Copy)]
enum Change {
    Create {
        start: i64,
        content: u8,
        running: bool,
    },
    /// Stops it too, if it runs.
    Edit {
        which: usize,
        content: u8,
    },
    Move {
        which: usize,
        start: i64,
    },
    /// Without its `at` moving, as Toggl does when a tag is deleted.
    Silently {
        which: usize,
        content: u8,
    },
    /// Out of sight without a word, as a project that becomes private.
    Hide {
        which: usize,
    },
    Show {
        which: usize,
    },
    Delete {
        which: usize,
    },
    Undelete {
        which: usize,
    },
    /// An undone deletion that brings back the old `at`.
    Restore {
        which: usize,
    },
}

/// What a sync asks for.
#[derive(Debug, Clone)]
enum Sync {
    Nothing,
    /// The whole listing, cut at these ids.
    Full {
        cuts: Vec<i64>,
    },
    /// Everything changed since, deleted records too.
    Since {
        since: i64,
    },
    /// Everything that starts in `[low, low + length)`, cut somewhere inside.
    Window {
        low: i64,
        length: i64,
        cut: i64,
        /// Of entries that run, those that are shown.
        shown: u16,
    },
}

#[derive(Debug, Clone)]
struct Moment {
    changes: Vec<Change>,
    syncs: Vec<Sync>,
    hours_ahead: i64,
}

/// A random account with its syncs.
#[derive(Debug, Clone)]
pub(crate) struct History {
    pub(crate) axis: Axis,
    moments: Vec<Moment>,
    /// Who is forgotten while the batches are applied.
    pub(crate) forgotten: Option<i64>,
}

/// What the syncs of a history yield.
#[derive(Debug, Default)]
pub(crate) struct Syncs {
    pub(crate) batches: Vec<Sent>,
    /// The claim of the very last sync, if it made one.
    pub(crate) last_claim: Option<Claim>,
    /// The account at its end.
    pub(crate) account: BTreeMap<i64, Live>,
}

pub(crate) fn histories(axis: Axis) -> impl Strategy<Value = History> {
    let change = prop_oneof![
        4 => (0..10_i64, 0..3_u8, any::<bool>()).prop_map(move |(start, content, running)| {
            Change::Create { start, content, running: running && axis == Axis::Reports }
        }),
        2 => (any::<usize>(), 0..3_u8).prop_map(|(which, content)| Change::Edit { which, content }),
        1 => (any::<usize>(), 0..10_i64).prop_map(|(which, start)| Change::Move { which, start }),
        2 => (any::<usize>(), 0..3_u8).prop_map(|(which, content)| Change::Silently { which, content }),
        2 => any::<usize>().prop_map(|which| Change::Delete { which }),
        1 => any::<usize>().prop_map(|which| Change::Undelete { which }),
        1 => any::<usize>().prop_map(|which| Change::Restore { which }),
        2 => any::<usize>().prop_map(|which| Change::Hide { which }),
        2 => any::<usize>().prop_map(|which| Change::Show { which }),
    ];
    let window = (0..9_i64, 1..10_i64, 0..10_i64, any::<u16>())
        .prop_map(|(low, length, cut, shown)| Sync::Window { low, length, cut, shown });
    let sync = match axis {
        Axis::Ids => prop_oneof![
            4 => proptest::collection::vec(0..12_i64, 0..3).prop_map(|cuts| Sync::Full { cuts }),
            1 => (0..10_i64).prop_map(|since| Sync::Since { since }),
            1 => Just(Sync::Nothing),
        ]
        .boxed(),
        Axis::Reports => prop_oneof![3 => window, 1 => Just(Sync::Nothing)].boxed(),
        Axis::Starts => prop_oneof![
            3 => window,
            2 => (0..10_i64).prop_map(|since| Sync::Since { since }),
            1 => Just(Sync::Nothing),
        ]
        .boxed(),
    };
    let changes = proptest::collection::vec(change, 0..4);
    let hours_ahead = prop_oneof![3 => Just(0), 1 => 2..100_000_i64];
    let moment = (changes, proptest::collection::vec(sync, 1..3), hours_ahead)
        .prop_map(|(changes, syncs, hours_ahead)| Moment { changes, syncs, hours_ahead });
    let moments = proptest::collection::vec(moment, 2..8);
    let forgotten = prop_oneof![15 => Just(None), 1 => (0..PEOPLE).prop_map(Some)];
    (moments, forgotten).prop_map(move |(moments, forgotten)| History { axis, moments, forgotten })
}

impl History {
    /// Whether nothing may be left of a record. One that is cut by its id is somebody's of whom it only tells.
    pub(crate) fn forgets(&self, id: i64) -> bool {
        self.axis != Axis::Ids && self.forgotten == Some(id % PEOPLE)
    }

    /// Plays the history.
    pub(crate) fn batches(&self) -> Syncs {
        let mut account = Playing::default();
        let mut syncs = Syncs::default();
        for (now, moment) in (1..).zip(&self.moments) {
            for change in &moment.changes {
                account.change(*change, now);
            }
            syncs.last_claim = None;
            for (part, sync) in (0..).zip(&moment.syncs) {
                // Between this moment's changes and the next one's.
                let fetched_at = now * 100 + part;
                let first = syncs.batches.len();
                syncs.last_claim = account.sync(sync, fetched_at, &mut syncs.batches);
                for batch in syncs.batches.iter_mut().skip(first) {
                    batch.hours_ahead = moment.hours_ahead;
                }
            }
        }
        syncs.account = account.live;
        syncs
    }
}

#[derive(Default)]
struct Playing {
    live: BTreeMap<i64, Live>,
    /// With the `at` of before.
    dead: BTreeMap<i64, (Live, i64)>,
    hidden: BTreeMap<i64, Live>,
    created: i64,
}

impl Playing {
    fn change(&mut self, change: Change, now: i64) {
        let modified_at = now * 100 - 50;
        match change {
            Change::Create { start, content, running } => {
                self.created += 1;
                self.live.insert(self.created, Live { content, start, modified_at, running });
            }
            Change::Edit { which, content } => self.edit(which, |live| {
                *live = Live { content, modified_at, running: false, ..*live };
            }),
            Change::Move { which, start } => self.edit(which, |live| {
                *live = Live { start, modified_at, ..*live };
            }),
            Change::Silently { which, content } => self.edit(which, |live| live.content = content),
            Change::Hide { which } => self.hidden.extend(taken(&mut self.live, which)),
            Change::Show { which } => self.live.extend(taken(&mut self.hidden, which)),
            Change::Delete { which } => {
                if let Some((id, live)) = taken(&mut self.live, which) {
                    self.dead.insert(id, (Live { modified_at, ..live }, live.modified_at));
                }
            }
            Change::Undelete { which } => {
                if let Some((id, (dead, _))) = taken(&mut self.dead, which) {
                    self.live.insert(id, Live { modified_at, ..dead });
                }
            }
            Change::Restore { which } => {
                if let Some((id, (dead, modified_at))) = taken(&mut self.dead, which) {
                    self.live.insert(id, Live { modified_at, ..dead });
                }
            }
        }
    }

    fn edit(&mut self, which: usize, edit: impl FnOnce(&mut Live)) {
        let count = self.live.len().max(1);
        if let Some(live) = self.live.values_mut().nth(which % count) {
            edit(live);
        }
    }

    /// Adds the batches of a sync, and answers what it claims as a whole.
    fn sync(&self, sync: &Sync, fetched_at: i64, batches: &mut Vec<Sent>) -> Option<Claim> {
        match sync {
            Sync::Nothing => None,
            Sync::Since { since } => {
                let dead = self.dead.iter().map(|(id, (dead, _))| (*id, *dead)).collect();
                let seen = seen(&self.live, false).chain(seen(&dead, true));
                let seen = seen.filter(|seen| seen.live.modified_at >= since * 100).collect();
                batches.push(Sent { fetched_at, hours_ahead: 0, claim: None, seen });
                None
            }
            Sync::Full { cuts } => {
                let mut cuts = cuts.clone();
                cuts.sort_unstable();
                cuts.dedup();
                let bounds = cuts.iter().copied().map(Some);
                let lows = std::iter::once(None).chain(bounds.clone());
                let highs = bounds.chain([None]);
                for (low, high) in lows.zip(highs) {
                    self.claim(Claim { axis: Axis::Ids, low, high }, fetched_at, u16::MAX, batches);
                }
                Some(Claim { axis: Axis::Ids, low: None, high: None })
            }
            Sync::Window { low, length, cut, shown } => {
                let (low, high) = (*low, low + length);
                let cut = low + cut % length;
                for (low, high) in [(low, cut), (cut, high)] {
                    let claim = Claim { axis: Axis::Starts, low: Some(low), high: Some(high) };
                    if low < high {
                        self.claim(claim, fetched_at, *shown, batches);
                    }
                }
                Some(Claim { axis: Axis::Starts, low: Some(low), high: Some(high) })
            }
        }
    }

    fn claim(&self, claim: Claim, fetched_at: i64, shown: u16, batches: &mut Vec<Sent>) {
        let seen = seen(&self.live, false)
            .filter(|seen| claim.covers(seen.id, seen.live.start))
            .filter(|seen| !seen.live.running || shown >> (seen.id % 16) & 1 == 1)
            .collect();
        batches.push(Sent { fetched_at, hours_ahead: 0, claim: Some(claim), seen });
    }
}

fn taken<T>(records: &mut BTreeMap<i64, T>, which: usize) -> Option<(i64, T)> {
    let id = *records.keys().nth(which % records.len().max(1))?;
    records.remove_entry(&id)
}

fn seen(records: &BTreeMap<i64, Live>, deleted: bool) -> impl Iterator<Item = Seen> {
    records.iter().map(move |(id, live)| Seen { id: *id, live: *live, deleted })
}

/// The batches in another order, some of them twice; order 0 leaves them as they are.
pub(crate) fn shuffle(batches: &[Sent], order: u64) -> Vec<Sent> {
    if order == 0 {
        return batches.to_vec();
    }
    // A splitmix generator: small, and the same everywhere.
    let mut state = order;
    let mut random = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    let mut keyed: Vec<_> = batches.iter().map(|batch| (random(), batch.clone())).collect();
    let again: Vec<_> = batches.iter().filter(|_| random() % 3 == 0).cloned().collect();
    keyed.extend(again.into_iter().map(|batch| (random(), batch)));
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, batch)| batch).collect()
}
