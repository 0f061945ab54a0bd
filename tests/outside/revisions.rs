//! Old and new programs, each built from the schema of its time, against each other: what the handshake says of them, and
//! what becomes of their calls. `cargo test -p daemoneye-ipc-tests --test outside revisions -- --nocapture` prints the
//! matrix.
//!
//! **Invariant**: releases are made by the command, programs by cargo; no fingerprint is written down here.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::cargo::{Project, target};

/// The command-line program.
const CLI: &str = env!("CARGO_BIN_EXE_tests-cli");

const ONE: &str = "syntax = \"proto3\";\npackage shop.v1;\n\nservice Shop {\n  rpc Price(PriceRequest) returns (PriceReply);\n}\n\n\
                   message PriceRequest {\n  string thing = 1;\n}\n\nmessage PriceReply {\n  int64 cents = 1;\n}\n";

/// From one state to the next: a field more, a method more, a field more that is not released, and what nobody can do
/// without harm.
const STEPS: [(&str, &str); 4] = [
    ("cents = 1;", "cents = 1;\n  string currency = 2;"),
    (
        "returns (PriceReply);",
        "returns (PriceReply);\n  rpc Sell(PriceRequest) returns (PriceReply);",
    ),
    ("thing = 1;", "thing = 1;\n  int64 weight = 2;"),
    ("string currency = 2;", "int64 currency = 2;"),
];

const SCHEMA: &str = "schemas/shop/v1/shop.proto";

/// Runs a `schema` command in the project's folder.
fn schema(project: &Project, words: &[&str]) -> (i32, String) {
    let mut command = Command::new(CLI);
    command
        .arg("schema")
        .args(words)
        .current_dir(project.path(""));
    let output = command.output().expect("the program starts");
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code().expect("a code"),
        String::from_utf8(text).expect("UTF-8"),
    )
}

fn release(project: &Project) -> String {
    let (code, text) = schema(project, &["release", "schemas"]);
    assert_eq!(code, 0, "{text}");
    text
}

/// Keeps the schema as it is now, with its history, for one of the programs.
fn keep(project: &Project, program: &str) {
    project.copy(
        &project.path("schemas"),
        &Path::new(program).join("schemas"),
    );
}

/// The project with the schemas of all programs.
fn programs() -> Project {
    let project = Project::fixture("revisions");
    let step = |(from, to): (&str, &str)| project.edit(SCHEMA, from, to);
    let [field, method, more, broken] = STEPS;
    project.write(SCHEMA, ONE);
    release(&project);
    keep(&project, "one");
    step(field);
    release(&project);
    keep(&project, "two");
    step(method);
    let told = release(&project);
    assert!(
        told.contains("shop.v1.Shop") && told.contains("revisions 2, 1"),
        "{told}"
    );
    keep(&project, "three");
    step(more);
    keep(&project, "dev");

    step((more.1, more.0));
    step(broken);
    let (code, text) = schema(&project, &["release", "schemas"]);
    assert_eq!(code, 100, "{text}");
    assert!(
        text.contains("release 4 of schemas is refused") && text.contains("in release 3 it was"),
        "{text}"
    );
    project.write(
        "schemas/evolution.toml",
        "[history]\noldest_supported = 4\n",
    );
    assert!(
        release(&project).contains("revision 1"),
        "what has no currency is of no harm"
    );
    keep(&project, "four");
    project
}

/// A server, gone when dropped.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        // It may be gone by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn peer(program: &str) -> Command {
    Command::new(target().join("debug").join(format!("peer-{program}")))
}

fn serve(program: &str, endpoint: &Path) -> Served {
    let mut command = peer(program);
    let child = command
        .arg("serve")
        .arg(endpoint)
        .stdout(Stdio::piped())
        .spawn();
    let mut served = Served(child.expect("the server starts"));
    let mut line = String::new();
    let stdout = served.0.stdout.take().expect("its output");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    assert_eq!(line, "ready\n", "{program}");
    served
}

/// The verdict, and what became of the call, and of one after it if that failed.
fn call(program: &str, method: &str, endpoint: &Path, policy: &str) -> Vec<String> {
    let output = peer(program).arg(method).arg(endpoint).arg(policy).output();
    let output = output.expect("the client starts");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text.lines().map(str::to_owned).collect()
}

