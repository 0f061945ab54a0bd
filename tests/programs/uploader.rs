//! Uploads rules half-way and then waits, to be killed in the middle.
//!
//! `programs-uploader --endpoint PATH`: prints `ready PATH` once the agent has what was sent.
//!
//! **Invariant**: the upload is never finished.

use daemoneye_ipc::{Channel, IpcConfig};
use daemoneye_ipc_generated::agent::v1::{
    AgentClient, Rule, RuleSet, UploadMode, UploadRulesRequest, upload_rules_request::Part,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let path = std::env::args().nth(2).unwrap_or_default();
    let channel = Channel::connect(IpcConfig::new(&path)).await?;
    let client = AgentClient::new(channel.clone());
    let mut upload = client.upload_rules().await?;
    let set = RuleSet {
        name: "half".to_owned(),
        mode: UploadMode::Replace.into(),
        dry_run: false,
    };
    let rules = (0..100).map(|number| {
        Part::Rule(Rule {
            name: format!("half-{number}"),
            name_globs: vec!["*".to_owned()],
            ..Rule::default()
        })
    });
    for part in std::iter::once(Part::Set(set)).chain(rules) {
        upload.send(UploadRulesRequest { part: Some(part) }).await?;
    }
    // What follows on the same connection is answered after what came before.
    channel.ping().await?;
    let line = format!("ready {path}\n");
    std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes())?;
    std::future::pending().await
}
