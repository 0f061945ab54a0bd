//! Signals by the thousand, to every thread: system calls that are interrupted are made again, and no call fails.
//!
//! **Invariant**: a handler without SA_RESTART, in a process of its own.

#![expect(unsafe_code, reason = "no safe crate sends signals to single threads")]

use std::{
    env, fs,
    process::Command,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use daemoneye_ipc::{
    Channel, IpcConfig, Server,
    health::HealthReporter,
    schema::health::v1::{HealthClient, PingRequest},
};

use crate::conformance_server::LIMIT;

const NAME: &str = "signals::calls_go_on_under_a_hail_of_signals";
const VARIABLE: &str = "UNDER_A_HAIL_OF_SIGNALS";

static TAKEN: AtomicU64 = AtomicU64::new(0);

extern "C" fn take(_: libc::c_int) {
    TAKEN.fetch_add(1, Ordering::Relaxed);
}

/// From now on a signal interrupts what it meets.
fn handle_signals() {
    // SAFETY: the handler does nothing but count, and zeroes are an empty mask and no flags.
    let set = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = take as *const () as usize;
        libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut())
    };
    assert_eq!(set, 0);
}

/// Sends signals to all threads of this process but the own, until `over`.
fn hail(over: &AtomicBool) {
    // SAFETY: takes nothing.
    let own = unsafe { libc::gettid() };
    let process = libc::pid_t::try_from(std::process::id()).unwrap();
    while !over.load(Ordering::Relaxed) {
        for thread in fs::read_dir("/proc/self/task").unwrap() {
            let thread = thread.unwrap().file_name().into_string().unwrap();
            let thread: libc::pid_t = thread.parse().unwrap();
            if thread != own {
                // SAFETY: takes numbers; a thread that is gone is an error.
                unsafe { libc::syscall(libc::SYS_tgkill, process, thread, libc::SIGALRM) };
            }
        }
    }
}

async fn call_often(config: IpcConfig) {
    for _ in 0..10 {
        let client = HealthClient::new(Channel::connect(config.clone()).await.unwrap());
        for size in 0..100 {
            let payload = vec![7; size * size * 10];
            let request = PingRequest {
                payload: payload.clone().into(),
            };
            let call = client.ping(request).timeout(LIMIT);
            assert_eq!(call.await.unwrap().payload, payload);
        }
    }
}

async fn serve_and_call() {
    let folder = tempfile::tempdir().unwrap();
    let config = IpcConfig::new(folder.path().join("private/x.sock"));
    let builder = Server::builder(config.clone()).health(HealthReporter::new());
    let server = builder.bind().await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let shutdown = async {
        let _ = stopped.await;
    };
    let serving = tokio::spawn(server.serve_until(shutdown, Duration::from_secs(5)));
    let callers: Vec<_> = (0..4)
        .map(|_| tokio::spawn(call_often(config.clone())))
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    drop(stop);
    serving.await.unwrap().unwrap();
}

#[test]
fn calls_go_on_under_a_hail_of_signals() {
    if env::var_os(VARIABLE).is_none() {
        let test = env::current_exe().unwrap();
        let output = Command::new(test)
            .args(["--exact", NAME, "--nocapture"])
            .env(VARIABLE, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        return;
    }
    handle_signals();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| hail(&over));
        let done = std::panic::catch_unwind(|| runtime.block_on(serve_and_call()));
        over.store(true, Ordering::Relaxed);
        done.unwrap();
    });
    let taken = TAKEN.load(Ordering::Relaxed);
    eprintln!("{taken} signals");
    assert!(taken > 1_000, "only {taken} signals");
}
