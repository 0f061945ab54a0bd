//! `health-check`: from the socket file to the health of each component.
//!
//! **Invariant**: looking at a server changes nothing in it, and nothing that fails keeps the later
//! checks that do not depend on it from being made.

use std::{
    io,
    time::{Duration, Instant},
};

use daemoneye_ipc::{
    Channel, IpcConfig, SchemaPolicy,
    descriptor::ServiceDescriptor,
    prost_types,
    schema::{
        health::v1::{
            CheckRequest, CheckResponse, ComponentHealth, HEALTH_SERVICE, HealthClient,
            HealthStatus,
        },
        introspection::v1::INTROSPECTION_SERVICE,
        ipc::v1::ServiceOffer,
        reflection::v1::REFLECTION_SERVICE,
    },
    wire::{Hello, Verdict},
};
use daemoneye_ipc_generated::{
    agent::v1::AGENT_SERVICE, collector::v1::COLLECTOR_CONTROL_SERVICE,
    conformance::v1::CONFORMANCE_SERVICE, eventbus::v1::EVENT_BUS_SERVICE,
    procmond::v1::PROCESS_MONITOR_SERVICE,
};

use crate::{
    examination::{Examination, hello, served},
    explain::{self, Explanation},
    failure::Failure,
    format,
    output::Output,
    report::{Check, Report},
};

/// The services whose schemas this program was built with.
const KNOWN: [&ServiceDescriptor; 8] = [
    PROCESS_MONITOR_SERVICE,
    AGENT_SERVICE,
    COLLECTOR_CONTROL_SERVICE,
    EVENT_BUS_SERVICE,
    HEALTH_SERVICE,
    REFLECTION_SERVICE,
    INTROSPECTION_SERVICE,
    CONFORMANCE_SERVICE,
];

/// Runs the command and returns the exit code.
pub(crate) async fn run(config: IpcConfig, verbose: bool, json: bool) -> Result<u8, Failure> {
    let mut out = Output::stdout(json);
    out.line(format_args!("Health of {}", config.endpoint_path.display()))?;
    out.line("")?;
    let report = examine(&config, &mut out, verbose).await?;
    out.verdict(&report)?;
    Ok(report.verdict().exit_code())
}

/// Makes all checks, each shown as it is made.
pub(crate) async fn examine(
    config: &IpcConfig,
    out: &mut Output,
    verbose: bool,
) -> io::Result<Report> {
    let mut examination = Examination::new("health-check", config, out, verbose);
    let hello = Hello {
        services: offers(),
        ..hello(config)
    };
    let Some(reached) = examination.reach(&hello, &["schemas", "health"]).await? else {
        return Ok(examination.finish());
    };
    for check in schema_checks(&reached.hello) {
        examination.record(check)?;
    }
    let serves_health = reached.serves(HEALTH_SERVICE.name);
    // The server may allow one connection only.
    drop(reached);
    if serves_health {
        for check in health_checks(&examination).await {
            examination.record(check)?;
        }
    } else {
        let why = Explanation::new(
            "the server does not serve daemoneye.health.v1.Health",
            "add `.health(reporter)` where it is built, so that its components can be seen",
        );
        examination.record(Check::warned("health", "not served", why))?;
    }
    Ok(examination.finish())
}

/// What this program was built with; an unknown schema is to be reported, not refused.
fn offers() -> Vec<ServiceOffer> {
    KNOWN
        .iter()
        .map(|service| ServiceOffer {
            name: service.name.to_owned(),
            revision: service.revision,
            fingerprint: service.fingerprint,
            compatible: service
                .compatible
                .iter()
                .take(16)
                .map(|revision| revision.fingerprint)
                .collect(),
            ..ServiceOffer::default()
        })
        .collect()
}

