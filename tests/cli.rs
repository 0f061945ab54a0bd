//! The command-line program, end to end: real processes on real sockets, in health and in every fault
//! that its messages promise to name.
//!
//! **Invariant**: each test has a directory and processes of its own, and leaves neither behind.
#![cfg(unix)]

mod cli_changes;
#[cfg(target_os = "linux")]
mod cli_demo;
mod cli_release;
mod cli_schema;
mod cli_support;

use std::{
    fs,
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
        process::CommandExt,
    },
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::cli_support::{CLI, Daemon, PROCMOND, Place, bare, cli, cli_with, run};

/// A server that is given up on quickly.
const IMPATIENT: &str = "--timeout 300";
/// The user without rights.
const NOBODY: u32 = 65_534;

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn a_healthy_server_passes_every_check() {
    let place = Place::new();
    let daemon = Daemon::procmond(&place.endpoint());
    let run = cli("health-check --json", Some(&place.endpoint()));
    assert_eq!(run.code, 0, "{run}");
    let report = run.json();
    assert_eq!(
        keys(&report),
        [
            "checks",
            "command",
            "elapsed_us",
            "endpoint",
            "exit_code",
            "status"
        ]
    );
    assert_eq!(report["status"], "healthy");
    for check in report["checks"].as_array().expect("checks") {
        assert!(check["outcome"] == "passed", "{check}");
    }
    for name in [
        "endpoint",
        "permissions",
        "directory",
        "connect",
        "handshake",
    ] {
        run.check(name);
    }
    assert_eq!(run.check("connect")["facts"]["pid"], daemon.pid());
    assert_eq!(run.check("permissions")["facts"]["mode"], "0600");
    let checks = report["checks"].as_array().expect("checks").clone();
    let with_prefix = |prefix: &str| {
        checks
            .iter()
            .filter(|check| {
                check["name"]
                    .as_str()
                    .is_some_and(|name| name.starts_with(prefix))
            })
            .count()
    };
    assert!(with_prefix("schema ") >= 2, "{run}");
    assert!(with_prefix("component ") >= 1, "{run}");
}

#[test]
fn health_for_people_names_every_check_with_its_time() {
    let place = Place::new();
    let _daemon = Daemon::procmond(&place.endpoint());
    let run = cli("health-check --verbose", Some(&place.endpoint()));
    assert_eq!(run.code, 0, "{run}");
    assert!(run.stdout.contains("healthy: "), "{run}");
    assert!(
        !run.stdout.contains('\u{1b}'),
        "colour without a terminal: {run}"
    );
    let connect = run
        .stdout
        .lines()
        .find(|line| line.contains(" connect "))
        .expect("a line");
    assert!(
        connect.contains(" ok ") && (connect.contains("µs") || connect.contains("ms")),
        "{connect}"
    );
    assert!(run.stdout.contains("fingerprint"), "{run}");
}

#[test]
fn nothing_there_is_unreachable_with_cause_and_next_step() {
    let place = Place::new();
    let run = cli("health-check --json", Some(&place.endpoint()));
    assert_eq!(run.code, 4, "{run}");
    assert_eq!(run.json()["status"], "unreachable");
    let check = run.check("endpoint");
    assert_eq!(check["detail"], "not found");
    assert!(
        check["cause"]
            .as_str()
            .expect("a cause")
            .contains("holds no socket"),
        "{check}"
    );
    assert!(
        check["hint"]
            .as_str()
            .expect("a hint")
            .contains("procmond --endpoint"),
        "{check}"
    );
    assert_eq!(run.check("connect")["outcome"], "skipped");
    let run = cli("ps", Some(&place.endpoint()));
    assert_eq!((run.code, run.stdout.as_str()), (4, ""), "{run}");
    assert!(
        run.stderr.contains("not found") && run.stderr.contains("try"),
        "{run}"
    );
}

#[test]
fn a_socket_that_nobody_serves_is_refused() {
    let place = Place::new();
    drop(UnixListener::bind(place.endpoint()).expect("a socket"));
    fs::set_permissions(place.endpoint(), fs::Permissions::from_mode(0o600)).expect("chmod");
    let run = cli("ipc test --json", Some(&place.endpoint()));
    assert_eq!(run.code, 4, "{run}");
    let check = run.check("connect");
    assert_eq!(check["detail"], "connection refused");
    assert!(
        check["hint"]
            .as_str()
            .expect("a hint")
            .contains("start the server again"),
        "{check}"
    );
}

