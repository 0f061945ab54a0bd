//! `schema docs`: the documentation of schemas, as pages for a browser.
//!
//! **Invariant**: writes below the folder that was named, and nowhere else.

use daemoneye_ipc_codegen::history::History;

use crate::{
    args::SchemaDocs,
    explain::Explanation,
    failure::Failure,
    format,
    output::Output,
    schema::{CLEAN, docs, source::Source},
};

/// Runs the command.
pub(crate) fn run(args: &SchemaDocs) -> Result<u8, Failure> {
    let source = Source::asked(&args.source);
    let image = source.image(&source.config(args.source.config.as_deref())?)?;
    let history = History::of(source.folder()).map_err(Failure::Check)?;
    let written = docs::write(&image, &history, &args.title, &args.out).map_err(|error| {
        Failure::failed(
            format!("`{}` cannot be written to", args.out.display()),
            Explanation::new(
                error.to_string(),
                "name a folder that is yours to write, or one that does not exist yet",
            ),
        )
    })?;
    Output::stdout(false).line(format_args!(
        "{} of {}: {}",
        format::plural(written.elements, "element", "elements"),
        format::plural(written.packages, "package", "packages"),
        args.out.join("index.html").display()
    ))?;
    Ok(CLEAN)
}
