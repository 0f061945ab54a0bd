//! `schema check`: whether a schema can take the place of an earlier one.
//!
//! **Invariant**: the earlier schema brings its import roots, and no rules.

use std::path::Path;

use daemoneye_ipc_codegen::evolution;

use crate::{
    args::{Format, SchemaCheck},
    failure::Failure,
    output::Output,
    schema::{
        self, CLEAN, FOUND,
        render::{self, Findings},
        source::Source,
    },
};

/// Runs the command; 0 without findings, 100 with. Changes that break nothing do not count.
pub(crate) fn run(file: Option<&Path>, args: &SchemaCheck) -> Result<u8, Failure> {
    let (new, old) = (Source::of(&args.rules.schemas), Source::of(&args.against));
    let mut config = new.config(file)?;
    schema::overrule(&mut config, &args.rules, |config| {
        config
            .modules
            .iter_mut()
            .map(|module| &mut module.breaking)
            .collect()
    });
    let new = new.image(&config)?;
    let old = old.image(&old.config(None)?)?;
    let mut list = evolution::check(&new, &old, &config).map_err(Failure::Check)?;
    let code = if list.is_empty() { CLEAN } else { FOUND };
    if args.non_breaking {
        list.extend(evolution::compatible(&new, &old));
    }
    let rules: Vec<_> = evolution::rules().chain(evolution::notes()).collect();
    let mut out = Output::stdout(args.rules.format != Format::Text);
    let findings = Findings {
        list: &list,
        new: &new,
        old: Some(&old),
        rules: &rules,
        config: &config,
        subject: &format!(
            "{} compared with {}",
            args.rules.schemas.display(),
            args.against.display()
        ),
    };
    render::render(args.rules.format, &findings, &mut out)?;
    Ok(code)
}
