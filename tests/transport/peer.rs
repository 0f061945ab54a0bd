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

use std::{
    future::poll_fn,
    io::{self, IoSlice, Read},
    path::Path,
    process::exit,
    thread,
    time::Duration,
};

use daemoneye_ipc::{
    IpcError,
    transport::{EndpointOptions, Link, Listener, check_server, connect},
};
use rustix::{
    fs::Mode,
    process::{Gid, Resource, Rlimit, Uid, setrlimit, umask},
    thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [role, path, options @ ..] = args.as_slice() else {
        eprintln!(
            "usage: endpoint-peer listen|restart|connect|knock PATH [--umask OCTAL] [--uid N] [--groups N,N] [--descriptors N]"
        );
        exit(2);
    };
    // Before there are other threads: ids belong to a thread.
    for option in options.chunks(2) {
        if let Err(error) = apply(option) {
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

fn apply(option: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    let [name, value] = option else {
        return Err("an option without a value".into());
    };
    match name.as_str() {
        "--umask" => drop(umask(Mode::from_bits_truncate(u32::from_str_radix(
            value, 8,
        )?))),
        "--groups" => {
            let groups: Result<Vec<Gid>, _> = value
                .split(',')
                .map(|gid| gid.parse().map(Gid::from_raw))
                .collect();
            set_thread_groups(&groups?)?;
        }
        "--uid" => {
            let id = value.parse()?;
            set_thread_res_gid(Gid::from_raw(id), Gid::from_raw(id), Gid::from_raw(id))?;
            set_thread_res_uid(Uid::from_raw(id), Uid::from_raw(id), Uid::from_raw(id))?;
        }
        "--descriptors" => {
            let limit = Some(value.parse()?);
            setrlimit(
                Resource::Nofile,
                Rlimit {
                    current: limit,
                    maximum: limit,
                },
            )?;
        }
        _ => return Err("no such option".into()),
    }
    Ok(())
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
    check_server(path, link.peer())?;
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

/// Whoever started this process has closed its standard input, or is gone.
async fn told_to_stop() {
    let (gone, wait) = tokio::sync::oneshot::channel::<()>();
    thread::spawn(move || {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        drop(gone);
    });
    let _ = wait.await;
}

#[expect(clippy::print_stdout, reason = "the line that the test waits for")]
fn say(line: &str) {
    println!("{line}");
}
