//! The calls of the Windows API that std, tokio and interprocess do not have: tokens, security of open
//! handles, and pipes with security attributes.
//!
//! **Invariant**: no pointer leaves this module, and no thread leaves it in the name of another user.

#![expect(
    unsafe_code,
    reason = "calls of the operating system; each block says why it is sound"
)]

use std::{
    ffi::c_void,
    fs::OpenOptions,
    io,
    os::windows::{
        ffi::OsStrExt,
        fs::OpenOptionsExt,
        io::{AsRawHandle, BorrowedHandle, FromRawHandle, IntoRawHandle, OwnedHandle, RawHandle},
    },
    path::Path,
    ptr, slice,
};

use interprocess::os::windows::security_descriptor::{
    AsSecurityDescriptorExt, BorrowedSecurityDescriptor, SecurityDescriptor,
};
use tokio::net::windows::named_pipe::{NamedPipeClient, NamedPipeServer, ServerOptions};
use windows_sys::Win32::{
    Foundation::{
        ERROR_CANNOT_IMPERSONATE, ERROR_CANT_OPEN_ANONYMOUS, ERROR_FILE_NOT_FOUND,
        ERROR_INSUFFICIENT_BUFFER, ERROR_NOT_FOUND, ERROR_SUCCESS, LocalFree,
    },
    Security::{
        Authorization::{ConvertSidToStringSidW, GetSecurityInfo, SE_KERNEL_OBJECT},
        DACL_SECURITY_INFORMATION, GetTokenInformation, OWNER_SECURITY_INFORMATION, PSID,
        RevertToSelf, SECURITY_ATTRIBUTES, SID_AND_ATTRIBUTES, TOKEN_GROUPS,
        TOKEN_INFORMATION_CLASS, TOKEN_QUERY, TOKEN_USER, TokenGroups, TokenUser,
    },
    Storage::FileSystem::{FILE_FLAG_OVERLAPPED, SECURITY_IDENTIFICATION, SECURITY_SQOS_PRESENT},
    System::{
        IO::CancelIoEx,
        Pipes::{
            GetNamedPipeClientProcessId, GetNamedPipeServerProcessId, ImpersonateNamedPipeClient,
            WaitNamedPipeW,
        },
        Threading::{GetCurrentProcess, GetCurrentThread, OpenProcessToken, OpenThreadToken},
    },
};

use super::{Peer, security::CLIENT_ACCESS};

/// Bytes that the system holds in each direction of a pipe.
pub(super) const BUFFER_BYTES: u32 = 64 << 10;

/// Attributes of a group in a token: its rights count (`SE_GROUP_ENABLED`), or only what is denied to it does
/// (`SE_GROUP_USE_FOR_DENY_ONLY`).
const GROUP_ENABLED: u32 = 0x4;
const GROUP_DENIES_ONLY: u32 = 0x10;

/// Whom a token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    /// Security identifier of the user.
    pub(super) user: String,
    /// Security identifiers of the groups whose rights count.
    pub(super) groups: Vec<String>,
}

/// The ids of this process.
pub(super) fn own_ids() -> io::Result<Token> {
    let mut token = ptr::null_mut();
    // SAFETY: the pseudo handle of this process is always valid, and `token` is a place for a handle.
    done(unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token) })?;
    // SAFETY: the call has just made the handle, for this caller alone.
    ids(&unsafe { OwnedHandle::from_raw_handle(token) })
}

/// The client of a pipe whose server end this is. One that the system does not name is nobody.
pub(super) fn client(pipe: BorrowedHandle<'_>) -> io::Result<Peer> {
    let pid = process(pipe, GetNamedPipeClientProcessId);
    let token = {
        // SAFETY: the handle is borrowed, so it is open.
        if unsafe { ImpersonateNamedPipeClient(pipe.as_raw_handle()) } == 0 {
            let error = io::Error::last_os_error();
            return match is(&error, ERROR_CANNOT_IMPERSONATE) {
                true => Ok(Peer::nobody(pid)),
                false => Err(error),
            };
        }
        let _impersonation = Impersonation;
        let mut token = ptr::null_mut();
        // As this process (third argument): a client that may only be identified can open nothing.
        // SAFETY: the pseudo handle of this thread is always valid, and `token` is a place for a handle.
        let opened = unsafe { OpenThreadToken(GetCurrentThread(), TOKEN_QUERY, 1, &raw mut token) };
        match done(opened) {
            Ok(()) => {}
            Err(error) if is(&error, ERROR_CANT_OPEN_ANONYMOUS) => return Ok(Peer::nobody(pid)),
            Err(error) => return Err(error),
        }
        // SAFETY: the call has just made the handle, for this caller alone.
        unsafe { OwnedHandle::from_raw_handle(token) }
    };
    Ok(Peer::new(ids(&token)?, pid))
}

