//! What `health-check` and `ipc test` have in common: the way from a path to a server that has said
//! HELLO, with a check for each step.
//!
//! **Invariant**: a step that fails leaves the later ones out, and each of them is reported as skipped.

use std::{
    io,
    time::{Duration, Instant},
};

use daemoneye_ipc::{
    IpcConfig, IpcError, PeerPolicy,
    schema::ipc::v1::ServiceOffer,
    transport,
    wire::{Hello, PROTOCOL_VERSION, Verdict},
};
use serde_json::json;

use crate::{
    endpoint::Survey,
    explain::{self, Explanation, Scene},
    format,
    output::Output,
    probe::Probe,
    process,
    report::{Check, Outcome, Report},
    socket::Socket,
};

/// An endpoint under examination.
pub(crate) struct Examination<'a> {
    config: &'a IpcConfig,
    out: &'a mut Output,
    verbose: bool,
    report: Report,
    survey: Survey,
    server: Option<u32>,
}

/// A server that has answered HELLO with its own.
pub(crate) struct Reached {
    /// The connection, on which nothing but the two HELLOs was said.
    pub(crate) probe: Probe<Socket>,
    /// What the server announces.
    pub(crate) hello: Hello,
}

impl Reached {
    /// Whether the server serves the service of that full name.
    pub(crate) fn serves(&self, name: &str) -> bool {
        served(&self.hello).any(|service| service.name == name)
    }
}

impl<'a> Examination<'a> {
    /// Looks at the endpoint of `config`, and shows each check in `out` as it is made.
    pub(crate) fn new(
        command: &'static str,
        config: &'a IpcConfig,
        out: &'a mut Output,
        verbose: bool,
    ) -> Self {
        let report = Report::new(command, config.endpoint_path.display().to_string());
        let survey = Survey::configured(config);
        Self {
            config,
            out,
            verbose,
            report,
            survey,
            server: None,
        }
    }

    /// The configuration of this side.
    pub(crate) const fn config(&self) -> &'a IpcConfig {
        self.config
    }

    /// Where errors happen.
    pub(crate) fn scene(&self) -> Scene<'_> {
        Scene {
            endpoint: &self.config.endpoint_path,
            survey: Some(&self.survey),
            server: self.server,
            crc: self.config.crc32_variant,
        }
    }

    /// Shows a check and keeps it.
    pub(crate) fn record(&mut self, check: Check) -> io::Result<()> {
        self.out.check(&check, self.verbose)?;
        self.report.push(check);
        Ok(())
    }

    /// Reports steps that are not tried.
    pub(crate) fn skip(&mut self, names: &[&str], why: &str) -> io::Result<()> {
        names
            .iter()
            .try_for_each(|name| self.record(Check::skipped(*name, why)))
    }

    /// The checks so far.
    pub(crate) fn finish(self) -> Report {
        self.report
    }

    /// Endpoint, permissions, directory, connect, handshake. `None` when one of them failed; then
    /// `later` are reported as skipped.
    pub(crate) async fn reach(
        &mut self,
        hello: &Hello,
        later: &[&str],
    ) -> io::Result<Option<Reached>> {
        let start = Instant::now();
        self.survey = Survey::configured(self.config);
        let took = start.elapsed();
        let checks = self.survey.checks();
        let there = checks
            .first()
            .is_some_and(|check| check.outcome == Outcome::Passed);
        for check in checks {
            let took = if check.name == "endpoint" {
                took
            } else {
                Duration::ZERO
            };
            self.record(check.took(took))?;
        }
        if !there {
            self.skip(&["connect", "handshake"], "no socket to connect to")?;
            self.skip(later, "not connected")?;
            return Ok(None);
        }
        let Some(connection) = self.connect().await? else {
            self.skip(&["handshake"], "not connected")?;
            self.skip(later, "not connected")?;
            return Ok(None);
        };
        let reached = self.shake_hands(connection, hello).await?;
        if reached.is_none() {
            self.skip(later, "no handshake")?;
        }
        Ok(reached)
    }

    async fn connect(&mut self) -> io::Result<Option<Socket>> {
        let start = Instant::now();
        match open(self.config).await {
            Ok(connection) => {
                let peer = connection.peer();
                let pid = peer.pid.and_then(|pid| u32::try_from(pid).ok());
                self.server = pid;
                let name = pid.and_then(process::name);
                let detail = match (pid, &name) {
                    (Some(pid), Some(name)) => format!("process {pid} ({name}), {}", peer.user()),
                    (Some(pid), None) => format!("process {pid}, {}", peer.user()),
                    (None, _) => format!("a process of {}", peer.user()),
                };
                let check = Check::passed("connect", detail).took(start.elapsed());
                let check = check
                    .fact("pid", pid)
                    .fact("uid", peer.user().number())
                    .fact("process", name);
                self.record(check)?;
                Ok(Some(connection))
            }
            Err(error) => {
                let why = explain::explain(&error, self.scene());
                let check = Check::failed("connect", explain::headline(&error), why).on_the_way();
                self.record(check.took(start.elapsed()))?;
                Ok(None)
            }
        }
    }

    async fn shake_hands(
        &mut self,
        connection: Socket,
        hello: &Hello,
    ) -> io::Result<Option<Reached>> {
        let mut probe = probe(self.config, connection);
        let start = Instant::now();
        let answer = probe.handshake(hello).await;
        let took = start.elapsed();
        match answer {
            Ok(theirs) => {
                self.record(handshake_check(&theirs).took(took))?;
                Ok(Some(Reached {
                    probe,
                    hello: theirs,
                }))
            }
            Err(refusal) => {
                let why = refusal.explain(self.scene());
                let check = Check::failed("handshake", refusal.to_string(), why).on_the_way();
                self.record(check.took(took))?;
                Ok(None)
            }
        }
    }

    /// A further connection to the same server, on which nothing was said yet.
    pub(crate) async fn another(&self) -> Result<Probe<Socket>, IpcError> {
        open(self.config)
            .await
            .map(|connection| probe(self.config, connection))
    }
}

