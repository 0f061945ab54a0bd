//! What schemas become, and what is said of those that cannot become anything.
//!
//! **Invariant**: speaks to the crate as its users do; the emitted text itself is pinned elsewhere.

use std::path::PathBuf;

use daemoneye_ipc_codegen::load::load;
use daemoneye_ipc_codegen::lower::lower;
use daemoneye_ipc_codegen::model::{Idempotency, MethodKind, Schema, Service};
use daemoneye_ipc_codegen::{Error, Generated, Generator, Options};
use prost::Message;
use prost_types::FileDescriptorSet;

struct Folder(tempfile::TempDir);

impl Folder {
    /// The first file is the one that is compiled.
    fn new(files: &[(&str, &str)]) -> (Self, PathBuf) {
        let folder = Self(tempfile::tempdir().expect("a temporary folder"));
        for (name, text) in files {
            let path = folder.0.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
            std::fs::write(path, text).expect("a file");
        }
        let root = folder.0.path().join(files[0].0);
        (folder, root)
    }
}

fn generate_with(generator: &Generator, files: &[(&str, &str)]) -> Result<Generated, Error> {
    let (folder, root) = Folder::new(files);
    generator.generate(&[root], &[folder.0.path()])
}

fn generate(schema: &str) -> Result<Generated, Error> {
    generate_with(&Generator::new(), &[("schema.proto", schema)])
}

fn model(schema: &str) -> Schema {
    generate(schema)
        .unwrap_or_else(|error| panic!("{error}"))
        .schema
}

fn service(schema: &str) -> Service {
    model(schema).services().next().expect("a service").clone()
}

#[test]
fn methods_carry_ordinals_kinds_and_idempotency() {
    let service = service(
        r#"syntax = "proto3"; package daemoneye.procmond.v1;
        service ProcessMonitor {
          rpc GetProcess(M) returns (M) { option idempotency_level = NO_SIDE_EFFECTS; }
          rpc Watch(M) returns (stream M) { option idempotency_level = IDEMPOTENT; }
          rpc Upload(stream M) returns (M);
          rpc Chat(stream M) returns (stream M);
        }
        message M {}"#,
    );
    let method = &service.methods[0];
    assert_eq!(
        method.path,
        "/daemoneye.procmond.v1.ProcessMonitor/GetProcess"
    );
    // sha256 of the path starts with dc 91 47 bc c9 1e bf 39.
    assert_eq!(method.ordinal, 0x39bf_1ec9_bc47_91dc);
    assert_eq!(method.rust_name, "get_process");
    let kinds: Vec<_> = service.methods.iter().map(|method| method.kind).collect();
    use MethodKind::{BidiStreaming, ClientStreaming, ServerStreaming, Unary};
    assert_eq!(
        kinds,
        [Unary, ServerStreaming, ClientStreaming, BidiStreaming]
    );
    let idempotency: Vec<_> = service
        .methods
        .iter()
        .map(|method| method.idempotency)
        .collect();
    use Idempotency::{Idempotent, NoSideEffects, Unknown};
    assert_eq!(idempotency, [NoSideEffects, Idempotent, Unknown, Unknown]);
}

#[test]
fn the_embedded_descriptors_are_whole_and_carry_no_positions() {
    let generated = generate_with(
        &Generator::new(),
        &[
            (
                "a.proto",
                "syntax = \"proto3\"; package a; import \"b.proto\"; service S { rpc Do(b.B) returns (b.B); }",
            ),
            (
                "b.proto",
                "syntax = \"proto3\"; package b; import \"google/protobuf/timestamp.proto\"; message B { google.protobuf.Timestamp t = 1; }",
            ),
            ("unrelated.proto", "syntax = \"proto3\"; package unrelated;"),
        ],
    )
    .expect("a good schema");
    let service = generated.schema.services().next().expect("a service");
    let set = FileDescriptorSet::decode(service.file_descriptor_set.as_slice()).expect("a set");
    let names: Vec<_> = set.file.iter().map(|file| file.name()).collect();
    assert_eq!(
        names,
        ["google/protobuf/timestamp.proto", "b.proto", "a.proto"]
    );
    assert!(set.file.iter().all(|file| file.source_code_info.is_none()));
    // A pool can be made of it, so nothing is missing.
    prost_reflect::DescriptorPool::decode(service.file_descriptor_set.as_slice()).expect("whole");
}