/// The server of a pipe whose client end this is: the owner of the pipe.
pub(super) fn server(pipe: BorrowedHandle<'_>) -> io::Result<Peer> {
    let pid = process(pipe, GetNamedPipeServerProcessId);
    let (owner, _) = security(pipe)?;
    let ids = Token {
        user: owner,
        groups: Vec::new(),
    };
    Ok(Peer::new(ids, pid))
}

/// The owner of a pipe, and its whole description (SDDL: owner and DACL).
pub(super) fn security(pipe: BorrowedHandle<'_>) -> io::Result<(String, String)> {
    let what = OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION;
    let (mut owner, mut descriptor): (PSID, _) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: the handle is borrowed, so it is open; the places are valid for what is written there, and those
    // that are null are left alone.
    let error = unsafe {
        GetSecurityInfo(
            pipe.as_raw_handle(),
            SE_KERNEL_OBJECT,
            what,
            &raw mut owner,
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
            &raw mut descriptor,
        )
    };
    if error != ERROR_SUCCESS {
        return Err(io::Error::from_raw_os_error(error.cast_signed()));
    }
    let held = Local(descriptor);
    if owner.is_null() {
        return Err(io::Error::other("the pipe has no owner"));
    }
    // SAFETY: the owner lies within the descriptor, which is held until the end of this function.
    let owner = unsafe { text(owner) }?;
    // SAFETY: the call has made a valid descriptor, which is held until the end of this function.
    let descriptor = unsafe { BorrowedSecurityDescriptor::from_ptr(held.0) };
    let sddl = descriptor.serialize(what, |sddl| sddl.to_string_lossy())?;
    Ok((owner, sddl))
}

/// Makes an instance of the pipe `name`. The first one is refused if there is one already.
pub(super) fn create(
    name: &Path,
    descriptor: &SecurityDescriptor,
    first: bool,
) -> io::Result<NamedPipeServer> {
    let mut attributes = SECURITY_ATTRIBUTES {
        nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
        lpSecurityDescriptor: ptr::null_mut(),
        bInheritHandle: 0,
    };
    descriptor.write_to_security_attributes(&mut attributes);
    // SAFETY: the attributes and the descriptor that they point to are valid until the call returns.
    unsafe {
        server_options(first)
            .create_with_security_attributes_raw(name, (&raw mut attributes).cast())
    }
}

/// How instances are made.
fn server_options(first: bool) -> ServerOptions {
    let mut options = ServerOptions::new();
    options
        .first_pipe_instance(first)
        .reject_remote_clients(true)
        .in_buffer_size(BUFFER_BYTES)
        .out_buffer_size(BUFFER_BYTES);
    options
}

/// What a server may do in the name of a client that connects to it: see who it is, and nothing else.
const QUALITY_OF_SERVICE: u32 = SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION;

/// Connects to an instance of the pipe `name` that waits for a client.
pub(super) fn open(name: &Path) -> io::Result<NamedPipeClient> {
    let file = OpenOptions::new()
        .access_mode(CLIENT_ACCESS)
        .share_mode(0)
        .custom_flags(FILE_FLAG_OVERLAPPED)
        .security_qos_flags(QUALITY_OF_SERVICE)
        .open(name)?;
    let handle = OwnedHandle::from(file);
    // SAFETY: the handle is that of a pipe, opened for overlapped use and known to no reactor; it is given away.
    unsafe { NamedPipeClient::from_raw_handle(handle.into_raw_handle()) }
}

/// Whether the pipe `name` has an instance, be it free or taken. Connects to none.
pub(super) fn exists(name: &Path) -> bool {
    // The shortest wait; zero stands for the one that the server chose.
    const MILLISECOND: u32 = 1;
    let name: Vec<u16> = name.as_os_str().encode_wide().chain([0]).collect();
    // SAFETY: the name ends with NUL and is valid until the call returns.
    let free = unsafe { WaitNamedPipeW(name.as_ptr(), MILLISECOND) } != 0;
    free || !is(&io::Error::last_os_error(), ERROR_FILE_NOT_FOUND)
}

/// Calls back what was handed to the system and is not done.
pub(super) fn cancel(pipe: BorrowedHandle<'_>) -> io::Result<()> {
    // SAFETY: the handle is borrowed, so it is open; what is called back ends as an error, and its memory is
    // given back by whoever started it.
    match done(unsafe { CancelIoEx(pipe.as_raw_handle(), ptr::null()) }) {
        Err(error) if is(&error, ERROR_NOT_FOUND) => Ok(()),
        other => other,
    }
}

/// Ends the impersonation of a client by this thread.
struct Impersonation;

impl Drop for Impersonation {
    fn drop(&mut self) {
        // SAFETY: takes nothing.
        if unsafe { RevertToSelf() } == 0 {
            // All that this thread does from here on would be in the name of a client (RevertToSelf's documentation
            // says to end the process).
            std::process::abort();
        }
    }
}

