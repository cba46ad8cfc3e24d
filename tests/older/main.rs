//! `older STORE`: writes to a store as trialbook up to schema 2 does, on the redb that it has.

mod older;

fn main() {
    let store = std::env::args().nth(1).expect("the store's folder is the argument");
    older::write_until_refused(std::path::Path::new(&store));
}
