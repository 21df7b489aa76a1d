//! End-to-end tests: real servers, real processes, a simulated Toggl.
//!
//! What may happen to the pipeline, and where it is made to happen. After each fault `oracle` looks that
//! every acknowledged record is a row or a dead letter, that the tables hold the newest state of what
//! stands in the stream, and that loading went on within a minute of the fault's end.
//!
//! | row | fault | tests |
//! |---|---|---|
//! | 1 | a loader dies before or after its commit, or after its acknowledgement | `faults_kills`, `kills` |
//! | 2 | a fetcher dies between an acknowledgement and its cursor | `faults_kills` |
//! | 3 | NATS is killed, frozen, restarted with acknowledgements on their way | `faults_nats`, `kills` |
//! | 4 | Postgres restarts, or ends sessions at their COMMIT | `faults_postgres`, `kills` |
//! | 5 | a line is cut at some byte, slow, or silent in one direction or both | `faults_line` |
//! | 6 | the reply to a COMMIT is lost | `faults_postgres` |
//! | 7 | batches come twice, late, in any order, over several loaders | `convergence`, `random_histories`, `delivery` |
//! | 8 | a value that Postgres refuses: one of a thousand, or all | `faults_poison`, `dead_letters` |
//! | 9 | a full stream, a full store, a full disk | `faults_room` |
//! | 10 | two loaders and two fetchers at once, two accounts that see different things | `faults_crowd`, `runs_at_once`, `accounts` |
//! | 11 | a consumer or the stream is deleted, or has other settings | `faults_nats`, `rights_nats` |
//! |  | a second database on the stream, a dump that is restored there or elsewhere | `ownership`, `restored`, `copies` |
//! | 12 | Toggl refuses, limits, breaks off, answers slowly or nonsense, has another clock | `limits`, `quotas`, `odd_answers`, `failures`, `requests`, `refusals`, `timeouts`, `negative_durations`, `left_workspaces`, `memory_reports`, `memory_clock` |
//! | 13 | a vault without the secret, the key or the right, or with a forged secret | `credentials`, `rights_postgres` |
//! | 14 | lists and reports change, are cut or reordered while they are read | `proofs`, `proofs_pages`, `proofs_reports`, `proofs_random` |
//! | 15 | Postgres refuses log-ins or connections, for whatever reason | `faults_refused` |
//! | 16 | a table is missing, locked, closed to the loader or read-only | `faults_mending`, `faults_locks` |
//! | 17 | a batch that does not fit into the time: a slow trigger, a slow line | `faults_slow`, `pieces` |
//! |  | any node of a cluster dies, or a loader is cut off from all of them | `faults_cluster` |
//! |  | all of it at random | `faults_soak` |
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails at the line that fails"
)]

mod accounts;
mod admitted;
mod arrival;
mod arrival_kept;
mod batches;
mod brought_back;
mod bucket;
mod catalogue;
mod certificates;
mod changes;
mod checkups;
mod chronicle;
mod clocks;
mod clocks_healed;
mod command_line;
mod copies;
mod coverage;
mod credentials;
mod credentials_checked;
mod databases;
mod dead_letter_claims;
mod dead_letter_commands;
mod dead_letter_retries;
mod dead_letter_shapes;
mod dead_letters;
mod dead_letters_any_order;
mod dead_letters_overtaken;
mod deletions;
mod delivery;
mod deployment;
mod dice;
mod documented_commands;
mod documents;
mod end_to_end;
mod endings;
mod env_files;
mod expected_rows;
mod explain;
mod explain_batches;
mod failures;
mod faults_cluster;
mod faults_crowd;
#[cfg(debug_assertions)]
mod faults_kills;
mod faults_line;
mod faults_locks;
mod faults_mending;
mod faults_nats;
mod faults_poison;
mod faults_postgres;
mod faults_refused;
mod faults_room;
mod faults_slow;
mod faults_soak;
mod flags;
mod flow;
mod forgetting;
mod forgetting_beside;
mod freshness;
mod freshness_cost;
mod guarded;
mod help;
mod history;
mod history_past;
mod history_switch;
mod kept;
mod keys;
mod kills;
mod left_workspaces;
mod left_workspaces_staged;
mod letters;
mod library;
mod limits;
mod memory;
mod memory_clock;
mod memory_reports;
mod metrics;
mod migrations_owners;
mod migrations_views;
mod migrations_waits;
mod nats_ways;
mod negative_durations;
mod odd_answers;
mod operator;
mod oracle;
mod output;
mod ownership;
mod page;
mod people;
mod pieces;
mod pooler;
mod postgres_ways;
mod proofs;
mod proofs_pages;
mod proofs_random;
mod proofs_reports;
mod proving;
mod pruning;
mod quotas;
mod random_histories;
mod refusals;
mod replay;
mod replay_force;
mod replay_gone;
mod replay_gone_streams;
mod replay_interrupted;
mod replay_into;
mod replaying;
mod reporting;
mod reports;
mod reports_claims;
mod reports_interrupted;
mod requests;
mod restored;
mod resync;
mod rights_check;
mod rights_nats;
mod rights_postgres;
mod rights_roles;
mod rights_words;
mod rooms;
mod running;
mod runs_at_once;
mod schedule;
mod secrets;
mod secrets_planted;
mod selection;
mod settings;
mod setup_vault;
mod staged;
mod staging_catalogue;
mod staging_columns;
mod staging_deletions;
mod staging_entries;
mod staging_random;
mod staging_times;
mod staging_values;
mod status;
mod status_trouble;
mod team;
mod timeouts;
mod tls;
mod token_in_clear;
mod versions;
mod waking;
mod watched;
mod whose_answer;
