//! The command line of what operators ask of the agent: `rules`, `alerts`, `collectors`.
//!
//! **Invariant**: as in `args`: parsing has no effects but messages about wrong usage.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};

use super::Target;

/// The form of a rules file, as `rules upload` shows it.
pub(super) const RULES_FILE: &str = "\
A rules file, in YAML or JSON; a rule has a name and at least one condition, and all have to hold:

  name: baseline
  rules:
    - name: listener-of-root
      name_globs: [nc, 'ncat*']
      user_ids: [0]
    - name: not-our-sshd
      executable_globs: ['/usr/sbin/sshd']
      allowed_hashes: [SHA-256 in hex, …]

Conditions: name_globs, executable_globs, user_ids, cpu_percent_over, memory_bytes_over, allowed_hashes,
forbidden_hashes, on_disk (deleted or replaced). `daemoneye-cli describe daemoneye.agent.v1.Rule` explains
them.";

/// The agent to talk to.
#[derive(Debug, Clone, Args)]
pub(crate) struct AgentTarget {
    /// Socket of the agent (on Windows, its pipe) [default: where it serves]
    #[arg(long, value_name = "PATH")]
    endpoint: Option<PathBuf>,
    /// Longest wait for any one answer [default: as configured]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    timeout: Option<u64>,
}

impl AgentTarget {
    /// The server that this means.
    pub(crate) fn target(&self) -> Target {
        let default = || PathBuf::from(daemoneye_agent::DEFAULT_ENDPOINT);
        Target {
            endpoint: Some(self.endpoint.clone().unwrap_or_else(default)),
            timeout: self.timeout,
        }
    }
}

/// What can be done to rules.
#[derive(Debug, Subcommand)]
pub(crate) enum Rules {
    /// Put the rules of a file in force, all of them or none
    #[command(after_help = RULES_FILE)]
    Upload(RulesUpload),
    /// List the rules in force
    List(RulesList),
}

/// Arguments of `rules upload`.
#[derive(Debug, Args)]
pub(crate) struct RulesUpload {
    /// The file; `-` for standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Take all other rules out of force, the built-in ones too
    #[arg(long)]
    pub(crate) replace: bool,
    /// Only have the agent judge the rules and say what they would change
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) agent: AgentTarget,
    /// Print one JSON object instead
    ///
    /// Keys: command, endpoint, set, dry_run, in_force, added, replaced, removed (names) and unchanged.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `rules list`.
#[derive(Debug, Args)]
pub(crate) struct RulesList {
    #[command(flatten)]
    pub(crate) agent: AgentTarget,
    /// Print one JSON object instead
    ///
    /// Keys: command, endpoint and rules; each rule has name, set (null if it is built in) and alerts.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `alerts`.
#[derive(Debug, Args)]
pub(crate) struct Alerts {
    /// Go on with new alerts, until Ctrl-C
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Only alerts after this number, as --json tells it
    #[arg(long, value_name = "SEQUENCE", requires = "epoch")]
    pub(crate) after: Option<u64>,
    /// Run of the agent that the number is from, as --json tells it; after another run all are shown
    #[arg(long, value_name = "EPOCH", requires = "after")]
    pub(crate) epoch: Option<String>,
    /// End after this many alerts
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    #[command(flatten)]
    pub(crate) agent: AgentTarget,
    /// Print one JSON object per line instead
    ///
    /// Each has event (alert, lost); alert has sequence, epoch, rule, reason, time, missed_before (alerts
    /// before it that are no longer kept) and process, a record as in `ps --json`.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What can be asked of collectors.
#[derive(Debug, Subcommand)]
pub(crate) enum Collectors {
    /// List the collectors that are registered
    List(CollectorsList),
    /// Have a collector stop collecting
    Pause(CollectorPause),
    /// Have a paused collector go on
    Resume(CollectorCommand),
    /// Change settings of a collector while it runs, all that are named or none
    Config(CollectorConfig),
    /// Have a collector drain and end
    Shutdown(CollectorCommand),
}

/// Arguments of `collectors list`.
#[derive(Debug, Args)]
pub(crate) struct CollectorsList {
    #[command(flatten)]
    pub(crate) agent: AgentTarget,
    /// Print one JSON object instead
    ///
    /// Keys: command, endpoint and collectors, with the field names of the schema
    /// (daemoneye.collector.v1.CollectorStatus).
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of commands that need nothing but a name.
#[derive(Debug, Args)]
pub(crate) struct CollectorCommand {
    /// Name of the collector, as `collectors list` shows it
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) agent: AgentTarget,
    /// Print one JSON object instead
    ///
    /// Keys: command, endpoint, collector_id and state.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `collectors pause`.
#[derive(Debug, Args)]
pub(crate) struct CollectorPause {
    #[command(flatten)]
    pub(crate) command: CollectorCommand,
    /// Why, as its health shows it
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) reason: String,
}

/// Arguments of `collectors config`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("change").required(true).multiple(true))]
pub(crate) struct CollectorConfig {
    /// Name of the collector, as `collectors list` shows it
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Shortest time between two looks at what it collects
    #[arg(long, value_name = "MS", group = "change")]
    pub(crate) scan_interval: Option<u64>,
    /// Bytes of the largest file that it hashes; 0 for any
    #[arg(long, value_name = "BYTES", group = "change")]
    pub(crate) max_hash_bytes: Option<u64>,
    /// Go back to the settings of this revision
    #[arg(long, value_name = "REVISION", group = "change",
        conflicts_with_all = ["scan_interval", "max_hash_bytes"])]
    pub(crate) rollback_to: Option<u64>,
    /// Only if this revision is in force
    #[arg(long, value_name = "REVISION")]
    pub(crate) expected_revision: Option<u64>,
    /// Only ask whether the collector would accept it
    #[arg(long)]
    pub(crate) validate_only: bool,
    #[command(flatten)]
    pub(crate) agent: AgentTarget,
    /// Print one JSON object instead
    ///
    /// Keys: command, endpoint, collector_id, validate_only, revision, scan_interval_ms and
    /// max_hash_bytes.
    #[arg(long)]
    pub(crate) json: bool,
}
