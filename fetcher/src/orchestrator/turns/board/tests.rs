//! Accounts that decide beside each other in any order decide what they would one after the other.

use std::mem::discriminant;

use jiff::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// What an account decides of a list, by their places.
type Decisions = BTreeMap<(usize, usize), Reading>;

fn slot(place: usize) -> Slot {
    let resource = if place == 0 { "workspaces" } else { "projects" };
    Slot { key: format!("readers.{place}"), resource }
}

fn at(hour: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + hour * 3_600).unwrap()
}

fn reader(user_id: i64, is_admin: bool) -> Reader {
    Reader::new(user_id, is_admin, at(0))
}

/// What an account does with one list.
#[derive(Debug, Clone, Copy)]
enum Plan {
    Nothing,
    /// It reads it where it is its own to read; whether that succeeds.
    Read {
        is_admin: bool,
        is_listed: bool,
        succeeds: bool,
    },
    /// It has left the workspace before it says what it has.
    Leave,
}

/// Each account with what it does with each list; the lists' readers before.
#[derive(Debug, Clone)]
struct World {
    stored: Vec<Option<Reader>>,
    plans: Vec<Vec<Plan>>,
    next: Vec<Index>,
}

fn a_reader() -> impl Strategy<Value = Option<Reader>> {
    let one = || (1..8_i64, any::<bool>(), prop::sample::select(vec![0, 1, 25, 27, 100, 200]));
    let stored = (one(), prop::option::weighted(0.3, one()));
    let stored = stored.prop_map(|((user, admin, age), absent)| {
        let before = absent.map(|(user, admin, older)| Reader::new(user, admin, at(-age - older)));
        Reader::new(user, admin, at(-age)).after(before.as_ref())
    });
    prop::option::weighted(0.7, stored)
}

fn a_plan() -> impl Strategy<Value = Plan> {
    let read = (any::<bool>(), any::<bool>(), prop::bool::weighted(0.7))
        .prop_map(|(is_admin, is_listed, succeeds)| Plan::Read { is_admin, is_listed, succeeds });
    prop_oneof![1 => Just(Plan::Nothing), 6 => read, 1 => Just(Plan::Leave)]
}

const LISTS: usize = 3;

fn a_world() -> impl Strategy<Value = World> {
    let accounts = vec(vec(a_plan(), LISTS), 1..7);
    let next = vec(any::<Index>(), 200);
    (vec(a_reader(), LISTS), accounts, next).prop_map(|(stored, plans, next)| World {
        stored,
        plans,
        next,
    })
}

/// The user of an account. That of the fourth is the third's.
fn user(account: usize) -> i64 {
    [1, 2, 3, 3, 5, 6].get(account).copied().unwrap_or(7)
}

impl World {
    fn note(&self, account: usize, list: usize) -> Option<Note> {
        match self.plans[account][list] {
            Plan::Read { is_admin, is_listed, .. } => {
                Some(Note::Read { me: reader(user(account), is_admin), is_listed })
            }
            // Of a row alone.
            Plan::Leave if list == 0 => Some(Note::Left { user_id: user(account) }),
            Plan::Leave | Plan::Nothing => None,
        }
    }

    fn succeeds(&self, account: usize, list: usize) -> bool {
        matches!(self.plans[account][list], Plan::Read { succeeds: true, .. })
    }

    /// One after the other: what each does with each list, and the readers in the end.
    fn in_turn(&self) -> (Decisions, Vec<Option<Reader>>) {
        let (mut readings, mut readers) = (BTreeMap::new(), self.stored.clone());
        for account in 0..self.plans.len() {
            for (list, known) in readers.iter_mut().enumerate() {
                match self.note(account, list) {
                    None => {}
                    Some(note @ Note::Left { .. }) => *known = note.after(*known),
                    Some(note @ Note::Read { me, .. }) => {
                        let reading = me.reading(known.as_ref());
                        readings.insert((account, list), reading);
                        let is_read = !matches!(reading, Reading::LeftTo(_));
                        if is_read && self.succeeds(account, list) {
                            *known = note.after(*known);
                        }
                    }
                }
            }
        }
        (readings, readers)
    }

    fn board(&self) -> Board {
        let mut board = Board::of(self.plans.len());
        for (list, reader) in self.stored.iter().enumerate() {
            let Slot { key, resource } = slot(list);
            let readers = reader.map(|reader| (resource.to_owned(), reader));
            board.load(&key, &readers.into_iter().collect());
        }
        board
    }
}

/// An account on its way.
#[derive(Debug, Default)]
struct Run {
    has_announced: bool,
    undecided: Vec<usize>,
    /// Being read.
    reading: Vec<usize>,
    is_done: bool,
}

