//! `schema lint`: whether schemas are written as schemas should be.
//!
//! **Invariant**: what is looked at is what was asked for, never an import of it.

use daemoneye_ipc_codegen::lint;

use crate::{
    args::{Format, RuleArgs},
    failure::Failure,
    output::Output,
    schema::{
        self, CLEAN, FOUND,
        render::{self, Findings},
        source::Source,
    },
};

/// Runs the command; 0 without findings, 100 with.
pub(crate) fn run(args: &RuleArgs) -> Result<u8, Failure> {
    let source = Source::asked(&args.source);
    let mut config = source.config(args.source.config.as_deref())?;
    schema::overrule(&mut config, args, |config| {
        let modules = config.modules.iter_mut();
        modules.map(|module| &mut module.lint).collect()
    });
    let image = source.image(&config)?;
    let list = lint::check(&image, &config).map_err(Failure::Check)?;
    let mut out = Output::stdout(args.format != Format::Text);
    let findings = Findings {
        list: &list,
        new: &image,
        earlier: &[],
        rules: &lint::rules().collect::<Vec<_>>(),
        config: &config,
        subject: &format!("lint of {}", args.source.path().display()),
    };
    render::render(args.format, &findings, &mut out)?;
    Ok(if list.is_empty() { CLEAN } else { FOUND })
}
