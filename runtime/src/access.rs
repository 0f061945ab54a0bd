//! How is written who may do something: in a schema (`option (daemoneye.ipc.v1.access)`) and in settings.
//!
//! **Invariant**: says who is meant and never decides; names are looked up where the server binds.

use std::fmt;

/// One kind of caller that is let in.
///
/// | text | who |
/// |---|---|
/// | `self` | the user that the server runs as; in a client's settings, the client's own |
/// | `root` | the user 0 |
/// | `uid:1000`, `uid:alice` | a user, by number or by name |
/// | `user:alice` | a user by name, also where the name consists of digits |
/// | `gid:50`, `gid:staff` | who has the group, as effective or as supplementary one |
/// | `group:staff` | the same by name, also where the name consists of digits |
/// | `anyone` | whoever may connect |
///
/// Nobody is included who is not named: `self` does not let root in, unless the server runs as root.
///
/// ```
/// use daemoneye_ipc::access::Allow;
/// assert_eq!(Allow::parse("gid:staff"), Ok(Allow::Group("staff")));
/// assert_eq!(Allow::parse("root"), Ok(Allow::Uid(0)));
/// assert!(Allow::parse("everybody").unwrap_err().contains("`self`"));
/// assert_eq!(Allow::Group("staff").to_string(), "group:staff");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Allow<'a> {
    /// Whoever may connect.
    Anyone,
    /// The user that this process runs as.
    OwnUser,
    /// The user with this id.
    Uid(u32),
    /// The user with this name, looked up when the server binds.
    User(&'a str),
    /// Those who have the group with this id.
    Gid(u32),
    /// Those who have the group with this name, looked up when the server binds.
    Group(&'a str),
}

/// The end of an error about a text that names nobody.
const USE: &str = "use `self`, `root`, `anyone`, `uid:N`, `user:NAME`, `gid:N` or `group:NAME`";

impl<'a> Allow<'a> {
    /// Reads one text.
    ///
    /// # Errors
    /// Says what is wrong with the text and what may be written.
    pub fn parse(text: &'a str) -> Result<Self, String> {
        match text {
            "anyone" => return Ok(Self::Anyone),
            "self" => return Ok(Self::OwnUser),
            "root" => return Ok(Self::Uid(0)),
            _ => {}
        }
        let Some((kind, who)) = text.split_once(':') else {
            return Err(format!("`{}` is nobody; {USE}", text.escape_debug()));
        };
        let named = || {
            let fit = is_name(who).then_some(who);
            fit.ok_or_else(|| format!("`{}` holds no name; {USE}", text.escape_debug()))
        };
        let numbered = || {
            let id = who.parse::<u32>().ok().filter(|id| *id != u32::MAX);
            id.ok_or_else(|| {
                format!(
                    "`{text}` is no id; ids are from 0 to {}, and a name of digits is written `user:` or `group:`",
                    u32::MAX - 1
                )
            })
        };
        let digits = !who.is_empty() && who.bytes().all(|byte| byte.is_ascii_digit());
        match kind {
            "uid" if digits => numbered().map(Self::Uid),
            "gid" if digits => numbered().map(Self::Gid),
            "uid" | "user" => named().map(Self::User),
            "gid" | "group" => named().map(Self::Group),
            _ => Err(format!("`{}` is nobody; {USE}", text.escape_debug())),
        }
    }

    /// Reads a list, its items separated by commas.
    ///
    /// # Errors
    /// As [`Allow::parse`] for each item; an empty list is none.
    ///
    /// ```
    /// use daemoneye_ipc::access::Allow;
    /// assert_eq!(Allow::parse_list("self, uid:7"), Ok(vec![Allow::OwnUser, Allow::Uid(7)]));
    /// assert!(Allow::parse_list("").is_err());
    /// ```
    pub fn parse_list(text: &'a str) -> Result<Vec<Self>, String> {
        text.split(',')
            .map(|item| Self::parse(item.trim()))
            .collect()
    }
}

/// Whether a text can be the name of a user or a group.
fn is_name(text: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ':' | ',' | '/');
    (1..=255).contains(&text.len()) && !text.contains(odd)
}

impl fmt::Display for Allow<'_> {
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

/// Several, as people read them.
pub(crate) fn list(allow: &[Allow<'_>]) -> String {
    let texts: Vec<_> = allow.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for (text, allow) in [
            ("anyone", Allow::Anyone),
            ("self", Allow::OwnUser),
            ("root", Allow::Uid(0)),
            ("uid:0", Allow::Uid(0)),
            ("uid:4294967294", Allow::Uid(u32::MAX - 1)),
            ("uid:alice", Allow::User("alice")),
            ("user:alice", Allow::User("alice")),
            ("user:1000", Allow::User("1000")),
            ("gid:50", Allow::Gid(50)),
            ("gid:staff", Allow::Group("staff")),
            ("group:dom\\staff", Allow::Group("dom\\staff")),
        ] {
            assert_eq!(Allow::parse(text), Ok(allow), "{text}");
            assert_eq!(Allow::parse(&allow.to_string()), Ok(allow), "{text}");
        }
    }

    #[test]
    fn what_names_nobody_is_refused() {
        for text in [
            "",
            "Self",
            "uid",
            "uid:",
            "uid:4294967295",
            "uid:99999999999",
            "user:",
            "gid:",
            "group:a b",
            "group:a,b",
            "pid:1",
            "uid:a:b",
            "user:a/b",
            " root",
            "group:\n",
        ] {
            let error = Allow::parse(text).unwrap_err();
            assert!(
                error.contains("use `self`") || error.contains("ids are from 0"),
                "{error}"
            );
        }
        assert!(Allow::parse_list("root,").is_err());
    }
}
