//! `schema explain`: what a rule means, why, and what to do, with an example.
//!
//! **Invariant**: what is said of a rule and what its example shows is the library's.

use std::{
    collections::BTreeSet,
    io::{self, Write},
};

use daemoneye_ipc_codegen::{
    evolution, lint, nearest,
    rules::{Example, Names, Rule, Severity},
};
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use crate::{
    args::SchemaExplain,
    failure::Failure,
    output::{BAD, GOOD, HEADING, Output},
    table::{Align, Table},
};

/// A rule, and what it belongs to.
#[derive(Clone, Copy)]
struct Known {
    rule: &'static Rule,
    command: &'static str,
    example: fn(&str) -> Option<Example>,
}

/// Runs the command; 0 when something was shown.
pub(crate) fn run(args: &SchemaExplain) -> Result<u8, Failure> {
    let rules = known();
    let mut out = Output::stdout(false);
    let Some(name) = &args.name else {
        list(&rules, &mut out)?;
        return Ok(0);
    };
    let name = name.to_uppercase().replace('-', "_");
    if let Some(known) = rules.iter().find(|known| known.rule.id == name) {
        explain(known, &mut out)?;
        return Ok(0);
    }
    let inside = |known: &&Known| known.rule.categories.contains(&&*name);
    let inside: Vec<Known> = rules.iter().filter(inside).copied().collect();
    if inside.is_empty() {
        return Err(unknown(&name, &rules));
    }
    list(&inside, &mut out)?;
    Ok(0)
}

fn known() -> Vec<Known> {
    let check = |rule| Known {
        rule,
        command: "schema check",
        example: evolution::example,
    };
    let lint = |rule| Known {
        rule,
        command: "schema lint",
        example: lint::example,
    };
    let changes = evolution::rules().chain(evolution::notes()).map(check);
    changes.chain(lint::rules().map(lint)).collect()
}

fn list<W: Write>(rules: &[Known], out: &mut Output<W>) -> io::Result<()> {
    let columns = ["RULE", "COMMAND", "CATEGORIES", "PURPOSE"];
    let mut table = Table::new(&columns.map(|name| (name, Align::Left)));
    for Known { rule, command, .. } in rules {
        table.row([
            rule.id.to_owned(),
            (*command).to_owned(),
            rule.categories.join(", "),
            rule.purpose.to_owned(),
        ]);
    }
    out.table(&table, 0, None)
}

fn unknown(name: &str, rules: &[Known]) -> Failure {
    let ids = rules.iter().map(|known| known.rule.id);
    let categories = rules.iter().flat_map(|known| known.rule.categories);
    let categories: BTreeSet<&str> = categories.copied().collect();
    let hint = match nearest(name, ids.chain(categories.iter().copied())) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "daemoneye-cli schema explain lists all of them".to_owned(),
    };
    Failure::Usage {
        message: format!("`{name}` is no rule and no category"),
        hint,
    }
}

fn explain<W: Write>(known: &Known, out: &mut Output<W>) -> io::Result<()> {
    let rule = known.rule;
    out.line(format_args!("{HEADING}{}{HEADING:#}", rule.id))?;
    out.line(rule.purpose)?;
    out.line("")?;
    let severity = match rule.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note: breaks nothing",
    };
    let direction = rule.direction.map(|direction| direction.words());
    let facts = [
        ("applied by", Some(applied(known))),
        ("categories", joined(rule.categories)),
        ("severity", Some(severity.to_owned())),
        ("who meets it", direction.map(str::to_owned)),
        ("why", filled(rule.why).filter(|why| why != rule.purpose)),
        ("what to do", filled(rule.fix)),
    ];
    for (name, fact) in facts {
        if let Some(fact) = fact {
            out.line(format_args!(
                "  {name:<13} {}",
                fact.replace('\n', "\n                ")
            ))?;
        }
    }
    match (known.example)(rule.id) {
        Some(example) => show(known, &example, out),
        None => Ok(()),
    }
}

/// The command that applies a rule, and what has to be asked for.
fn applied(known: &Known) -> String {
    let Known { rule, command, .. } = known;
    if rule.severity == Severity::Note {
        return format!("{command} --non-breaking");
    }
    let Names { default, .. } = match *command {
        "schema lint" => lint::names(),
        _ => evolution::names(),
    };
    if rule
        .categories
        .iter()
        .any(|category| default.contains(category))
    {
        format!("{command}, unless told otherwise")
    } else {
        format!("{command} --use {}", rule.id)
    }
}

fn joined(categories: &[&str]) -> Option<String> {
    filled(&categories.join(", "))
}

fn filled(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn show<W: Write>(known: &Known, example: &Example, out: &mut Output<W>) -> io::Result<()> {
    out.section("Example")?;
    if example.between.is_empty() {
        step(&example.before, &example.after, out)?;
    } else {
        step(&example.before, &example.between, out)?;
        out.line("")?;
        out.line("  and a release later")?;
        step(&example.between, &example.after, out)?;
    }
    out.line("")?;
    out.line(format_args!("{} says:", known.command))?;
    for said in &example.said {
        out.line(format_args!("  {}", sentence(said)))?;
    }
    Ok(())
}

type Schemas = [(&'static str, &'static str)];

/// What became of schemas; without earlier ones, the schemas.
fn step<W: Write>(before: &Schemas, after: &Schemas, out: &mut Output<W>) -> io::Result<()> {
    let paths = before.iter().chain(after).map(|(path, _)| *path);
    let paths: BTreeSet<&str> = paths.collect();
    let text = |schemas: &Schemas, path| {
        let found = schemas.iter().find(|(name, _)| *name == path);
        found.map(|(_, text)| *text)
    };
    for path in paths {
        match (text(before, path), text(after, path)) {
            (None, Some(new)) if before.is_empty() => {
                out.line(format_args!("  {path}"))?;
                for (number, line) in new.lines().enumerate() {
                    out.line(format_args!("  {:>4}  {line}", number + 1))?;
                }
            }
            (old, new) => change(path, old, new, out)?,
        }
    }
    Ok(())
}

/// Two versions of a file, as a diff.
fn change<W: Write>(
    path: &str,
    old: Option<&str>,
    new: Option<&str>,
    out: &mut Output<W>,
) -> io::Result<()> {
    let what = match (old, new) {
        (Some(old), Some(new)) if old == new => ", which stays as it is",
        (_, None) => ", which is deleted",
        (None, _) => ", which is new",
        _ => "",
    };
    out.line(format_args!("  {path}{what}"))?;
    if old == new {
        return Ok(());
    }
    let diff = TextDiff::from_lines(old.unwrap_or_default(), new.unwrap_or_default());
    for each in diff.iter_all_changes() {
        let line = each.value().trim_end();
        match each.tag() {
            ChangeTag::Equal => out.line(format!("      {line}").trim_end())?,
            ChangeTag::Delete => out.line(format_args!("    {BAD}- {line}{BAD:#}"))?,
            ChangeTag::Insert => out.line(format_args!("    {GOOD}+ {line}{GOOD:#}"))?,
        }
    }
    Ok(())
}

/// What is said of an example, as `path:line:column: message`.
fn sentence(said: &str) -> String {
    let Ok(finding) = serde_json::from_str::<Value>(said) else {
        return said.to_owned();
    };
    let message = finding["message"].as_str().unwrap_or_default();
    match finding["path"].as_str() {
        Some(path) => {
            let (line, column) = (&finding["start_line"], &finding["start_column"]);
            format!("{path}:{line}:{column}: {message}")
        }
        None => message.to_owned(),
    }
}