/// One check for each service that the server serves.
fn schema_checks(theirs: &Hello) -> Vec<Check> {
    let mut checks: Vec<_> = served(theirs).map(schema_check).collect();
    if checks.is_empty() {
        let why = Explanation::new(
            "the server announces no service",
            "see whether it is the server you mean, and whether its services were added",
        );
        checks.push(Check::failed("schemas", "none served", why));
    }
    checks
}

fn schema_check(theirs: &ServiceOffer) -> Check {
    let short = theirs.name.rsplit('.').next().unwrap_or(&theirs.name);
    let name = format!("schema {short}");
    let known = KNOWN.iter().find(|service| service.name == theirs.name);
    let release = match theirs.revision {
        0 => "unreleased".to_owned(),
        revision => format!("revision {revision}"),
    };
    let check = match (theirs.verdict(), known) {
        (Verdict::Exact, _) => {
            Check::passed(name, format!("{}: same schema, {release}", theirs.name))
        }
        (Verdict::Compatible, _) => {
            Check::passed(name, format!("{}: compatible, {release}", theirs.name))
        }
        (_, Some(ours)) => {
            let why = explain::schema_mismatch(
                &theirs.name,
                (ours.revision, ours.fingerprint),
                (theirs.revision, theirs.fingerprint),
            );
            Check::warned(
                name,
                format!("{}: not known to be compatible", theirs.name),
                why,
            )
        }
        (_, None) => Check::passed(
            name,
            format!("{}: not one that this program knows", theirs.name),
        ),
    };
    let check = check
        .fact("service", theirs.name.clone())
        .fact("revision", theirs.revision)
        .fact("fingerprint", format!("{:016x}", theirs.fingerprint));
    match known {
        Some(ours) => check.fact("own_fingerprint", format!("{:016x}", ours.fingerprint)),
        None => check,
    }
}

/// The server's own word on itself and its components.
async fn health_checks(examination: &Examination<'_>) -> Vec<Check> {
    let start = Instant::now();
    let channel = match Channel::builder(examination.config().clone())
        .schema_policy(SchemaPolicy::Ignore)
        .lazy()
    {
        Ok(channel) => channel,
        Err(error) => {
            let why = explain::explain(&error, examination.scene());
            return vec![Check::failed("health", explain::headline(&error), why)];
        }
    };
    let limit = Duration::from_millis(examination.config().read_timeout_ms);
    match HealthClient::new(channel)
        .check(CheckRequest::default())
        .timeout(limit)
        .await
    {
        Ok(reply) => judged(&reply, start.elapsed()),
        Err(error) => {
            let why = explain::explain(error.kind(), examination.scene());
            let check = Check::failed("health", explain::headline(error.kind()), why);
            vec![check.took(start.elapsed())]
        }
    }
}

fn judged(reply: &CheckResponse, took: Duration) -> Vec<Check> {
    let up = duration(reply.uptime).map(format::age);
    let detail = match &up {
        Some(up) => format!(
            "up for {up}, {}",
            format::plural(reply.components.len(), "component", "components")
        ),
        None => format::plural(reply.components.len(), "component", "components"),
    };
    let first = with_status("health", reply.status(), detail, "")
        .took(took)
        .fact("status", reply.status().as_str_name())
        .fact(
            "uptime_s",
            duration(reply.uptime).map(|time| time.as_secs()),
        );
    std::iter::once(first)
        .chain(reply.components.iter().map(component_check))
        .collect()
}

fn component_check(component: &ComponentHealth) -> Check {
    let name = format!("component {}", component.component);
    let mut detail = match component.status() {
        HealthStatus::Healthy => "healthy",
        HealthStatus::Degraded => "degraded",
        HealthStatus::Unhealthy => "unhealthy",
        HealthStatus::Unspecified => "status unknown",
    }
    .to_owned();
    if !component.message.is_empty() {
        detail.push_str(&format!(": {}", component.message));
    }
    if component.error_count > 0 {
        let errors = usize::try_from(component.error_count).unwrap_or(usize::MAX);
        detail.push_str(&format!(" ({})", format::plural(errors, "error", "errors")));
    }
    with_status(&name, component.status(), detail, &component.message)
        .fact("status", component.status().as_str_name())
        .fact("message", component.message.clone())
        .fact(
            "last_check",
            component.last_check.map(|time| time.to_string()),
        )
        .fact(
            "uptime_s",
            duration(component.uptime).map(|time| time.as_secs()),
        )
        .fact("error_count", component.error_count)
}

