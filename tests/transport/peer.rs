//! The other process of the endpoint tests: listens at, or connects to, a path, under conditions that are
//! global to a process (umask, user, limit of descriptors).
//!
//! `endpoint-peer listen|restart|connect|knock PATH [--umask OCTAL] [--uid N] [--groups N,N] [--descriptors N]`
//!
//! Prints one line, `ready` or `failed: REASON`, and lives until its standard input ends. A listener sends
//! one byte to whoever connects and keeps the connection until the other side closes it. `restart` listens
//! and stops 500 times first. `knock` tries to connect again and again, and says what came of it when its
//! standard input ends.
//!
//! **Invariant**: does nothing that the runtime's public transport cannot do.

#[path = "conditions.rs"]
mod conditions;

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    path::Path,
    process::exit,
    time::Duration,
};

use daemoneye_ipc::{
    IpcError,
    transport::{EndpointOptions, Link, Listener, PeerPolicy, check_server, connect},
};

use self::conditions::{say, told_to_stop};

pub(crate) fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [role, path, options @ ..] = args.as_slice() else {
        eprintln!(
            "usage: endpoint-peer listen|restart|connect|knock PATH [--umask OCTAL] [--uid N] [--groups N,N] [--descriptors N]"
        );
        exit(2);
    };
    // Before there are other threads: ids belong to a thread.
    for option in options.chunks(2) {
        if let Err(error) = conditions::apply(option) {
            eprintln!("{option:?}: {error}");
            exit(2);
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let outcome = runtime.map_err(IpcError::from).and_then(|runtime| {
        runtime.block_on(async {
            match role.as_str() {
                "listen" => listen(Path::new(path)).await,
                "restart" => restart(Path::new(path)).await,
                "knock" => knock(Path::new(path)).await,
                _ => call(Path::new(path)).await,
            }
        })
    });
    if let Err(error) = outcome {
        say(&format!("failed: {error}"));
    }
}

async fn listen(path: &Path) -> Result<(), IpcError> {
    let listener = Listener::bind(path, &EndpointOptions::default()).await?;
    say("ready");
    tokio::select! {
        served = serve(&listener) => served,
        () = told_to_stop() => Ok(()),
    }
}

async fn restart(path: &Path) -> Result<(), IpcError> {
    for _ in 0..500 {
        drop(Listener::bind(path, &EndpointOptions::default()).await?);
    }
    listen(path).await
}

async fn knock(path: &Path) -> Result<(), IpcError> {
    say("ready");
    let stopped = tokio::spawn(told_to_stop());
    let mut denied = 0_u32;
    while !stopped.is_finished() {
        match connect(path, Duration::from_millis(10)).await {
            Ok(_) => {
                say("let in");
                return Ok(());
            }
            Err(IpcError::PermissionDenied { .. }) => denied += 1,
            Err(IpcError::ServerNotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        tokio::task::yield_now().await;
    }
    say(&format!("kept out {denied} times"));
    Ok(())
}

async fn serve(listener: &Listener) -> Result<(), IpcError> {
    loop {
        let link = listener.accept().await?;
        tokio::spawn(async move {
            let _ = link.try_write_vectored(&[IoSlice::new(b"k")]);
            until_closed(&link).await;
        });
    }
}

async fn call(path: &Path) -> Result<(), IpcError> {
    let link = connect(path, Duration::from_secs(10)).await?;
    check_server(path, link.peer(), &PeerPolicy::same_user()).await?;
    say("ready");
    tokio::select! {
        () = until_closed(&link) => {}
        () = told_to_stop() => {}
    }
    Ok(())
}

async fn until_closed(link: &Link) {
    let mut buffer = Vec::with_capacity(64);
    loop {
        buffer.clear();
        match link.try_read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if poll_fn(|cx| link.poll_read_ready(cx)).await.is_err() {
                    return;
                }
            }
            Err(_) => return,
        }
    }
}
