//! From schema files to a linked descriptor pool, with every file that was read.
//!
//! **Invariant**: nothing is cached between calls, and every path that was opened is on record, in
//! errors too, so that a build can be tied to it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use miette::{Diagnostic, LabeledSpan};
use prost_reflect::DescriptorPool;
use protox::file::{File, FileResolver, GoogleFileResolver};

use crate::aside::Aside;
use crate::error::{Error, Place, Problem, ProblemKind};
use crate::model::Revision;
use crate::protoc;
use crate::released;

/// A schema file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// The name by which schemas import it, such as `inventory/v1/inventory.proto`.
    pub name: String,
    /// Where it was found: include root and name, joined as they were given.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

/// A set of schemas, parsed and linked.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// All descriptors, imports included, with source positions and custom options.
    pub pool: DescriptorPool,
    /// The files that were read from disk, in the order of reading. Well-known types come with the
    /// library, even where an include root holds a copy, and are not listed.
    pub sources: Vec<SourceFile>,
    /// The folders in which an import was looked for before it was found in a later include root: a
    /// file that appears there may take its place.
    pub passed_by: Vec<PathBuf>,
    /// The names of the files that were asked for (not merely imported), in the caller's order.
    pub roots: Vec<String>,
    /// The files that were looked at besides: histories of the schemas, and configurations beside these.
    pub watched: Vec<PathBuf>,
    /// What histories say of services, by full name: the released revision, 0 for none, and those that it is compatible
    /// with, newest first.
    pub(crate) revisions: BTreeMap<String, (u32, Vec<Revision>)>,
    /// Positions that the pool does not have; none but after [`load_aside`].
    pub(crate) aside: Aside,
}

impl Loaded {
    /// Every file that the result depends on.
    pub fn inputs(&self) -> impl Iterator<Item = &PathBuf> {
        let sources = self.sources.iter().map(|source| &source.path);
        sources.chain(&self.watched)
    }

    /// The source of the file imported as `name`, if it was read from disk.
    #[must_use]
    pub fn source(&self, name: &str) -> Option<&SourceFile> {
        self.sources.iter().find(|source| source.name == name)
    }
}

/// Reads and links `protos` and all that they import.
///
/// Each of `protos` is a path to a file under one of `includes`, or a name relative to one of them.
/// Without `includes`, the root of each file is found from its folder (see [`implied_root`]). What was released of them is
/// looked up in the `history` beside them, where there is one.
///
/// # Errors
///
/// [`Error::Schema`] with the problems of the schema, or with what in it breaks a supported release, [`Error::Usage`] when a file is under no
/// include root, [`Error::Io`] when one cannot be read.
pub fn load(protos: &[PathBuf], includes: &[PathBuf]) -> Result<Loaded, Error> {
    let mut loaded = read_and_link(protos, includes, false)?;
    released::embed(&mut loaded)?;
    Ok(loaded)
}

/// The same in much less time and memory, for those who take the positions from [`Loaded::aside`].
#[cfg(feature = "evolution")]
pub(crate) fn load_aside(protos: &[PathBuf], includes: &[PathBuf]) -> Result<Loaded, Error> {
    // What the linker says of a file without positions has no place: it is asked once more, with them.
    read_and_link(protos, includes, true).or_else(|_| read_and_link(protos, includes, false))
}

/// Links texts that were read before: those named in `roots`, and what they import of the others. They were judged when
/// they were new, and are not judged again.
///
/// # Errors
///
/// [`Error::Schema`] when they do not link.
#[cfg(feature = "evolution")]
pub(crate) fn load_texts(texts: Vec<SourceFile>, roots: Vec<String>) -> Result<Loaded, Error> {
    let texts = texts.into_iter().map(|text| (text.name.clone(), text));
    let places = Places::Texts(texts.collect());
    link(places, roots, true)
}

fn read_and_link(protos: &[PathBuf], includes: &[PathBuf], aside: bool) -> Result<Loaded, Error> {
    if protos.is_empty() {
        return Err(Error::usage(
            "no schema was given",
            "name at least one .proto file to compile",
        ));
    }
    let includes = if includes.is_empty() {
        implied_roots(protos)?
    } else {
        includes.to_vec()
    };
    let roots = protos
        .iter()
        .map(|proto| import_name(proto, &includes))
        .collect::<Result<Vec<_>, _>>()?;
    let loaded = link(Places::Folders(includes), roots, aside)?;
    check_shadows(protos, &loaded)?;
    let refused = protoc::problems(&loaded);
    if refused.is_empty() {
        Ok(loaded)
    } else {
        Err(Error::Schema(refused))
    }
}

