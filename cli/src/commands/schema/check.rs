//! `schema check`: whether a schema can take the place of an earlier one.
//!
//! **Invariant**: the earlier schema brings its import roots, and no rules.

use daemoneye_ipc_codegen::evolution;

use crate::{
    args::{Format, SchemaCheck},
    failure::Failure,
    output::Output,
    schema::{
        self, CLEAN, FOUND,
        against::{Against, Compared},
        render::{self, Findings},
        source::Source,
    },
};

/// Runs the command; 0 without findings, 100 with. Changes that break nothing do not count.
pub(crate) fn run(args: &SchemaCheck) -> Result<u8, Failure> {
    let source = &args.rules.source;
    let new = Source::asked(source);
    let against = Against::of(args.against.as_deref());
    let mut config = new.config(source.config.as_deref())?;
    schema::overrule(&mut config, &args.rules, |config| {
        config
            .modules
            .iter_mut()
            .map(|module| &mut module.breaking)
            .collect()
    });
    let image = new.image(&config)?;
    let Compared {
        earlier,
        findings: mut list,
        words,
    } = against.compare(&new, &image, &config)?;
    let code = if list.is_empty() { CLEAN } else { FOUND };
    if let Some(last) = earlier.last().filter(|_| args.non_breaking) {
        list.extend(evolution::compatible(&image, &last.image));
    }
    let rules: Vec<_> = evolution::rules().chain(evolution::notes()).collect();
    let mut out = Output::stdout(args.rules.format != Format::Text);
    let findings = Findings {
        list: &list,
        new: &image,
        earlier: &earlier,
        rules: &rules,
        config: &config,
        subject: &format!("{} compared with {words}", source.path().display()),
    };
    render::render(args.rules.format, &findings, &mut out)?;
    Ok(code)
}
