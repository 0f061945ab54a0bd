//! A disk without room for a socket: the server says so, leaves nothing behind, and starts once there is room.
//!
//! **Invariant**: a real file system that is full, in a mount namespace of its own; needs root.

use std::process::Command;

/// Fills a small file system until not even an empty file can be made, starts a server there, makes room and tries again.
const SCRIPT: &str = r#"
set -e
mount -t tmpfs -o size=64k,nr_inodes=8,mode=0700 none "$DIR"
i=0
while touch "$DIR/fill$i" 2>/dev/null; do i=$((i + 1)); done
before=$(ls -A "$DIR" | sort)
if "$SERVER" serve --endpoint "$DIR/x.sock" 2> /tmp/disk_full.$$; then echo "it started"; exit 1; fi
cat /tmp/disk_full.$$; rm /tmp/disk_full.$$
[ "$before" = "$(ls -A "$DIR" | sort)" ] || { echo "it left something behind"; ls -A "$DIR"; exit 1; }
rm "$DIR"/fill*
"$SERVER" serve --endpoint "$DIR/x.sock" > "$DIR/said" &
pid=$!
until grep -q ready "$DIR/said"; do kill -0 $pid; done
kill -TERM $pid
wait $pid
echo "started with room"
"#;

#[test]
fn a_full_disk_is_a_clear_error_and_leaves_nothing_behind() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("a_full_disk…: not run, since it needs root to mount a file system");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("unshare")
        .args(["-m", "sh", "-c", SCRIPT])
        .env("DIR", folder.path())
        .env("SERVER", env!("CARGO_BIN_EXE_tests-conformance"))
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) => {
            eprintln!("a_full_disk…: not run, since there is no `unshare`: {error}");
            return;
        }
    };
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    if complained.contains("unshare failed") || complained.contains("permission denied") {
        eprintln!("a_full_disk…: not run, since this root may not mount: {complained}");
        return;
    }
    assert!(output.status.success(), "{said}{complained}");
    assert!(said.contains("No space left on device"), "{said}");
    assert!(said.contains("started with room"), "{said}");
}
