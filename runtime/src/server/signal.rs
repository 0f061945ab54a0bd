//! The signals that ask a daemon to end.
//!
//! **Invariant**: a handler that cannot be installed never reads as a signal.

use std::future::{Future, pending};

/// Ready at the first SIGTERM or Ctrl-C. Both are caught from this call on, not only once the future
/// is polled; call it before saying that the daemon is ready.
///
/// # Panics
/// Outside a tokio runtime with its I/O driver on.
///
/// ```no_run
/// # async fn example(server: daemoneye_ipc::Server) -> Result<(), daemoneye_ipc::IpcError> {
/// use std::time::Duration;
/// // Made before the server says that it is ready, so that no signal is missed.
/// let shutdown = daemoneye_ipc::shutdown_signal();
/// println!("ready {}", server.endpoint().display());
/// server.serve_until(shutdown, Duration::from_secs(10)).await?;
/// # Ok(()) }
/// ```
#[cfg(unix)]
pub fn shutdown_signal() -> impl Future<Output = ()> + Send {
    use tokio::signal::unix::{Signal, SignalKind, signal};

    fn watch(kind: SignalKind, name: &'static str) -> Option<Signal> {
        signal(kind)
            .inspect_err(|error| tracing::warn!(%error, name, "a signal is not watched for"))
            .ok()
    }

    async fn wait(signal: Option<Signal>) {
        if let Some(mut signal) = signal
            && signal.recv().await.is_some()
        {
            return;
        }
        pending().await
    }

    let terminate = watch(SignalKind::terminate(), "SIGTERM");
    let interrupt = watch(SignalKind::interrupt(), "SIGINT");
    async {
        tokio::select! {
            () = wait(terminate) => {}
            () = wait(interrupt) => {}
        }
    }
}
