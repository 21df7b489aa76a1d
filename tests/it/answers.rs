//! What the views of `staging` answer: where the time went, by local day, in hours and in money.

mod cost;
mod daily;
mod days;
mod dbt;
mod hours;
mod plans;
mod wide;
mod zones;