/// Links the files that `roots` name, found in `places`, and all that they import.
fn link(places: Places, roots: Vec<String>, aside: bool) -> Result<Loaded, Error> {
    let record = Arc::new(Mutex::new(Record {
        aside: aside.then(Aside::default),
        ..Record::default()
    }));
    let resolver = Recording {
        places,
        record: Arc::clone(&record),
    };
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).include_source_info(true);
    compile(&mut compiler, &roots, &record)?;
    let Record {
        sources,
        passed_by,
        aside,
        ..
    } = std::mem::take(&mut *lock(&record));
    Ok(Loaded {
        pool: compiler.descriptor_pool(),
        sources,
        passed_by: passed_by.into_iter().collect(),
        roots,
        watched: Vec::new(),
        revisions: BTreeMap::new(),
        aside: aside.unwrap_or_default(),
    })
}

/// Links all of `roots`, or tells what is wrong in any of them.
fn compile(
    compiler: &mut protox::Compiler,
    roots: &[String],
    record: &Mutex<Record>,
) -> Result<(), Error> {
    let mut problems: Vec<Problem> = Vec::new();
    for root in roots {
        if let Err(error) = compiler.open_file(root) {
            let mut record = lock(record);
            if let Some(failure) = record.failure.take() {
                return Err(failure);
            }
            // Of a file that two import, each has the same to say.
            let found = problems_of(&error, &record.sources).into_iter();
            let new: Vec<_> = found.filter(|found| !problems.contains(found)).collect();
            problems.extend(new);
        }
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Error::Schema(problems))
    }
}

/// The include root that a schema's own folder implies: the folder above its package's folders, as
/// in `schemas` for `schemas/inventory/v1/inventory.proto` with `package inventory.v1;`, else the
/// folder that the file is in.
///
/// # Errors
///
/// [`Error::Io`] when the file cannot be read.
pub fn implied_root(proto: &Path) -> Result<PathBuf, Error> {
    let text = read(proto)?;
    let folder = proto.parent().unwrap_or(Path::new("")).to_path_buf();
    let package = protox_package(&text);
    let mut root = folder.as_path();
    for part in package.split('.').rev().filter(|part| !part.is_empty()) {
        match (root.file_name(), root.parent()) {
            (Some(name), Some(parent)) if name == part => root = parent,
            _ => return Ok(folder),
        }
    }
    Ok(root.to_path_buf())
}

fn implied_roots(protos: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let mut roots = Vec::new();
    for proto in protos {
        let root = implied_root(proto)?;
        if !roots.contains(&root) {
            roots.push(root);
        }
    }
    Ok(roots)
}

/// The package that a schema text declares, or nothing.
fn protox_package(text: &str) -> String {
    File::from_source("package.proto", text)
        .map(|file| file.file_descriptor_proto().package().to_owned())
        .unwrap_or_default()
}

/// The bytes of a schema: of a regular file of at most 16 MiB. To open a pipe would wait for whoever writes to it.
///
/// # Errors
/// What the system says, or what the file is instead.
pub fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    const MOST: u64 = 16 << 20;
    let found = std::fs::metadata(path)?;
    if !found.is_file() {
        return Err(std::io::Error::other("it is no regular file"));
    }
    if found.len() > MOST {
        return Err(std::io::Error::other("it is larger than 16 MiB"));
    }
    std::fs::read(path)
}

fn read(path: &Path) -> Result<String, Error> {
    let bytes = read_file(path).map_err(|source| {
        if source.kind() == std::io::ErrorKind::NotFound {
            not_found(path)
        } else {
            Error::io("cannot read", path, source)
        }
    })?;
    decode(path, bytes)
}

