//! Settings of the endpoint itself: its permissions, and who may be at either end of it.
//!
//! **Invariant**: the defaults let in the server's own user and root, and nobody else.

use serde::{Deserialize, Serialize};

use crate::access::Allow;

/// The socket of a server and its directory, for daemons whose clients run as other users. (Unix)
///
/// ```
/// # use daemoneye_ipc::IpcConfig;
/// // Members of the group `daemoneye` may connect, and the schema says what they may call.
/// let config = IpcConfig::from_yaml(
///     "
/// ipc:
///   socket:
///     mode: 0660
///     group: daemoneye
///     directory_mode: 0750
///   peers:
///     allow: self, root, group:daemoneye
/// ",
///     "daemoneye.yaml",
/// )?;
/// assert_eq!(config.socket.mode, 0o660);
/// # Ok::<(), daemoneye_ipc::IpcError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SocketConfig {
    /// Permissions of the socket, exactly, whatever the umask; octal in files and variables. Default `0600`:
    /// nobody but the daemon's own user, and root, gets as far as the peer check.
    #[serde(with = "octal")]
    pub mode: u32,
    /// Group of the socket, and of directories that are created with rights for a group: a name or a
    /// number. Default empty: the process's own group.
    pub group: String,
    /// Permissions of each directory that has to be created; octal. Default `0700`.
    #[serde(with = "octal")]
    pub directory_mode: u32,
    /// Which directories may hold the socket. Default [`DirectoryPolicy::Sticky`].
    pub directory_policy: DirectoryPolicy,
}

/// Which directories may hold a server's socket, besides being owned by root or by the server's user. Each
/// accepts what those before it do.
///
/// ```
/// use daemoneye_ipc::{IpcConfig, config::DirectoryPolicy};
/// let mut config = IpcConfig::new("/run/app/app.sock");
/// config.socket.directory_policy = DirectoryPolicy::Private;
/// assert!(config.validate().is_ok());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DirectoryPolicy {
    /// Those that nobody but their owner may write to.
    Private,
    /// Also root's own sticky ones, such as `/tmp`, with a warning: anybody can take the name there first.
    #[default]
    Sticky,
    /// Also those that the group of the settings may write to, with a warning: its members can take the name
    /// away.
    Group,
}

/// Who may be at the other end, as a list in the words of [`Allow`].
///
/// ```
/// use daemoneye_ipc::IpcConfig;
/// let mut config = IpcConfig::new("/run/app/app.sock");
/// // A tool of any user, for a daemon that runs as `daemoneye`:
/// config.peers.trust = "user:daemoneye, root".to_owned();
/// assert!(config.validate().is_ok());
/// config.peers.trust = "everybody".to_owned();
/// assert!(config.validate().unwrap_err().to_string().contains("ipc.peers.trust"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PeersConfig {
    /// Who may connect to a server, where the program does not say
    /// ([`peer_policy`](crate::ServerBuilder::peer_policy)). Default `self, root`.
    pub allow: String,
    /// Which servers a client sends something to, by the user that they run as, where the program does not
    /// say ([`trust`](crate::ChannelBuilder::trust)). Default `self, root`: anybody else could have taken the
    /// endpoint's name.
    pub trust: String,
}

impl Default for SocketConfig {
    fn default() -> Self {
        Self {
            mode: 0o600,
            group: String::new(),
            directory_mode: 0o700,
            directory_policy: DirectoryPolicy::default(),
        }
    }
}

impl Default for PeersConfig {
    fn default() -> Self {
        let own = "self, root".to_owned();
        Self {
            allow: own.clone(),
            trust: own,
        }
    }
}

/// A setting, its value if that is wrong, and what to do.
type Rule<'a> = (&'static str, Option<String>, &'a str);

