//! Schemas that a `build.rs` compiled, as it hands them to the attribute in the same crate.
//!
//! In `OUT_DIR`, each call of [`Generator::compile`](crate::Generator::compile) leaves a
//! `FileDescriptorSet` with comments and positions, which any tool for protobuf reads, and behind it,
//! in fields that such tools pass over, what else the pipeline works from: the text of the files, what
//! histories say of the services, and the options that decide how messages are named.
//!
//! **Invariant**: what is read back is what was compiled, and a set that cannot be read is an error,
//! never a guess.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use prost::Message;
use prost_reflect::DescriptorPool;

use crate::aside::Aside;
use crate::error::Error;
use crate::load::{Loaded, SourceFile};
use crate::model::Revision;
use crate::options::Options;
use crate::write::write_if_changed;

/// The variable by which a build script tells the compiler of its crate which files in `OUT_DIR` are
/// such sets: their names, separated by colons, in the order of the calls.
pub const VARIABLE: &str = "DAEMONEYE_DESCRIPTOR_SETS";

/// The schemas of one call of [`Generator::compile`](crate::Generator::compile).
#[derive(Clone, Debug)]
pub struct Registered {
    /// The file that they were read from.
    pub file: PathBuf,
    /// The schemas, linked.
    pub loaded: Loaded,
    /// The generator's options, but for attributes and the items of services, which the attribute emits itself.
    pub options: Options,
}

impl Registered {
    /// The full names of the services for which the generator emitted code.
    pub fn services(&self) -> impl Iterator<Item = String> {
        let services = self.loaded.pool.services();
        services
            .filter(|service| self.options.wants(service.package_name()))
            .map(|service| service.full_name().to_owned())
    }
}

/// Reads the sets that `names` lists as [`VARIABLE`] does, from the folder `out_dir`.
///
/// # Errors
///
/// [`Error::Io`] when a file cannot be read, [`Error::Usage`] when it is no such set.
pub fn read(names: &str, out_dir: &Path) -> Result<Vec<Registered>, Error> {
    let names = names.split(':').filter(|name| !name.is_empty());
    names.map(|name| read_one(out_dir.join(name))).collect()
}

fn read_one(file: PathBuf) -> Result<Registered, Error> {
    let bytes = std::fs::read(&file)
        .map_err(|error| Error::io("cannot read what build.rs compiled,", &file, error))?;
    let malformed = |error: &dyn std::fmt::Display| {
        Error::usage(
            format!(
                "`{}` is no descriptor set of this version of the generator: {error}",
                file.display()
            ),
            "`cargo clean` and build again, with daemoneye-ipc and daemoneye-ipc-codegen of one version",
        )
    };
    let pool = DescriptorPool::decode(bytes.as_slice()).map_err(|error| malformed(&error))?;
    let beside = Beside::decode(bytes.as_slice()).map_err(|error| malformed(&error))?;
    if let Some(root) = beside
        .roots
        .iter()
        .find(|root| pool.get_file_by_name(root).is_none())
    {
        return Err(malformed(&format!("`{root}` is not in it")));
    }
    if beside.roots.is_empty() {
        return Err(malformed(&"it names no file that was compiled"));
    }
    let sources = beside.sources.into_iter().map(|source| SourceFile {
        name: source.name,
        path: PathBuf::from(source.path),
        text: source.text,
    });
    let loaded = Loaded {
        pool,
        sources: sources.collect(),
        passed_by: Vec::new(),
        roots: beside.roots,
        watched: Vec::new(),
        revisions: beside.revisions.into_iter().map(OfService::read).collect(),
        aside: Aside::default(),
    };
    let options = Options {
        runtime: beside.runtime,
        extern_paths: beside
            .extern_paths
            .into_iter()
            .map(|path| (path.proto, path.rust))
            .collect(),
        packages: beside.packages.map(|packages| packages.names),
        // The items of a service are named after the user's trait, and live beside it.
        build_client: false,
        build_server: false,
        ..Options::default()
    };
    Ok(Registered {
        file,
        loaded,
        options,
    })
}

/// The contents of the file of a set.
#[must_use]
pub fn encode(loaded: &Loaded, options: &Options) -> Vec<u8> {
    let beside = Beside {
        sources: loaded
            .sources
            .iter()
            .map(|source| Source {
                name: source.name.clone(),
                path: source.path.display().to_string(),
                text: source.text.clone(),
            })
            .collect(),
        roots: loaded.roots.clone(),
        runtime: options.runtime.clone(),
        extern_paths: options
            .extern_paths
            .iter()
            .map(|(proto, rust)| ExternPath {
                proto: proto.clone(),
                rust: rust.clone(),
            })
            .collect(),
        packages: options.packages.clone().map(|names| Packages { names }),
        revisions: loaded.revisions.iter().map(OfService::written).collect(),
    };
    let mut bytes = loaded.pool.encode_to_vec();
    bytes.extend(beside.encode_to_vec());
    bytes
}

/// The sets that this build script has written so far.
static WRITTEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Writes a set to `out_dir`, beside those of earlier calls, and gives the value of [`VARIABLE`] that
/// names them all.
pub(crate) fn write(loaded: &Loaded, options: &Options, out_dir: &Path) -> Result<String, Error> {
    // A poisoned list is still a list of what was written.
    let mut written = WRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
    let name = format!("descriptors-{}.binpb", written.len());
    write_if_changed(&out_dir.join(&name), encode(loaded, options))?;
    written.push(name);
    Ok(written.join(":"))
}

