//! Who is at the other end of a connection.
//!
//! **Invariant**: what is said of a peer comes from the kernel.

pub(super) use self::platform::{own_uid, unmapped};

/// The process at the other end, as the kernel saw it when it connected (or began to listen).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
    /// Supplementary group ids. Empty where the operating system does not tell (outside Linux).
    pub gids: Vec<u32>,
    /// Process id, for logs alone: the process may have ended and its id been given to another. `None`
    /// if it is in another pid namespace.
    pub pid: Option<i32>,
}

impl Peer {
    /// This process itself.
    #[must_use]
    pub fn current() -> Self {
        platform::current()
    }
}

#[cfg(unix)]
mod platform {
    use std::{fs, sync::OnceLock};

    use rustix::process::{getegid, geteuid, getgroups, getpid};

    use super::Peer;

    pub(in crate::transport) fn own_uid() -> u32 {
        geteuid().as_raw()
    }

    pub(super) fn current() -> Peer {
        let groups = getgroups().unwrap_or_default();
        Peer {
            uid: own_uid(),
            gid: getegid().as_raw(),
            gids: groups.into_iter().map(|gid| gid.as_raw()).collect(),
            pid: Some(getpid().as_raw_nonzero().get()),
        }
    }

    /// The ids, user and group, that stand for unmapped ones; none in the initial namespace. Looked up
    /// once: a process enters a namespace when it starts, if ever.
    pub(in crate::transport) fn unmapped() -> (Option<u32>, Option<u32>) {
        static UNMAPPED: OnceLock<(Option<u32>, Option<u32>)> = OnceLock::new();
        *UNMAPPED.get_or_init(|| (overflow_id("uid"), overflow_id("gid")))
    }

    fn overflow_id(kind: &str) -> Option<u32> {
        if !cfg!(any(target_os = "linux", target_os = "android")) {
            return None;
        }
        let map = fs::read_to_string(format!("/proc/self/{kind}_map")).unwrap_or_default();
        if is_initial(&map) {
            return None;
        }
        let overflow = fs::read_to_string(format!("/proc/sys/kernel/overflow{kind}"));
        // 65534 is what Linux starts with (DEFAULT_OVERFLOWUID).
        Some(
            overflow
                .ok()
                .and_then(|id| id.trim().parse().ok())
                .unwrap_or(65_534),
        )
    }

    /// Whether a `uid_map` maps everything to itself, as that of the initial namespace does
    /// (user_namespaces(7)).
    fn is_initial(map: &str) -> bool {
        let mut lines = map
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>());
        lines
            .next()
            .is_some_and(|line| line == ["0", "0", "4294967295"])
    }

    #[cfg(test)]
    mod tests {
        #[test]
        fn only_the_identity_map_is_the_initial_namespace() {
            assert!(super::is_initial("         0          0 4294967295\n"));
            assert!(!super::is_initial("         0       1000          1\n"));
            assert!(!super::is_initial("0 0 65536\n"));
            assert!(!super::is_initial(""));
        }
    }
}
