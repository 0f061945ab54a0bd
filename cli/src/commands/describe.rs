//! `describe`: one definition of a schema, and how a request to a method begins.
//!
//! **Invariant**: what is shown is what the descriptors say; nothing is called.

use std::path::Path;

use prost_reflect::{DescriptorPool, MessageDescriptor, MethodDescriptor};
use serde_json::json;

use crate::{
    args::Describe,
    failure::Failure,
    format,
    output::{FAINT, Output},
    reflection::{self, Source, Symbol},
};

/// Runs the command and returns the exit code.
pub(crate) async fn run(file: Option<&Path>, args: Describe) -> Result<u8, Failure> {
    let mut out = Output::stdout(args.json);
    let source = Source::open(file, &args.schemas).await?;
    let pool = descriptors(&source).await?;
    let symbol = reflection::find_symbol(&pool, &args.name, &source.name())?;
    let template = message(&symbol).map(|message| reflection::template(&message));
    if args.template {
        let template = template.ok_or_else(|| no_template(&symbol))?;
        show(&mut out, &template)?;
        return Ok(0);
    }
    if out.is_json() {
        out.json(&json!({
            "command": "describe",
            "source": source.name(),
            "name": symbol.full_name(),
            "kind": symbol.kind(),
            "definition": reflection::definition(&symbol),
            "template": template,
        }))?;
        return Ok(0);
    }
    if let Symbol::Service(service) = &symbol {
        show_revisions(&mut out, &source, service.full_name()).await?;
    }
    show(&mut out, &reflection::definition(&symbol))?;
    if let Symbol::Method(method) = &symbol {
        show_messages(&mut out, method)?;
    }
    if let (Symbol::Method(method), Some(template)) = (&symbol, &template) {
        show_call(&mut out, method, template)?;
    }
    Ok(0)
}

/// All descriptors of the source.
async fn descriptors(source: &Source) -> Result<DescriptorPool, Failure> {
    let services = source.services().await?;
    source.descriptors(&services).await
}

/// The message that a request for `symbol` consists of.
fn message(symbol: &Symbol) -> Option<MessageDescriptor> {
    match symbol {
        Symbol::Method(method) => Some(method.input()),
        Symbol::Message(message) => Some(message.clone()),
        _ => None,
    }
}

fn no_template(symbol: &Symbol) -> Failure {
    Failure::Usage {
        message: format!("--template: {} is a {}", symbol.full_name(), symbol.kind()),
        hint: "name a method or a message".to_owned(),
    }
}

fn show_messages(out: &mut Output, method: &MethodDescriptor) -> Result<(), Failure> {
    let (input, output) = (method.input(), method.output());
    let other = Some(output).filter(|output| *output != input);
    for message in std::iter::once(input).chain(other) {
        out.line("")?;
        show(out, &reflection::definition(&Symbol::Message(message)))?;
    }
    Ok(())
}

/// Which revision the service is, where the source tells.
async fn show_revisions(out: &mut Output, source: &Source, name: &str) -> Result<(), Failure> {
    let services = source.services().await?;
    let service = reflection::find_service(&services, name, &source.name())?;
    if let Some(revisions) = source.revisions(service).await? {
        let words = revisions.words();
        out.line(format_args!("{FAINT}// {words}{FAINT:#}"))?;
    }
    Ok(())
}

/// How to call the method, as a line for the shell.
fn show_call(out: &mut Output, method: &MethodDescriptor, template: &str) -> Result<(), Failure> {
    let path = reflection::path(method);
    out.line("")?;
    out.line(format_args!("{FAINT}// To call it:{FAINT:#}"))?;
    let path = format::shell(path.trim_start_matches('/'));
    let call = format!("daemoneye-cli call {path} {}", format::shell(template));
    show(out, &call)
}

/// Lines of text, each of them escaped.
fn show(out: &mut Output, text: &str) -> Result<(), Failure> {
    for line in text.lines() {
        out.line(format::plain(line))?;
    }
    Ok(())
}
