//! How much memory is left for this process.
//!
//! On Linux that is `MemAvailable` of `/proc/meminfo`, what can be had without swapping, or less where a control group
//! of the process, or one around it, has less left: its limit minus what it uses. Cached files that the kernel would
//! drop do not count as used. Elsewhere the crate sysinfo asks the system; on Linux it sees only the outermost control
//! group, and counts cached files as used there.
//!
//! Source: `Documentation/filesystems/proc.rst`, `admin-guide/cgroup-v2.rst` and `cgroup-v1/memory.rst` of Linux.

/// Bytes that this process can still take, and who says so; `None` if nobody does.
#[cfg(target_os = "linux")]
pub(crate) fn free_memory() -> Option<(u64, &'static str)> {
    linux::free_under(std::path::Path::new("/"))
}

/// Bytes that this process can still take, and who says so; `None` if nobody does.
#[cfg(not(target_os = "linux"))]
pub(crate) fn free_memory() -> Option<(u64, &'static str)> {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    Some((system.available_memory(), "as the system says")).filter(|free| free.0 > 0)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::path::Path;

    /// Names of a control group's files: limit, use, and the key of cached files in `memory.stat`.
    type Names = [&'static str; 3];
    const V1: Names = ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"];
    const V2: Names = ["memory.max", "memory.current", "inactive_file"];

    pub(super) fn free_under(root: &Path) -> Option<(u64, &'static str)> {
        let available = fs::read_to_string(root.join("proc/meminfo")).ok().and_then(|text| {
            let kib: u64 = text
                .lines()
                .find_map(|line| line.strip_prefix("MemAvailable:"))?
                .trim()
                .split(' ')
                .next()?
                .parse()
                .ok()?;
            Some((1024 * kib, "MemAvailable"))
        });
        let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
        let in_groups = groups.lines().filter_map(|line| {
            // hierarchy:controllers:path; version 2 has no controllers there.
            let mut fields = line.splitn(3, ':');
            let (controllers, path) = (fields.nth(1)?, fields.next()?);
            let (folder, names) = match controllers {
                "" => ("sys/fs/cgroup", V2),
                _ if controllers.split(',').any(|name| name == "memory") => ("sys/fs/cgroup/memory", V1),
                _ => return None,
            };
            left_in_groups(&root.join(folder), path, names)
        });
        in_groups.map(|left| (left, "limit of the control group")).chain(available).min()
    }

    /// The least that the group at `path` and those around it have left. A container may see its own group as the root.
    fn left_in_groups(mount: &Path, path: &str, names: Names) -> Option<u64> {
        let path = Path::new(path.trim_start_matches('/'));
        path.ancestors().filter_map(|group| left_in_group(&mount.join(group), names)).min()
    }

    fn left_in_group(folder: &Path, [limit, used, cached]: Names) -> Option<u64> {
        let number = |name: &str| fs::read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
        let (limit, used) = (number(limit)?, number(used)?); // "max" is no number: there is no limit
        let stat = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
        let cached = stat.lines().find_map(|line| line.strip_prefix(cached)?.trim().parse::<u64>().ok()).unwrap_or(0);
        Some(limit.saturating_sub(used.saturating_sub(cached)))
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::fs;

    use super::linux::free_under;

    /// What is free in a system whose files are these.
    fn free(files: &[(&str, &str)]) -> Option<(u64, &'static str)> {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        free_under(root.path())
    }

    const MEMINFO: (&str, &str) = ("proc/meminfo", "MemTotal:  9000 kB\nMemFree:   10 kB\nMemAvailable:   8000 kB\n");

    #[test]
    fn the_least_of_machine_and_groups_counts() {
        let machine = Some((8000 << 10, "MemAvailable"));
        assert_eq!(free(&[]), None);
        assert_eq!(free(&[MEMINFO]), machine);
        let v2 = |limit| {
            [
                MEMINFO,
                ("proc/self/cgroup", "0::/a/b\n"),
                ("sys/fs/cgroup/a/memory.max", limit),
                ("sys/fs/cgroup/a/memory.current", "1500000\n"),
                ("sys/fs/cgroup/a/memory.stat", "anon 7\ninactive_file 500000\nactive_file 3\n"),
                ("sys/fs/cgroup/a/b/memory.max", "max\n"),
                ("sys/fs/cgroup/a/b/memory.current", "1400000\n"),
            ]
        };
        assert_eq!(free(&v2("max\n")), machine);
        assert_eq!(free(&v2("3000000\n")), Some((2_000_000, "limit of the control group")));
        assert_eq!(free(&v2("900000\n")), Some((0, "limit of the control group")));
        // Version 1, in a container that sees its group as the root.
        let v1 = [
            MEMINFO,
            ("proc/self/cgroup", "9:name=systemd:/\n4:cpu,memory:/docker/0f\n0::/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "4000000\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "3000000\n"),
            ("sys/fs/cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 1000000\n"),
        ];
        assert_eq!(free(&v1), Some((2_000_000, "limit of the control group")));
        let none = [v1[0], v1[1], (v1[2].0, "9223372036854771712\n"), v1[3]];
        assert_eq!(free(&none), machine);
    }

    #[test]
    fn here_something_is_free() {
        assert!(super::free_memory().unwrap().0 > 1 << 20);
    }
}
