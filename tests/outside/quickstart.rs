//! The quickstart of the README, followed to the letter, through both doors; then each mistake that one
//! can make in it, with what is said of it.
//!
//! **Invariant**: what is built is the text of the README and what `cargo new` writes. The one change is
//! the folder of the clone.

use std::fs;

use crate::cargo::{Build, Project, workspace};

/// A code block of the README: the file that the line before it names, and its text.
struct Block {
    file: Option<String>,
    text: String,
}

/// The blocks of the README. A line that names a file ends with a colon and comes before its block.
fn blocks() -> Vec<Block> {
    let readme = fs::read_to_string(workspace().join("README.md")).expect("the README");
    let mut blocks = Vec::new();
    let mut lines = readme.lines();
    let mut file = None;
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            let text: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push(Block {
                file: file.take(),
                text: format!("{}\n", text.join("\n")),
            });
        } else if let Some(rest) = line.strip_suffix("`:") {
            file = rest.rsplit('`').next().map(str::to_owned);
        } else if !line.is_empty() {
            file = None;
        }
    }
    blocks
}

/// The crate of the quickstart, in an empty folder.
fn quickstart() -> Project {
    let project = Project::empty();
    project.cargo_new("greeter");
    for Block { file, text } in blocks() {
        match file.as_deref() {
            Some("Cargo.toml") => {
                let manifest = project.read("Cargo.toml");
                let package = manifest.strip_suffix("[dependencies]\n").expect("none yet");
                let clone = workspace();
                let text = text.replace("../daemoneye-ipc", clone.to_str().expect("UTF-8"));
                project.write("Cargo.toml", &format!("{package}{text}"));
            }
            Some(file) => project.write(file, &text),
            None => {}
        }
    }
    project
}

/// How the README depends on the runtime where no attribute is asked for.
const WITHOUT: &str = "daemoneye-ipc = { path = \"../daemoneye-ipc/runtime\" }\n";

/// The same, with the trait that the README has for those who write it themselves.
fn with_attribute() -> Project {
    let project = quickstart();
    let stated = blocks()
        .into_iter()
        .find(|block| block.text.contains("ipc_service("));
    let stated = stated.expect("the README has a trait").text;
    project.edit(
        "src/main.rs",
        "daemoneye_ipc::include_schema!(\"greeter.v1\");\n",
        &stated,
    );
    project.remove("build.rs");
    let manifest = project.read("Cargo.toml");
    let (manifest, _) = manifest
        .split_once("[build-dependencies]")
        .expect("build dependencies");
    project.write("Cargo.toml", manifest);
    let asked = blocks()
        .into_iter()
        .find(|block| block.text.contains("\"macros\"]") && block.file.is_none())
        .expect("the README asks for the attribute");
    let clone = workspace();
    let line = |text: &str| text.replace("../daemoneye-ipc", clone.to_str().expect("UTF-8"));
    project.edit("Cargo.toml", &line(WITHOUT), &line(&asked.text));
    project
}

fn greets(project: &Project) {
    let endpoint = project.path("greeter.sock");
    let printed = project.run_program(&["run", "--quiet"], &[endpoint.to_str().expect("UTF-8")]);
    assert!(printed.starts_with("Hello world, uid "), "{printed}");
    assert!(!endpoint.exists(), "the socket stays");
}

#[test]
fn it_works_as_printed_and_a_renamed_method_is_found_by_the_compiler() {
    let project = quickstart();
    greets(&project);
    project.edit("schemas/greeter.proto", "rpc Greet(", "rpc Welcome(");
    let build = project.cargo(&["check"]);
    let messages: Vec<_> = build
        .errors()
        .iter()
        .map(|error| error.message.clone())
        .collect();
    for part in [
        "method `greet` is not a member of trait `Greeter`",
        "missing: `welcome`",
    ] {
        let found = messages.iter().any(|message| message.contains(part));
        assert!(found, "no `{part}` in {messages:#?}");
    }
    assert!(
        build
            .errors()
            .iter()
            .all(|error| error.file == "src/main.rs")
    );
}

