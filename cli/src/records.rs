//! Process records: asking procmond for them, and showing them to people and programs.
//!
//! **Invariant**: JSON has the schema's field names, every field in every record, and `null` for what is
//! not known.

use std::time::{Duration, SystemTime};

use daemoneye_ipc::{CallError, Channel, prost_types::Timestamp};
use daemoneye_ipc_generated::procmond::v1::{
    HashAlgorithm, ListProcessesRequest, ProcessFilter, ProcessMonitorClient, ProcessRecord,
};
use serde_json::{Value, json};

use crate::{
    args, format,
    table::{Align, Table},
};

/// What the command line asks for, in the schema's words.
pub(crate) fn filter(args: &args::ProcessFilter) -> ProcessFilter {
    ProcessFilter {
        names: args.name.clone(),
        pids: args.pid.clone(),
        executable_glob: args.exe.clone().unwrap_or_default(),
    }
}

/// All processes that pass `filter`.
pub(crate) async fn list(
    channel: &Channel,
    filter: ProcessFilter,
) -> Result<Vec<ProcessRecord>, CallError> {
    let request = ListProcessesRequest {
        filter: Some(filter),
        ..ListProcessesRequest::default()
    };
    let mut batches = ProcessMonitorClient::new(channel.clone())
        .list_processes(request)
        .await?;
    let mut records = Vec::new();
    while let Some(batch) = batches.message().await? {
        records.extend(batch.processes);
    }
    Ok(records)
}

/// A record for programs.
pub(crate) fn json(record: &ProcessRecord) -> Value {
    let hash = (!record.executable_hash.is_empty()).then(|| hex(&record.executable_hash));
    let algorithm = HashAlgorithm::try_from(record.hash_algorithm)
        .ok()
        .filter(|algorithm| *algorithm != HashAlgorithm::Unspecified && hash.is_some())
        .map(|algorithm| {
            algorithm
                .as_str_name()
                .trim_start_matches("HASH_ALGORITHM_")
                .to_lowercase()
        });
    json!({
        "pid": record.pid,
        "parent_pid": record.parent_pid,
        "name": record.name,
        "executable_path": record.executable_path,
        "command_line": record.command_line,
        "start_time": record.start_time.as_ref().map(Timestamp::to_string),
        "cpu_percent": record.cpu_percent,
        "memory_bytes": record.memory_bytes,
        "executable_hash": hash,
        "hash_algorithm": algorithm,
        "user_id": record.user_id,
        "accessible": record.accessible,
        "file_exists": record.file_exists,
        "collection_time": record.collection_time.as_ref().map(Timestamp::to_string),
        "on_disk_mismatch": record.on_disk_mismatch,
    })
}

/// Records for people.
pub(crate) fn table(records: &[ProcessRecord]) -> Table {
    let mut table = Table::new(&[
        ("PID", Align::Right),
        ("PARENT", Align::Right),
        ("USER", Align::Right),
        ("CPU %", Align::Right),
        ("MEMORY", Align::Right),
        ("RUNNING", Align::Right),
        ("NAME", Align::Left),
        ("COMMAND", Align::Left),
    ]);
    let unknown = || "-".to_owned();
    for record in records {
        table.row([
            record.pid.to_string(),
            record
                .parent_pid
                .map_or_else(unknown, |pid| pid.to_string()),
            record.user_id.map_or_else(unknown, |uid| uid.to_string()),
            record
                .cpu_percent
                .map_or_else(unknown, |share| format!("{share:.1}")),
            record.memory_bytes.map_or_else(unknown, format::bytes),
            running(record).map_or_else(unknown, format::age),
            record.name.clone(),
            command(record),
        ]);
    }
    table
}

/// The command line on one line, or the executable in brackets for a process without one.
pub(crate) fn command(record: &ProcessRecord) -> String {
    if !record.command_line.is_empty() {
        let words: Vec<_> = record
            .command_line
            .iter()
            .map(|word| format::shell(word))
            .collect();
        return words.join(" ");
    }
    format!(
        "[{}]",
        record.executable_path.as_deref().unwrap_or(&record.name)
    )
}

fn running(record: &ProcessRecord) -> Option<Duration> {
    let since = SystemTime::try_from(record.start_time?).ok()?;
    let until = record
        .collection_time
        .and_then(|time| SystemTime::try_from(time).ok());
    until
        .unwrap_or_else(SystemTime::now)
        .duration_since(since)
        .ok()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> ProcessRecord {
        ProcessRecord {
            pid: 4711,
            parent_pid: Some(1),
            name: "sh".into(),
            executable_path: Some("/bin/sh".into()),
            command_line: vec!["sh".into(), "-c".into(), "a b\u{1b}[2J".into()],
            start_time: Some(Timestamp {
                seconds: 1_000,
                nanos: 0,
            }),
            cpu_percent: Some(1.25),
            memory_bytes: Some(1 << 21),
            executable_hash: vec![0xAB, 0x01].into(),
            hash_algorithm: HashAlgorithm::Sha256 as i32,
            user_id: Some(0),
            accessible: true,
            file_exists: true,
            collection_time: Some(Timestamp {
                seconds: 1_075,
                nanos: 0,
            }),
            on_disk_mismatch: false,
        }
    }

    #[test]
    fn a_record_for_programs() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&json(&record())).expect("JSON"));
    }

    #[test]
    fn a_record_of_which_little_is_known_keeps_every_key() {
        let full = json(&record());
        let bare = json(&ProcessRecord {
            pid: 7,
            ..ProcessRecord::default()
        });
        let keys = |value: &Value| {
            value
                .as_object()
                .expect("an object")
                .keys()
                .cloned()
                .collect::<Vec<_>>()
        };
        assert_eq!(keys(&full), keys(&bare));
        assert!(bare["executable_hash"].is_null() && bare["start_time"].is_null());
    }

    #[test]
    fn records_for_people_cannot_steer_the_terminal() {
        let kernel = ProcessRecord {
            pid: 2,
            name: "kthreadd".into(),
            ..ProcessRecord::default()
        };
        let lines = table(&[record(), kernel]).lines(None);
        insta::assert_snapshot!(lines.join("\n"), @r"
         PID  PARENT  USER  CPU %   MEMORY     RUNNING  NAME      COMMAND
        4711       1     0    1.2  2.0 MiB  1 min 15 s  sh        sh -c 'a b\u{1b}[2J'
           2       -     -      -        -           -  kthreadd  [kthreadd]
        ");
    }
}
