//! The `trialbook` program.

fn main() {}
