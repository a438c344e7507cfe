//! The project's own chores. `cargo xtask test` is the one to know.
fn main() {}
