//! `schema`: one file per command.
//!
//! **Invariant**: as in `commands`.

mod check;
mod diff;
mod docs;
mod explain;
mod generate;
mod lint;
mod release;

use std::path::Path;

use crate::{args::Schema, failure::Failure};

/// Runs the command; `file` is the one given by `--config`.
pub(crate) fn run(file: Option<&Path>, command: Schema) -> Result<u8, Failure> {
    match command {
        Schema::Generate(_) if file.is_some() => Err(Failure::Usage {
            message: "--config has no meaning for `schema generate`".to_owned(),
            hint: "generate.toml in the folder of the schemas says what goes where".to_owned(),
        }),
        Schema::Generate(args) => generate::run(args),
        Schema::Check(args) => check::run(&args),
        Schema::Lint(args) => lint::run(&args),
        Schema::Release(args) => release::run(file, &args),
        Schema::Diff(args) => diff::run(&args),
        Schema::Docs(args) => docs::run(&args),
        Schema::Explain(args) => explain::run(&args),
    }
}