#[test]
fn a_mistake_in_the_schema_ends_the_build_script_with_its_place() {
    let project = quickstart();
    let text = project.read(SCHEMA);
    for (from, to, says) in [
        (
            "string name = 1;",
            "string name 1;",
            "--> schemas/greeter.proto:6:36",
        ),
        (
            "(GreetRequest)",
            "(GreetingRequest)",
            "name 'GreetingRequest' is not defined",
        ),
        (
            "string name = 1;",
            "string name = 1; string nick = 1;",
            "--> schemas/greeter.proto:6:55",
        ),
        (
            "package greeter.v1;",
            "package greeter.v1; import \"a.proto\";",
            "import 'a.proto' not found",
        ),
        (
            "rpc Greet(",
            "rpc GREET(GreetRequest) returns (GreetResponse); rpc Greet(",
            "methods `GREET` and `Greet` both become `fn greet` in Rust",
        ),
    ] {
        project.edit(SCHEMA, from, to);
        let build = project.cargo(&["check"]);
        assert!(
            build.stderr.contains(says),
            "no `{says}` in:\n{}",
            build.stderr
        );
        assert!(
            build.stderr.contains("schemas/greeter.proto:"),
            "{}",
            build.stderr
        );
        assert!(!build.stderr.contains("panicked"), "{}", build.stderr);
        project.write(SCHEMA, &text);
    }
    project.rename(SCHEMA, "schemas/greeting.proto");
    let build = project.cargo(&["check"]);
    let says = "schema file `schemas/greeter.proto` not found";
    assert!(build.stderr.contains(says), "{}", build.stderr);
}

#[test]
fn it_works_with_a_trait_of_ones_own() {
    greets(&with_attribute());
}

#[test]
fn it_is_as_short_as_promised() {
    let blocks = blocks();
    let files: Vec<_> = blocks.iter().filter(|block| block.file.is_some()).collect();
    let names: Vec<_> = files
        .iter()
        .filter_map(|block| block.file.as_deref())
        .collect();
    assert_eq!(
        names,
        [
            "Cargo.toml",
            "schemas/greeter.proto",
            "build.rs",
            "src/main.rs"
        ]
    );
    let lines: usize = files
        .iter()
        .skip(1)
        .map(|block| block.text.lines().count())
        .sum();
    assert!(lines <= 40, "{lines} lines");
}

/// A mistake: what is changed in the README's files, the token that the error stands on, and what it
/// says.
struct Mistake {
    edits: &'static [(&'static str, &'static str, &'static str)],
    token: &'static str,
    says: &'static str,
}

const MAIN: &str = "src/main.rs";
const SCHEMA: &str = "schemas/greeter.proto";
const PATH: &str = "\"schemas/greeter.proto\"";
const SIGNATURE: &str = "async fn greet(&self, ctx: &CallContext, request: GreetRequest) -> Result<GreetResponse, Status>;";