impl SocketConfig {
    /// What is wrong with each setting.
    pub(super) fn problems(&self) -> Vec<(&'static str, String)> {
        let writers = match self.directory_policy {
            DirectoryPolicy::Group => 0o002,
            DirectoryPolicy::Private | DirectoryPolicy::Sticky => 0o022,
        };
        let (mode, directory) = (self.mode, self.directory_mode);
        let odd_mode = mode & !0o777 != 0 || mode & 0o600 != 0o600;
        let odd_directory = directory & !0o777 != 0 || directory & 0o700 != 0o700;
        let group_is_none =
            self.group.is_empty() && self.directory_policy == DirectoryPolicy::Group;
        let found: [Rule<'_>; 4] = [
            ("socket.mode", odd_mode.then(|| format!("{mode:04o}")), MODE),
            (
                "socket.directory_mode",
                odd_directory.then(|| format!("{directory:04o}")),
                DIRECTORY_MODE,
            ),
            (
                "socket.directory_mode",
                (directory & writers != 0).then(|| format!("{directory:04o}")),
                "others could replace the socket: take their right to write away (`socket.directory_policy: group` leaves a group its own)",
            ),
            (
                "socket.directory_policy",
                group_is_none.then(|| "group".to_owned()),
                "say which group is meant in `socket.group`",
            ),
        ];
        let problem = |(key, value, help): Rule<'_>| {
            Some((key, format!("{} is not allowed; {help}", value?)))
        };
        let mut problems: Vec<_> = found.into_iter().filter_map(problem).collect();
        if let Err(problem) = group(&self.group) {
            problems.push(("socket.group", problem));
        }
        problems
    }
}

const MODE: &str = "use an octal mode from 0600 to 0777 that lets the owner read and write";
const DIRECTORY_MODE: &str =
    "use an octal mode from 0700 to 0777 that lets the owner do everything";

impl PeersConfig {
    /// What is wrong with each setting.
    pub(super) fn problems(&self) -> Vec<(&'static str, String)> {
        let lists = [("peers.allow", &self.allow), ("peers.trust", &self.trust)];
        let problem =
            |(key, list): (&'static str, &String)| Some((key, Allow::parse_list(list).err()?));
        lists.into_iter().filter_map(problem).collect()
    }
}

/// The group that a setting names; nothing if it is empty.
pub(crate) fn group(text: &str) -> Result<Option<Allow<'_>>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let allow = match (text.parse::<u32>(), digits) {
        (Ok(gid), true) if gid != u32::MAX => Some(Allow::Gid(gid)),
        (_, false) => Some(Allow::Group(text)),
        (_, true) => None,
    };
    // What a list would not take as a name is none.
    let fit = allow.filter(|allow| Allow::parse(&allow.to_string()).is_ok());
    let text = text.escape_debug();
    fit.map(Some)
        .ok_or_else(|| format!("`{text}` is no group; use a name or a number"))
}

/// What the setting at `key` may be, for the text of an error.
pub(super) fn allowed(key: &str) -> Option<&'static str> {
    match key {
        "socket.mode" => Some(MODE),
        "socket.directory_mode" => Some(DIRECTORY_MODE),
        "socket.directory_policy" => Some("use `private`, `sticky` or `group`"),
        _ => None,
    }
}

/// Permissions, written as people write them: `0660`, `660`, `0o660`.
mod octal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde hands over a reference"
    )]
    pub(super) fn serialize<S: Serializer>(mode: &u32, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format!("{mode:04o}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
        let text = String::deserialize(from)?;
        let digits = text.strip_prefix("0o").unwrap_or(&text);
        let octal = digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
        let mode = octal.then(|| u32::from_str_radix(digits, 8).ok()).flatten();
        mode.ok_or_else(|| D::Error::custom(format!("`{text}` is not an octal mode")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_names_or_numbers() {
        assert_eq!(group(""), Ok(None));
        assert_eq!(group("50"), Ok(Some(Allow::Gid(50))));
        assert_eq!(group("staff"), Ok(Some(Allow::Group("staff"))));
        for wrong in ["4294967295", "99999999999", "a b", "a,b", " "] {
            assert!(group(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn modes_that_shut_the_owner_out_or_let_others_replace_the_socket_are_refused() {
        let fine = SocketConfig::default();
        assert!(fine.problems().is_empty());
        let keys = |config: SocketConfig| -> Vec<_> {
            config.problems().into_iter().map(|(key, _)| key).collect()
        };
        for mode in [0, 0o400, 0o066, 0o1600, 0o10_000] {
            let config = SocketConfig {
                mode,
                ..fine.clone()
            };
            assert_eq!(keys(config), ["socket.mode"], "{mode:o}");
        }
        for directory_mode in [0o600, 0o1700, 0o770, 0o702] {
            let config = SocketConfig {
                directory_mode,
                ..fine.clone()
            };
            assert_eq!(
                keys(config),
                ["socket.directory_mode"],
                "{directory_mode:o}"
            );
        }
        let shared = SocketConfig {
            directory_mode: 0o770,
            directory_policy: DirectoryPolicy::Group,
            ..fine
        };
        assert_eq!(keys(shared.clone()), ["socket.directory_policy"]);
        let named = SocketConfig {
            group: "staff".to_owned(),
            ..shared
        };
        assert!(named.problems().is_empty());
    }
}
