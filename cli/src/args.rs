//! The command line: what can be asked for, and how.
//!
//! **Invariant**: nothing is done here; parsing has no effects but messages about wrong usage.

mod dynamic;
mod events;
mod operator;
mod schema;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, builder::NonEmptyStringValueParser};

pub(crate) use self::{
    dynamic::{Call, Describe, List, Schemas},
    events::{Events, EventsPublish, EventsStats, EventsSubscribe},
    operator::{
        AgentTarget, Alerts, CollectorConfig, Collectors, CollectorsList, Rules, RulesList,
        RulesUpload,
    },
    schema::{
        Format, RuleArgs, Schema, SchemaCheck, SchemaDiff, SchemaDocs, SchemaExplain,
        SchemaGenerate, SchemaRelease, SchemaSource,
    },
};

const EXIT_CODES: &str = "\
Exit codes: 0 healthy or done, 1 degraded, 2 wrong usage or configuration, 3 unhealthy or failed, \
4 unreachable.

The endpoint and all limits come from --config FILE (its `ipc:` section), then from DAEMONEYE_IPC_* \
variables, then from the options. NO_COLOR turns colours off.";

/// Diagnoses DaemonEye IPC endpoints, shows and calls what they serve, and works on their schemas.
#[derive(Debug, Parser)]
#[command(name = "daemoneye-cli", version, arg_required_else_help = true, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// YAML file with an `ipc:` section
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check a server from its socket file to the health of its components
    #[command(after_help = EXIT_CODES)]
    HealthCheck(HealthCheck),
    /// Diagnose the connection itself
    #[command(subcommand)]
    Ipc(Ipc),
    /// List the services of a server, or the methods of a service
    #[command(after_help = dynamic::LIST_EXAMPLES)]
    List(List),
    /// Show the definition of a service, method, message, field or enum
    #[command(after_help = dynamic::DESCRIBE_EXAMPLES)]
    Describe(Describe),
    /// Call any method of a server, with requests and responses in JSON
    #[command(after_help = dynamic::CALL_HELP, mut_arg("timeout", |arg| {
        arg.help("Deadline of the call [default: as configured for one answer, none for streams]")
    }))]
    Call(Call),
    /// List processes as procmond sees them
    Ps(Ps),
    /// Follow processes as they start, change and end, until Ctrl-C
    Watch(Watch),
    /// Look at the agent's rules, and put others in force
    #[command(subcommand)]
    Rules(Rules),
    /// Show the agent's alerts
    Alerts(Alerts),
    /// Look at the collectors that the agent knows, and command them
    #[command(subcommand)]
    Collectors(Collectors),
    /// Follow and publish events on the agent's bus
    #[command(subcommand)]
    Events(Events),
    /// Work on schemas and the code generated from them
    #[command(subcommand)]
    Schema(Schema),
    /// Show it all at work: two daemons, real processes, a crash and a recovery
    Demo(Demo),
    /// One of the demo's child processes
    #[command(hide = true)]
    DemoChild(DemoChild),
}

/// The server to talk to.
#[derive(Debug, Clone, Args)]
pub(crate) struct Target {
    /// Socket of the server [default: endpoint_path of the configuration]
    #[arg(long, value_name = "PATH")]
    pub(crate) endpoint: Option<PathBuf>,
    /// Longest wait for any one answer [default: as configured]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    pub(crate) timeout: Option<u64>,
}