#[test]
fn output_is_the_same_from_run_to_run() {
    let schema = r#"syntax = "proto3"; package a.v1; service S { rpc Do(M) returns (N); }
        message M { map<string, N> n = 1; message Inner {} Inner i = 2; } message N { M m = 1; }"#;
    let first = generate(schema).expect("a good schema");
    for _ in 0..5 {
        assert_eq!(generate(schema).expect("a good schema").files, first.files);
    }
    let names: Vec<_> = first.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["a.v1.rs", "schema.rs"]);
}

#[test]
fn several_mistakes_are_reported_together() {
    let error = generate(
        "syntax = \"proto3\"; package a;\nservice S {\n  rpc A(M) returns (M);\n  rpc a(M) returns (M);\n}\nmessage M {}\nmessage SClient {}",
    );
    assert_eq!(
        error
            .map(|_| ())
            .expect_err("two mistakes")
            .problems()
            .len(),
        2
    );
}

#[test]
fn a_package_of_services_alone_is_emitted() {
    let generated = generate_with(
        &Generator::new(),
        &[
            ("s.proto", "syntax = \"proto3\"; package s; import \"m.proto\"; service S { rpc Do(m.M) returns (m.M.N); }"),
            ("m.proto", "syntax = \"proto3\"; package m; message M { message N {} }"),
        ],
    )
    .expect("a good schema");
    let method = &generated.schema.package("s").expect("a package").services[0].methods[0];
    assert_eq!(method.input.rust_path, "super::m::M");
    assert_eq!(method.output.rust_path, "super::m::m::N");
}

#[test]
fn extern_packages_are_used_and_not_emitted() {
    let files = [
        (
            "s.proto",
            "syntax = \"proto3\"; package s; import \"m.proto\"; service S { rpc Do(m.M) returns (m.M); }",
        ),
        ("m.proto", "syntax = \"proto3\"; package m; message M {}"),
    ];
    let generator = Generator::new().extern_path(".m", "::other_crate::m");
    let generated = generate_with(&generator, &files).expect("a good schema");
    assert!(generated.schema.package("m").is_none());
    let text = &generated
        .files
        .iter()
        .find(|file| file.name == "s.rs")
        .expect("a file")
        .content;
    assert!(text.contains("request: ::other_crate::m::M"), "{text}");
    let without = generate_with(&Generator::new().package("s"), &files).map(|_| ());
    let error = without.expect_err("m is nowhere").to_string();
    assert!(
        error.contains("package `s` needs `m`") && error.contains("extern path"),
        "{error}"
    );
}

#[test]
fn a_method_named_new_leaves_the_constructor_alone() {
    let service = service(
        "syntax = \"proto3\"; package a; service S { rpc New(M) returns (M); } message M {}",
    );
    assert_eq!(service.methods[0].rust_name, "new_");
}

#[test]
fn attributes_and_another_name_of_the_runtime_reach_the_code() {
    let generator = Generator::new()
        .runtime_path("::ipc")
        .type_attribute(".", "#[derive(::serde::Serialize)]")
        .field_attribute(".a.M.name", "#[serde(skip)]");
    let schema = "syntax = \"proto3\"; package a; message M { string name = 1; } service S { rpc Do(M) returns (M); }";
    let generated = generate_with(&generator, &[("a.proto", schema)]).expect("a good schema");
    let text = &generated.files[0].content;
    assert!(text.contains("#[derive(::serde::Serialize)]") && text.contains("#[serde(skip)]"));
    assert!(
        text.contains("::ipc::__private::Stub") && !text.contains("::daemoneye_ipc"),
        "{text}"
    );
    let broken = Generator::new().type_attribute(".", "#[oops");
    let error = generate_with(&broken, &[("a.proto", schema)])
        .map(|_| ())
        .expect_err("no attribute");
    assert!(
        error.to_string().contains("check the attributes"),
        "{error}"
    );
}

#[test]
fn the_root_of_imports_follows_from_the_package() {
    let (folder, root) = Folder::new(&[
        (
            "deep/inventory/v1/inventory.proto",
            "syntax = \"proto3\"; package inventory.v1; import \"inventory/v1/item.proto\"; message M { Item i = 1; }",
        ),
        (
            "deep/inventory/v1/item.proto",
            "syntax = \"proto3\"; package inventory.v1; message Item {}",
        ),
    ]);
    let loaded = load(&[root], &[]).expect("a good schema");
    assert_eq!(loaded.roots, ["inventory/v1/inventory.proto"]);
    let schema = lower(&loaded, &Options::default()).expect("a good schema");
    assert_eq!(
        schema
            .package("inventory.v1")
            .expect("a package")
            .messages
            .len(),
        2
    );
    drop(folder);
}

