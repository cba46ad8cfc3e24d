//! Who acts, and on which machine: for what is kept about who did what. It reads the environment and
//! knows no other module.

/// The user: `TRIALBOOK_USER`, else `USER`.
pub(crate) fn user() -> String {
    ["TRIALBOOK_USER", "USER", "USERNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()))
        .unwrap_or_else(|| "unknown".to_owned())
}

/// This machine's name.
pub(crate) fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .map_or_else(|| "localhost".to_owned(), |host| host.trim().to_owned())
}
