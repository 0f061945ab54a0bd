//! `list`: the services of a server, and the methods of one.
//!
//! **Invariant**: shows what the source says, in its order.

use std::path::Path;

use prost_reflect::{MethodDescriptor, ServiceDescriptor};
use serde_json::{Value, json};

use crate::{
    args::List,
    failure::Failure,
    format,
    output::{FAINT, Output},
    reflection::{self, ServiceInfo, Source},
    table::{Align, Table},
};

/// Runs the command and returns the exit code.
pub(crate) async fn run(file: Option<&Path>, args: List) -> Result<u8, Failure> {
    let mut out = Output::stdout(args.json);
    let source = Source::open(file, &args.schemas).await?;
    match &args.service {
        None => services(&source, &mut out).await?,
        Some(name) => methods(&source, name, &mut out).await?,
    }
    Ok(0)
}

async fn services(source: &Source, out: &mut Output) -> Result<(), Failure> {
    let services = source.services_at_least_by_name().await?;
    if out.is_json() {
        let services = services
            .iter()
            .map(|service| info(service, json!(service.methods)));
        let services: Vec<_> = services.collect();
        out.json(&json!({ "command": "list", "source": source.name(), "services": services }))?;
        return Ok(());
    }
    if services.is_empty() {
        return Ok(out.line("no services")?);
    }
    let mut table = Table::new(&[
        ("SERVICE", Align::Left),
        ("METHODS", Align::Right),
        ("REVISION", Align::Right),
        ("FINGERPRINT", Align::Left),
    ]);
    for service in services {
        table.row([
            service.name,
            service
                .methods
                .map_or_else(|| "-".to_owned(), |count| count.to_string()),
            match service.revision {
                None => "-".to_owned(),
                Some(0) => "unreleased".to_owned(),
                Some(revision) => revision.to_string(),
            },
            hex(service.fingerprint),
        ]);
    }
    Ok(out.table(&table, 0, None)?)
}

async fn methods(source: &Source, name: &str, out: &mut Output) -> Result<(), Failure> {
    let services = source.services().await?;
    let service = reflection::find_service(&services, name, &source.name())?;
    let descriptor = source.service(service).await?;
    let revisions = source.revisions(service).await?;
    if out.is_json() {
        let methods = descriptor
            .methods()
            .map(|method| method_json(&method))
            .collect();
        let mut described = info(service, Value::Array(methods));
        described["compatible"] = revisions.map_or(Value::Null, |revisions| revisions.json());
        let services = [described];
        out.json(&json!({ "command": "list", "source": source.name(), "services": services }))?;
        return Ok(());
    }
    match revisions {
        Some(revisions) => out.line(format_args!(
            "{}  {FAINT}{}{FAINT:#}",
            format::plain(&service.name),
            revisions.words()
        ))?,
        None => out.line(format::plain(&service.name))?,
    }
    out.table(&method_table(&descriptor), 2, None)?;
    Ok(())
}

fn method_table(service: &ServiceDescriptor) -> Table {
    let mut table = Table::new(&[
        ("METHOD", Align::Left),
        ("KIND", Align::Left),
        ("IDEMPOTENCY", Align::Left),
        ("REQUEST -> RESPONSE", Align::Left),
    ]);
    for method in service.methods() {
        let side = |streams: bool, message: prost_reflect::MessageDescriptor| {
            let stream = if streams { "stream " } else { "" };
            let name = message.full_name().strip_prefix(service.package_name());
            let name = name.and_then(|name| name.strip_prefix('.'));
            format!("{stream}{}", name.unwrap_or(message.full_name()))
        };
        let [request, response] = [
            side(method.is_client_streaming(), method.input()),
            side(method.is_server_streaming(), method.output()),
        ];
        table.row([
            method.name().to_owned(),
            reflection::kind(&method).to_string(),
            idempotency(&method).unwrap_or("-").to_owned(),
            format!("{request} -> {response}"),
        ]);
    }
    table
}

fn info(service: &ServiceInfo, methods: Value) -> Value {
    json!({
        "name": service.name,
        "revision": service.revision,
        "fingerprint": hex(service.fingerprint),
        "methods": methods,
    })
}

fn method_json(method: &MethodDescriptor) -> Value {
    json!({
        "name": method.name(),
        "path": reflection::path(method),
        "kind": reflection::kind(method).to_string(),
        "request": method.input().full_name(),
        "response": method.output().full_name(),
        "idempotency": idempotency(method),
    })
}

/// What the schema promises about running the method twice, in its own words.
fn idempotency(method: &MethodDescriptor) -> Option<&'static str> {
    let options = method.method_descriptor_proto().options.as_ref()?;
    options.idempotency_level?;
    Some(options.idempotency_level().as_str_name())
}

fn hex(fingerprint: u64) -> String {
    format!("{fingerprint:016x}")
}