#[test]
fn a_listener_that_never_answers_is_a_timeout() {
    let place = Place::new();
    let _listener = UnixListener::bind(place.endpoint()).expect("a socket");
    fs::set_permissions(place.endpoint(), fs::Permissions::from_mode(0o600)).expect("chmod");
    let run = cli(
        &format!("ipc test --json {IMPATIENT}"),
        Some(&place.endpoint()),
    );
    assert_eq!(run.code, 4, "{run}");
    let check = run.check("handshake");
    assert_eq!(check["detail"], "timeout: no answer within 300 ms");
    assert!(
        check["elapsed_us"].as_u64().expect("a time") >= 300_000,
        "{check}"
    );
    let me = format!("process {}", std::process::id());
    assert!(
        check["cause"].as_str().expect("a cause").contains(&me),
        "{check}"
    );
}

#[test]
fn a_stopped_server_is_named_and_how_to_wake_it() {
    let place = Place::new();
    let daemon = Daemon::procmond(&place.endpoint());
    daemon.freeze();
    let run = cli(
        &format!("health-check --json {IMPATIENT}"),
        Some(&place.endpoint()),
    );
    assert_eq!(run.code, 4, "{run}");
    let check = run.check("handshake");
    assert!(
        check["cause"]
            .as_str()
            .expect("a cause")
            .contains("is stopped"),
        "{check}"
    );
    let wake = format!("kill -CONT {}", daemon.pid());
    assert!(
        check["hint"].as_str().expect("a hint").contains(&wake),
        "{check}"
    );
}

#[test]
fn the_wrong_checksum_is_named_with_the_setting() {
    let place = Place::new();
    let castagnoli = [("DAEMONEYE_IPC_CRC32_VARIANT", "castagnoli")];
    let _daemon = Daemon::procmond_with(&place.endpoint(), &castagnoli);
    for command in ["ipc test --json", "health-check --json"] {
        let run = cli(command, Some(&place.endpoint()));
        assert_eq!(run.code, 4, "{run}");
        let check = run.check("handshake");
        assert_eq!(
            check["detail"],
            "CRC variant mismatch (the server uses castagnoli)"
        );
        let hint = check["hint"].as_str().expect("a hint");
        assert!(
            hint.contains("DAEMONEYE_IPC_CRC32_VARIANT=castagnoli"),
            "{hint}"
        );
    }
    let run = cli("ps", Some(&place.endpoint()));
    assert_eq!(run.code, 4, "{run}");
    assert!(
        run.stderr
            .contains("this side uses ieee, the server uses castagnoli"),
        "{run}"
    );
    let run = cli_with("health-check --json", Some(&place.endpoint()), &castagnoli);
    assert_eq!(run.code, 0, "the hint works: {run}");
}

#[test]
fn a_socket_open_to_others_is_degraded_and_a_bad_directory_unhealthy() {
    let place = Place::new();
    let _daemon = Daemon::procmond(&place.endpoint());
    fs::set_permissions(place.endpoint(), fs::Permissions::from_mode(0o666)).expect("chmod");
    let run = cli("health-check --json", Some(&place.endpoint()));
    assert_eq!(
        (run.code, run.json()["status"].as_str()),
        (1, Some("degraded")),
        "{run}"
    );
    assert_eq!(run.check("permissions")["outcome"], "warned");
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o777)).expect("chmod");
    let run = cli("health-check --json", Some(&place.endpoint()));
    assert_eq!(
        (run.code, run.json()["status"].as_str()),
        (3, Some("unhealthy")),
        "{run}"
    );
    assert_eq!(run.check("directory")["outcome"], "failed");
}

