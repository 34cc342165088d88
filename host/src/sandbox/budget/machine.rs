//! Memory and disk space that the host may use: of the machine, and of the control groups that it runs in, as a
//! container or a systemd unit sets them.

use std::fs;
use std::path::Path;

/// Guests get three quarters. The rest is for requests and answers on their way, logs, compilation, loaded code and
/// stacks, none of which count as a guest's.
const MEMORY_QUARTERS: u64 = 3;
/// Guests get half of what they and nobody else have on the disk of the data directory: packages and logs grow too.
const SCRATCH_PARTS: u64 = 2;
/// Assumed memory of a machine that does not tell it.
const MEMORY_BYTES_UNKNOWN: u64 = 1 << 30;

/// Memory of all guests, unless configured otherwise.
pub(in crate::sandbox) fn guest_memory_bytes() -> u64 {
    let limit = memory_limit(Path::new("/")).unwrap_or(MEMORY_BYTES_UNKNOWN);
    limit / 4 * MEMORY_QUARTERS
}

/// Scratch space of all guests, unless configured otherwise, where they hold `taken` bytes of the disk.
///
/// # Errors
/// Errors of the operating system.
pub(in crate::sandbox) fn scratch_bytes(dir: &Path, taken: u64) -> std::io::Result<u64> {
    let disk = rustix::fs::statvfs(dir)?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    Ok(free.saturating_add(taken) / SCRATCH_PARTS)
}

/// The least of all limits on this process's memory.
fn memory_limit(root: &Path) -> Option<u64> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let of_groups = groups.lines().flat_map(|line| of_group(root, line));
    of_groups.chain(machine(root)).min()
}

/// Limits of a line of `/proc/self/cgroup`: `hierarchy:controllers:path`.
fn of_group(root: &Path, line: &str) -> Vec<u64> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
        return Vec::new();
    };
    let (mounts, files): (&[&str], &[&str]) = if controllers.is_empty() {
        // Version 2; beside version 1 it is mounted below.
        let mounts = &["sys/fs/cgroup", "sys/fs/cgroup/unified"];
        (mounts, &["memory.max", "memory.high"])
    } else if controllers.split(',').any(|it| it == "memory") {
        (&["sys/fs/cgroup/memory"], &["memory.limit_in_bytes"])
    } else {
        return Vec::new();
    };
    // A limit holds for all groups below. In a container the path may be that of the machine outside, and the
    // mount begins at the container's own group: then only that is found, as the last of the ancestors.
    let path = Path::new(path.trim_start_matches('/'));
    let groups = path.ancestors();
    let groups = groups.flat_map(|group| mounts.iter().map(move |it| root.join(it).join(group)));
    groups
        .flat_map(|group| {
            files
                .iter()
                .filter_map(move |file| number(&group.join(file)))
        })
        .collect()
}

/// The number in a file; `max` is no limit.
fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn machine(root: &Path) -> Option<u64> {
    let text = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let total = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = total.split_whitespace().next()?.parse().ok()?;
    kib.checked_mul(1 << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: (&str, &str) = (
        "proc/meminfo",
        "MemTotal:       8388608 kB\nMemFree: 1 kB\n",
    );
    const UNLIMITED_V1: &str = "9223372036854771712\n";

    /// The limit with these files.
    fn limit(files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        memory_limit(root.path())
    }

    #[test]
    fn machine_without_groups_limits_by_its_memory() {
        assert_eq!(limit(&[MEMINFO]), Some(8 << 30));
        assert_eq!(limit(&[]), None);
    }

    #[test]
    fn least_limit_of_a_group_and_its_ancestors_counts() {
        let v2 = ("proc/self/cgroup", "0::/system.slice/lamina.service\n");
        let found = limit(&[
            MEMINFO,
            v2,
            ("sys/fs/cgroup/system.slice/memory.max", "3000000000\n"),
            (
                "sys/fs/cgroup/system.slice/lamina.service/memory.max",
                "max\n",
            ),
            (
                "sys/fs/cgroup/system.slice/lamina.service/memory.high",
                "2000000000\n",
            ),
        ]);
        assert_eq!(found, Some(2_000_000_000));
        let v1 = (
            "proc/self/cgroup",
            "5:cpu:/a\n4:memory,hugetlb:/a/b\n0::/\n",
        );
        let found = limit(&[
            MEMINFO,
            v1,
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", UNLIMITED_V1),
            (
                "sys/fs/cgroup/memory/a/memory.limit_in_bytes",
                "1000000000\n",
            ),
            (
                "sys/fs/cgroup/memory/a/b/memory.limit_in_bytes",
                UNLIMITED_V1,
            ),
        ]);
        assert_eq!(found, Some(1_000_000_000));
    }

    #[test]
    fn container_that_sees_the_path_outside_has_its_own_limit() {
        let outside = (
            "proc/self/cgroup",
            "4:memory:/docker/0123\n0::/docker/0123\n",
        );
        for file in [
            "sys/fs/cgroup/memory.max",
            "sys/fs/cgroup/memory/memory.limit_in_bytes",
        ] {
            assert_eq!(
                limit(&[MEMINFO, outside, (file, "536870912\n")]),
                Some(512 << 20)
            );
        }
    }
}
