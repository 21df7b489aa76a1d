//! What a listing proves, and what may be marked as deleted for it.

mod brought_back;
mod coverage;
mod lists;
mod pages;
mod proving;
mod random;
mod reports;