/// A mark of the byte order, which some editors write first, is no part of the text.
fn decode(path: &Path, mut bytes: Vec<u8>) -> Result<String, Error> {
    if bytes.starts_with("\u{feff}".as_bytes()) {
        bytes.drain(.."\u{feff}".len());
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
        let place = Place::of_offset(path, &text, valid, 1);
        Problem::new(
            ProblemKind::Syntax,
            "the file is not valid UTF-8 from here on",
        )
        .at(Some(place))
        .help("save the file as UTF-8")
        .into()
    })
}

fn not_found(path: &Path) -> Error {
    Problem::new(
        ProblemKind::NotFound,
        format!("schema file `{}` not found", path.display()),
    )
    .help(match nearest_folder(path) {
        Some(folder) => format!("the nearest folder that exists is `{}`", folder.display()),
        None => "relative paths start at the current folder".to_owned(),
    })
    .into()
}

fn nearest_folder(path: &Path) -> Option<&Path> {
    path.ancestors()
        .skip(1)
        .find(|folder| !folder.as_os_str().is_empty() && folder.is_dir())
}

/// A file that was asked for by its path must be the one that its import name stands for.
fn check_shadows(protos: &[PathBuf], loaded: &Loaded) -> Result<(), Error> {
    for (proto, root) in protos.iter().zip(&loaded.roots) {
        let Some(source) = loaded.source(root) else {
            continue;
        };
        if let (Ok(asked), Ok(read)) = (proto.canonicalize(), source.path.canonicalize())
            && asked != read
        {
            let (proto, path) = (proto.display(), source.path.display());
            return Err(Error::usage(
                format!("`{proto}` is hidden by `{path}`, which an earlier include root holds"),
                format!("rename one of them: both are imported as `{root}`"),
            ));
        }
    }
    Ok(())
}

/// The import name of `proto`: its path below the include root that it is in, with `/` throughout.
fn import_name(proto: &Path, includes: &[PathBuf]) -> Result<String, Error> {
    for include in includes {
        if let Some(name) = below(&plain(proto), &plain(include))
            && proto.is_file()
        {
            return Ok(name);
        }
    }
    for include in includes {
        if proto.is_relative() && include.join(proto).is_file() {
            return below(&plain(&include.join(proto)), &plain(include))
                .ok_or_else(|| outside(proto, includes));
        }
    }
    let Ok(real) = proto.canonicalize() else {
        return Err(not_found(proto));
    };
    includes
        .iter()
        .filter_map(|include| include.canonicalize().ok())
        .find_map(|include| below(&real, &include))
        .ok_or_else(|| outside(proto, includes))
}

fn outside(proto: &Path, includes: &[PathBuf]) -> Error {
    let listed: Vec<_> = includes
        .iter()
        .map(|path| format!("`{}`", path.display()))
        .collect();
    Error::usage(
        format!(
            "`{}` is under no include root ({})",
            proto.display(),
            listed.join(", ")
        ),
        "add the folder that its imports are relative to as an include root",
    )
}

/// `path` without its `.` components.
fn plain(path: &Path) -> PathBuf {
    path.components()
        .filter(|part| !matches!(part, Component::CurDir))
        .collect()
}