/// Memory that the system has allocated for its answer.
struct Local(*mut c_void);

impl Drop for Local {
    fn drop(&mut self) {
        // SAFETY: allocated by a call whose documentation says to free it so, and freed once.
        unsafe { LocalFree(self.0) };
    }
}

fn process(
    pipe: BorrowedHandle<'_>,
    ask: unsafe extern "system" fn(RawHandle, *mut u32) -> i32,
) -> Option<u32> {
    let mut pid = 0;
    // SAFETY: the handle is borrowed, so it is open, and `pid` is a place for a number.
    let known = unsafe { ask(pipe.as_raw_handle(), &raw mut pid) } != 0;
    (known && pid != 0).then_some(pid)
}

/// Whom `token` stands for.
fn ids(token: &OwnedHandle) -> io::Result<Token> {
    let answer = information(token, TokenUser)?;
    // SAFETY: the answer to this question begins with a `TOKEN_USER`, and the buffer is aligned for it.
    let sid = unsafe { (*answer.as_ptr().cast::<TOKEN_USER>()).User.Sid };
    // SAFETY: the identifier lies within the answer.
    let user = unsafe { text(sid) }?;
    let answer = information(token, TokenGroups)?;
    let start = answer.as_ptr().cast::<TOKEN_GROUPS>();
    // SAFETY: the answer to this question begins with a `TOKEN_GROUPS`, behind whose count as many groups lie.
    let groups = unsafe {
        let first = (&raw const (*start).Groups).cast::<SID_AND_ATTRIBUTES>();
        slice::from_raw_parts(first, (*start).GroupCount as usize)
    };
    let counts =
        |attributes: u32| attributes & (GROUP_ENABLED | GROUP_DENIES_ONLY) == GROUP_ENABLED;
    let groups = groups
        .iter()
        .filter(|group| counts(group.Attributes))
        // SAFETY: the identifiers lie within the answer.
        .map(|group| unsafe { text(group.Sid) })
        .collect::<io::Result<_>>()?;
    Ok(Token { user, groups })
}

/// What the system says of a token, in memory that is aligned for every structure.
fn information(token: &OwnedHandle, what: TOKEN_INFORMATION_CLASS) -> io::Result<Vec<u64>> {
    let mut room = vec![0_u64; 32];
    loop {
        let bytes = u32::try_from(room.len() * size_of::<u64>()).unwrap_or(u32::MAX);
        let mut needed = 0;
        // SAFETY: the handle is open; the memory is writable for so many bytes, and any bytes are numbers.
        let got = unsafe {
            GetTokenInformation(
                token.as_raw_handle(),
                what,
                room.as_mut_ptr().cast(),
                bytes,
                &raw mut needed,
            )
        };
        match done(got) {
            Ok(()) => return Ok(room),
            Err(error) if is(&error, ERROR_INSUFFICIENT_BUFFER) && needed > bytes => {
                room.resize(needed.div_ceil(8) as usize, 0);
            }
            Err(error) => return Err(error),
        }
    }
}

/// The text form of a security identifier: `S-1-5-18`.
///
/// # Safety
/// `sid` points to a valid identifier.
unsafe fn text(sid: PSID) -> io::Result<String> {
    let mut wide = ptr::null_mut();
    // SAFETY: the caller vouches for the identifier; `wide` is a place for a pointer.
    done(unsafe { ConvertSidToStringSidW(sid, &raw mut wide) })?;
    let held = Local(wide.cast());
    // SAFETY: the call has written text that ends with NUL, which is held until the end of this function.
    let text = unsafe { widestring::U16CStr::from_ptr_str(held.0.cast()) };
    Ok(text.to_string_lossy())
}

/// The calls' way to say whether they have failed.
fn done(result: i32) -> io::Result<()> {
    match result {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn is(error: &io::Error, code: u32) -> bool {
    error.raw_os_error() == Some(code.cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokio's options show themselves for debugging alone.
    #[test]
    fn the_first_instance_is_asked_to_be_the_first_and_remote_clients_are_rejected() {
        for first in [true, false] {
            let options = format!("{:?}", server_options(first));
            let asked = format!("first_pipe_instance: {first}");
            assert!(options.contains(&asked), "{options}");
            assert!(options.contains("reject_remote_clients: true"), "{options}");
        }
    }

    #[test]
    fn a_server_may_identify_its_clients_and_not_act_for_them() {
        const ANONYMOUS_TO_DELEGATION: u32 = 0x3 << 16;
        assert_eq!(
            QUALITY_OF_SERVICE & ANONYMOUS_TO_DELEGATION,
            SECURITY_IDENTIFICATION
        );
        assert_ne!(QUALITY_OF_SERVICE & SECURITY_SQOS_PRESENT, 0);
    }
}
