//! The command line of `schema`.
//!
//! **Invariant**: as in `args`: parsing has no effects but messages about wrong usage.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand, ValueEnum};

/// What the commands that apply rules have in common in their help.
pub(super) const RULES_HELP: &str = "\
Exit codes: 0 no findings, 100 findings, 1 nothing could be checked, whatever the format.

Rules and categories have the names and meaning of buf's, read from buf.yaml where there is one; those of \
this product are in the category IPC, which is the default. evolution.toml beside it holds what buf would not \
understand. docs/schema-evolution.md explains both.";

/// What `schema lint` says beyond its options.
pub(super) const LINT_HELP: &str = "\
Exit codes: 0 no findings, 100 findings, 1 nothing could be checked, whatever the format.

Rules and categories have the names and meaning of buf's; STANDARD is the default. They are configured in \
buf.yaml and evolution.toml, and ignored at an element by a comment: // buf:lint:ignore RULE. \
docs/schema-lint.md explains it.";

/// What `schema release` says beyond its options.
pub(super) const RELEASE_HELP: &str = "\
Exit codes: 0 released, or nothing has changed; 100 findings, and nothing was released; 1 nothing could be checked.

The folder history beside the schemas says what was released: commit it. The generator embeds the revisions that it \
names, so that peers know each other. [history] oldest_supported in evolution.toml says which releases count. \
docs/schema-evolution.md explains it.";

/// What `schema explain` says beyond its options.
pub(super) const EXPLAIN_HELP: &str = "\
Examples:
  daemoneye-cli schema explain FIELD_SAME_TYPE
  daemoneye-cli schema explain IPC

Exit codes: 0 shown, 2 there is no such rule or category.";

/// What can be done to schemas.
#[derive(Debug, Subcommand)]
pub(crate) enum Schema {
    /// Write the code generated from schemas, or check that what is checked in is fresh
    Generate(SchemaGenerate),
    /// Check that peers built from an earlier schema still work with this one
    #[command(after_help = RULES_HELP)]
    Check(SchemaCheck),
    /// Check that schemas are written as schemas should be
    #[command(after_help = LINT_HELP)]
    Lint(RuleArgs),
    /// Record what is released, unless it breaks a supported release
    #[command(after_help = RELEASE_HELP)]
    Release(SchemaRelease),
    /// Show what changed since an earlier schema, and whom it breaks
    Diff(SchemaDiff),
    /// Write documentation of services, messages and enums: HTML pages that need no server
    Docs(SchemaDocs),
    /// Show what a rule means, with an example; without a name, list the rules
    #[command(after_help = EXPLAIN_HELP)]
    Explain(SchemaExplain),
}

/// Arguments of `schema diff`.
#[derive(Debug, Args)]
pub(crate) struct SchemaDiff {
    #[command(flatten)]
    pub(crate) source: SchemaSource,
    /// What to compare with: the last release (released, the default), the commit where this branch left another
    /// (git:REF) or a commit itself (git-tip:REF), a folder, or a descriptor set of protoc or buf
    #[arg(long, value_name = "released|git:REF|DIR|FILE.binpb")]
    pub(crate) against: Option<OsString>,
    /// Print one JSON object instead
    ///
    /// Keys: command, schemas, against, how many changes break what (wire, json, code, nothing), and changes.
    /// Each change has element, of, name, what (added, removed, renamed, renumbered, changed), details, effects
    /// (breaks, direction, rule and why of each, worst first), location and against.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `schema docs`.
#[derive(Debug, Args)]
pub(crate) struct SchemaDocs {
    #[command(flatten)]
    pub(crate) source: SchemaSource,
    /// The folder for the pages, which is made where it does not exist
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// What stands at the top of each page
    #[arg(long, default_value = "Schemas")]
    pub(crate) title: String,
}

/// Arguments of `schema explain`.
#[derive(Debug, Args)]
pub(crate) struct SchemaExplain {
    /// A rule to explain, or a category whose rules to list
    #[arg(value_name = "ID_OR_CATEGORY")]
    pub(crate) name: Option<String>,
}

/// Arguments of `schema generate`.
#[derive(Debug, Args)]
pub(crate) struct SchemaGenerate {
    /// Write nothing; exit with 1, after a diff, when a file is stale, missing or left over
    #[arg(long)]
    pub(crate) check: bool,
    /// The folder of the schemas, with a generate.toml that says what goes where
    #[arg(long, value_name = "DIR", default_value = "schemas")]
    pub(crate) schemas: PathBuf,
    /// Put all packages into this folder, whatever generate.toml says
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Print one JSON object instead
    ///
    /// Keys: command; with --check: fresh, stale (file and diff of each) and orphans; else: changed,
    /// removed and unchanged.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `schema release`.
#[derive(Debug, Args)]
pub(crate) struct SchemaRelease {
    /// The schemas: the folder that imports are relative to, or one with a configuration that names others
    #[arg(value_name = "DIR", default_value = "schemas")]
    pub(crate) schemas: PathBuf,
    /// Show what would be released, and record nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Arguments of `schema check`.
#[derive(Debug, Args)]
pub(crate) struct SchemaCheck {
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
    /// What to compare with: all supported releases (all, the default), the last one (released), the commit where this
    /// branch left another (git:REF) or a commit itself (git-tip:REF), a folder, or a descriptor set of protoc or buf
    #[arg(long, value_name = "all|released|git:REF|DIR|FILE.binpb")]
    pub(crate) against: Option<OsString>,
    /// List changes that break nothing too, as notes
    #[arg(long)]
    pub(crate) non_breaking: bool,
}

/// The schemas that a command is about.
#[derive(Debug, Args)]
pub(crate) struct SchemaSource {
    /// The schemas: the folder that imports are relative to, or one with a configuration that names others,
    /// or a descriptor set (*.binpb)
    #[arg(value_name = "DIR|FILE.binpb", default_value = "schemas")]
    pub(crate) schemas: PathBuf,
    /// A descriptor set that protoc or buf made, instead, whatever its name ends with
    #[arg(long, value_name = "FILE", conflicts_with = "schemas")]
    pub(crate) descriptor_set: Option<PathBuf>,
    /// Roots and rules from this file instead of those found beside the schemas: in the format of evolution.toml
    /// when its name ends in .toml, else in that of buf.yaml
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

impl SchemaSource {
    /// The path by which the schemas were named.
    pub(crate) fn path(&self) -> &Path {
        self.descriptor_set.as_deref().unwrap_or(&self.schemas)
    }
}

/// What the commands that apply rules have in common.
#[derive(Debug, Args)]
pub(crate) struct RuleArgs {
    #[command(flatten)]
    pub(crate) source: SchemaSource,
    /// Apply these rules and categories, whatever the configuration says; may be repeated
    #[arg(long = "use", value_name = "ID_OR_CATEGORY")]
    pub(crate) used: Vec<String>,
    /// Leave these rules and categories out; may be repeated
    #[arg(long, value_name = "ID_OR_CATEGORY")]
    pub(crate) except: Vec<String>,
    /// How findings are printed
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// How findings are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people, with the lines of the schemas
    #[default]
    Text,
    /// A JSON object on a line for each, with buf's keys first
    Json,
    /// Workflow commands of GitHub, which shows them beside the lines
    Github,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// The XML of JUnit, for build servers
    Junit,
}
