//! Embedded migrations are part of the binary: build again when they change.

fn main() {
    println!("cargo::rerun-if-changed=../migrations");
}
