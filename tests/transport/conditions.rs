//! What the other processes of tests have in common: conditions that are global to a process (umask, user, groups, limit
//! of descriptors), a line that a test waits for, and the end of standard input.
//!
//! **Invariant**: conditions are applied while there is one thread, since ids belong to a thread.

use std::{
    io::{self, Read},
    thread,
};

use rustix::{
    fs::Mode,
    process::{Gid, Resource, Rlimit, Uid, setrlimit, umask},
    thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};

/// Applies `--umask OCTAL`, `--groups N,N`, `--uid N` or `--descriptors N`.
pub(crate) fn apply(option: &[String]) -> Result<(), Box<dyn std::error::Error>> {
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

/// Whoever started this process has closed its standard input, or is gone.
pub(crate) async fn told_to_stop() {
    let (gone, wait) = tokio::sync::oneshot::channel::<()>();
    thread::spawn(move || {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        drop(gone);
    });
    let _ = wait.await;
}

#[expect(clippy::print_stdout, reason = "the line that the test waits for")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}
