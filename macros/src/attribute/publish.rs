//! The warning that a crate which is to be published reads a schema outside of its package.
//!
//! A published crate is its own folder alone. Attributes cannot warn, so that what warns is a
//! deprecated item, used at the path that the user gave, under the lint `deprecated`.
//!
//! **Invariant**: a manifest that cannot be read or understood gives no warning.

use std::path::{Path, PathBuf};

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{Attribute, LitStr};

const NOTE: &str = "this path leaves the package, so that the schema is missing once the crate is \
    published. Copy the schema into the package, or say `publish = false` in its Cargo.toml; \
    `#[allow(deprecated)]` on the trait silences this";

/// What makes the compiler warn of `paths`, unless the crate at `crate_dir` is never published, and
/// with it the manifests that say whether it is.
pub(super) fn warnings(
    paths: &[&LitStr],
    attributes: &[Attribute],
    crate_dir: &Path,
    workspace: &Path,
) -> (TokenStream, Vec<PathBuf>) {
    if paths.is_empty() {
        return (TokenStream::new(), Vec::new());
    }
    let own = crate_dir.join("Cargo.toml");
    let mut manifests = vec![own.clone()];
    let published = match publish(&read(&own), "package") {
        Publish::Inherited => {
            let inherited = workspace.join("Cargo.toml");
            let publish = publish(&read(&inherited), "workspace.package");
            manifests.push(inherited);
            publish
        }
        publish => publish,
    };
    if published != Publish::Yes {
        return (TokenStream::new(), manifests);
    }
    let allowed = attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("allow"));
    let allowed: TokenStream = quote!(#(#allowed)*);
    let warnings = paths.iter().map(|path| {
        let used = quote_spanned!(path.span()=> SCHEMA_OUTSIDE_THE_PACKAGE);
        quote! {
            #allowed
            const _: () = {
                #[deprecated(note = #NOTE)]
                const SCHEMA_OUTSIDE_THE_PACKAGE: () = ();
                #used
            };
        }
    });
    (warnings.collect(), manifests)
}

/// An unreadable manifest is cargo's to report.
fn read(manifest: &Path) -> String {
    std::fs::read_to_string(manifest).unwrap_or_default()
}

#[derive(Debug, PartialEq, Eq)]
enum Publish {
    Yes,
    No,
    Inherited,
}

/// What the table `[table]` of a manifest says of `publish`: `false` or an empty list of registries
/// is no, and yes is the default.
fn publish(manifest: &str, table: &str) -> Publish {
    let mut current = String::new();
    for line in manifest.lines() {
        let line: String = line
            .split('#')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        if let Some(name) = line.strip_prefix('[') {
            current = name.trim_end_matches(']').to_owned();
        }
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        let key = match current.is_empty() {
            true => key.to_owned(),
            false => format!("{current}.{key}"),
        };
        match key.strip_prefix(table) {
            Some(".publish") => {
                return match value {
                    "false" | "[]" => Publish::No,
                    "{workspace=true}" => Publish::Inherited,
                    _ => Publish::Yes,
                };
            }
            Some(".publish.workspace") if value == "true" => return Publish::Inherited,
            _ => {}
        }
    }
    if manifest.is_empty() {
        Publish::No
    } else {
        Publish::Yes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_manifest_says_of_publish_is_found() {
        let package = |line: &str| publish(&format!("[package]\nname = \"a\"\n{line}"), "package");
        for yes in [
            "",
            "publish = true",
            "publish = [\"ours\"]",
            "[x]\npublish = false",
        ] {
            assert_eq!(package(yes), Publish::Yes, "{yes}");
        }
        for no in ["publish = false", "publish=false # never", " publish = [ ]"] {
            assert_eq!(package(no), Publish::No, "{no}");
        }
        for inherited in [
            "publish.workspace = true",
            "publish = { workspace = true }",
            "[package.publish]\nworkspace = true",
        ] {
            assert_eq!(package(inherited), Publish::Inherited, "{inherited}");
        }
        let root = "[workspace]\n[workspace.package]\npublish = false\n[package]\nname = \"b\"";
        assert_eq!(publish(root, "workspace.package"), Publish::No);
        assert_eq!(publish(root, "package"), Publish::Yes);
        assert_eq!(publish("package.publish = false", "package"), Publish::No);
        assert_eq!(publish("", "package"), Publish::No);
    }
}
