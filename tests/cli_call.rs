//! `list`, `describe` and `call`, end to end: the real program against real servers, well-behaved and not.
//!
//! **Invariant**: each test has a directory and processes of its own, and leaves neither behind; every
//! wait has a limit.
#![cfg(unix)]

#[expect(dead_code, reason = "the other tests of the program use more of it")]
mod cli_support;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use daemoneye_ipc::{
    CallContext, IpcConfig, Metadata, Server, ServerBuilder, Status, Stream,
    health::HealthReporter,
    prost::Message,
    prost_types::{Any, FileDescriptorSet},
    schema::{
        health::v1::{
            CheckRequest, CheckResponse, Health, HealthServer, PingRequest, PingResponse,
            WatchRequest, WatchResponse,
        },
        reflection::v1::{
            GetDescriptorsRequest, GetDescriptorsResponse, GetRevisionsRequest,
            GetRevisionsResponse, ListServicesRequest, ListServicesResponse, Reflection,
            ReflectionServer, ServiceInfo, ServiceRevisions,
        },
    },
};
use daemoneye_ipc_generated::conformance::v1::CONFORMANCE_SERVICE;

use crate::cli_support::{CLI, Daemon, Place, Run, await_that, bare, run, signal};

/// The longest wait for anything; far above what is normal, for machines under load.
const LIMIT: Duration = Duration::from_secs(60);

/// The conformance server.
const CONFORMANCE: &str = env!("CARGO_BIN_EXE_tests-conformance");

/// A place where the conformance service is served.
struct Served {
    place: Place,
    _daemon: Daemon,
}

fn conformance() -> Served {
    let place = Place::new();
    let mut command = bare(Command::new(CONFORMANCE));
    command.arg("serve");
    let daemon = Daemon::start(command, &place.endpoint());
    Served {
        place,
        _daemon: daemon,
    }
}

impl Served {
    fn cli(&self, words: &[&str]) -> Run {
        cli(words, &self.place.endpoint())
    }

    fn call(&self, method: &str, request: &str) -> Run {
        self.cli(&["call", &format!("Conformance/{method}"), request])
    }

    /// The program with `words`, fed by the test.
    fn talk(&self, words: &[&str]) -> Talk {
        Talk::start(words, &self.place.endpoint())
    }

    /// The calls that the server holds, the one that asks left out.
    fn calls_in_flight(&self) -> u64 {
        let held = self.call("Inspect", "{}").json();
        held["callsInFlight"].as_u64().expect("a number") - 1
    }
}

fn command(words: &[&str], endpoint: &Path) -> Command {
    let mut command = bare(Command::new(CLI));
    command.args(words).arg("--endpoint").arg(endpoint);
    command
}

fn cli(words: &[&str], endpoint: &Path) -> Run {
    run(command(words, endpoint))
}

/// The program while it runs, spoken to line by line.
struct Talk {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
}

impl Talk {
    fn start(words: &[&str], endpoint: &Path) -> Self {
        let mut command = command(words, endpoint);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (told, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines() {
                if told.send(line.expect("UTF-8")).is_err() {
                    return;
                }
            }
        });
        let stdin = child.stdin.take();
        Self {
            child,
            stdin,
            lines,
        }
    }

    fn write(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("open");
        stdin.write_all(text.as_bytes()).expect("it is read");
        stdin.flush().expect("it is read");
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(LIMIT).expect("a line in time")
    }

    /// The exit code, and what was said on standard error.
    fn end(&mut self) -> (i32, String) {
        self.stdin = None;
        self.wait()
    }

    /// As [`end`](Self::end), with the input left open.
    fn wait(&mut self) -> (i32, String) {
        let (mut stderr, mut text) = (self.child.stderr.take().expect("piped"), String::new());
        let (told, read) = mpsc::channel();
        thread::spawn(move || {
            let read = stderr.read_to_string(&mut text).map(|_| text);
            // Nobody listens when the wait below has given up.
            let _ = told.send(read);
        });
        let text = read.recv_timeout(LIMIT).expect("it ends in time");
        let status = self.child.wait().expect("a status");
        (status.code().unwrap_or(-1), text.expect("UTF-8"))
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server inside of the test, until it is dropped.
struct Hosted {
    place: Place,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    served: Option<thread::JoinHandle<()>>,
}

fn hosted(services: impl FnOnce(ServerBuilder) -> ServerBuilder + Send + 'static) -> Hosted {
    let place = Place::new();
    let config = IpcConfig::new(place.endpoint());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (ready, is_ready) = mpsc::channel();
    let served = thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let server = services(Server::builder(config))
                .bind()
                .await
                .expect("free");
            ready.send(()).expect("awaited");
            let stopped = async { drop(stopped.await) };
            server.serve_until(stopped, LIMIT).await.expect("it drains");
        });
    });
    is_ready.recv_timeout(LIMIT).expect("it binds in time");
    Hosted {
        place,
        stop: Some(stop),
        served: Some(served),
    }
}

