//! No abstract names (unix(7)): they have no permissions, and no lock. Nor empty ones, which have no name at all.
//!
//! **Invariant**: nothing listens anywhere afterwards.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::Path, time::Duration};

use daemoneye_ipc::{
    Channel, IpcConfig, Server,
    health::HealthReporter,
    transport::{EndpointOptions, Listener, connect},
};

#[tokio::test]
async fn names_that_are_no_files_are_refused_everywhere() {
    let folder = crate::support::folder();
    let inside = [folder.path().as_os_str().as_bytes(), b"/\0x"].concat();
    let names: [&[u8]; 5] = [b"", b"\0abstract", b"@abstract", b"relative.sock", &inside];
    for name in names {
        let path = Path::new(OsStr::from_bytes(name));
        let shown = path.display();
        let options = EndpointOptions::default();
        assert!(
            Listener::bind(path, &options).await.is_err(),
            "{shown:?} was bound"
        );
        assert!(
            connect(path, Duration::from_secs(1)).await.is_err(),
            "{shown:?} was connected to"
        );
        let builder = Server::builder(IpcConfig::new(path)).health(HealthReporter::new());
        let error = builder.bind().await.unwrap_err().to_string();
        assert!(error.contains("endpoint_path"), "{error}");
        assert!(
            Channel::lazy(IpcConfig::new(path)).is_err(),
            "{shown:?} was taken"
        );
    }
    // The kernel's own list has the sockets of all processes, abstract ones with an `@`.
    let sockets = std::fs::read_to_string("/proc/net/unix").unwrap_or_default();
    assert!(!sockets.contains("@abstract"), "{sockets}");
}
