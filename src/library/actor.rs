//! The person who acts, and the machine: for what is kept about who did what. It reads the
//! environment and knows no other module.

/// The user: `TRIALBOOK_USER`, else `USER`, else whom the system says this process belongs to: a
/// service and a container have no `USER`.
pub(crate) fn user() -> String {
    ["TRIALBOOK_USER", "USER", "USERNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()))
        .or_else(owner)
        .unwrap_or_else(|| "unknown".to_owned())
}

/// The name of this process' user, or its number where the system has no name for it.
#[cfg(unix)]
fn owner() -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let uid = std::fs::metadata("/proc/self").ok()?.uid();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    Some(name_of(&users, uid).unwrap_or_else(|| uid.to_string()))
}

#[cfg(not(unix))]
fn owner() -> Option<String> {
    None
}

/// The name of the user with this number among the lines of a passwd file (passwd(5)).
fn name_of(users: &str, uid: u32) -> Option<String> {
    let uid = uid.to_string();
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    })
}

/// This machine's name.
pub(crate) fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .map_or_else(|| "localhost".to_owned(), |host| host.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_names_the_user_where_the_environment_does_not() {
        let users =
            "root:x:0:0:root:/root:/bin/bash\n\nada:x:1000:1000::/home/ada:/bin/sh\n:x:7:7::\n";
        for (uid, expected) in [(0, Some("root")), (1000, Some("ada")), (7, None), (8, None)] {
            assert_eq!(name_of(users, uid).as_deref(), expected, "{uid}");
        }
        assert!(owner().is_none_or(|owner| !owner.is_empty()));
    }
}