#[test]
fn a_user_who_may_not_connect_is_told_whose_socket_it_is() {
    let place = Place::new();
    let _daemon = Daemon::procmond(&place.endpoint());
    // Root may open everything, so that another user has to look; anybody else shuts himself out.
    let run = if rustix::process::geteuid().is_root() {
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
        let mut command = bare(Command::new(place.copy(CLI)));
        command
            .uid(NOBODY)
            .args(["health-check", "--json", "--endpoint"])
            .arg(place.endpoint());
        run(command)
    } else {
        fs::set_permissions(place.endpoint(), fs::Permissions::from_mode(0o000)).expect("chmod");
        cli("health-check --json", Some(&place.endpoint()))
    };
    assert_eq!(run.code, 4, "{run}");
    let connect = run.check("connect");
    assert_eq!(connect["detail"], "permission denied", "{run}");
    assert!(
        connect["cause"]
            .as_str()
            .expect("a cause")
            .contains("belongs to"),
        "{connect}"
    );
    assert!(
        connect["hint"]
            .as_str()
            .expect("a hint")
            .contains("sudo -u '#"),
        "{connect}"
    );
}

#[test]
fn a_server_of_a_user_who_is_not_trusted_gets_no_byte() {
    if !rustix::process::geteuid().is_root() {
        // Only root can run a server as somebody else; the judgement itself has a test of its own.
        return;
    }
    let place = Place::new();
    let procmond = place.copy(PROCMOND);
    std::os::unix::fs::chown(place.path(), Some(NOBODY), None).expect("chown");
    let mut command = bare(Command::new(procmond));
    command.uid(NOBODY);
    let _daemon = Daemon::start(command, &place.endpoint());
    let run = cli("health-check --json", Some(&place.endpoint()));
    assert_eq!(run.code, 4, "{run}");
    let permissions = run.check("permissions");
    assert!(
        permissions["detail"]
            .as_str()
            .expect("a detail")
            .starts_with("untrusted owner: owner uid 65534"),
        "{permissions}"
    );
    assert_eq!(
        run.check("connect")["detail"],
        "untrusted owner (uid 65534)",
        "{run}"
    );
    assert_eq!(run.check("handshake")["outcome"], "skipped");
}

#[test]
fn a_file_in_the_place_of_the_socket_is_not_touched() {
    let place = Place::new();
    fs::write(place.endpoint(), "precious").expect("a file");
    let run = cli("ipc test --json", Some(&place.endpoint()));
    assert_eq!(run.code, 4, "{run}");
    assert_eq!(
        run.check("endpoint")["detail"],
        "a regular file, not a socket"
    );
    assert_eq!(
        fs::read_to_string(place.endpoint()).expect("still there"),
        "precious"
    );
}

#[test]
fn connectivity_is_tested_to_the_largest_frame_and_the_damaged_one() {
    let place = Place::new();
    let _daemon = Daemon::procmond(&place.endpoint());
    let run = cli("ipc test --pings 50 --json", Some(&place.endpoint()));
    assert_eq!(run.code, 0, "{run}");
    let facts = |name: &str| run.check(name)["facts"].clone();
    let times = facts("round trips");
    assert!(
        times["min_us"].as_f64() <= times["median_us"].as_f64(),
        "{times}"
    );
    assert!(
        times["median_us"].as_f64() <= times["p99_us"].as_f64(),
        "{times}"
    );
    let echo = facts("largest echo");
    let (payload, frame) = (echo["payload_bytes"].as_u64(), echo["frame_bytes"].as_u64());
    assert_eq!(frame, Some(1 << 20));
    assert!(payload.expect("bytes") > (1 << 20) - 64, "{echo}");
    for name in ["limits", "damaged frame", "undisturbed"] {
        assert_eq!(run.check(name)["outcome"], "passed", "{run}");
    }
    assert_eq!(
        run.check("connection limit")["outcome"],
        "skipped",
        "only with --stress"
    );
}

#[test]
fn stress_fills_the_connection_limit_and_lets_go() {
    let place = Place::new();
    let limit = [("DAEMONEYE_IPC_MAX_CONNECTIONS", "5")];
    let _daemon = Daemon::procmond_with(&place.endpoint(), &limit);
    let run = cli(
        "ipc test --pings 1 --stress --json",
        Some(&place.endpoint()),
    );
    assert_eq!(run.code, 0, "{run}");
    let check = run.check("connection limit");
    assert_eq!(check["outcome"], "passed", "{run}");
    let taken = check["facts"]["connections"].as_u64().expect("a number");
    assert!((3..=5).contains(&taken), "{check}");
    let run = cli("health-check", Some(&place.endpoint()));
    assert_eq!(run.code, 0, "served again: {run}");
}

