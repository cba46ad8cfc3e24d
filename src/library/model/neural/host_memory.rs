//! The memory that this machine can still give this process, as Linux tells it: less than the
//! machine has where a container or a service has a limit of its own.

use std::{fs, path::Path};

/// Bytes that can still be given out; none where the system does not say.
pub(super) fn available() -> Option<u64> {
    let machine = of_machine(&fs::read_to_string("/proc/meminfo").ok()?)?;
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = of_groups(Path::new("/sys/fs/cgroup"), &groups);
    Some(group.map_or(machine, |group| group.min(machine)))
}

/// `MemAvailable` of `/proc/meminfo` (proc_meminfo(5)).
fn of_machine(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// The least that the process's control group, or one that it lies in, has left (Linux kernel,
/// "Control Group v2", `memory.max` and `memory.current`): what files are cached in can be taken
/// back at any time. None without a limit.
fn of_groups(root: &Path, groups: &str) -> Option<u64> {
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let number = |folder: &Path, name: &str| -> Option<u64> {
        fs::read_to_string(folder.join(name)).ok()?.trim().parse().ok()
    };
    let cached = |folder: &Path| -> Option<u64> {
        let stat = fs::read_to_string(folder.join("memory.stat")).ok()?;
        stat.lines().find_map(|line| line.strip_prefix("file "))?.trim().parse().ok()
    };
    root.join(own)
        .ancestors()
        .take_while(|folder| folder.starts_with(root))
        .filter_map(|folder| {
            let limit = number(folder, "memory.max")?;
            let used = number(folder, "memory.current")?;
            Some(limit.saturating_sub(used.saturating_sub(cached(folder).unwrap_or(0))))
        })
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_says_what_is_available() {
        let meminfo = "MemTotal:       8000 kB\nMemFree:  1 kB\nMemAvailable:    5000 kB\n";
        assert_eq!(of_machine(meminfo), Some(5_120_000));
        assert_eq!(of_machine("MemTotal: 8000 kB\n"), None);
        assert_eq!(available().is_some(), cfg!(target_os = "linux"));
    }

    #[test]
    fn the_tightest_group_around_the_process_counts() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("pod/container");
        fs::create_dir_all(&inner).unwrap();
        let write = |folder: &Path, max: &str, current: &str| {
            fs::write(folder.join("memory.max"), max).unwrap();
            fs::write(folder.join("memory.current"), current).unwrap();
        };
        let left = || of_groups(root.path(), "1:name=other:/x\n0::/pod/container\n");
        assert_eq!(left(), None, "no group has a limit");
        write(&inner, "max\n", "700\n");
        write(&root.path().join("pod"), "1000\n", "800\n");
        assert_eq!(left(), Some(200));
        fs::write(root.path().join("pod/memory.stat"), "anon 1\nfile 300\n").unwrap();
        assert_eq!(left(), Some(500), "what is cached can be taken back");
        write(&inner, "900\n", "1000\n");
        assert_eq!(left(), Some(0));
        assert_eq!(of_groups(root.path(), "3:memory:/old\n"), None);
    }
}
