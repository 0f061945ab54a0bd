//! `ps`: the processes of the machine, as procmond sees them.
//!
//! **Invariant**: filtering is the server's; what comes is shown, sorted by process id.

use daemoneye_ipc::IpcConfig;
use serde_json::json;

use crate::{args::Ps, connect, failure::Failure, format, output::Output, records};

/// Runs the command and returns the exit code.
pub(crate) async fn run(config: IpcConfig, args: Ps) -> Result<u8, Failure> {
    let mut out = Output::stdout(args.json);
    let channel = connect::channel(&config).await?;
    let mut processes = records::list(&channel, records::filter(&args.filter))
        .await
        .map_err(|error| Failure::call(&error, config.crc32_variant))?;
    processes.sort_by_key(|process| process.pid);
    if out.is_json() {
        let processes: Vec<_> = processes.iter().map(records::json).collect();
        out.json(&json!({
            "command": "ps",
            "endpoint": config.endpoint_path,
            "processes": processes,
        }))?;
        return Ok(0);
    }
    if processes.is_empty() {
        out.line("no process matches")?;
        return Ok(0);
    }
    out.table(&records::table(&processes), 0, None)?;
    out.line("")?;
    out.line(format::plural(processes.len(), "process", "processes"))?;
    Ok(0)
}