#[test]
fn a_full_server_is_named_with_what_frees_it() {
    let place = Place::new();
    let limit = [("DAEMONEYE_IPC_MAX_CONNECTIONS", "1")];
    let _daemon = Daemon::procmond_with(&place.endpoint(), &limit);
    let run = cli("ipc test --pings 1 --json", Some(&place.endpoint()));
    assert_eq!(
        run.code, 1,
        "its own connection is the only one that fits: {run}"
    );
    assert_eq!(
        run.check("damaged frame")["detail"],
        "not sent: the server is full"
    );
    assert_eq!(run.check("undisturbed")["outcome"], "passed");

    let place = Place::new();
    let _daemon = Daemon::procmond_with(&place.endpoint(), &limit);
    let _holder = UnixStream::connect(place.endpoint()).expect("the one connection");
    for line in ["health-check", "ps"] {
        let run = cli(line, Some(&place.endpoint()));
        assert_eq!(run.code, 4, "{run}");
        let all = format!("{}{}", run.stdout, run.stderr);
        assert!(all.contains("turned away: RESOURCE_EXHAUSTED"), "{run}");
        assert!(all.contains("close idle clients"), "{run}");
    }
}

#[test]
fn different_frame_limits_are_pointed_out_and_the_smaller_one_fits() {
    let place = Place::new();
    let limit = [("DAEMONEYE_IPC_MAX_FRAME_BYTES", "65536")];
    let _daemon = Daemon::procmond_with(&place.endpoint(), &limit);
    let run = cli("ipc test --pings 1 --json", Some(&place.endpoint()));
    assert_eq!(run.code, 1, "{run}");
    assert_eq!(run.check("limits")["outcome"], "warned");
    let echo = run.check("largest echo");
    assert_eq!(
        (
            echo["outcome"].as_str(),
            echo["facts"]["frame_bytes"].as_u64()
        ),
        (Some("passed"), Some(65_536))
    );
}

#[test]
fn inspect_shows_this_very_call() {
    let place = Place::new();
    let _daemon = Daemon::procmond(&place.endpoint());
    let run = cli("ipc inspect --json", Some(&place.endpoint()));
    assert_eq!(run.code, 0, "{run}");
    let inside = run.json();
    let [connection] = inside["connections"].as_array().expect("a list").as_slice() else {
        panic!("{run}")
    };
    assert_eq!(connection["calls_in_flight"], 1, "{run}");
    let [call] = inside["calls"].as_array().expect("a list").as_slice() else {
        panic!("{run}")
    };
    let method = "/daemoneye.introspection.v1.Introspection/ListCalls";
    assert_eq!(
        (&call["method"], &call["ended"]),
        (&method.into(), &false.into()),
        "{run}"
    );
    let shown = cli("ipc inspect", Some(&place.endpoint()));
    for part in ["calls: 1 in flight", "CONNECTION", "TIME LEFT", method] {
        assert!(shown.stdout.contains(part), "{shown}");
    }
}

#[test]
fn ps_shows_this_very_process() {
    let place = Place::new();
    let _daemon = Daemon::procmond(&place.endpoint());
    let me = std::process::id();
    let run = cli(&format!("ps --json --pid {me}"), Some(&place.endpoint()));
    assert_eq!(run.code, 0, "{run}");
    let list = run.json();
    assert_eq!(keys(&list), ["command", "endpoint", "processes"]);
    let [process] = list["processes"].as_array().expect("a list").as_slice() else {
        panic!("{run}")
    };
    assert_eq!(process["pid"], me);
    let exe = std::env::current_exe().expect("a path");
    assert_eq!(process["executable_path"], exe.to_str().expect("UTF-8"));
    assert!(
        process["memory_bytes"].as_u64().expect("bytes") > 0,
        "{process}"
    );
    let table = cli("ps", Some(&place.endpoint()));
    let row = table
        .stdout
        .lines()
        .find(|line| line.split_whitespace().next() == Some(&me.to_string()));
    assert!(row.is_some(), "{table}");
    let glob = format!(
        "ps --json --exe {}/*",
        exe.parent().expect("a parent").display()
    );
    let run = cli(&glob, Some(&place.endpoint()));
    let found = run.json()["processes"].as_array().expect("a list").clone();
    assert!(found.iter().any(|process| process["pid"] == me), "{run}");
    let run = cli(
        "ps --json --name no-process-has-this-name",
        Some(&place.endpoint()),
    );
    assert_eq!(
        (run.code, run.json()["processes"].as_array().map(Vec::len)),
        (0, Some(0)),
        "{run}"
    );
}

