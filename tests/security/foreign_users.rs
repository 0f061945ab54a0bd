//! A daemon whose clients run as other users: permissions for a group, a policy for a group, and a schema that says what its
//! members may call.
//!
//! **Invariant**: daemon and clients are processes with the ids that they are said to have.

use std::{os::unix::fs::MetadataExt, path::Path};

use crate::support::{Other, chmod, folder, is_root, mode};

const PEER: &str = env!("CARGO_BIN_EXE_security-peer");

const GROUP: &str = "ipc: {socket: {mode: 0660, group: 4242, directory_mode: 0750}, peers: {allow: 'self, root, gid:4242'}}";

fn gid(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().gid()
}

#[test]
fn members_of_the_group_get_in_and_call_what_the_schema_lets_them() {
    if !is_root("members_of_the_group_get_in_and_call_what_the_schema_lets_them") {
        return;
    }
    let folder = folder();
    chmod(folder.path(), 0o755);
    let path = folder.path().join("a/b/x.sock");
    let options = ["--umask", "077", "--config", GROUP];
    let mut server = Other::of(PEER, "serve", &path, &options);
    assert_eq!(server.says(), "ready");
    for (path, bits, group) in [
        ("a", 0o750, 4_242),
        ("a/b", 0o750, 4_242),
        ("a/b/x.sock", 0o660, 4_242),
        ("a/b/x.sock.lock", 0o600, 0),
    ] {
        let path = folder.path().join(path);
        assert_eq!(
            (mode(&path), gid(&path)),
            (bits, group),
            "{}",
            path.display()
        );
    }
    let call = |options: &[&str]| Other::of(PEER, "call", &path, options).says();
    let member = call(&["--groups", "7,4242", "--uid", "54321"]);
    assert_eq!(member, "look OK, open PERMISSION_DENIED, fill OK");
    let stranger = call(&["--groups", "7", "--uid", "54321"]);
    assert!(
        stranger.starts_with("failed: permission denied at"),
        "{stranger}"
    );
    let root = call(&[]);
    assert_eq!(root, "look OK, open OK, fill PERMISSION_DENIED");
    // The file system lets all in: the policy does not.
    chmod(&folder.path().join("a"), 0o755);
    chmod(&folder.path().join("a/b"), 0o755);
    chmod(&path, 0o666);
    let stranger = call(&["--groups", "7", "--uid", "54321"]);
    assert!(
        stranger.contains("uid 54321 (gid 54321) is not in the server's policy"),
        "{stranger}"
    );
    server.stop();
}

#[test]
fn a_daemon_gives_its_socket_to_groups_that_it_has_and_to_no_other() {
    if !is_root("a_daemon_gives_its_socket_to_groups_that_it_has_and_to_no_other") {
        return;
    }
    let folder = folder();
    chmod(folder.path(), 0o755);
    let own = folder.path().join("own");
    std::fs::create_dir(&own).unwrap();
    std::os::unix::fs::chown(&own, Some(12_345), Some(12_345)).unwrap();
    let path = own.join("x.sock");
    let with = |groups| ["--groups", groups, "--uid", "12345", "--config", GROUP];
    let said = Other::of(PEER, "serve", &path, &with("7")).says();
    assert!(
        said.contains("its group cannot be set: run as root or as a member"),
        "{said}"
    );
    assert!(!path.exists());
    let mut server = Other::of(PEER, "serve", &path, &with("7,4242"));
    assert_eq!(server.says(), "ready");
    assert_eq!((mode(&path), gid(&path)), (0o660, 4_242));
    server.stop();
}