fn below(path: &Path, root: &Path) -> Option<String> {
    let rest = path.strip_prefix(root).ok()?;
    let mut parts = Vec::new();
    for part in rest.components() {
        match part {
            Component::Normal(part) => parts.push(part.to_str()?),
            _ => return None,
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

#[derive(Default)]
struct Record {
    sources: Vec<SourceFile>,
    passed_by: BTreeSet<PathBuf>,
    failure: Option<Error>,
    /// Where positions are kept that the linker is not given, if they are.
    aside: Option<Aside>,
}

/// A poisoned record is still a list of what was read.
fn lock(record: &Mutex<Record>) -> MutexGuard<'_, Record> {
    record.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The rules of protovalidate, which every schema can import.
pub(crate) const VALIDATE: (&str, &str) = (
    "buf/validate/validate.proto",
    include_str!("../schemas/buf/validate/validate.proto"),
);

/// The options for methods, which every schema can import.
pub(crate) const OPTIONS: (&str, &str) = (
    "daemoneye/ipc/v1/options.proto",
    include_str!("../schemas/daemoneye/ipc/v1/options.proto"),
);

/// Where files are looked up.
enum Places {
    /// Below include roots, in their order.
    Folders(Vec<PathBuf>),
    /// Among texts that were read before, by name.
    #[cfg(feature = "evolution")]
    Texts(std::collections::HashMap<String, SourceFile>),
}

/// Looks files up among the well-known types, then in its places, and keeps what it read.
///
/// The runtime has the Rust of the well-known types, and the generator that of the rules, so that a
/// copy of theirs could only disagree.
struct Recording {
    places: Places,
    record: Arc<Mutex<Record>>,
}

impl FileResolver for Recording {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let carried = [VALIDATE, OPTIONS];
        if let Some((_, text)) = carried.iter().find(|(carried, _)| *carried == name) {
            return File::from_source(name, text);
        }
        if let Ok(file) = GoogleFileResolver::new().open_file(name) {
            return Ok(file);
        }
        let found = self.find(name).map_err(|failure| {
            lock(&self.record).failure = Some(failure);
            protox::Error::new(std::io::Error::other("unreadable"))
        })?;
        let Some(source) = found else {
            return Err(protox::Error::file_not_found(name));
        };
        let text = source.text.clone();
        lock(&self.record).sources.push(source);
        let file = File::from_source(name, &text)?;
        Ok(match &mut lock(&self.record).aside {
            Some(aside) => aside.take(file),
            None => file,
        })
    }
}

impl Recording {
    fn find(&self, name: &str) -> Result<Option<SourceFile>, Error> {
        #[cfg_attr(
            not(feature = "evolution"),
            expect(
                clippy::infallible_destructuring_match,
                reason = "there is one kind of places then"
            )
        )]
        let includes = match &self.places {
            Places::Folders(includes) => includes,
            #[cfg(feature = "evolution")]
            Places::Texts(texts) => return Ok(texts.get(name).cloned()),
        };
        for include in includes {
            let path = include.join(name);
            let text = match read_file(&path) {
                Ok(bytes) => decode(&path, bytes)?,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    let folder = nearest_folder(&path).filter(|folder| folder.starts_with(include));
                    lock(&self.record)
                        .passed_by
                        .extend(folder.map(Path::to_path_buf));
                    continue;
                }
                Err(error) => return Err(Error::io("cannot read", &path, error)),
            };
            let name = name.to_owned();
            return Ok(Some(SourceFile { name, path, text }));
        }
        Ok(None)
    }
}

/// What protox reports, as problems with the places that a user can open.
fn problems_of(error: &protox::Error, sources: &[SourceFile]) -> Vec<Problem> {
    let kind = if error.is_file_not_found() {
        ProblemKind::NotFound
    } else if error.is_parse() {
        ProblemKind::Syntax
    } else {
        ProblemKind::Meaning
    };
    let source = error
        .file()
        .and_then(|name| sources.iter().find(|file| file.name == name));
    let mut problems = vec![problem_of(kind, error, source)];
    for related in error.related().into_iter().flatten() {
        problems.push(problem_of(kind, related, source));
    }
    problems.dedup();
    problems
}

fn problem_of(kind: ProblemKind, report: &dyn Diagnostic, source: Option<&SourceFile>) -> Problem {
    let labels: Vec<_> = report.labels().into_iter().flatten().collect();
    let place = source.and_then(|source| {
        // The offender is the label that says so, else the last; others show what it conflicts with.
        let offender = |label: &&LabeledSpan| label.label() == Some("found here");
        let label = labels.iter().find(offender).or(labels.last())?;
        Some(Place::of_offset(
            &source.path,
            &source.text,
            label.offset(),
            label.len(),
        ))
    });
    let message = report.to_string();
    let help = match kind {
        ProblemKind::NotFound => Some(
            "imports are looked up below the include roots: check the spelling, or add the root \
             that holds the file"
                .to_owned(),
        ),
        _ => limit(&message)
            .map(str::to_owned)
            .or_else(|| report.help().map(|help| help.to_string())),
    };
    Problem {
        kind,
        message,
        place,
        help,
    }
}

