//! `demo`: the product at work in one command. Two daemons as child processes, this machine's real
//! processes over IPC, events, a rule and its alert, a crash and a recovery, health, speed, and a clean end.
//!
//! **Invariant**: nothing outlives the demo: sockets and logs live in a private directory that goes with
//! it, and children are killed on every way out.

pub(crate) mod child;
mod operator;
mod recovery;
mod speed;
mod tour;

use std::{
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use daemoneye_ipc::{CallError, IpcConfig, IpcError, shutdown_signal};

use self::child::Daemon;
use crate::{
    explain::Explanation,
    failure::Failure,
    format,
    output::Output,
    report::{Check, Report},
};

/// How long anything that the demo waits for may take.
pub(crate) const STEP_LIMIT: Duration = Duration::from_secs(30);

/// Runs the demo and returns the exit code.
pub(crate) async fn run(config: IpcConfig, file: Option<&Path>, json: bool) -> Result<u8, Failure> {
    let mut out = Output::stdout(json);
    let interrupted = shutdown_signal();
    let folder = child::private_folder()?;
    let place = folder.path().to_path_buf();
    let mut demo = Demo::new(config, file, &place, &mut out);
    let ended = tokio::select! {
        ended = demo.show() => ended,
        () = interrupted => Err(Failure::Interrupted),
    };
    // Whatever children are left were killed when `show` ended or was dropped.
    let removed = folder.close();
    demo.finish(ended, removed, &place)
}

/// A demo under way.
pub(crate) struct Demo<'a> {
    out: &'a mut Output,
    report: Report,
    config: IpcConfig,
    file: Option<&'a Path>,
    folder: &'a Path,
}

impl<'a> Demo<'a> {
    fn new(
        config: IpcConfig,
        file: Option<&'a Path>,
        folder: &'a Path,
        out: &'a mut Output,
    ) -> Self {
        let mut config = config;
        config.endpoint_path = child::endpoint(folder, "procmond");
        let report = Report::new("demo", config.endpoint_path.display().to_string());
        Self {
            out,
            report,
            config,
            file,
            folder,
        }
    }

    /// The steps, in the order in which they make sense.
    async fn show(&mut self) -> Result<(), Failure> {
        self.out.line(
            "DaemonEye IPC at work: two daemons, one client, the real processes of this machine",
        )?;
        self.out.section("Start")?;
        let procmond = self.start_procmond().await?;
        let agent = self.start_agent().await?;
        let channel = tour::handshake(self).await?;
        tour::processes(self, &channel).await?;
        tour::events(self, &channel).await?;
        operator::show(self, &procmond).await?;
        let procmond = recovery::crash(self, procmond, &agent).await?;
        tour::health(self).await?;
        speed::measure(self, &channel).await?;
        self.stop([("agent", agent), ("procmond", procmond)]).await
    }

    async fn start_procmond(&mut self) -> Result<Daemon, Failure> {
        self.procmond("procmond").await
    }

    /// Starts procmond again where it was.
    pub(crate) async fn restart_procmond(&mut self) -> Result<Daemon, Failure> {
        self.procmond("restart").await
    }

    async fn procmond(&mut self, step: &'static str) -> Result<Daemon, Failure> {
        let endpoint = self.config.endpoint_path.clone();
        let agent = self.agent_endpoint();
        let args = [
            "--endpoint".as_ref(),
            endpoint.as_os_str(),
            "--agent".as_ref(),
            agent.as_os_str(),
        ];
        self.start(step, "procmond", &args, &endpoint).await
    }

    async fn start_agent(&mut self) -> Result<Daemon, Failure> {
        let (endpoint, procmond) = (self.agent_endpoint(), self.config.endpoint_path.clone());
        let args = [
            "--endpoint".as_ref(),
            endpoint.as_os_str(),
            "--procmond".as_ref(),
            procmond.as_os_str(),
        ];
        self.start("agent", "agent", &args, &endpoint).await
    }

    async fn start(
        &mut self,
        step: &'static str,
        name: &'static str,
        args: &[&OsStr],
        endpoint: &Path,
    ) -> Result<Daemon, Failure> {
        let mut all = vec![OsStr::new(name)];
        all.extend(args);
        if let Some(file) = self.file {
            all.extend([OsStr::new("--config"), file.as_os_str()]);
        }
        let start = Instant::now();
        let daemon = Daemon::start(name, &all, self.folder).await?;
        let detail = format!("process {} serves {}", daemon.pid(), endpoint.display());
        self.record(
            Check::passed(step, detail)
                .took(start.elapsed())
                .fact("pid", daemon.pid()),
        )?;
        Ok(daemon)
    }

    async fn stop(&mut self, daemons: [(&'static str, Daemon); 2]) -> Result<(), Failure> {
        self.out.section("End")?;
        for (name, daemon) in daemons {
            let (pid, start) = (daemon.pid(), Instant::now());
            let status = daemon.stop(STEP_LIMIT).await?;
            let detail = format!("process {pid} drained after SIGTERM, {status}");
            let check = if status.success() {
                Check::passed(name, detail)
            } else {
                Check::warned(name, detail, unclean(name))
            };
            self.record(check.took(start.elapsed()))?;
        }
        Ok(())
    }

    /// What a failed attempt to connect means.
    pub(crate) fn connect_failed(&self, error: &IpcError) -> Failure {
        Failure::connect(error, &self.config.endpoint_path, self.config.crc32_variant)
    }

    /// What a failed call means.
    pub(crate) fn call_failed(&self, error: &CallError) -> Failure {
        Failure::call(error, self.config.crc32_variant)
    }

    /// Where the agent serves.
    pub(crate) fn agent_endpoint(&self) -> PathBuf {
        child::endpoint(self.folder, "agent")
    }

    /// Shows a step that was taken and keeps it.
    pub(crate) fn record(&mut self, check: Check) -> io::Result<()> {
        self.out.check(&check, false)?;
        self.report.push(check);
        Ok(())
    }

    fn finish(
        mut self,
        ended: Result<(), Failure>,
        removed: io::Result<()>,
        place: &Path,
    ) -> Result<u8, Failure> {
        match ended {
            Ok(()) => {}
            Err(Failure::Failed { headline, why } | Failure::Unreachable { headline, why }) => {
                self.record(Check::failed("demo", headline, why))?;
            }
            // Nobody reads on, or somebody asked for the end.
            Err(failure) => return Err(failure),
        }
        let check = match removed {
            Ok(()) => Check::passed("files", format!("{} is gone", place.display())),
            Err(error) => Check::warned("files", "left behind", leftover(place, &error)),
        };
        self.record(check)?;
        self.out.verdict(&self.report)?;
        Ok(self.report.verdict().exit_code())
    }
}

fn unclean(name: &str) -> Explanation {
    Explanation::new(
        format!("{name} did not end in order"),
        "run it by itself and read what it logs when it is asked to end",
    )
}

fn leftover(place: &Path, error: &io::Error) -> Explanation {
    let shown = format::shell(&place.display().to_string());
    Explanation::new(error.to_string(), format!("rm -r {shown}"))
}