#[test]
fn a_reader_that_leaves_early_ends_the_program_quietly() {
    let place = Place::new();
    let _daemon = Daemon::procmond(&place.endpoint());
    let mut command = bare(Command::new(CLI));
    command
        .args(["ps", "--json", "--endpoint"])
        .arg(place.endpoint());
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("output");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn wrong_usage_and_wrong_settings_are_exit_code_2() {
    let place = Place::new();
    assert_eq!(cli("health-check --nonsense", None).code, 2);
    let run = cli_with(
        "ps",
        Some(&place.endpoint()),
        &[("DAEMONEYE_IPC_MAX_FRAME_BYTES", "0")],
    );
    assert_eq!(run.code, 2, "{run}");
    assert!(
        run.stderr.contains("DAEMONEYE_IPC_MAX_FRAME_BYTES"),
        "{run}"
    );
    let file = place.path().join("ipc.yaml");
    fs::write(&file, "ipc:\n  max_frame_byte: 1\n").expect("a file");
    let run = cli(
        &format!("ps --config {}", file.display()),
        Some(&place.endpoint()),
    );
    assert_eq!(run.code, 2, "{run}");
    assert!(run.stderr.contains("max_frame_byte"), "{run}");
}

#[test]
fn the_endpoint_comes_from_file_environment_and_option_in_that_order() {
    let place = Place::new();
    let _daemon = Daemon::procmond(&place.endpoint());
    let file = place.path().join("ipc.yaml");
    fs::write(&file, "ipc:\n  endpoint_path: /nonexistent/file.sock\n").expect("a file");
    let line = format!("health-check --json --config {}", file.display());
    let run = cli(&line, None);
    assert_eq!(run.json()["endpoint"], "/nonexistent/file.sock");
    let endpoint = place.endpoint();
    let settings = [(
        "DAEMONEYE_IPC_ENDPOINT_PATH",
        endpoint.to_str().expect("UTF-8"),
    )];
    assert_eq!(cli_with(&line, None, &settings).code, 0);
    let run = cli_with(&line, Some("/nonexistent/option.sock".as_ref()), &settings);
    assert_eq!(run.json()["endpoint"], "/nonexistent/option.sock");
}

#[test]
fn generated_code_is_written_and_checked() {
    let place = Place::new();
    let schemas = place.path().join("schemas");
    fs::create_dir(&schemas).expect("a directory");
    let schema = |fields: &str| {
        let text = format!("syntax = \"proto3\"; package a.v1; message A {{ {fields} }}");
        fs::write(schemas.join("a.proto"), text).expect("a file");
    };
    schema("");
    fs::write(
        schemas.join("generate.toml"),
        "[[output]]\ndir = \"../out\"\n",
    )
    .expect("a file");
    let generate = |options: &str| {
        cli(
            &format!("schema generate --schemas {} {options}", schemas.display()),
            None,
        )
    };
    assert_eq!(generate("--check").code, 1, "nothing was written yet");
    assert_eq!(generate("").code, 0);
    assert!(place.path().join("out/a.v1.rs").exists());
    assert_eq!(generate("--check").code, 0);
    schema("int32 count = 1;");
    let stale = generate("--check");
    assert_eq!(stale.code, 1);
    assert!(stale.stdout.contains("+    pub count: i32,"), "{stale}");
    let json = generate("--check --json").json();
    assert_eq!(
        (
            json["fresh"].as_bool(),
            json["stale"].as_array().map(Vec::len)
        ),
        (Some(false), Some(1))
    );
    schema("int32 count = ;");
    let broken = generate("");
    assert_eq!(broken.code, 3, "{broken}");
    assert!(broken.stderr.contains("a.proto:1:"), "{broken}");
    assert_eq!(cli("schema generate --schemas /nonexistent", None).code, 2);
}