/// Arguments of `health-check`.
#[derive(Debug, Args)]
pub(crate) struct HealthCheck {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Show every detail of every check
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Print one JSON object instead
    ///
    /// Keys: command, endpoint, status (healthy, degraded, unhealthy, unreachable), exit_code, elapsed_us
    /// and checks. Each check has name, outcome (passed, warned, failed, skipped), detail and elapsed_us;
    /// one that did not pass has cause and hint; facts hold its details by name.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What can be done to a connection.
#[derive(Debug, Subcommand)]
pub(crate) enum Ipc {
    /// Test connectivity step by step, without disturbing a live service
    #[command(after_help = EXIT_CODES)]
    Test(IpcTest),
    /// Show a server's connections, calls in flight and counters
    #[command(after_help = EXIT_CODES)]
    Inspect(IpcInspect),
}

/// Arguments of `ipc inspect`.
#[derive(Debug, Args)]
pub(crate) struct IpcInspect {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Print one JSON object instead
    ///
    /// Keys: command, endpoint, the counters by the names of daemoneye.introspection.v1.Stats
    /// (calls_ended by code, faults by cause), and the lists connections and calls; times in microseconds
    /// end with _us.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `ipc test`.
#[derive(Debug, Args)]
pub(crate) struct IpcTest {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Round trips to measure
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) pings: u32,
    /// Also fill the server's connection limit for a moment: other clients may be turned away
    #[arg(long)]
    pub(crate) stress: bool,
    /// Show every detail of every step
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Print one JSON object instead
    ///
    /// Keys: command, endpoint, status (healthy, degraded, unhealthy, unreachable), exit_code, elapsed_us
    /// and checks. Each check has name, outcome (passed, warned, failed, skipped), detail and elapsed_us;
    /// one that did not pass has cause and hint; facts hold its details by name.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which processes.
#[derive(Debug, Clone, Args)]
pub(crate) struct ProcessFilter {
    /// Only processes of this name (repeatable)
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) name: Vec<String>,
    /// Only this process (repeatable)
    #[arg(long, value_name = "PID")]
    pub(crate) pid: Vec<u32>,
    /// Only processes whose executable's path matches, for example '/usr/bin/*'
    #[arg(long, value_name = "GLOB", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) exe: Option<String>,
}

/// Arguments of `ps`.
#[derive(Debug, Args)]
pub(crate) struct Ps {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) filter: ProcessFilter,
    /// Print one JSON object instead
    ///
    /// Keys: command, endpoint and processes, a list of records with the field names of the schema
    /// (daemoneye.procmond.v1.ProcessRecord); what is not known is null.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `watch`.
#[derive(Debug, Args)]
pub(crate) struct Watch {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) filter: ProcessFilter,
    /// End after this many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Print one JSON object per line instead
    ///
    /// Each has event (watching, started, changed, exited, gap, lost) and, but for lost, sequence and
    /// epoch; started, changed and exited have process, a record as in `ps --json`; gap has first_missing
    /// and last_missing.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Print one JSON object instead
    ///
    /// Keys: command, endpoint, status (healthy, degraded, unhealthy, unreachable), exit_code, elapsed_us
    /// and checks. Each check has name, outcome (passed, warned, failed, skipped), detail and elapsed_us;
    /// one that did not pass has cause and hint; facts hold its details by name.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which child of the demo this process is.
#[derive(Debug, Args)]
pub(crate) struct DemoChild {
    /// The demo itself
    #[arg(long, value_name = "PID")]
    pub(crate) parent: u32,
    #[command(subcommand)]
    pub(crate) role: DemoRole,
}

/// The demo's children.
#[derive(Debug, Subcommand)]
pub(crate) enum DemoRole {
    /// The process monitor
    Procmond {
        /// Where it serves
        #[arg(long, value_name = "PATH")]
        endpoint: PathBuf,
        /// Where it finds the agent
        #[arg(long, value_name = "PATH")]
        agent: PathBuf,
    },
    /// The agent
    Agent {
        /// Where it serves
        #[arg(long, value_name = "PATH")]
        endpoint: PathBuf,
        /// Where it finds procmond
        #[arg(long, value_name = "PATH")]
        procmond: PathBuf,
    },
    /// A process that does nothing until its standard input ends
    Idle,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, error::ErrorKind};

    use super::*;

    fn refused(line: &str) -> ErrorKind {
        Cli::try_parse_from(line.split_whitespace())
            .expect_err(line)
            .kind()
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_stand_before_or_after_the_command() {
        for line in [
            "daemoneye-cli --config a.yaml health-check --endpoint /x --verbose --json",
            "daemoneye-cli health-check --verbose --json --endpoint /x --config a.yaml",
        ] {
            let cli = Cli::try_parse_from(line.split_whitespace()).expect(line);
            assert_eq!(cli.config.as_deref(), Some("a.yaml".as_ref()));
            let Command::HealthCheck(args) = cli.command else {
                panic!("{line}")
            };
            assert!(args.verbose && args.json);
            assert_eq!(args.target.endpoint.as_deref(), Some("/x".as_ref()));
        }
    }

    #[test]
    fn nonsense_is_refused_with_usage() {
        assert_eq!(
            refused("daemoneye-cli"),
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        );
        assert_eq!(
            refused("daemoneye-cli health"),
            ErrorKind::InvalidSubcommand
        );
        assert_eq!(
            refused("daemoneye-cli ps --pid x"),
            ErrorKind::ValueValidation
        );
        assert_eq!(
            refused("daemoneye-cli watch --count 0"),
            ErrorKind::ValueValidation
        );
        assert_eq!(
            refused("daemoneye-cli ipc test --timeout 0"),
            ErrorKind::ValueValidation
        );
        assert_eq!(
            refused("daemoneye-cli demo --endpoint /x"),
            ErrorKind::UnknownArgument
        );
    }

    #[test]
    fn the_demo_children_are_not_advertised() {
        assert!(
            !Cli::command()
                .render_help()
                .to_string()
                .contains("demo-child")
        );
    }
}