/// What stands behind a `FileDescriptorSet`, whose own field is 1.
#[derive(Clone, PartialEq, Message)]
struct Beside {
    #[prost(message, repeated, tag = "1001")]
    sources: Vec<Source>,
    #[prost(string, repeated, tag = "1002")]
    roots: Vec<String>,
    #[prost(string, tag = "1003")]
    runtime: String,
    #[prost(message, repeated, tag = "1004")]
    extern_paths: Vec<ExternPath>,
    #[prost(message, optional, tag = "1005")]
    packages: Option<Packages>,
    #[prost(message, repeated, tag = "1006")]
    revisions: Vec<OfService>,
}

/// What a history says of a service.
#[derive(Clone, PartialEq, Message)]
struct OfService {
    #[prost(string, tag = "1")]
    service: String,
    #[prost(uint32, tag = "2")]
    number: u32,
    #[prost(message, repeated, tag = "3")]
    compatible: Vec<KnownRevision>,
}

#[derive(Clone, PartialEq, Message)]
struct KnownRevision {
    #[prost(uint32, tag = "1")]
    number: u32,
    #[prost(fixed64, tag = "2")]
    fingerprint: u64,
}

impl OfService {
    fn written((service, (number, compatible)): (&String, &(u32, Vec<Revision>))) -> Self {
        let known = |revision: &Revision| KnownRevision {
            number: revision.number,
            fingerprint: revision.fingerprint,
        };
        Self {
            service: service.clone(),
            number: *number,
            compatible: compatible.iter().map(known).collect(),
        }
    }

    fn read(self) -> (String, (u32, Vec<Revision>)) {
        let revision = |known: &KnownRevision| Revision {
            number: known.number,
            fingerprint: known.fingerprint,
        };
        let compatible = self.compatible.iter().map(revision).collect();
        (self.service, (self.number, compatible))
    }
}

#[derive(Clone, PartialEq, Message)]
struct Source {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    path: String,
    #[prost(string, tag = "3")]
    text: String,
}

#[derive(Clone, PartialEq, Message)]
struct ExternPath {
    #[prost(string, tag = "1")]
    proto: String,
    #[prost(string, tag = "2")]
    rust: String,
}

#[derive(Clone, PartialEq, Message)]
struct Packages {
    #[prost(string, repeated, tag = "1")]
    names: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::load;
    use crate::lower::lower;

    const SCHEMA: &str =
        "syntax = \"proto3\"; package a.v1; import \"buf/validate/validate.proto\";
        // About A.
        message A { int32 count = 1 [(buf.validate.field).int32.gt = 3]; }
        // About S.
        service S { rpc Do(A) returns (A); }
        service T {}";

    fn loaded(dir: &Path) -> Loaded {
        std::fs::write(dir.join("a.proto"), SCHEMA).expect("a file");
        load(&[dir.join("a.proto")], &[]).expect("a good schema")
    }

    #[test]
    fn what_is_read_back_gives_the_same_model() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let loaded = loaded(dir.path());
        let options = Options {
            runtime: "::other".to_owned(),
            packages: Some(vec!["a.v1".to_owned()]),
            extern_paths: vec![(".b".to_owned(), "::b".to_owned())],
            build_client: false,
            build_server: false,
            ..Options::default()
        };
        let names = write(&loaded, &options, dir.path()).expect("written");
        // Tests of one process are one build script, each with a folder of its own.
        let name = names.rsplit(':').next().expect("a name");
        let sets = read(name, dir.path()).expect("read");
        let [set] = sets.as_slice() else {
            panic!("{sets:?}");
        };
        assert_eq!(set.options, options);
        assert_eq!(set.services().collect::<Vec<_>>(), ["a.v1.S", "a.v1.T"]);
        assert_eq!(set.loaded.sources, loaded.sources);
        assert_eq!(set.loaded.roots, loaded.roots);
        let model = lower(&loaded, &options).expect("lowered");
        assert_eq!(lower(&set.loaded, &set.options).expect("lowered"), model);
        let package = model.package("a.v1").expect("the package");
        assert_eq!(package.services[0].docs, ["About S."]);
        assert!(package.services[0].methods[0].checks_input && package.services[0].place.is_some());
    }

    #[test]
    fn each_call_of_a_build_script_leaves_a_set_of_its_own() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let loaded = loaded(dir.path());
        let one = write(&loaded, &Options::default(), dir.path()).expect("written");
        let two = write(&loaded, &Options::default(), dir.path()).expect("written");
        // Other tests write too, to folders of their own: the last is the one of this call.
        assert!(two.starts_with(&format!("{one}:")), "{one}, then {two}");
        let added = two.rsplit(':').next().expect("one more");
        assert!(!one.split(':').any(|name| name == added));
        assert_eq!(read(added, dir.path()).expect("read").len(), 1);
    }

    #[test]
    fn a_file_that_is_no_set_is_refused_with_a_remedy() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        assert!(matches!(
            read("none.binpb", dir.path()),
            Err(Error::Io { .. })
        ));
        let plain = loaded(dir.path()).pool.encode_to_vec();
        for bytes in [&b"\xff\xff"[..], b"", &plain] {
            std::fs::write(dir.path().join("bad.binpb"), bytes).expect("a file");
            let error = read("bad.binpb", dir.path()).expect_err("refused");
            assert!(error.to_string().contains("cargo clean"), "{error}");
        }
        assert!(read("", dir.path()).expect("none").is_empty());
    }
}
