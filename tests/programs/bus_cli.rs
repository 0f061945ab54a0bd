//! The agent's event bus from the command line.
//!
//! **Invariant**: what is read is what the program prints, line by line, and every wait has a limit.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    thread,
};

use serde_json::Value;

use crate::support::{CLI, LIMIT, Place, bare};

fn events(words: &[&str], endpoint: &Path) -> Command {
    let mut command = bare(CLI);
    command
        .arg("events")
        .args(words)
        .arg("--endpoint")
        .arg(endpoint);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs a command to its end, with `input` on its standard input.
fn run(words: &[&str], place: &Place, input: &[u8]) -> Output {
    let mut command = events(words, &place.path("agent.sock"));
    let mut child = command
        .stdin(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    // It may end without having read all.
    let writer = thread::spawn(move || drop(stdin.write_all(&input)));
    let (told, ended) = mpsc::channel();
    thread::spawn(move || told.send(child.wait_with_output()));
    let output = ended.recv_timeout(LIMIT).expect("it ends").expect("output");
    writer.join().expect("no panic");
    output
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// A subscriber that runs.
struct Subscriber {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Subscriber {
    fn start(words: &[&str], place: &Place) -> Self {
        let words = [&["subscribe", "--json"], words].concat();
        let mut child = events(&words, &place.path("agent.sock"))
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (told, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if told.send(line).is_err() {
                    break;
                }
            }
        });
        let mut subscriber = Self { child, lines };
        let first = subscriber.next();
        assert_eq!(first["event"], "subscribed", "{first}");
        subscriber
    }

    fn next(&mut self) -> Value {
        let line = self.lines.recv_timeout(LIMIT).expect("a line in time");
        serde_json::from_str(&line).expect("JSON")
    }

    /// The end of the program, and that there is nothing more to read.
    fn end(mut self) {
        assert!(self.child.wait().expect("ended").success());
        assert_eq!(self.lines.recv_timeout(LIMIT).ok(), None);
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_subscriber_that_was_killed_is_resumed_by_number() {
    let place = Place::new();
    let _agent = place.agent();
    let lines: String = (1..=100).map(|number| format!("{number}\n")).collect();
    let mut killed = Subscriber::start(&["a/+"], &place);
    let published = run(
        &["publish", "a/b", "--lines", "--json"],
        &place,
        lines.as_bytes(),
    );
    let published = json(&published);
    assert_eq!(
        (&published["published"], &published["last_sequence"]),
        (&100.into(), &100.into())
    );
    for number in 1..=40 {
        let event = killed.next();
        assert_eq!(event["sequence"], number, "{event}");
        assert_eq!(event["payload"], number.to_string());
    }
    killed.child.kill().expect("killed");
    drop(killed);
    let mut resumed = Subscriber::start(&["a/+", "--from", "41", "--count", "60"], &place);
    for number in 41..=100 {
        let event = resumed.next();
        assert_eq!(
            (&event["event"], &event["sequence"]),
            (&"event".into(), &number.into())
        );
        assert_eq!(event["epoch"], published["epoch"]);
    }
    resumed.end();
    // The same number of a run that is over says nothing about this one.
    let words = ["a/+", "--from", "41", "--epoch", "over", "--count", "1"];
    let mut resumed = Subscriber::start(&words, &place);
    assert_eq!(resumed.next()["reason"], "restarted");
    assert_eq!(resumed.next()["sequence"], 1);
    resumed.end();
}

#[test]
fn a_subscriber_outlives_the_agent_and_says_what_it_does_not_know() {
    let place = Place::new();
    let agent = place.agent();
    let mut subscriber = Subscriber::start(&["#", "--count", "2"], &place);
    run(&["publish", "a", "before"], &place, b"");
    assert_eq!(subscriber.next()["payload"], "before");
    agent.kill();
    assert_eq!(subscriber.next()["event"], "lost");
    let _agent = place.agent();
    run(&["publish", "a", "after"], &place, b"");
    assert_eq!(subscriber.next()["event"], "subscribed");
    let gap = subscriber.next();
    assert_eq!(
        (&gap["event"], &gap["reason"]),
        (&"gap".into(), &"restarted".into())
    );
    let event = subscriber.next();
    assert_eq!(
        (&event["payload"], &event["sequence"]),
        (&"after".into(), &1.into())
    );
    subscriber.end();
}

#[test]
fn payloads_are_shown_as_what_they_are() {
    let place = Place::new();
    let _agent = place.agent();
    let publish = |words: &[&str], input: &[u8]| {
        let output = run(&[&["publish"], words].concat(), &place, input);
        assert!(output.status.success(), "{output:?}");
        text(&output.stdout).to_owned()
    };
    assert_eq!(
        publish(&["a", "some text"], b""),
        "published event 1 under a\n"
    );
    publish(&["a"], b"not read");
    publish(&["a", "-", "--correlation-id", "c1"], b"from\ninput");
    publish(&["a", "-"], b"\xff\x00");
    let gap_type = ["--type", "daemoneye.procmond.v1.WatchGap"];
    publish(&[&["a", "-"], &gap_type[..]].concat(), b"\x08\x03\x10\x05");
    assert_eq!(
        publish(&["a", "--lines"], b"one\r\ntwo"),
        "published 2 events under a, numbers 6 to 7\n"
    );
    assert_eq!(publish(&["a", "--lines"], b""), "nothing to publish\n");

    let words = ["a", "--from", "1", "--count", "7"];
    let mut subscriber = Subscriber::start(&words, &place);
    let payloads: Vec<_> = (0..7).map(|_| subscriber.next()).collect();
    subscriber.end();
    let texts = payloads.iter().map(|event| event["payload"].clone());
    let message = serde_json::json!({
        "@type": "daemoneye.procmond.v1.WatchGap", "firstMissing": "3", "lastMissing": "5",
    });
    let wanted: [Value; 7] = [
        "some text".into(),
        "".into(),
        "from\ninput".into(),
        Value::Null,
        message,
        "one".into(),
        "two".into(),
    ];
    assert_eq!(texts.collect::<Vec<_>>(), wanted);
    assert_eq!(payloads[2]["correlation_id"], "c1");
    assert_eq!(payloads[3]["payload_base64"], "/wA=");
    let output = run(&[&["subscribe"], &words[..]].concat(), &place, b"");
    let shown = text(&output.stdout);
    assert_eq!(shown.lines().count(), 8, "{shown}");
    assert!(shown.contains("[c1]  from\\ninput  user "), "{shown}");
    assert!(shown.contains("\"firstMissing\":\"3\""), "{shown}");
}

#[test]
fn gaps_and_counts_are_shown_to_the_operator() {
    let place = Place::new();
    let _agent = place.agent();
    let lines = "x\n".repeat(5_000);
    run(&["publish", "a/b", "--lines"], &place, lines.as_bytes());
    let words = ["subscribe", "a/#", "--from", "1", "--count", "1"];
    let output = run(&words, &place, b"");
    assert!(
        text(&output.stdout).contains("gap: events 1 to 904 are not kept any more"),
        "{output:?}"
    );

    let _subscriber = Subscriber::start(&["a/#", "c"], &place);
    let stats = json(&run(&["stats", "--json"], &place, b""));
    assert_eq!(
        (&stats["published"], &stats["first_retained"]),
        (&5_000.into(), &905.into())
    );
    assert_eq!(stats["topics"][0]["topic"], "a/b");
    assert_eq!(
        stats["subscribers"][0]["filters"],
        serde_json::json!(["a/#", "c"])
    );
    let output = run(&["stats"], &place, b"");
    let shown = text(&output.stdout);
    for part in [
        "5,000 published",
        "4,096 of 4,096 events kept",
        "1 of 64 subscribers",
        "a/# c",
        "1 topic\n",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn what_is_refused_says_why_and_what_next() {
    let place = Place::new();
    let _agent = place.agent();
    for (words, code, part) in [
        (vec!["subscribe", "a/#/b"], 3, "goes on after `#`"),
        (vec!["subscribe", "a", "--from", "7"], 3, "0 events"),
        (vec!["subscribe"], 2, "FILTER"),
        (vec!["publish", "a/+"], 3, "wildcard"),
        (vec!["publish", "alerts/x"], 3, "only the agent"),
        (vec!["publish", "a", "b", "--lines"], 2, "--lines"),
    ] {
        let output = run(&words, &place, b"");
        assert_eq!(output.status.code(), Some(code), "{words:?}: {output:?}");
        assert!(text(&output.stderr).contains(part), "{words:?}: {output:?}");
    }
    // A line that no event can hold ends it, and what was published before is said.
    let lines = [&b"one\n"[..], &[b'x'; 70_000], b"\nthree\n"].concat();
    let output = run(&["publish", "a", "--lines"], &place, &lines);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let shown = text(&output.stderr);
    assert!(
        shown.contains("65536") && shown.contains("published: 1"),
        "{shown}"
    );
    let nowhere = Place::new();
    let output = run(&["stats"], &nowhere, b"");
    assert_eq!(output.status.code(), Some(4), "{output:?}");
}
