//! Who may call a method (`option (daemoneye.ipc.v1.access)`).
//!
//! **Invariant**: reads what the runtime's `access::Allow` reads, and refuses what it refuses.

use std::fmt;

/// One kind of caller that is let in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Allow {
    /// Whoever may connect.
    Anyone,
    /// The user that the server runs as.
    OwnUser,
    /// A user.
    Uid(u32),
    /// A user by name.
    User(String),
    /// Who has a group.
    Gid(u32),
    /// Who has a group, by name.
    Group(String),
}

impl Allow {
    /// Reads the text of a schema.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "anyone" => return Ok(Self::Anyone),
            "self" => return Ok(Self::OwnUser),
            "root" => return Ok(Self::Uid(0)),
            _ => {}
        }
        let shown = text.escape_debug();
        let Some((kind, who)) = text.split_once(':') else {
            return Err(format!("`{shown}` names nobody"));
        };
        let named = || {
            let name = is_name(who).then(|| who.to_owned());
            name.ok_or_else(|| format!("`{shown}` holds no name"))
        };
        let numbered = || {
            let id = who.parse::<u32>().ok().filter(|id| *id != u32::MAX);
            id.ok_or_else(|| format!("`{shown}` is no id: ids are from 0 to {}", u32::MAX - 1))
        };
        let digits = !who.is_empty() && who.bytes().all(|byte| byte.is_ascii_digit());
        match kind {
            "uid" if digits => numbered().map(Self::Uid),
            "gid" if digits => numbered().map(Self::Gid),
            "uid" | "user" => named().map(Self::User),
            "gid" | "group" => named().map(Self::Group),
            _ => Err(format!("`{shown}` names nobody")),
        }
    }
}

/// Whether a text can be the name of a user or a group.
fn is_name(text: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ':' | ',' | '/');
    (1..=255).contains(&text.len()) && !text.contains(odd)
}

impl fmt::Display for Allow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anyone => f.write_str("anyone"),
            Self::OwnUser => f.write_str("self"),
            Self::Uid(id) => write!(f, "uid:{id}"),
            Self::User(name) => write!(f, "user:{name}"),
            Self::Gid(id) => write!(f, "gid:{id}"),
            Self::Group(name) => write!(f, "group:{name}"),
        }
    }
}