#[test]
fn compile_writes_what_generate_says_and_only_when_it_changes() {
    let schema = [("a.proto", "syntax = \"proto3\"; package a; message M {}")];
    let (folder, root) = Folder::new(&schema);
    let out = folder.0.path().join("out");
    let generator = Generator::new().out_dir(&out).quiet();
    generator
        .compile(&[&root], &[folder.0.path()])
        .expect("written");
    let generated = generator
        .generate(&[&root], &[folder.0.path()])
        .expect("generated");
    for file in &generated.files {
        assert_eq!(
            std::fs::read_to_string(out.join(&file.name)).expect("a file"),
            file.content
        );
    }
    let time = || {
        out.join("a.rs")
            .metadata()
            .and_then(|meta| meta.modified())
            .expect("a time")
    };
    let before = time();
    generator
        .compile(&[&root], &[folder.0.path()])
        .expect("written");
    assert_eq!(time(), before);
    assert_eq!(generated.inputs, [root]);
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_refused_and_nothing_waits_for_it() {
    let (folder, root) = Folder::new(&[(
        "s.proto",
        "syntax = \"proto3\"; import \"pipe.proto\"; message M {}",
    )]);
    let pipe = folder.0.path().join("pipe.proto");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo").success());
    std::fs::create_dir(folder.0.path().join("folder.proto")).expect("a folder");
    for root in [&root, &pipe, &folder.0.path().join("folder.proto")] {
        let generated = Generator::new().generate(&[root], &[folder.0.path()]);
        let error = generated.map(|_| ()).expect_err("no schema").to_string();
        assert!(error.contains("it is no regular file"), "{error}");
    }
}

const ACCESS: &str = r#"syntax = "proto3"; package a.v1;
import "daemoneye/ipc/v1/options.proto";
service S {
  OPTION
  rpc A(M) returns (M);
  rpc B(M) returns (M) {
    option (daemoneye.ipc.v1.access) = {
      allow: "uid:7"
      allow: "ENTRY"
    };
  }
}
message M {}
"#;

fn access(option: &str, entry: &str) -> Result<Generated, Error> {
    generate(&ACCESS.replace("OPTION", option).replace("ENTRY", entry))
}

#[test]
fn methods_carry_who_may_call_them() {
    use daemoneye_ipc_codegen::model::Allow;
    let default = r#"option (daemoneye.ipc.v1.default_access) = {allow: "self" allow: "group:x"};"#;
    let schema = access(default, "gid:staff")
        .unwrap_or_else(|error| panic!("{error}"))
        .schema;
    // The options' own package is nobody's to generate but its owner's.
    assert_eq!(schema.packages.len(), 1);
    let service = schema.services().next().expect("a service");
    let access: Vec<_> = service
        .methods
        .iter()
        .map(|method| method.access.clone())
        .collect();
    let group = |name: &str| Allow::Group(name.to_owned());
    assert_eq!(
        access,
        [
            vec![Allow::OwnUser, group("x")],
            vec![Allow::Uid(7), group("staff")],
        ]
    );
}

#[test]
fn what_names_nobody_is_shown_where_it_is_written() {
    for (entry, message) in [
        ("everybody", "`everybody` names nobody"),
        ("uid:99999999999", "`uid:99999999999` is no id"),
        ("group:a b", "`group:a b` holds no name"),
        ("uid:7", "`uid:7` is allowed twice"),
        ("anyone", "`anyone` includes all others"),
    ] {
        let error = access("", entry).expect_err(entry);
        let [problem] = error.problems() else {
            panic!("{error}")
        };
        assert!(problem.message.starts_with(message), "{error}");
        let place = problem.place.as_ref().expect("a place");
        let line = if entry == "uid:7" { 8 } else { 9 };
        assert_eq!((place.line, place.column), (line, 14), "{error}");
        assert!(problem.help.is_some(), "{error}");
    }
    let error =
        access("option (daemoneye.ipc.v1.default_access) = {};", "root").expect_err("nobody");
    let place = error.problems()[0].place.as_ref().expect("a place");
    assert!(error.to_string().contains("allows nobody"), "{error}");
    assert_eq!(place.line, 4, "{error}");
}

#[test]
fn the_options_that_the_generator_carries_are_those_of_the_schemas() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path| std::fs::read_to_string(root.join(path)).expect("a file");
    let carried = read("schemas/daemoneye/ipc/v1/options.proto");
    assert_eq!(carried, read("../schemas/daemoneye/ipc/v1/options.proto"));
}
