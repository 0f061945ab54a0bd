//! The attribute and the generator emit the same tokens for every service of every schema: all but
//! the trait, which the user of the attribute writes.
//!
//! **Invariant**: the attribute's own sources are run here, not a copy of what they do.

#[path = "../macros/src/attribute/mod.rs"]
mod attribute;

use std::path::{Path, PathBuf};

use daemoneye_ipc_codegen::Options;
use daemoneye_ipc_codegen::emit::{Dispatch, Scope, method_signature, service_items};
use daemoneye_ipc_codegen::load::load;
use daemoneye_ipc_codegen::lower::lower;
use daemoneye_ipc_codegen::model::Service;
use daemoneye_ipc_codegen::registered;
use quote::{ToTokens, quote};
use syn::Item;

use attribute::Surroundings;

#[test]
fn the_attribute_emits_what_the_generator_emits() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let root = root.canonicalize().expect("the workspace");
    let mut compared = 0;
    for (folder, minimum) in [("schemas", 4), ("tests/golden", 12)] {
        let mut protos = Vec::new();
        find_protos(&root.join(folder), &mut protos);
        assert!(protos.len() >= minimum, "{folder} has schemas");
        for proto in protos {
            // Golden schemas import what is beside them; the product's, what is in its folder.
            let include = if folder == "schemas" {
                root.join(folder)
            } else {
                proto.parent().expect("a folder").to_path_buf()
            };
            compared += compare(&root, &proto, &include);
        }
    }
    assert!(compared >= 15, "only {compared} services were compared");
}

/// As in a macro server, which lives through many edits: what it says of a schema is what the file says then.
#[test]
fn the_attribute_reads_its_files_anew_each_time() {
    let crate_dir = tempfile::tempdir().expect("a crate");
    let schema = crate_dir.path().join("greeter.proto");
    let import = crate_dir.path().join("words.proto");
    let greeter = "syntax = \"proto3\"; package greeter; import \"words.proto\"; \
        service Greeter { rpc Greet(Words) returns (Words); }";
    let words = "syntax = \"proto3\"; package greeter; message Words { string text = 1; }";
    let expand = || {
        let arguments = quote!(schema = "greeter.proto", service = "greeter.Greeter");
        let item = quote! {
            trait Greeter {
                async fn greet(&self, ctx: &CallContext, words: Words) -> Result<Words, Status>;
            }
        };
        attribute::ipc_service(arguments, item, &crate_at(crate_dir.path())).to_string()
    };
    let write = |path: &Path, text: &str| std::fs::write(path, text).expect("a file");
    write(&schema, greeter);
    write(&import, words);
    let first = expand();
    assert!(!first.contains("compile_error"), "{first}");

    write(&schema, &greeter.replace("Greet(", "Welcome("));
    assert!(expand().contains("no method `greet` in service"));
    write(&schema, greeter);
    write(&import, &words.replace("text", "content"));
    assert!(expand().contains("content : ::"));
    std::fs::remove_file(&import).expect("it was there");
    assert!(expand().contains("import 'words.proto' not found"));
    std::fs::remove_file(&schema).expect("it was there");
    assert!(expand().contains("greeter.proto` not found"));

    write(&schema, greeter);
    write(&import, words);
    assert_eq!(expand(), first);
}

/// Compares all services that `proto` itself defines; says how many there were.
fn compare(root: &Path, proto: &Path, include: &Path) -> usize {
    let loaded = load(&[proto.to_path_buf()], &[include.to_path_buf()])
        .unwrap_or_else(|error| panic!("{error}"));
    let own: Vec<String> = loaded
        .pool
        .get_file_by_name(&loaded.roots[0])
        .expect("the file that was loaded")
        .services()
        .map(|service| service.full_name().to_owned())
        .collect();
    let schema = lower(&loaded, &Options::default()).unwrap_or_else(|error| panic!("{error}"));
    let scope = Scope::beside_messages("::daemoneye_ipc").expect("a path");
    for service in schema
        .services()
        .filter(|service| own.contains(&service.full_name))
    {
        let generated =
            service_items(service, &scope, &Dispatch::Calls).expect("nameable messages");
        let (schema, include) = (relative(proto, root), relative(include, root));
        let full_name = &service.full_name;
        let arguments = quote! {
            schema = #schema, service = #full_name, includes = [#include], messages = self
        };
        let expanded = attribute::ipc_service(arguments, handler_trait(service), &crate_at(root));
        assert_eq!(
            without_trait(expanded),
            generated.to_string(),
            "{full_name}"
        );
    }
    own.len()
}

/// What build.rs registered gives what the files give: comments, rules and all.
#[test]
fn a_registered_schema_gives_the_same_tokens() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let root = root.canonicalize().expect("the workspace");
    let mut compared = 0;
    for name in ["services", "rules", "comments", "options"] {
        let folder = root.join("tests/golden").join(name);
        let mut protos = Vec::new();
        find_protos(&folder, &mut protos);
        let loaded = load(&protos, &[folder]).expect("good schemas");
        let schema = lower(&loaded, &Options::default()).expect("good schemas");
        let out_dir = tempfile::tempdir().expect("a folder");
        let set = registered::encode(&loaded, &Options::default());
        std::fs::write(out_dir.path().join("set.binpb"), set).expect("a file");
        let surroundings = Surroundings {
            out_dir: Some(out_dir.path().to_path_buf()),
            registered: Some("set.binpb".to_owned()),
            ..crate_at(&root)
        };
        let scope = Scope::beside_messages("::daemoneye_ipc").expect("a path");
        for service in schema.services() {
            let full_name = &service.full_name;
            let arguments = quote!(service = #full_name, messages = self);
            let item = handler_trait(service);
            let expanded = attribute::ipc_service(arguments, item, &surroundings);
            let generated = service_items(service, &scope, &Dispatch::Calls);
            let generated = generated.expect("nameable messages").to_string();
            assert_eq!(without_trait(expanded), generated, "{full_name}");
            compared += 1;
        }
    }
    assert!(compared >= 4, "only {compared} services were compared");
}

fn crate_at(dir: &Path) -> Surroundings {
    Surroundings {
        dir: dir.to_path_buf(),
        out_dir: None,
        registered: None,
    }
}

/// The trait as a user would write it.
fn handler_trait(service: &Service) -> proc_macro2::TokenStream {
    let methods: Vec<String> = service.methods.iter().map(method_signature).collect();
    let text = format!(
        "pub trait {} {{ {} }}",
        service.rust_name,
        methods.join("\n")
    );
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The expansion without the trait, the checks of its types and the tracking of its files.
fn without_trait(expanded: proc_macro2::TokenStream) -> String {
    let file: syn::File = syn::parse2(expanded).expect("items");
    let mut rest = proc_macro2::TokenStream::new();
    for item in &file.items {
        match item {
            Item::Trait(_) => {}
            Item::Const(constant) if constant.ident == "_" => {}
            Item::Macro(error) => panic!("the attribute refused it: {}", error.to_token_stream()),
            item => item.to_tokens(&mut rest),
        }
    }
    rest.to_string()
}

fn relative(path: &Path, root: &Path) -> String {
    path.strip_prefix(root)
        .expect("a path in the workspace")
        .to_str()
        .expect("text")
        .to_owned()
}

fn find_protos(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            find_protos(&path, found);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "proto")
        {
            found.push(path);
        }
    }
    found.sort();
}
