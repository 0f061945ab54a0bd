//! Users and groups by name, from where the system keeps them.
//!
//! **Invariant**: the library writes only into memory whose length it was told, and what it returns is read
//! while that memory is there.

#![expect(
    unsafe_code,
    reason = "rustix has no look-up of names, and a crate more for two calls is one too many"
)]

use std::{ffi::CString, io, mem::MaybeUninit, ptr};

use libc::{c_char, c_int, group, passwd};

/// Room for what most entries take.
const USUAL: usize = 1 << 10;

/// Room for a group with very many members.
const MOST: usize = 4 << 20;

/// The id of the user `name`. The error says that there is none, or that it cannot be found out.
pub(in crate::transport) fn uid_of(name: &str) -> Result<u32, String> {
    let found = find(name, |name, entry: *mut passwd, room, length, found| {
        // SAFETY: `find` hands over what getpwnam_r(3) asks for.
        unsafe { libc::getpwnam_r(name, entry, room, length, found) }
    });
    known(
        "user",
        name,
        found.map(|found| found.map(|user| user.pw_uid)),
    )
}

/// The id of the group `name`, as [`uid_of`].
pub(in crate::transport) fn gid_of(name: &str) -> Result<u32, String> {
    let found = find(name, |name, entry: *mut group, room, length, found| {
        // SAFETY: `find` hands over what getgrnam_r(3) asks for.
        unsafe { libc::getgrnam_r(name, entry, room, length, found) }
    });
    known(
        "group",
        name,
        found.map(|found| found.map(|group| group.gr_gid)),
    )
}

fn known(kind: &str, name: &str, found: io::Result<Option<u32>>) -> Result<u32, String> {
    match found {
        Ok(Some(id)) => Ok(id),
        Ok(None) => Err(format!(
            "this system has no {kind} `{name}`: create it, or name another one"
        )),
        Err(error) => Err(format!("the {kind} `{name}` cannot be looked up: {error}")),
    }
}

/// Calls `look` with a name, a place for the entry, room for its texts, and a place to say that it was found.
fn find<T: Copy>(
    name: &str,
    look: impl Fn(*const c_char, *mut T, *mut c_char, usize, *mut *mut T) -> c_int,
) -> io::Result<Option<T>> {
    let name = CString::new(name)?;
    let mut room = vec![c_char::default(); USUAL];
    loop {
        let (mut entry, mut found) = (MaybeUninit::<T>::uninit(), ptr::null_mut());
        let (texts, length) = (room.as_mut_ptr(), room.len());
        match look(
            name.as_ptr(),
            entry.as_mut_ptr(),
            texts,
            length,
            &raw mut found,
        ) {
            0 if found.is_null() => return Ok(None),
            // SAFETY: the entry was filled, as the call says by pointing at it. Only its numbers are looked at.
            0 => return Ok(Some(unsafe { *found })),
            libc::EINTR => {}
            libc::ERANGE if room.len() < MOST => room.resize(room.len() * 4, c_char::default()),
            // Systems differ in how they say that there is none (getpwnam(3)).
            libc::ENOENT | libc::ESRCH | libc::EBADF | libc::EPERM => return Ok(None),
            error => return Err(io::Error::from_raw_os_error(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_or_not() {
        assert_eq!(uid_of("root"), Ok(0));
        let own = gid_of("root").or_else(|_| gid_of("wheel"));
        assert_eq!(own, Ok(0));
        for name in ["no-such-name", "with\0nul", ""] {
            assert!(uid_of(name).is_err() && gid_of(name).is_err(), "{name:?}");
        }
    }
}