#[test]
fn old_and_new_programs_understand_each_other_or_say_why_not() {
    const PROGRAMS: [(&str, &str); 5] = [
        ("one", "1 []"),
        ("two", "2 [1]"),
        ("three", "3 [2 1]"),
        ("dev", "0 [3 2 1]"),
        ("four", "4 [1]"),
    ];
    let project = programs();
    project.cargo(&["build", "--workspace"]).assert_success();
    for (program, embedded) in PROGRAMS {
        let output = peer(program).arg("revision").output().expect("it starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(
            text.trim(),
            embedded,
            "{program}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let mut matrix = format!("{:<14}", "client\\server");
    for (server, _) in PROGRAMS {
        matrix += &format!("{server:<12}");
    }
    let endpoints: Vec<_> = PROGRAMS
        .map(|(server, _)| project.path(format!("{server}.sock")))
        .into();
    let servers: Vec<Served> = PROGRAMS
        .iter()
        .zip(&endpoints)
        .map(|((server, _), endpoint)| serve(server, endpoint))
        .collect();
    for (client, _) in PROGRAMS {
        matrix += &format!("\n{client:<14}");
        for ((server, _), endpoint) in PROGRAMS.iter().zip(&endpoints) {
            let told = call(client, "price", endpoint, "require");
            let strange = |program: &str| ["two", "three", "dev"].contains(&program);
            let expected = match (client == *server, client == "four", *server == "four") {
                (true, _, _) => "EXACT",
                (_, true, false) if strange(server) => "UNKNOWN",
                (_, false, true) if strange(client) => "UNKNOWN",
                _ => "COMPATIBLE",
            };
            matrix += &format!("{:<12}", told[0]);
            assert_eq!(told[0], expected, "{client} with {server}: {told:?}");
            match expected {
                "UNKNOWN" => refused(&told, client, server),
                _ => assert_eq!(told[1..], ["4 cents"], "{client} with {server}"),
            }
        }
    }
    println!("{matrix}\n");

    // A method that the old server does not have, and the new one has.
    let told = call("three", "sell", &endpoints[0], "require");
    assert!(
        told[0] == "COMPATIBLE" && told[1].starts_with("Unimplemented"),
        "{told:?}"
    );
    assert_eq!(
        call("dev", "sell", &endpoints[2], "require"),
        ["COMPATIBLE", "4 cents"]
    );

    println!("client three, server four");
    for policy in ["require", "warn", "ignore"] {
        let told = call("three", "price", &endpoints[4], policy);
        println!("{policy:<8}{}", told.join("\n        "));
        assert_eq!(told[0], "UNKNOWN");
        assert_eq!(told[1] == "4 cents", policy != "require", "{told:?}");
    }
    listed(&endpoints[1]);
    drop(servers);
}

/// What the one side and the other say of schemas that do not fit: service, revisions, fingerprints.
fn refused(told: &[String], client: &str, server: &str) {
    let number = |program: &str| match program {
        "two" => "revision 2",
        "three" => "revision 3",
        "four" => "revision 4",
        _ => "revision 0",
    };
    let [_, by_server, by_client] = told else {
        panic!("{told:?}");
    };
    assert!(by_server.starts_with("FailedPrecondition: "), "{by_server}");
    for text in [by_server, by_client] {
        assert!(text.contains("shop.v1.Shop"), "{text}");
        assert!(
            text.contains(number(client)) && text.contains(number(server)),
            "{text}"
        );
        assert_eq!(text.matches("0x").count(), 2, "{text}");
    }
}

/// The command shows what a server knows of its releases.
fn listed(endpoint: &Path) {
    for words in [["list", "Shop"], ["describe", "shop.v1.Shop"]] {
        let mut command = Command::new(CLI);
        let output = command.args(words).arg("--endpoint").arg(endpoint).output();
        let output = output.expect("the program starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            text.contains("revision 2 (") && text.contains("compatible with revision 1\n"),
            "{text}"
        );
    }
}

#[test]
fn what_breaks_a_release_fails_the_build_and_a_release_is_a_reason_to_build() {
    let project = programs();
    let build = |project: &Project| project.cargo(&["build", "-p", "peer-dev"]);
    let revision = || {
        let output = peer("dev").arg("revision").output().expect("it starts");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    build(&project).assert_success();
    assert_eq!(revision(), "0 [3 2 1]");
    build(&project).assert_success().assert_rebuilt(&[]);

    let (from, to) = STEPS[3];
    project.edit("dev/schemas/shop/v1/shop.proto", from, to);
    let broken = build(&project);
    assert!(!broken.success);
    for expected in [
        "this breaks release 3",
        "shop.proto:16:3",
        "int64 currency = 2;",
        "help: ",
    ] {
        assert!(
            broken.stderr.contains(expected),
            "{expected:?} in {}",
            broken.stderr
        );
    }
    project.edit("dev/schemas/shop/v1/shop.proto", to, from);
    build(&project).assert_success();

    let (code, text) = schema(&project, &["release", "dev/schemas"]);
    assert_eq!(code, 0, "{text}");
    build(&project)
        .assert_success()
        .assert_rebuilt(&["peer-dev"]);
    assert_eq!(revision(), "4 [3 2 1]");
    fs::write(
        project.path("dev/schemas/history/files/shop/v1/shop.proto.1"),
        "",
    )
    .expect("a file");
    // Nobody reads what is as it was released last.
    build(&project).assert_success();
}

#[test]
fn a_history_that_a_build_cannot_read_is_an_error_behind_both_doors() {
    let project = Project::fixture("tracked");
    project.write("schemas/history/history.toml", "format = 1\n");
    let build = project.cargo(&["check", "--workspace", "--keep-going"]);
    assert!(!build.success);
    let remedy = "switch on the feature `evolution`";
    assert!(build.stderr.contains(remedy), "{}", build.stderr);
    let errors = build.errors();
    let stated = errors.iter().find(|error| error.message.contains(remedy));
    let stated = stated.unwrap_or_else(|| panic!("{errors:?}"));
    assert!(
        stated
            .message
            .contains("schemas/history` says what was released"),
        "{}",
        stated.message
    );
}