/// Connects, and trusts the server as a channel would: before a byte is sent.
async fn open(config: &IpcConfig) -> Result<Socket, IpcError> {
    let limit = Duration::from_millis(config.reconnect.connect_timeout_ms);
    let link = transport::connect(&config.endpoint_path, limit).await?;
    let trusted = PeerPolicy::trusted_by(&config.peers)?;
    transport::check_server(&config.endpoint_path, link.peer(), &trusted).await?;
    Ok(Socket::new(link))
}

/// Why a server that can be connected to does not shake hands: a headline and an explanation. `None`
/// when it does, or when there is no connecting to it.
pub(crate) async fn refusal(config: &IpcConfig) -> Option<(String, Explanation)> {
    let socket = open(config).await.ok()?;
    let scene = Scene {
        endpoint: &config.endpoint_path,
        survey: None,
        server: socket.peer().pid.and_then(|pid| u32::try_from(pid).ok()),
        crc: config.crc32_variant,
    };
    let refusal = probe(config, socket)
        .handshake(&hello(config))
        .await
        .err()?;
    Some((refusal.to_string(), refusal.explain(scene)))
}

fn probe(config: &IpcConfig, socket: Socket) -> Probe<Socket> {
    let limit = Duration::from_millis(config.limits.handshake_timeout_ms);
    Probe::new(socket, config.crc32_variant, config.max_frame_bytes, limit)
}

/// This side's HELLO, naming no services.
pub(crate) fn hello(config: &IpcConfig) -> Hello {
    let bounded = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
    Hello {
        protocol: PROTOCOL_VERSION,
        agent: concat!("daemoneye-cli/", env!("CARGO_PKG_VERSION")).to_owned(),
        max_frame_bytes: bounded(config.max_frame_bytes),
        max_calls: bounded(config.limits.max_calls),
        stream_credit: bounded(config.limits.stream_credit_bytes),
        services: Vec::new(),
    }
}

/// The services that a server serves. It also answers to those that this side named and it does not
/// serve.
pub(crate) fn served(hello: &Hello) -> impl Iterator<Item = &ServiceOffer> {
    hello
        .services
        .iter()
        .filter(|service| service.verdict() != Verdict::Absent)
}

fn handshake_check(hello: &Hello) -> Check {
    let agent = if hello.agent.is_empty() {
        "a server without a name"
    } else {
        &hello.agent
    };
    let services: Vec<_> = served(hello)
        .map(|service| json!({ "name": service.name, "revision": service.revision }))
        .collect();
    let detail = format!(
        "{agent}, protocol {}, {}",
        hello.protocol,
        format::plural(services.len(), "service", "services")
    );
    Check::passed("handshake", detail)
        .fact("agent", hello.agent.clone())
        .fact("protocol", hello.protocol)
        .fact("services", services)
}