fn with_status(name: &str, status: HealthStatus, detail: String, message: &str) -> Check {
    let why = |word: &str| {
        let cause = match message {
            "" => format!("the server says that it is {word}"),
            message => format!("the server says: {message}"),
        };
        Explanation::new(
            cause,
            "see the server's log for what led to it, and the components that it depends on",
        )
    };
    match status {
        HealthStatus::Healthy => Check::passed(name, detail),
        HealthStatus::Degraded => Check::warned(name, detail, why("degraded")),
        HealthStatus::Unspecified => {
            Check::warned(name, detail, why("in no state that this program knows"))
        }
        HealthStatus::Unhealthy => Check::failed(name, detail, why("unhealthy")),
    }
}

fn duration(time: Option<prost_types::Duration>) -> Option<Duration> {
    Duration::try_from(time?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Outcome, Verdict as State};

    fn offer(service: &ServiceDescriptor, verdict: Verdict) -> ServiceOffer {
        ServiceOffer {
            name: service.name.to_owned(),
            fingerprint: 7,
            verdict: verdict as i32,
            ..ServiceOffer::default()
        }
    }

    #[test]
    fn verdicts_become_checks() {
        let hello = Hello {
            services: vec![
                offer(HEALTH_SERVICE, Verdict::Exact),
                offer(REFLECTION_SERVICE, Verdict::Compatible),
                offer(PROCESS_MONITOR_SERVICE, Verdict::Unknown),
                offer(AGENT_SERVICE, Verdict::Absent),
                ServiceOffer {
                    name: "other.v1.Other".into(),
                    ..ServiceOffer::default()
                },
            ],
            ..Hello::default()
        };
        let checks = schema_checks(&hello);
        let outcomes: Vec<_> = checks
            .iter()
            .map(|check| (check.name.as_str(), check.outcome))
            .collect();
        assert_eq!(
            outcomes,
            [
                ("schema Health", Outcome::Passed),
                ("schema Reflection", Outcome::Passed),
                ("schema ProcessMonitor", Outcome::Warned),
                ("schema Other", Outcome::Passed),
            ]
        );
        assert!(
            checks[2]
                .cause
                .as_deref()
                .is_some_and(|cause| cause.contains("0000000000000007"))
        );
        assert_eq!(schema_checks(&Hello::default())[0].outcome, Outcome::Failed);
    }

    #[test]
    fn the_worst_component_decides() {
        let component = |name: &str, status: HealthStatus| ComponentHealth {
            component: name.into(),
            status: status as i32,
            message: "disk full".into(),
            error_count: 2,
            ..ComponentHealth::default()
        };
        let verdict = |statuses: &[HealthStatus]| {
            let mut report = Report::new("health-check", "/x");
            let components = statuses
                .iter()
                .map(|status| component("store", *status))
                .collect();
            let reply = CheckResponse {
                status: 1,
                components,
                ..CheckResponse::default()
            };
            judged(&reply, Duration::ZERO)
                .into_iter()
                .for_each(|check| report.push(check));
            report.verdict()
        };
        assert_eq!(verdict(&[]), State::Healthy);
        assert_eq!(
            verdict(&[HealthStatus::Healthy, HealthStatus::Degraded]),
            State::Degraded
        );
        assert_eq!(
            verdict(&[HealthStatus::Degraded, HealthStatus::Unhealthy]),
            State::Unhealthy
        );
        let check = component_check(&component("store", HealthStatus::Degraded));
        assert_eq!(check.detail, "degraded: disk full (2 errors)");
    }
}
