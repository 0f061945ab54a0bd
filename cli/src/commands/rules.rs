//! `rules`: the agent's rules, listed and uploaded.
//!
//! **Invariant**: an upload is finished only after the last rule of the file was sent; on any trouble before,
//! it is dropped, which changes nothing.

use std::{path::Path, time::Duration};

use daemoneye_ipc::{CallError, IpcConfig, IpcError, Status};
use daemoneye_ipc_generated::agent::v1::{
    AgentClient, GetStatusRequest, RuleProblem, RuleSet, UploadMode, UploadRulesRequest,
    UploadRulesResponse, upload_rules_request::Part,
};
use serde_json::json;

use crate::{
    args::{Rules, RulesList, RulesUpload},
    connect,
    explain::Explanation,
    failure::Failure,
    format,
    output::Output,
    rules_file::RulesFile,
    table::{Align, Table},
};

/// Runs the command and returns the exit code.
pub(crate) async fn run(file: Option<&Path>, command: Rules) -> Result<u8, Failure> {
    match command {
        Rules::Upload(args) => upload(file, args).await,
        Rules::List(args) => list(file, args).await,
    }
}

async fn upload(file: Option<&Path>, args: RulesUpload) -> Result<u8, Failure> {
    let rules = RulesFile::read(&args.file)?;
    let config = connect::configuration(file, &args.agent.target())?;
    let client = AgentClient::new(connect::channel(&config).await?);
    let mode = if args.replace {
        UploadMode::Replace
    } else {
        UploadMode::Merge
    };
    let set = RuleSet {
        name: rules.name.clone(),
        mode: mode.into(),
        dry_run: args.dry_run,
    };
    let limit = Duration::from_millis(config.read_timeout_ms);
    let told = send(&client, set, &rules, limit)
        .await
        .map_err(|error| refused(&error, &rules, &config))?;
    show(&told, &rules, &args, &config)?;
    Ok(0)
}

async fn send(
    client: &AgentClient,
    set: RuleSet,
    rules: &RulesFile,
    limit: Duration,
) -> Result<UploadRulesResponse, CallError> {
    let mut upload = client.upload_rules().timeout(limit).await?;
    let definitions = rules.rules.iter().map(|(_, rule)| Part::Rule(rule.clone()));
    for part in std::iter::once(Part::Set(set)).chain(definitions) {
        let sent = upload.send(UploadRulesRequest { part: Some(part) }).await;
        let Err(error) = sent else { continue };
        if matches!(error.kind(), IpcError::TooLarge { .. }) {
            return Err(error);
        }
        // The call is over, and its end says more. Not all was sent, so that it is no success.
        return Err(upload.finish().await.err().unwrap_or(error));
    }
    upload.finish().await
}

/// What a failed upload means; of a rule that was refused, where it is.
fn refused(error: &CallError, rules: &RulesFile, config: &IpcConfig) -> Failure {
    let problem = error.status().and_then(Status::detail::<RuleProblem>);
    let Some(problem) = problem else {
        return Failure::call(error, config.crc32_variant);
    };
    let headline = format!(
        "{}: rule {} ({:?}) was refused",
        rules.place(problem.index),
        problem.index,
        problem.rule
    );
    let hint = "correct it and upload the file again; no rule was changed";
    Failure::failed(headline, Explanation::new(problem.problem, hint))
}

fn show(
    told: &UploadRulesResponse,
    rules: &RulesFile,
    args: &RulesUpload,
    config: &IpcConfig,
) -> Result<(), Failure> {
    let mut out = Output::stdout(args.json);
    if out.is_json() {
        out.json(&json!({
            "command": "rules upload",
            "endpoint": config.endpoint_path,
            "set": rules.name,
            "dry_run": args.dry_run,
            "in_force": told.in_force,
            "added": told.added,
            "replaced": told.replaced,
            "removed": told.removed,
            "unchanged": told.unchanged,
        }))?;
        return Ok(());
    }
    for (word, names) in [
        ("added", &told.added),
        ("replaced", &told.replaced),
        ("removed", &told.removed),
    ] {
        for name in names {
            out.line(format_args!("{word:<9} {}", format::plain(name)))?;
        }
    }
    let count = format::plural(told.in_force as usize, "rule", "rules");
    let end = if args.dry_run {
        format!("{count} would be in force; nothing was changed")
    } else {
        format!("{count} in force")
    };
    out.line(format_args!("{end}, {} unchanged", told.unchanged))?;
    Ok(())
}

async fn list(file: Option<&Path>, args: RulesList) -> Result<u8, Failure> {
    let mut out = Output::stdout(args.json);
    let config = connect::configuration(file, &args.agent.target())?;
    let client = AgentClient::new(connect::channel(&config).await?);
    let status = client.get_status(GetStatusRequest {}).await;
    let rules = status
        .map_err(|error| Failure::call(&error, config.crc32_variant))?
        .rules;
    if out.is_json() {
        let set = |set: &str| (!set.is_empty()).then(|| set.to_owned());
        let rules: Vec<_> = rules
            .iter()
            .map(|rule| json!({ "name": rule.name, "set": set(&rule.set), "alerts": rule.alerts }))
            .collect();
        out.json(&json!({
            "command": "rules list",
            "endpoint": config.endpoint_path,
            "rules": rules,
        }))?;
        return Ok(0);
    }
    let mut table = Table::new(&[
        ("ALERTS", Align::Right),
        ("SET", Align::Left),
        ("RULE", Align::Left),
    ]);
    for rule in &rules {
        let set = match rule.set.as_str() {
            "" => "(built in)".to_owned(),
            set => set.to_owned(),
        };
        table.row([format::count(rule.alerts), set, rule.name.clone()]);
    }
    out.table(&table, 0, None)?;
    out.line("")?;
    out.line(format::plural(rules.len(), "rule", "rules"))?;
    Ok(0)
}
