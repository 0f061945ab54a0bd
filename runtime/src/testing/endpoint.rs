//! Where a test serves that needs a real endpoint.
//!
//! **Invariant**: two folders give two endpoints, on every system.

use std::path::{Path, PathBuf};

/// The endpoint `name` of a test that has `folder` for itself: the socket `name.sock` in it or, on Windows,
/// the pipe `name` below a part that is called as the folder is.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// use daemoneye_ipc::{IpcConfig, Server, health::HealthReporter, testing};
///
/// let folder = tempfile::tempdir()?;
/// let config = IpcConfig::new(testing::endpoint(folder.path(), "app"));
/// let server = Server::builder(config).health(HealthReporter::new()).bind().await?;
/// # drop(server);
/// # Ok(()) })
/// # }
/// ```
#[must_use]
pub fn endpoint(folder: &Path, name: &str) -> PathBuf {
    if cfg!(windows) {
        let unique = folder.file_name().unwrap_or_default().to_string_lossy();
        return format!(r"\\.\pipe\{unique}\{name}").into();
    }
    folder.join(format!("{name}.sock"))
}