/// What to do about valid protobuf that protox does not parse, told by what it says.
fn limit(message: &str) -> Option<&'static str> {
    match message {
        "expected 'to', ',' or ';', but found '['" => Some(
            "options of a single number are not supported: write `100 to 100 […]` for `100 […]`",
        ),
        _ if message.ends_with("but found 'edition'") => {
            Some("editions are not supported: write `syntax = \"proto3\";`, or \"proto2\"")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
            std::fs::write(path, text).expect("a file");
        }
        dir
    }

    fn fails(files: &[(&str, &str)], root: &str) -> Vec<Problem> {
        let dir = folder(files);
        let error = load(&[dir.path().join(root)], &[dir.path().to_path_buf()]);
        error.expect_err("a bad schema").problems().to_vec()
    }

    #[test]
    fn every_file_read_is_on_record_with_its_path() {
        let dir = folder(&[
            (
                "a/v1/a.proto",
                "syntax = \"proto3\"; package a.v1; import \"b/b.proto\"; import \"google/protobuf/empty.proto\"; message A { b.B b = 1; google.protobuf.Empty e = 2; }",
            ),
            ("b/b.proto", "syntax = \"proto3\"; package b; message B {}"),
        ]);
        let loaded = load(&[dir.path().join("a/v1/a.proto")], &[]).expect("a good schema");
        assert_eq!(loaded.roots, ["a/v1/a.proto"]);
        let paths: Vec<_> = loaded
            .sources
            .iter()
            .map(|source| source.path.clone())
            .collect();
        assert_eq!(
            paths,
            [
                dir.path().join("a/v1/a.proto"),
                dir.path().join("b/b.proto")
            ]
        );
        assert!(
            loaded
                .pool
                .get_message_by_name("google.protobuf.Empty")
                .is_some()
        );
    }

    #[test]
    fn the_faults_of_all_files_are_told_each_once() {
        let dir = folder(&[
            ("shared.proto", "syntax = \"proto3\"; message { }"),
            ("a.proto", "syntax = \"proto3\"; import \"shared.proto\";"),
            ("b.proto", "syntax = \"proto3\"; import \"shared.proto\";"),
            ("c.proto", "syntax = \"proto3\"; message C { No no = 1; }"),
            ("d.proto", "syntax = \"proto3\"; message D {}"),
        ]);
        let roots = ["a.proto", "b.proto", "c.proto", "d.proto"].map(|name| dir.path().join(name));
        let error = load(&roots, &[dir.path().to_path_buf()]).expect_err("bad schemas");
        let places = error.problems().iter().map(|problem| {
            let place = problem.place.as_ref().expect("a place");
            place.file.file_name().expect("a name").to_owned()
        });
        assert_eq!(
            places.collect::<Vec<_>>(),
            ["shared.proto", "c.proto"],
            "{error}"
        );
    }

    #[test]
    fn a_type_that_is_no_message_is_shown_where_it_is_used() {
        let e = ("e.proto", "syntax = \"proto3\";\n\n\nenum E { Z = 0; }");
        let s =
            "syntax = \"proto3\";\nimport \"e.proto\";\nservice S {\n  rpc A(E) returns (E);\n}\n";
        let problems = fails(&[e, ("s.proto", s)], "s.proto");
        let place = problems[0].place.as_ref().expect("a place");
        assert_eq!((place.line, place.column), (4, 9), "{}", problems[0]);
    }

    #[test]
    fn a_mark_of_the_byte_order_is_passed_over() {
        let dir = folder(&[(
            "a.proto",
            "\u{feff}syntax = \"proto3\";\nmessage A { int32 }",
        )]);
        let error = load(&[dir.path().join("a.proto")], &[]).expect_err("a field without a name");
        let place = error.problems()[0].place.as_ref().expect("a place");
        assert_eq!((place.line, place.column), (2, 19), "{error}");
    }

    #[test]
    fn a_syntax_error_is_shown_where_it_is() {
        let problems = fails(
            &[(
                "a.proto",
                "syntax = \"proto3\";\nmessage A {\n  int32 x = ;\n}\n",
            )],
            "a.proto",
        );
        assert_eq!(problems[0].kind, ProblemKind::Syntax);
        let place = problems[0].place.as_ref().expect("a place");
        assert_eq!((place.line, place.column), (3, 13));
        assert_eq!(place.source_line, "  int32 x = ;");
    }

    #[test]
    fn what_the_parser_does_not_know_comes_with_a_way_around_it() {
        let edition = fails(&[("a.proto", "edition = \"2023\";\n")], "a.proto");
        let help = edition[0].help.as_deref().expect("help");
        assert!(help.contains("editions are not supported"), "{help}");

        let with = |range: &str| {
            let message =
                format!("message A {{ extensions {range} [verification = UNVERIFIED]; }}");
            [("a.proto", format!("syntax = \"proto2\"; {message}"))]
        };
        let [(name, text)] = with("100");
        let options = fails(&[(name, &text)], name);
        let help = options[0].help.as_deref().expect("help");
        assert!(help.contains("write `100 to 100 […]`"), "{help}");
        let [(name, text)] = with("100 to 100");
        let dir = folder(&[(name, &text)]);
        load(&[dir.path().join(name)], &[]).expect("the way around it");
    }

    #[test]
    fn an_unknown_type_is_shown_where_it_is() {
        let problems = fails(
            &[(
                "a.proto",
                "syntax = \"proto3\";\nmessage A {\n  Bee x = 1;\n}\n",
            )],
            "a.proto",
        );
        assert_eq!(problems[0].kind, ProblemKind::Meaning);
        assert!(
            problems[0].message.contains("Bee"),
            "{}",
            problems[0].message
        );
        let place = problems[0].place.as_ref().expect("a place");
        assert_eq!((place.line, place.column, place.width), (3, 3, 3));
    }

    #[test]
    fn a_missing_import_is_shown_where_it_is_imported() {
        let problems = fails(
            &[(
                "a.proto",
                "syntax = \"proto3\";\nimport \"nowhere.proto\";\n",
            )],
            "a.proto",
        );
        assert_eq!(problems[0].kind, ProblemKind::NotFound);
        assert_eq!(problems[0].place.as_ref().expect("a place").line, 2);
        assert!(
            problems[0]
                .help
                .as_ref()
                .expect("help")
                .contains("include roots")
        );
    }

    #[test]
    fn what_an_earlier_root_could_hide_is_on_record_and_what_it_hides_is_refused() {
        let text =
            "syntax = \"proto3\"; import \"b/b.proto\"; import \"google/protobuf/any.proto\";";
        let dir = folder(&[
            ("late/a.proto", text),
            ("late/b/b.proto", "syntax = \"proto3\";"),
            ("late/google/protobuf/any.proto", "a copy that nobody reads"),
            ("early/b/other.proto", ""),
        ]);
        let proto = [dir.path().join("late/a.proto")];
        let includes = [dir.path().join("early"), dir.path().join("late")];
        let loaded = load(&proto, &includes).expect("a good schema");
        // For `a.proto` the root itself was asked, for `b/b.proto` the folder in it.
        assert_eq!(
            loaded.passed_by,
            [dir.path().join("early"), dir.path().join("early/b")]
        );
        assert_eq!(loaded.sources.len(), 2);

        std::fs::write(dir.path().join("early/a.proto"), text).expect("a file");
        let error = load(&proto, &includes).expect_err("hidden").to_string();
        assert!(error.contains("is hidden by"), "{error}");
    }

    #[test]
    fn a_missing_file_and_one_outside_the_roots_say_so() {
        let dir = folder(&[("a/a.proto", "syntax = \"proto3\";"), ("b/b.proto", "")]);
        for includes in [vec![], vec![dir.path().to_path_buf()]] {
            let error = load(&[dir.path().join("a/none.proto")], &includes).expect_err("no file");
            assert_eq!(error.problems()[0].kind, ProblemKind::NotFound);
            assert!(
                error.to_string().contains("none.proto` not found"),
                "{error}"
            );
        }
        let error = load(&[dir.path().join("b/b.proto")], &[dir.path().join("a")]);
        assert!(
            error
                .expect_err("outside")
                .to_string()
                .contains("under no include root")
        );
    }

    #[test]
    fn bytes_that_are_not_text_are_a_problem_with_a_place() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(
            dir.path().join("a.proto"),
            b"syntax = \"proto3\";\n// \xff\n",
        )
        .expect("a file");
        let error = load(&[PathBuf::from("a.proto")], &[dir.path().to_path_buf()]);
        let problems = error.expect_err("not text").problems().to_vec();
        assert_eq!(problems[0].place.as_ref().expect("a place").line, 2);
    }
}
