//! Rules that are uploaded with the command-line program, and the alerts that they raise.
//!
//! **Invariant**: what is expected of an upload that fails is that it leaves no trace.

use std::{fs, path::Path};

use daemoneye_ipc::Code;
use daemoneye_ipc_generated::agent::v1::{
    LinkState, ListAlertsRequest, RuleSet, UploadRulesRequest, upload_rules_request::Part,
};

use crate::{
    agent::{alerts_until, status},
    in_time, sha256,
    support::{Daemon, Place, Subject},
};

const BUILT_IN: [&str; 3] = [
    "executable-deleted",
    "executable-in-temporary-directory",
    "executable-replaced",
];

async fn rules(place: &Place) -> Vec<String> {
    let status = status(place, |_| true).await;
    status.rules.into_iter().map(|rule| rule.name).collect()
}

/// Writes a rules file and uploads it.
fn upload(place: &Place, file: &str, text: &str, more: &[&str]) -> crate::support::Run {
    let path = place.path(file);
    fs::write(&path, text).expect("written");
    let mut args = vec!["rules", "upload", path.to_str().expect("UTF-8")];
    args.extend(more);
    place.cli(&args)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn uploaded_rules_raise_alerts_of_what_runs_and_of_what_starts() {
    let place = Place::new();
    let _daemon = place.procmond();
    let _agent = place.agent();
    status(&place, |status| status.link() == LinkState::Connected).await;
    let running = Subject::start(&place.program("running"));
    let program = place.program("starting");
    let file = format!(
        "rules:\n  - name: by-name\n    name_globs: [running, starting]\n  \
         - name: by-hash\n    executable_globs: ['{}']\n    forbidden_hashes: ['{}']\n",
        program.display(),
        hex(&sha256(&program))
    );
    let told = upload(&place, "watched.yaml", &file, &["--json"]).json();
    assert_eq!(told["set"], "watched");
    assert_eq!(told["added"], serde_json::json!(["by-name", "by-hash"]));
    assert_eq!(told["in_force"], 5);

    let follow = ListAlertsRequest {
        follow: true,
        ..ListAlertsRequest::default()
    };
    let client = place.agent_client();
    let mut alerts = client.list_alerts(follow).await.expect("alerts");
    alerts_until(&mut alerts, running.pid(), "by-name").await;
    let starting = Subject::start(&program);
    alerts_until(&mut alerts, starting.pid(), "by-hash").await;

    // The command-line program shows the same, and the rules count them.
    let shown = place.cli(&["alerts", "--json"]);
    let about = shown
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
        .find(|alert| alert["rule"] == "by-hash")
        .expect("the alert");
    assert_eq!(about["process"]["pid"], starting.pid());
    let sequence = about["sequence"].to_string();
    let epoch = about["epoch"].as_str().expect("text");
    let after = ["alerts", "--json", "--after", &sequence, "--epoch", epoch];
    assert!(!place.cli(&after).stdout.contains("by-hash"));
    let listed = place.cli(&["rules", "list", "--json"]).json();
    let by_hash = listed["rules"]
        .as_array()
        .and_then(|rules| rules.iter().find(|rule| rule["name"] == "by-hash"))
        .expect("it is in force");
    assert_eq!(by_hash["set"], "watched");
    assert_eq!(by_hash["alerts"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_changes_all_or_nothing() {
    let place = Place::new();
    let _agent = place.agent();
    assert_eq!(rules(&place).await, BUILT_IN);

    // The second of three is wrong, which only the agent finds out.
    let wrong = "name: set\nrules:\n  - name: one\n    user_ids: [1]\n  - name: two\n    \
                 name_globs: ['[']\n  - name: three\n    user_ids: [3]\n";
    let run = upload(&place, "wrong.yaml", wrong, &["--replace"]);
    assert_eq!(run.code, Some(3), "{run:?}");
    for part in ["wrong.yaml:5", "rule 1", "two", "name_globs"] {
        assert!(run.stderr.contains(part), "{part}: {run:?}");
    }
    // One that is no rules file is not even sent.
    let run = upload(&place, "odd.yaml", "rules:\n  - nome: x\n", &[]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("odd.yaml:2"), "{run:?}");
    assert_eq!(rules(&place).await, BUILT_IN);

    let right = r#"{"name": "set", "rules": [{"name": "one", "user_ids": [1]}]}"#;
    let told = upload(
        &place,
        "right.json",
        right,
        &["--replace", "--dry-run", "--json"],
    )
    .json();
    assert_eq!(
        (&told["in_force"], &told["dry_run"]),
        (&1.into(), &true.into())
    );
    assert_eq!(rules(&place).await, BUILT_IN, "it was a dry run");
    let told = upload(&place, "right.json", right, &["--replace", "--json"]).json();
    assert_eq!(told["removed"], serde_json::json!(BUILT_IN));
    assert_eq!(rules(&place).await, ["one"]);
    let told = upload(&place, "right.json", right, &["--json"]).json();
    assert_eq!(
        (&told["unchanged"], &told["in_force"]),
        (&1.into(), &1.into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_killed_half_way_changes_nothing() {
    let place = Place::new();
    let _agent = place.agent();
    for round in 0..5 {
        let half = Daemon::start(
            env!("CARGO_BIN_EXE_programs-uploader"),
            &place.path("agent.sock"),
            &[],
        );
        let other = format!("other-{round}");
        let text = format!("rules:\n  - name: {other}\n    user_ids: [1]\n");
        half.kill();
        // Another upload does not mix with it, and is the last that the agent sees.
        upload(&place, "other.yaml", &text, &["--json"]).json();
        let now = rules(&place).await;
        assert!(now.contains(&other) && now.len() == 4 + round, "{now:?}");
    }
    // Those who stall keep some of the places, and not all that they might ask for.
    let client = place.agent_client();
    let mut stalled = Vec::new();
    for _ in 0..4 {
        let mut upload = client.upload_rules().await.expect("a stream");
        let set = RuleSet {
            name: "stalled".to_owned(),
            ..RuleSet::default()
        };
        let part = Some(Part::Set(set));
        let sent = upload.send(UploadRulesRequest { part }).await;
        sent.expect("sent");
        stalled.push(upload);
    }
    // An upload without a RuleSet is refused for that, where there is room for it.
    let refusal = async || client.upload_rules().await?.finish().await;
    let error = refusal().await.expect_err("too many");
    assert_eq!(error.code(), Code::ResourceExhausted);
    // Their going makes room, and changes nothing.
    drop(stalled);
    let error = in_time("room", async {
        loop {
            let error = refusal().await.expect_err("no RuleSet");
            if error.code() != Code::ResourceExhausted {
                return error;
            }
        }
    })
    .await;
    assert_eq!(error.code(), Code::InvalidArgument);
    assert_eq!(rules(&place).await.len(), 8);
    assert!(!Path::new("other.yaml").exists(), "all is in its own place");
}
