//! No descriptor of the library reaches a program that its process starts.
//!
//! **Invariant**: what is compared is what a child lists, before and after.

use crate::support::{Other, folder};

#[test]
fn a_child_sees_none_of_them() {
    let folder = folder();
    let path = folder.path().join("x.sock");
    let mut other = Other::of(env!("CARGO_BIN_EXE_security-peer"), "children", &path, &[]);
    let (before, after) = (other.says(), other.says());
    // Whoever started the tests may have left some open, which a child sees both times.
    assert!(before.starts_with("0 1 "), "{before}");
    assert_eq!(
        after, before,
        "a child of a process with sockets sees what one without sees"
    );
    other.stop();
}