impl Hosted {
    fn cli(&self, words: &[&str]) -> Run {
        cli(words, &self.place.endpoint())
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        self.stop = None;
        let ended = self.served.take().expect("dropped once").join();
        assert!(thread::panicking() || ended.is_ok());
    }
}

#[test]
fn services_and_methods_are_listed() {
    let served = conformance();
    let list = served.cli(&["list"]).stdout;
    let mut rows = list
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    assert_eq!(
        rows.next().expect("headings"),
        ["SERVICE", "METHODS", "REVISION", "FINGERPRINT"]
    );
    assert_eq!(
        rows.next().expect("a service")[..2],
        [CONFORMANCE_SERVICE.name, "8"]
    );
    assert!(
        rows.any(|row| row[0] == "daemoneye.health.v1.Health"),
        "{list}"
    );
    insta::assert_snapshot!(served.cli(&["list", "Conformance"]).stdout);

    let list = served.cli(&["list", "--json"]).json();
    assert_eq!(
        list["source"],
        served.place.endpoint().to_str().expect("UTF-8")
    );
    let service = &list["services"][0];
    assert_eq!(service["name"], CONFORMANCE_SERVICE.name);
    assert_eq!(service["methods"], CONFORMANCE_SERVICE.methods.len());
    let fingerprint = format!("{:016x}", CONFORMANCE_SERVICE.fingerprint);
    assert_eq!(service["fingerprint"], fingerprint);

    let list = served.cli(&["list", "v1.Conformance", "--json"]).json();
    let methods = list["services"][0]["methods"].as_array().expect("a list");
    for (shown, known) in methods.iter().zip(CONFORMANCE_SERVICE.methods) {
        assert_eq!(shown["path"], known.path);
        assert_eq!(shown["kind"], known.kind.to_string());
        assert_eq!(shown["request"], known.input);
        assert_eq!(shown["response"], known.output);
    }
    assert_eq!(methods.len(), CONFORMANCE_SERVICE.methods.len());
}

#[test]
fn a_definition_is_shown_with_how_to_call_it() {
    let served = conformance();
    insta::assert_snapshot!(served.cli(&["describe", "Conformance/Chat"]).stdout);

    let described = served
        .cli(&["describe", "Conformance.Emit", "--json"])
        .json();
    assert_eq!(described["kind"], "method");
    assert_eq!(
        described["name"],
        "daemoneye.conformance.v1.Conformance.Emit"
    );
    let template = served.cli(&["describe", "Emit", "--template"]).stdout;
    assert_eq!(described["template"], template.trim_end());
    // The template is a request.
    let run = served.call("Emit", &template);
    assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{run}");

    let run = served.cli(&["describe", "Conformance", "--template"]);
    assert_eq!(run.code, 2, "{run}");
}

