//! What protoc refuses is refused: one folder in `cases/` for each of its checks, with what is said of it, and schemas
//! made at random, on which both must agree.
//!
//! protoc comes with PyPI's grpcio-tools, which `.ci/run` installs below `target/`:
//! `pip install --target target/grpcio-tools grpcio-tools`. Without it, its part is skipped, and says so.
//! `PROTOC_CASES=20000 SEED=7 cargo test -p daemoneye-ipc-codegen --test protoc` tries more, and others. `BLESS=1`
//! writes down what is said.
//!
//! **Invariant**: a random case follows from its seed, which the failure tells.

mod random;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use daemoneye_ipc_codegen::load::load;

fn cases() -> Vec<PathBuf> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/protoc/cases");
    let folders = fs::read_dir(cases).expect("the cases");
    let mut folders: Vec<_> = folders
        .map(|entry| entry.expect("an entry").path())
        .collect();
    folders.sort();
    folders
}

/// What is said of the schema `a.proto` in a folder: nothing when it is taken.
fn verdict(folder: &Path) -> Option<String> {
    let error = load(&[folder.join("a.proto")], &[folder.to_path_buf()]).err()?;
    Some(
        error
            .to_string()
            .replace(&format!("{}/", folder.display()), ""),
    )
}

/// What protoc says of each folder: its exit code, 0 for a schema that it takes, and its words.
fn protoc(folders: &[PathBuf]) -> Option<Vec<(i32, String)>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tools = here.join("../target/grpcio-tools");
    if !tools.join("grpc_tools").is_dir() {
        eprintln!(
            "SKIPPED: no protoc to compare with: pip install --target target/grpcio-tools grpcio-tools"
        );
        return None;
    }
    let mut child = Command::new("python3")
        .arg(here.join("tests/protoc/oracle.py"))
        .env("PYTHONPATH", tools)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3");
    let mut names = child.stdin.take().expect("a pipe");
    let list: String = folders
        .iter()
        .map(|folder| format!("{}\n", folder.display()))
        .collect();
    let writer = std::thread::spawn(move || names.write_all(list.as_bytes()));
    let output = child.wait_with_output().expect("an answer");
    writer
        .join()
        .expect("a thread")
        .expect("all folders written");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let answers = text.lines().map(|line| {
        let (code, words) = line.split_once('\t').expect("a code and words");
        (code.parse().expect("a number"), words.to_owned())
    });
    let answers: Vec<_> = answers.collect();
    assert_eq!(answers.len(), folders.len(), "one answer for each folder");
    Some(answers)
}

#[test]
fn each_check_says_what_is_wrong_where_and_what_to_do() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = Vec::new();
    for folder in cases() {
        let said = verdict(&folder).unwrap_or_else(|| "taken".to_owned()) + "\n";
        let file = folder.join("said.txt");
        if bless {
            fs::write(&file, &said).expect("written");
        }
        let expected = fs::read_to_string(&file).unwrap_or_default();
        if said != expected {
            wrong.push(format!(
                "{}:\n{said}\ninstead of\n{expected}",
                folder.display()
            ));
        }
        assert!(said.contains("= help: "), "{}: {said}", folder.display());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn protoc_refuses_each_case_too() {
    let folders = cases();
    for (folder, (code, words)) in folders.iter().zip(protoc(&folders).unwrap_or_default()) {
        assert_ne!(code, 0, "protoc takes {}: {words}", folder.display());
    }
}

#[test]
fn protoc_and_this_agree_on_schemas_made_at_random() {
    let number = |variable: &str, default: u64| {
        let value = std::env::var(variable).ok();
        value.map_or(default, |value| value.parse().expect("a number"))
    };
    let (cases, seed) = (number("PROTOC_CASES", 400), number("SEED", 1));
    let root = tempfile::tempdir().expect("a temporary folder");
    let folders: Vec<PathBuf> = (seed..seed + cases)
        .map(|seed| {
            let folder = root.path().join(seed.to_string());
            fs::create_dir(&folder).expect("a folder");
            for (name, text) in random::schema(seed) {
                fs::write(folder.join(name), text).expect("a file");
            }
            folder
        })
        .collect();
    let Some(answers) = protoc(&folders) else {
        return;
    };
    let (mut taken, mut wrong) = (0, Vec::new());
    for (folder, (code, words)) in folders.iter().zip(answers) {
        let ours = verdict(folder);
        taken += u64::from(code == 0);
        if ours.is_none() != (code == 0) {
            let text = fs::read_to_string(folder.join("a.proto")).expect("a file");
            let ours = ours.unwrap_or_else(|| "taken".to_owned());
            let seed = folder.file_name().expect("a seed").display();
            wrong.push(format!(
                "SEED={seed}\nprotoc ({code}): {words}\nhere: {ours}\n{text}"
            ));
        }
    }
    println!(
        "{cases} schemas, of which protoc takes {taken}; {} verdicts differ",
        wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n---\n"));
    assert!(
        taken > cases / 10 && taken < cases * 9 / 10,
        "too much of one kind"
    );
}
