//! `schema release`: records what is released, when it breaks no supported release.
//!
//! **Invariant**: with findings, or with `--dry-run`, nothing is written.

use std::{io, path::Path};

use daemoneye_ipc_codegen::{
    evolution,
    history::{History, Plan, Revision},
};

use crate::{
    args::{Format, SchemaRelease},
    failure::Failure,
    format,
    output::{GOOD, HEADING, Output},
    schema::{
        CLEAN, FOUND,
        against::Earlier,
        render::{self, Findings},
        source::Source,
    },
    table::{Align, Table},
};

/// Runs the command; 0 when a release was recorded or there is nothing to release, 100 with findings.
pub(crate) fn run(file: Option<&Path>, args: &SchemaRelease) -> Result<u8, Failure> {
    let source = Source::Folder(args.schemas.clone());
    let config = source.config(file)?;
    source.exists()?;
    let mut history = History::of(source.folder()).map_err(Failure::Check)?;
    let plan = history.plan(&config).map_err(Failure::Check)?;
    let mut out = Output::stdout(false);
    let number = plan.release.number;
    if !plan.findings.is_empty() {
        let earlier: Vec<Earlier> = plan.releases.into_iter().map(Earlier::from).collect();
        let findings = Findings {
            list: &plan.findings,
            new: &plan.image,
            earlier: &earlier,
            rules: &evolution::rules().collect::<Vec<_>>(),
            config: &config,
            subject: &format!("release {number} of {} is refused", args.schemas.display()),
        };
        render::render(Format::Text, &findings, &mut out)?;
        return Ok(FOUND);
    }
    if plan.is_empty() {
        let words = format!(
            "{GOOD}nothing to release{GOOD:#}: {} is as release {} has it",
            args.schemas.display(),
            number - 1
        );
        out.line(words)?;
        return Ok(CLEAN);
    }
    show(&plan, &history, &mut out)?;
    let folder = history.folder().display().to_string();
    if args.dry_run {
        out.line(format_args!("nothing was recorded: this was a rehearsal"))?;
    } else {
        history.record(plan).map_err(Failure::Check)?;
        out.line(format_args!(
            "recorded in {folder}: commit it together with the schemas"
        ))?;
    }
    Ok(CLEAN)
}

/// What a release brings.
fn show(plan: &Plan, history: &History, out: &mut Output) -> io::Result<()> {
    let release = &plan.release;
    out.line(format_args!(
        "{HEADING}release {}{HEADING:#}",
        release.number
    ))?;
    let mut table = Table::new(&[
        ("SERVICE", Align::Left),
        ("REVISION", Align::Right),
        ("FINGERPRINT", Align::Left),
        ("COMPATIBLE WITH", Align::Left),
    ]);
    for revision in &release.services {
        table.row([
            revision.service.clone(),
            revision.number.to_string(),
            format!("{:016x}", revision.fingerprint),
            compatible(revision, history),
        ]);
    }
    if release.services.is_empty() {
        out.line("  no service has changed on the wire: all keep their revisions")?;
    } else {
        out.table(&table, 2, None)?;
    }
    let counted = [
        (
            release.files.len(),
            "file new or changed",
            "files new or changed",
        ),
        (release.removed.len(), "file removed", "files removed"),
    ];
    for (count, one, many) in counted.into_iter().filter(|(count, ..)| *count > 0) {
        out.line(format_args!("  {}", format::plural(count, one, many)))?;
    }
    Ok(())
}

fn compatible(revision: &Revision, history: &History) -> String {
    let numbers: Vec<String> = revision.compatible.iter().map(u32::to_string).collect();
    match (history.revisions(&revision.service).next(), &*numbers) {
        (None, _) => "-: it is the first".to_owned(),
        (Some(_), []) => "none before it".to_owned(),
        (Some(_), [one]) => format!("revision {one}"),
        (Some(_), many) => format!("revisions {}", many.join(", ")),
    }
}