#[test]
fn a_name_that_is_not_there_is_refused_with_the_nearest() {
    let served = conformance();
    for (words, what, hint) in [
        (
            &["list", "Helth"][..],
            "no service `Helth`",
            "did you mean `daemoneye.health.v1.Health`?",
        ),
        (
            &["describe", "EchoRequst"],
            "nothing is called `EchoRequst`",
            "v1.EchoRequest`?",
        ),
        (
            &["describe", "payload"],
            "`payload` could be",
            "write more of the name",
        ),
        (
            &["call", "Conformance/Ecko"],
            "has no method `Ecko`",
            "did you mean `Echo`?",
        ),
        (
            &["call", "Conformity/Echo"],
            "no service `Conformity`",
            "it has `daemoneye.conf",
        ),
        (
            &["call", "Echo"],
            "`Echo` names no method",
            "SERVICE/METHOD",
        ),
        (
            &["call", "Conformance/Echo", r#"{"paylod": ""}"#],
            "line 1 column 9: ",
            "did you mean `payload`?",
        ),
        (
            &["call", "Conformance/Echo", r#"{"payload" ""}"#],
            "line 1 column 12: expected `:`",
            "JSON",
        ),
        (
            &["call", "Conformance/Echo", "{} {}"],
            "line 1 column 4: a second request",
            "one request",
        ),
        (
            &["call", "Conformance/Echo", "-H", "nothing"],
            "'nothing'",
            "KEY: VALUE",
        ),
    ] {
        let run = served.cli(words);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{run}");
        assert!(
            run.stderr.contains(what) && run.stderr.contains(hint),
            "{words:?}: {run}"
        );
    }
}

#[test]
fn every_spelling_of_a_method_calls_it() {
    let served = conformance();
    for method in [
        "/daemoneye.conformance.v1.Conformance/Echo",
        "daemoneye.conformance.v1.Conformance/Echo",
        "daemoneye.conformance.v1.Conformance.Echo",
        "Conformance/Echo",
        "v1.Conformance.Echo",
    ] {
        let request = r#"{"payload":"AP8=","leaves":[{"s3":"ü"}],"tree":{"child":{"value":7}}}"#;
        let run = served.cli(&["call", method, request]);
        assert_eq!((run.code, run.stdout.trim_end()), (0, request), "{run}");
    }
}

#[test]
fn every_unary_method_is_called() {
    let served = conformance();
    for (method, request, response) in [
        ("Echo", "{}", "{}"),
        (
            "Sleep",
            r#"{"millis": "3", "blocking": true}"#,
            r#"{"sleptMillis":3}"#,
        ),
        (
            "Count",
            r#"{"add": 4000000000}"#,
            r#"{"total":"4000000000"}"#,
        ),
        ("Count", r#"{"add": 1.0}"#, r#"{"total":"4000000001"}"#),
    ] {
        let run = served.call(method, request);
        assert_eq!((run.code, run.stdout.trim_end()), (0, response), "{run}");
    }
    let run = served.cli(&["call", "Conformance/Inspect"]);
    assert_eq!(run.json()["callsInFlight"], 1, "{run}");
    let run = served.cli(&["call", "Conformance/Echo", "--emit-defaults"]);
    assert_eq!(run.stdout, "{\"payload\":\"\",\"leaves\":[]}\n");
    let mut talk = served.talk(&["call", "Conformance/Echo", "-"]);
    talk.write("{\n  \"payload\":\n");
    talk.write("\"AAE=\" }\n");
    assert_eq!(
        (talk.end(), talk.line()),
        ((0, String::new()), r#"{"payload":"AAE="}"#.into())
    );
}

#[test]
fn a_status_is_an_exit_code_of_its_own() {
    let served = conformance();
    for code in 1..=16 {
        let request = format!(r#"{{"code": {code}, "message": "as \u001b[31masked"}}"#);
        let run = served.call("Fail", &request);
        assert_eq!((run.code, run.stdout.as_str()), (64 + code, ""), "{run}");
        assert!(run.stderr.contains(r"as \u{1b}[31masked"), "{run}");
    }
    let run = served.call("Fail", r#"{"code": 5, "message": "no such thing"}"#);
    let stderr = run
        .stderr
        .replace(served.place.endpoint().to_str().expect("UTF-8"), "SOCKET");
    insta::assert_snapshot!(stderr);
}

#[test]
fn a_deadline_ends_calls_of_every_kind_even_while_nothing_is_typed() {
    let served = conformance();
    for words in [
        ["call", "Conformance/Sleep", r#"{"millis": 600000}"#],
        [
            "call",
            "Conformance/Emit",
            r#"{"count": 2, "interval_us": 600000000}"#,
        ],
        ["call", "Conformance/Collect", "-"],
        ["call", "Conformance/Chat", "-"],
    ] {
        let mut talk = served.talk(&[&words[..], &["--timeout", "200"]].concat());
        let (code, stderr) = talk.wait();
        assert_eq!(code, 68, "{words:?}: {stderr}");
        // Which side sees first that the time is over is a matter of chance.
        let said = stderr.contains("DEADLINE_EXCEEDED") || stderr.contains(": timeout\n");
        assert!(said, "{stderr}");
    }
    await_that("the handlers are gone", || served.calls_in_flight() == 0);
}

#[test]
fn a_chat_answers_each_line_before_the_next_is_written() {
    let served = conformance();
    let mut talk = served.talk(&["call", "Conformance/Chat"]);
    for turn in ["AA==", "AQ==", "Ag=="] {
        let message = format!(r#"{{"payload":"{turn}"}}"#);
        // The end of the object ends the request, whether the line ends or not.
        talk.write(&message);
        assert_eq!(talk.line(), message);
    }
    assert_eq!(served.calls_in_flight(), 1);
    assert_eq!(talk.end(), (0, String::new()));

    let mut talk = served.talk(&["call", "Conformance/Chat"]);
    talk.write("{}\n");
    assert_eq!(talk.line(), "{}");
    talk.write("{}{\n\"x\": 1}");
    let (code, stderr) = talk.wait();
    assert_eq!(code, 2, "{stderr}");
    assert!(
        stderr.contains("standard input, line 3 column 3: "),
        "{stderr}"
    );
    await_that("the call is cancelled", || served.calls_in_flight() == 0);
}

#[test]
fn a_stream_of_requests_is_taken_from_the_input_or_the_argument() {
    let served = conformance();
    let mut talk = served.talk(&["call", "Conformance/Collect"]);
    for _ in 0..1_000 {
        talk.write("{\"payload\": \"AAEC\"}\n");
    }
    assert_eq!(talk.end(), (0, String::new()));
    assert_eq!(talk.line(), r#"{"messages":"1000","bytes":"3000"}"#);

    let run = served.call("Collect", r#"{"payload": "AAEC"} {} {"payload": "AA=="}"#);
    assert_eq!(
        (run.code, run.stdout.trim_end()),
        (0, r#"{"messages":"3","bytes":"4"}"#),
        "{run}"
    );
    let mut talk = served.talk(&["call", "Conformance/Collect", "-"]);
    assert_eq!((talk.end(), talk.line()), ((0, String::new()), "{}".into()));
}

#[test]
fn more_than_any_buffer_holds_flows_both_ways() {
    let served = conformance();
    let mut talk = served.talk(&["call", "Conformance/Chat"]);
    let message = format!("{{\"payload\":\"{}\"}}\n", "QUJD".repeat(10_000));
    // Nobody reads yet: what is written has to wait somewhere, and does not get lost.
    for _ in 0..100 {
        talk.write(&message);
    }
    for _ in 0..100 {
        assert_eq!(talk.line(), message.trim_end());
    }
    assert_eq!(talk.end(), (0, String::new()));
}

#[test]
fn a_reader_that_leaves_early_ends_an_endless_stream_quietly() {
    let served = conformance();
    let endless = r#"{"count": 4294967295, "size": 1000}"#;
    let mut command = command(
        &["call", "Conformance/Emit", endless],
        &served.place.endpoint(),
    );
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("a line");
    assert!(line.starts_with("{\"payload\":"), "{line}");
    drop(stdout);
    let output = child.wait_with_output().expect("output");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    await_that("the handler is gone", || served.calls_in_flight() == 0);
}

#[test]
fn an_interrupt_cancels_the_call_whatever_it_waits_for() {
    let served = conformance();
    let sleeping = ["call", "Conformance/Sleep", r#"{"millis": 600000}"#];
    let typing = ["call", "Conformance/Chat", "-"];
    for words in [sleeping, typing] {
        let mut talk = served.talk(&words);
        await_that("the call is there", || served.calls_in_flight() == 1);
        signal(talk.child.id(), "INT");
        let (code, stderr) = talk.wait();
        assert_eq!((code, stderr.as_str()), (130, "error: interrupted\n"));
        await_that("the call is cancelled", || served.calls_in_flight() == 0);
    }

    // Standard output is full, because nobody reads it.
    let endless = r#"{"count": 4294967295, "size": 1000}"#;
    let mut command = command(
        &["call", "Conformance/Emit", endless],
        &served.place.endpoint(),
    );
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let unread = child.stdout.take();
    let queued = || served.call("Inspect", "{}").json()["queuedBytes"] != "0";
    await_that("the server has to wait", queued);
    signal(child.id(), "INT");
    let ended = child.wait_with_output().expect("output");
    assert_eq!(ended.status.code(), Some(130), "{ended:?}");
    drop(unread);
}

/// Answers with what it is sent.
struct Mirror;

impl Health for Mirror {
    async fn check(&self, _: &CallContext, _: CheckRequest) -> Result<CheckResponse, Status> {
        let known = Any {
            type_url: "type.googleapis.com/google.protobuf.Duration".into(),
            value: vec![0x08, 0x02],
        };
        let unknown = Any {
            type_url: "type.googleapis.com/a.v1.B".into(),
            value: vec![0, 255],
        };
        // Field 3 of google.rpc.Status is the list of details.
        let mut details = Vec::new();
        for any in [known, unknown] {
            details.push(0x1a);
            details.extend(any.encode_length_delimited_to_vec());
        }
        let status = Status::failed_precondition("not now").with_details(details);
        Err(status.with_metadata(Metadata::from_iter([("retry-after", "3")])))
    }

    async fn watch(
        &self,
        ctx: &CallContext,
        _: WatchRequest,
    ) -> Result<impl Stream<Item = Result<WatchResponse, Status>> + Send, Status> {
        ctx.add_trailer("seen", "all");
        Ok(futures_util::stream::iter([Err(
            Status::not_found("x").with_details(vec![0xFF])
        )]))
    }

    async fn ping(&self, ctx: &CallContext, request: PingRequest) -> Result<PingResponse, Status> {
        for (key, value) in ctx.metadata().iter() {
            ctx.add_trailer(key, value.to_vec());
        }
        Ok(PingResponse {
            payload: request.payload,
        })
    }
}

#[test]
fn metadata_goes_out_and_comes_back() {
    let server = hosted(|builder| builder.add_service(HealthServer::new(Mirror)).reflection());
    let sent = [
        "-H",
        "a: b c",
        "--metadata",
        "a=:d",
        "-H",
        "raw:: AP8=",
        "-H",
        "esc: \u{9b}31m",
    ];
    let run = server.cli(&[&["call", "Health/Ping", r#"{"payload":"aGk="}"#][..], &sent].concat());
    assert_eq!(
        (run.code, run.stdout.as_str(), run.stderr.as_str()),
        (0, "{\"payload\":\"aGk=\"}\n", "")
    );
    let run = server.cli(&[&["call", "Health/Ping", "--trailers"][..], &sent].concat());
    insta::assert_snapshot!(run.stderr);
}

#[test]
fn what_comes_with_a_status_is_shown() {
    let server = hosted(|builder| builder.add_service(HealthServer::new(Mirror)).reflection());
    let run = server.cli(&["call", "Health/Check", "--trailers"]);
    assert_eq!(run.code, 73, "{run}");
    let endpoint = server.place.endpoint();
    let hide = |text: &str| text.replace(endpoint.to_str().expect("UTF-8"), "SOCKET");
    insta::assert_snapshot!(hide(&run.stderr));
    let run = server.cli(&["call", "Health/Watch"]);
    assert_eq!(run.code, 69, "{run}");
    assert!(run.stderr.contains("\n  detail /w==\n"), "{run}");
}

#[test]
fn a_file_of_descriptors_stands_in_for_reflection() {
    let silent = hosted(|builder| builder.health(HealthReporter::new()));
    // By name, from the server's HELLO.
    let run = silent.cli(&["list"]);
    assert_eq!(run.code, 0, "{run}");
    assert!(
        run.stdout.contains("daemoneye.health.v1.Health        -"),
        "{run}"
    );
    for words in [
        &["call", "Health/Ping"][..],
        &["describe", "Health"],
        &["list", "Health"],
    ] {
        let run = silent.cli(words);
        assert_eq!(run.code, 3, "{run}");
        assert!(
            run.stderr.contains(".reflection()") && run.stderr.contains("--descriptors"),
            "{run}"
        );
    }

    let file = silent.place.path().join("health.binpb");
    let set = daemoneye_ipc::schema::health::v1::HEALTH_SERVICE.file_descriptor_set;
    fs::write(&file, set).expect("a file");
    let file = file.to_str().expect("UTF-8");
    let run = silent.cli(&[
        "call",
        "Health/Ping",
        r#"{"payload":"aGk="}"#,
        "--descriptors",
        file,
    ]);
    assert_eq!(
        (run.code, run.stdout.as_str(), run.stderr.as_str()),
        (0, "{\"payload\":\"aGk=\"}\n", "")
    );
    let run = silent.cli(&[
        "call",
        "Health/Watch",
        "--timeout",
        "500",
        "--descriptors",
        file,
    ]);
    assert_eq!((run.code, run.stdout.lines().count()), (68, 1), "{run}");

    // Nobody has to serve for a file to be looked at.
    let nowhere = Path::new("/nonexistent/x.sock");
    let run = cli(&["list", "Health", "--descriptors", file], nowhere);
    assert_eq!((run.code, run.stdout.lines().count()), (0, 5), "{run}");
    let run = cli(&["call", "Health/Ping", "--descriptors", file], nowhere);
    assert_eq!(run.code, 4, "{run}");
}

#[test]
fn describe_shows_who_may_call() {
    let place = Place::new();
    let file = place.path().join("collector.binpb");
    let collectors = daemoneye_ipc_generated::collector::v1::COLLECTOR_CONTROL_SERVICE;
    fs::write(&file, collectors.file_descriptor_set).expect("a file");
    let file = file.to_str().expect("UTF-8");
    let nowhere = Path::new("/nonexistent/x.sock");
    let describe = ["describe", "CollectorControl", "--descriptors", file];
    let run = cli(&describe, nowhere);
    let option = r#"option (daemoneye.ipc.v1.access) = {allow: "self" allow: "root"};"#;
    assert_eq!(run.stdout.matches(option).count(), 4, "{run}");
}

#[test]
fn a_file_of_another_revision_is_used_and_the_difference_is_said() {
    let server = hosted(|builder| builder.health(HealthReporter::new()));
    let health = daemoneye_ipc::schema::health::v1::HEALTH_SERVICE;
    let mut set = FileDescriptorSet::decode(health.file_descriptor_set).expect("descriptors");
    for message in &mut set.file.last_mut().expect("health").message_type {
        if message.name() == "PingRequest" {
            message.field[0].number = Some(9);
        }
    }
    let file = server.place.path().join("old.binpb");
    let write = |set: &FileDescriptorSet| fs::write(&file, set.encode_to_vec()).expect("a file");
    write(&set);
    let path = file.to_str().expect("UTF-8");
    let call = [
        "call",
        "Health/Ping",
        r#"{"payload":"aGk="}"#,
        "--descriptors",
        path,
    ];
    let run = server.cli(&call);
    assert_eq!((run.code, run.stdout.as_str()), (0, "{}\n"), "{run}");
    assert!(
        run.stderr
            .starts_with("note: the server's schema of daemoneye.health.v1.Health"),
        "{run}"
    );

    // What is no file of descriptors at all.
    set.file.remove(0);
    write(&set);
    let run = server.cli(&call);
    assert_eq!(run.code, 3, "{run}");
    assert!(run.stderr.contains("--include_imports"), "{run}");
    for text in ["", "syntax = \"proto3\";"] {
        fs::write(&file, text).expect("a file");
        let run = server.cli(&call);
        assert_eq!(run.code, 2, "{run}");
        assert!(run.stderr.contains("protoc --include_imports"), "{run}");
    }
    let run = server.cli(&["list", "--descriptors", "/nonexistent"]);
    assert_eq!(run.code, 2, "{run}");
}

/// Describes services that it does not have, in names that steer a terminal.
struct Liar(FileDescriptorSet);

impl Reflection for Liar {
    async fn list_services(
        &self,
        _: &CallContext,
        _: ListServicesRequest,
    ) -> Result<ListServicesResponse, Status> {
        let service = ServiceInfo {
            name: "a.v1.\u{1b}[2JLie\n".into(),
            methods: vec!["\u{202e}Get".into()],
            ..ServiceInfo::default()
        };
        let services = vec![service];
        Ok(ListServicesResponse { services })
    }

    async fn get_descriptors(
        &self,
        _: &CallContext,
        _: GetDescriptorsRequest,
    ) -> Result<GetDescriptorsResponse, Status> {
        let files = self.0.encode_to_vec().into();
        Ok(GetDescriptorsResponse { files })
    }

    async fn get_revisions(
        &self,
        _: &CallContext,
        _: GetRevisionsRequest,
    ) -> Result<GetRevisionsResponse, Status> {
        let services = vec![ServiceRevisions {
            name: "a.v1.\u{1b}[2JLie\n".into(),
            ..ServiceRevisions::default()
        }];
        Ok(GetRevisionsResponse { services })
    }
}

#[test]
fn a_server_that_lies_about_itself_steers_nothing() {
    let known = FileDescriptorSet::decode(CONFORMANCE_SERVICE.file_descriptor_set);
    let known = known.expect("descriptors");
    let mut evil = known.clone();
    let file = evil.file.last_mut().expect("the service");
    file.package = Some("a.v1".into());
    file.service[0].name = Some("\u{1b}[2JLie\n".into());
    let mut twice = known.clone();
    twice.file.extend(known.file.clone());
    let mut dangling = known.clone();
    dangling
        .file
        .last_mut()
        .expect("the service")
        .message_type
        .clear();
    for set in [evil, twice, dangling, known, FileDescriptorSet::default()] {
        let server = hosted(|builder| builder.add_service(ReflectionServer::new(Liar(set))));
        for words in [
            &["list"][..],
            &["list", "--json"],
            &["list", "Lie\n"],
            &["list", "\u{1b}[2JLie\n", "--json"],
            &["describe", "\u{1b}[2JLie\n"],
            &["describe", "Nothing"],
            &["call", "Lie\n/Echo"],
        ] {
            let run = server.cli(words);
            assert!(matches!(run.code, 0 | 2 | 3 | 76), "{words:?}: {run}");
            let text = format!("{}{}", run.stdout, run.stderr);
            assert!(
                !text.contains(['\u{1b}', '\u{202e}']),
                "{words:?}: {text:?}"
            );
        }
    }
}

#[test]
fn nobody_there_is_unreachable() {
    let place = Place::new();
    for words in [&["list"][..], &["describe", "A"], &["call", "A/B"]] {
        let run = cli(words, &place.endpoint());
        assert_eq!((run.code, run.stdout.as_str()), (4, ""), "{run}");
        assert!(
            run.stderr.contains("not found") && run.stderr.contains("try"),
            "{run}"
        );
    }
}