/// The list of mistakes that the attribute promises to explain.
const MISTAKES: &[Mistake] = &[
    Mistake {
        edits: &[(MAIN, PATH, "\"schemas/greter.proto\"")],
        token: "\"schemas/greter.proto\"",
        says: "schema file `schemas/greter.proto` not found",
    },
    Mistake {
        edits: &[(MAIN, PATH, "\"../schemas/greeter.proto\"")],
        token: "\"../schemas/greeter.proto\"",
        says: "the path leads out of the workspace",
    },
    Mistake {
        edits: &[(MAIN, PATH, "\"/schemas/greeter.proto\"")],
        token: "\"/schemas/greeter.proto\"",
        says: "the path is absolute",
    },
    Mistake {
        edits: &[(SCHEMA, "string name = 1;", "string name 1;")],
        token: PATH,
        says: "--> schemas/greeter.proto:6:36",
    },
    Mistake {
        edits: &[(
            SCHEMA,
            "returns (GreetResponse)",
            "returns (GreetingResponse)",
        )],
        token: PATH,
        says: "--> schemas/greeter.proto:4:36",
    },
    Mistake {
        edits: &[(MAIN, "\"greeter.v1.Greeter\"", "\"greeter.v1.Greter\"")],
        token: "\"greeter.v1.Greter\"",
        says: "did you mean `greeter.v1.Greeter`?",
    },
    Mistake {
        edits: &[
            (
                MAIN,
                SIGNATURE,
                "async fn gret(&self, ctx: &CallContext, request: GreetRequest) -> Result<GreetResponse, Status>;",
            ),
            (
                MAIN,
                "    async fn greet(&self, ctx: &CallContext, request: GreetRequest) -> Result<GreetResponse, Status> {",
                "    async fn gret(&self, ctx: &CallContext, request: GreetRequest) -> Result<GreetResponse, Status> {",
            ),
        ],
        token: "gret",
        says: "no method `gret` in service `greeter.v1.Greeter`: did you mean `greet`?",
    },
    Mistake {
        edits: &[(
            SCHEMA,
            "rpc Greet(",
            "rpc Leave(GreetRequest) returns (stream GreetResponse); rpc Greet(",
        )],
        token: "Greeter",
        says: "async fn leave(&self, ctx: &CallContext, request: GreetRequest) -> Result<impl Stream<Item = Result<GreetResponse, Status>>, Status>;",
    },
    Mistake {
        edits: &[(
            SCHEMA,
            "rpc Greet(GreetRequest)",
            "rpc Greet(GreetResponse)",
        )],
        token: "GreetRequest",
        says: "`/greeter.v1.Greeter/Greet` takes `greeter.v1.GreetResponse`, not `greeter::v1::GreetRequest`",
    },
    Mistake {
        edits: &[(SCHEMA, "returns (GreetResponse)", "returns (GreetRequest)")],
        token: "Result<GreetResponse, Status>",
        says: "`/greeter.v1.Greeter/Greet` returns `Result` of `greeter.v1.GreetRequest` and `Status`, not `Result<",
    },
    Mistake {
        edits: &[(
            SCHEMA,
            "rpc Greet(GreetRequest)",
            "rpc Greet(stream GreetRequest)",
        )],
        token: "GreetRequest",
        says: "takes a stream of requests: write `Inbound<GreetRequest>`",
    },
    Mistake {
        edits: &[(
            SCHEMA,
            "returns (GreetResponse)",
            "returns (stream GreetResponse)",
        )],
        token: "Result<GreetResponse, Status>",
        says: "answers with a stream: return `Result<impl Stream<Item = Result<GreetResponse, Status>>, Status>`",
    },
    Mistake {
        edits: &[(
            MAIN,
            SIGNATURE,
            "fn greet(&self, ctx: &CallContext, request: GreetRequest) -> Result<GreetResponse, Status>;",
        )],
        token: "fn",
        says: "`greet` is not async: write `async fn`",
    },
    Mistake {
        edits: &[(
            MAIN,
            SIGNATURE,
            "async fn greet(&mut self, ctx: &CallContext, request: GreetRequest) -> Result<GreetResponse, Status>;",
        )],
        token: "&mut self",
        says: "a handler method takes `&self`",
    },
    Mistake {
        edits: &[(
            MAIN,
            SIGNATURE,
            "async fn greet<T>(&self, ctx: &CallContext, request: GreetRequest) -> Result<GreetResponse, Status>;",
        )],
        token: "<T>",
        says: "a handler method is not generic",
    },
    Mistake {
        edits: &[(
            MAIN,
            SIGNATURE,
            "async fn greet(&self, ctx: &CallContext, GreetRequest { name }: GreetRequest) -> Result<GreetResponse, Status>;",
        )],
        token: "GreetRequest { name }",
        says: "a parameter of a handler trait is a plain name",
    },
    Mistake {
        edits: &[(
            MAIN,
            SIGNATURE,
            "async fn greet(&self, ctx: &CallContext, request: GreetRequest) -> Result<GreetResponse, Status>;\n    async fn greet(&self, ctx: &CallContext, request: GreetRequest) -> Result<GreetResponse, Status>;",
        )],
        token: "greet",
        says: "`greet` is declared twice",
    },
    Mistake {
        edits: &[(
            MAIN,
            "struct Polite;",
            "struct Polite;\nstruct GreeterServer;",
        )],
        token: "struct GreeterServer;",
        says: "the name `GreeterServer` is defined multiple times",
    },
];

#[test]
fn each_mistake_is_explained_at_the_users_token() {
    let project = with_attribute();
    let build = project.cargo(&["check"]);
    build.assert_success();
    let mut faults = Vec::new();
    for mistake in MISTAKES {
        let texts = [MAIN, SCHEMA].map(|file| (file, project.read(file)));
        for (file, from, to) in mistake.edits {
            project.edit(file, from, to);
        }
        let build = project.cargo(&["check"]);
        if !explains(&build, mistake) {
            let errors = build.errors();
            faults.push(format!(
                "{} on `{}`: {errors:#?}",
                mistake.says, mistake.token
            ));
        }
        for (file, text) in &texts {
            project.write(file, text);
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
    project.cargo(&["check"]).assert_success();
}

/// Whether the first error is the one that the mistake should have.
fn explains(build: &Build, mistake: &Mistake) -> bool {
    let first = build
        .diagnostics
        .iter()
        .find(|diagnostic| diagnostic.level == "error");
    first.is_some_and(|error| {
        error.file == MAIN && error.token == mistake.token && error.message.contains(mistake.says)
    })
}
