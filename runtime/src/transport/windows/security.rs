//! Who may open a pipe, as the text form of its security descriptor says it (SDDL).
//!
//! **Invariant**: nobody but the owner, the system and administrators can make another instance of the
//! pipe, or change who may open it.

use std::io;

use interprocess::os::windows::security_descriptor::SecurityDescriptor;
use widestring::U16CString;
use windows_sys::Win32::Storage::FileSystem::{
    FILE_READ_ATTRIBUTES, FILE_READ_DATA, FILE_READ_EA, FILE_WRITE_ATTRIBUTES, FILE_WRITE_DATA,
    FILE_WRITE_EA, READ_CONTROL, SYNCHRONIZE,
};

use super::identity::{ADMINISTRATORS, SYSTEM};

/// What a client needs to talk, and to see who owns the pipe. `FILE_GENERIC_WRITE` would be too much: on a
/// pipe its `FILE_APPEND_DATA` is the right to make instances of it.
pub(super) const CLIENT_ACCESS: u32 = FILE_READ_DATA
    | FILE_READ_ATTRIBUTES
    | FILE_READ_EA
    | FILE_WRITE_DATA
    | FILE_WRITE_ATTRIBUTES
    | FILE_WRITE_EA
    | READ_CONTROL
    | SYNCHRONIZE;

/// The descriptor of a pipe of the user `own`, that `clients` may open too: owned by that user, and
/// protected, so that nothing is inherited.
///
/// # Errors
/// The first of `clients` that is no security identifier.
pub(super) fn sddl<'a>(own: &str, clients: &'a [String]) -> Result<String, &'a str> {
    let mut text = format!("O:{own}D:P(A;;FA;;;{own})");
    for owner in [SYSTEM, ADMINISTRATORS] {
        // One who has all rights twice has no more.
        if owner != own {
            text += &format!("(A;;FA;;;{owner})");
        }
    }
    for client in clients {
        if !is_identifier(client) {
            return Err(client);
        }
        if [own, SYSTEM, ADMINISTRATORS].contains(&client.as_str()) {
            continue;
        }
        text += &format!("(A;;{CLIENT_ACCESS:#x};;;{client})");
    }
    Ok(text)
}

/// Whether `text` is a security identifier and nothing behind it: descriptions end it with a parenthesis.
pub(super) fn is_identifier(text: &str) -> bool {
    text.strip_prefix("S-1-").is_some_and(|rest| {
        !rest.is_empty()
            && rest
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'-')
    })
}

/// The descriptor that `sddl` describes.
///
/// # Errors
/// If that is no description, for example because it names something that is no security identifier.
pub(super) fn descriptor(sddl: &str) -> io::Result<SecurityDescriptor> {
    let wide = U16CString::from_str(sddl).map_err(io::Error::other)?;
    SecurityDescriptor::deserialize(&wide)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "S-1-5-21-1-2-3-1000";

    #[test]
    fn the_owner_the_system_and_administrators_have_all_rights() {
        assert_eq!(
            sddl(OWN, &[]).unwrap(),
            format!("O:{OWN}D:P(A;;FA;;;{OWN})(A;;FA;;;S-1-5-18)(A;;FA;;;S-1-5-32-544)")
        );
        assert_eq!(
            sddl(SYSTEM, &[]).unwrap(),
            "O:S-1-5-18D:P(A;;FA;;;S-1-5-18)(A;;FA;;;S-1-5-32-544)"
        );
    }

    #[test]
    fn clients_may_talk_and_not_make_instances() {
        let clients = ["S-1-5-32-545".to_owned()];
        let text = sddl(OWN, &clients).unwrap();
        assert!(text.ends_with("(A;;0x12019b;;;S-1-5-32-545)"), "{text}");
        const CREATE_PIPE_INSTANCE: u32 = 0x4;
        const WRITE_DAC_AND_OWNER: u32 = 0xC_0000;
        assert_eq!(
            CLIENT_ACCESS & (CREATE_PIPE_INSTANCE | WRITE_DAC_AND_OWNER),
            0
        );
    }

    #[test]
    fn what_is_no_identifier_is_no_description() {
        for wrong in ["users", "S-1-5-32-545)(A;;FA;;;WD", "S-1-", "WD", ""] {
            assert_eq!(sddl(OWN, &[wrong.to_owned()]), Err(wrong));
        }
        descriptor(&sddl(OWN, &["S-1-5-32-545".to_owned()]).unwrap()).unwrap();
    }
}
