//! The signals that ask a daemon to end.
//!
//! **Invariant**: a handler that cannot be installed never reads as a signal.

use std::future::{Future, pending};

/// Ready at the first SIGTERM or Ctrl-C (on Windows: Ctrl-C or Ctrl-Break, the end of the console, of the
/// session or of the system). All are caught from this call on, not only once the future
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
pub fn shutdown_signal() -> impl Future<Output = ()> + Send {
    first_signal()
}

#[cfg(unix)]
fn first_signal() -> impl Future<Output = ()> + Send {
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

#[cfg(windows)]
fn first_signal() -> impl Future<Output = ()> + Send {
    use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_logoff, ctrl_shutdown};

    /// The signals of one kind, which each kind has its own type for.
    macro_rules! watched {
        ($($name:ident: $kind:ident),+) => {$(
            let $name = $kind()
                .inspect_err(|error| tracing::warn!(%error, name = stringify!($kind), "a signal is not watched for"))
                .ok();
            let $name = async {
                if let Some(mut signal) = $name
                    && signal.recv().await.is_some()
                {
                    return;
                }
                pending().await
            };
        )+};
    }

    watched!(c: ctrl_c, brk: ctrl_break, close: ctrl_close, logoff: ctrl_logoff, shutdown: ctrl_shutdown);
    async {
        tokio::select! {
            () = c => {}
            () = brk => {}
            () = close => {}
            () = logoff => {}
            () = shutdown => {}
        }
    }
}