/// What each decided, by account and list; one step of one account at a time, as chance has it.
fn beside_each_other(world: &World, board: &mut Board) -> BTreeMap<(usize, usize), Reading> {
    let mut runs: Vec<Run> = world.plans.iter().map(|_| Run::default()).collect();
    let (mut readings, mut idle, mut chance) = (BTreeMap::new(), 0, world.next.iter().cycle());
    while runs.iter().any(|run| !run.is_done) {
        assert!(idle < 10_000, "they wait for each other: {runs:?}");
        idle += 1;
        // Whatever chance has, everybody gets a turn.
        let id = (chance.next().unwrap().index(runs.len()) + idle / 50) % runs.len();
        let run = &mut runs[id];
        if run.is_done {
            continue;
        }
        if !run.has_announced {
            run.has_announced = true;
            let notes = (0..LISTS).filter_map(|list| Some((list, world.note(id, list)?)));
            let (left, may): (Vec<_>, Vec<_>) =
                notes.partition(|(_, note)| matches!(note, Note::Left { .. }));
            let keyed = |notes: Vec<(usize, Note)>| {
                notes.into_iter().map(|(list, note)| (slot(list), note)).collect::<BTreeMap<_, _>>()
            };
            run.undecided = may.iter().map(|(list, _)| *list).collect();
            board.note(id, keyed(left));
            board.open(id, keyed(may));
            continue;
        }
        // What it has begun to read it ends first, as a run does.
        if !run.reading.is_empty() {
            let read = std::mem::take(&mut run.reading);
            let read = read.into_iter().filter(|list| world.succeeds(id, *list));
            let notes = read.map(|list| (slot(list), world.note(id, list).unwrap())).collect();
            board.note(id, notes);
            board.keep_open(id, &run.undecided.iter().map(|list| slot(*list)).collect());
            continue;
        }
        run.undecided.retain(|list| {
            let Some(Note::Read { me, .. }) = world.note(id, *list) else { return false };
            let Some(reading) = board.reading(id, &slot(*list), me) else { return true };
            readings.insert((id, *list), reading);
            if !matches!(reading, Reading::LeftTo(_)) {
                run.reading.push(*list);
            }
            false
        });
        if run.reading.is_empty() {
            board.keep_open(id, &run.undecided.iter().map(|list| slot(*list)).collect());
            run.is_done = run.undecided.is_empty();
            if run.is_done {
                board.close(id);
            }
        }
    }
    readings
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn whoever_is_faster_each_reads_what_it_would_in_turn(world in a_world()) {
        let mut board = world.board();
        let readings = beside_each_other(&world, &mut board);
        let (expected, readers) = world.in_turn();
        prop_assert_eq!(readings.len(), expected.len());
        for (which, expected) in &expected {
            prop_assert_eq!(discriminant(&readings[which]), discriminant(expected), "{:?}", which);
        }
        let known: Vec<_> = (0..LISTS).map(|list| board.reader(&slot(list))).collect();
        prop_assert_eq!(known, readers);
        prop_assert!(board.seats.is_empty(), "those that are done need no seat");
    }
}

fn may_read(list: usize, me: Reader) -> BTreeMap<Slot, Note> {
    BTreeMap::from([(slot(list), Note::Read { me, is_listed: true })])
}

#[test]
fn who_reads_a_list_already_waits_for_nobody_who_may_not_take_it() {
    let mut board = Board::of(2);
    let admin = reader(2, true);
    board.load("readers.1", &Readers::from([("projects".to_owned(), admin)]));
    assert_eq!(board.reading(1, &slot(1), admin), Some(Reading::Claiming));
    let member = reader(3, false);
    assert!(matches!(board.reading(1, &slot(1), member), Some(Reading::LeftTo(_))));
}

#[test]
fn who_waits_long_enough_passes_by_the_silent_and_leaves_to_others_what_they_may_read() {
    let mut board = Board::of(3);
    let me = reader(3, false);
    board.open(1, may_read(1, reader(2, false)));
    board.open(2, may_read(1, me).into_iter().chain(may_read(2, me)).collect());
    assert_eq!(board.reading(2, &slot(1), me), None);
    assert_eq!(board.reading(2, &slot(2), me), None);
    board.pass_by(2);
    assert!(matches!(board.likely_reading(2, &slot(1), me), Reading::LeftTo(_)));
    assert_eq!(board.likely_reading(2, &slot(2), me), Reading::Claiming);
    let admin = reader(3, true);
    assert!(matches!(board.likely_reading(2, &slot(1), admin), Reading::LeftTo(_)));
    board.note(2, may_read(2, me));
    // The first speaks at last, and comes after the others.
    let first = reader(1, false);
    board.open(0, may_read(2, first));
    assert!(matches!(board.reading(0, &slot(2), first), Some(Reading::LeftTo(_))));
}

#[test]
fn who_takes_a_list_over_asks_after_the_one_that_reads_it_until_then() {
    let mut board = Board::of(2);
    let (member, admin) = (reader(1, false), reader(2, true));
    board.load("readers.1", &Readers::from([("projects".to_owned(), member)]));
    assert_eq!(board.reading(1, &slot(1), admin), None);
    board.open(0, may_read(1, member));
    assert_eq!(board.reading(1, &slot(1), admin), None);
    board.note(0, may_read(1, reader(1, false)));
    board.close(0);
    assert_eq!(board.reading(1, &slot(1), admin), Some(Reading::Claiming));
    assert!(board.is_overtaken(1, &slot(1), admin), "an answer of the same time is not newer");
    assert!(!board.is_overtaken(1, &slot(1), Reader::new(2, true, at(1))));
}

#[test]
fn what_one_fails_to_read_is_the_next_ones() {
    let mut board = Board::of(2);
    board.open(0, may_read(1, reader(1, false)));
    board.open(1, may_read(1, reader(2, false)));
    assert_eq!(board.reading(1, &slot(1), reader(2, false)), None);
    board.close(0);
    assert_eq!(board.reading(1, &slot(1), reader(2, false)), Some(Reading::Claiming));
}
