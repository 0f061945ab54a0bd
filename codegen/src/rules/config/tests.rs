//! Configurations as projects write them.
//!
//! **Invariant**: each is read from real files.

use std::path::Path;

use super::{Config, Module};

fn found(files: &[(&str, &str)]) -> Vec<Module> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    let mut modules = Config::find(folder.path())
        .expect("a configuration")
        .modules;
    for module in &mut modules {
        let root = module
            .root
            .strip_prefix(folder.path())
            .expect("below the folder");
        module.root = root.to_path_buf();
    }
    modules
}

#[test]
fn without_files_the_folder_is_the_root() {
    assert_eq!(found(&[]), [Module::default()]);
}

#[test]
fn the_second_version_has_modules_and_paths_from_its_own_folder() {
    let modules = found(&[(
        "buf.yaml",
        "version: v2\nmodules:\n  - path: proto\n    excludes: [proto/old]\n  - path: vendor\n    \
         breaking: {use: [WIRE]}\nbreaking:\n  use: [FILE]\n  except: [FILE_NO_DELETE]\n  ignore: \
         [proto/a/v1, vendor/b.proto]\n  ignore_only:\n    FIELD_SAME_TYPE: [proto/c.proto]\n  \
         ignore_unstable_packages: true\nlint:\n  disallow_comment_ignores: true\n  service_suffix: API\n",
    )]);
    let [proto, vendor] = &*modules else {
        panic!("two modules: {modules:?}");
    };
    assert_eq!(proto.root, Path::new("proto"));
    assert_eq!(proto.excludes, ["old"]);
    assert_eq!(proto.breaking.used, ["FILE"]);
    assert_eq!(proto.breaking.except, ["FILE_NO_DELETE"]);
    assert_eq!(proto.breaking.ignore, ["a/v1"]);
    assert_eq!(proto.breaking.ignore_only["FIELD_SAME_TYPE"], ["c.proto"]);
    assert!(proto.breaking.ignore_unstable_packages);
    assert!(!proto.lint_options.comment_ignores);
    assert_eq!(proto.lint_options.service_suffix, "API");
    assert_eq!(vendor.breaking.used, ["WIRE"]);
    assert!(vendor.breaking.ignore.is_empty());
}

#[test]
fn the_first_versions_have_paths_from_their_root() {
    let text = "version: v1\nname: buf.build/a/b\nbuild:\n  excludes: [old]\nlint:\n  use: [BASIC]\n  \
                allow_comment_ignores: true\nbreaking:\n  ignore: [a/v1]\n";
    let [module] = &*found(&[("buf.yaml", text)]) else {
        panic!("one module");
    };
    assert_eq!(
        (&*module.excludes, &*module.breaking.ignore),
        (&["old".to_owned()][..], &["a/v1".to_owned()][..])
    );
    assert_eq!(module.lint.used, ["BASIC"]);
    assert!(module.lint_options.comment_ignores);
    let text = "version: v1beta1\nbuild:\n  roots: [proto, other]\n  excludes: [proto/old]\n";
    let modules = found(&[("buf.yaml", text)]);
    assert_eq!(modules.len(), 2);
    assert_eq!(modules[0].excludes, ["old"]);
    assert!(modules[1].excludes.is_empty());
    assert!(!modules[0].lint_options.comment_ignores);
}

#[test]
fn our_file_counts_instead_of_theirs() {
    let modules = found(&[
        (
            "buf.yaml",
            "version: v2\nbreaking:\n  use: [FILE]\n  ignore: [a]\n",
        ),
        (
            "evolution.toml",
            "[check]\nuse = [\"IPC\"]\nexcept = [\"X\"]\n",
        ),
    ]);
    let [module] = &*modules else {
        panic!("one module");
    };
    assert_eq!(module.breaking.used, ["IPC"]);
    assert_eq!(module.breaking.except, ["X"]);
    assert_eq!(module.breaking.ignore, ["a"]);
    let [one, two] = &*found(&[("evolution.toml", "roots = [\"x\", \"y\"]\n")]) else {
        panic!("two modules");
    };
    assert_eq!((&*one.root, &*two.root), (Path::new("x"), Path::new("y")));
}

/// As buf has it: `buf lint proto` with a `buf.yaml` above that has `proto` as a module.
#[test]
fn a_module_is_configured_by_the_workspace_above() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |path: &str| folder.path().join(path);
    for path in ["proto/a/v1", "vendor", "other"] {
        std::fs::create_dir_all(at(path)).expect("folders");
    }
    let text = "version: v2\nmodules:\n  - path: proto\n  - path: vendor\nlint:\n  use: [MINIMAL]\n  ignore: [proto/a]\n";
    std::fs::write(at("buf.yaml"), text).expect("a file");

    let found = Config::find(&at("proto")).expect("a module");
    let [module] = &*found.modules else {
        panic!("one module: {found:?}");
    };
    assert_eq!(module.root, at("proto"));
    assert_eq!(
        (&*module.lint.used, &*module.lint.ignore),
        (&["MINIMAL".to_owned()][..], &["a".to_owned()][..])
    );
    let [own, vendor] = &*found.roots() else {
        panic!("two roots: {found:?}");
    };
    assert!(own.ends_with("proto") && vendor.ends_with("vendor"));

    let error = Config::find(&at("proto/a"))
        .expect_err("a part of a module")
        .to_string();
    assert!(error.contains("is a part of the module"), "{error}");
    let config = Config::find(&at("other")).expect("no module");
    assert_eq!(config, Config::of(vec![Module::at(&at("other"))]));
    std::fs::write(at("proto/a/evolution.toml"), "[lint]\nuse = [\"BASIC\"]\n").expect("a file");
    let config = Config::find(&at("proto/a")).expect("a configuration of its own");
    assert_eq!(config.modules[0].lint.used, ["BASIC"]);
}

#[test]
fn mistakes_name_their_file() {
    for (name, text) in [
        ("buf.yaml", "version: v7\n"),
        ("buf.yaml", "version: [\n"),
        ("evolution.toml", "[checks]\n"),
    ] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join(name), text).expect("a file");
        let error = Config::find(folder.path())
            .expect_err("a mistake")
            .to_string();
        assert!(error.contains(name), "{error}");
    }
}
