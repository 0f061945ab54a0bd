//! Trees of schemas made at random: names good and bad, comments there and not, imports used and not.
//!
//! **Invariant**: the same seed gives the same files, and buf compiles them.

use std::fmt::Write as _;

use fastrand::Rng;

const PACKAGES: [&str; 9] = [
    "foo.v1",
    "foo.v1",
    "foo.v2beta1",
    "bar.v1",
    "bar.v1",
    "baz",
    "Qux.barBaz.v1",
    "",
    "deep.er.v1alpha",
];
const FILES: [&str; 5] = ["thing", "other_thing", "BadName", "dash-ed", "v2"];
const TYPES: [&str; 7] = [
    "Thing",
    "bad_thing",
    "HTTPThing",
    "thing",
    "Other_Thing",
    "Thing2x",
    "XThing",
];
const FIELDS: [&str; 8] = [
    "id", "fooBar", "foo_baz", "Foo", "v2_x", "v_2", "aB_c", "x__y",
];
const OPTIONS: [(&str, &str); 7] = [
    ("go_package", "\"a/b\""),
    ("java_package", "\"x.y\""),
    ("java_multiple_files", "true"),
    ("csharp_namespace", "\"N\""),
    ("php_namespace", "\"P\""),
    ("ruby_package", "\"R\""),
    ("swift_prefix", "\"S\""),
];
const RULES: [&str; 8] = [
    "MESSAGE_PASCAL_CASE",
    "FIELD_LOWER_SNAKE_CASE",
    "ENUM_VALUE_PREFIX",
    "RPC_REQUEST_STANDARD_NAME",
    "PACKAGE_DIRECTORY_MATCH",
    "COMMENT_FIELD",
    "IMPORT_USED",
    "SERVICE_SUFFIX",
];

/// What later files can import.
struct Known {
    path: String,
    package: String,
    message: String,
    public: Vec<usize>,
    option: bool,
}

/// The files of a tree, with its `buf.yaml`.
pub(crate) fn tree(seed: u64) -> Vec<(String, String)> {
    let mut maker = Maker {
        rng: Rng::with_seed(seed),
        known: Vec::new(),
    };
    let mut files = vec![("buf.yaml".to_owned(), maker.config())];
    for number in 0..maker.rng.usize(1..7) {
        files.push(maker.file(number));
    }
    files
}

struct Maker {
    rng: Rng,
    known: Vec<Known>,
}

impl Maker {
    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.rng.usize(..of.len())]
    }

    fn often(&mut self, percent: u32) -> bool {
        self.rng.u32(..100) < percent
    }

    fn config(&mut self) -> String {
        let mut text = "version: v2\nlint:\n  use:\n".to_owned();
        let categories: &[&str] = match self.rng.u32(..4) {
            0 => &[
                "STANDARD",
                "COMMENTS",
                "UNARY_RPC",
                "STABLE_PACKAGE_NO_IMPORT_UNSTABLE",
            ],
            1 => &["BASIC", "COMMENT_MESSAGE"],
            2 => &["MINIMAL", "RPC_REQUEST_RESPONSE_UNIQUE", "COMMENTS"],
            _ => &["STANDARD", "COMMENTS"],
        };
        for category in categories {
            let _ = writeln!(text, "    - {category}");
        }
        if self.often(30) {
            text += "  except:\n    - PACKAGE_VERSION_SUFFIX\n";
        }
        if self.often(30) {
            text += "  ignore:\n    - baz\n";
        }
        if self.often(30) {
            text += "  ignore_only:\n    FIELD_LOWER_SNAKE_CASE:\n      - foo/v1\n    COMMENTS:\n      - bar\n";
        }
        for (option, value) in [
            ("enum_zero_value_suffix", "_NONE"),
            ("service_suffix", "API"),
            ("rpc_allow_same_request_response", "true"),
            ("rpc_allow_google_protobuf_empty_requests", "true"),
            ("rpc_allow_google_protobuf_empty_responses", "true"),
            ("disallow_comment_ignores", "true"),
        ] {
            if self.often(25) {
                let _ = writeln!(text, "  {option}: {value}");
            }
        }
        text
    }

    fn comment(&mut self, indent: &str) -> String {
        match self.rng.u32(..6) {
            0 => String::new(),
            1 => format!("{indent}// buf:lint:ignore {}\n", self.one(&RULES)),
            2 => format!(
                "{indent}// Said.\n{indent}// buf:lint:ignore {} for a reason\n",
                self.one(&RULES)
            ),
            3 => format!("{indent}/* Said\n{indent} * at length. */\n"),
            4 => format!("{indent}// Detached.\n\n"),
            _ => format!("{indent}// Said.\n"),
        }
    }

    fn file(&mut self, number: usize) -> (String, String) {
        let package = self.one(&PACKAGES);
        let folder = match self.rng.u32(..10) {
            0 => "foo/v1".to_owned(),
            1 => String::new(),
            _ => package.replace('.', "/"),
        };
        let slash = if folder.is_empty() { "" } else { "/" };
        let path = format!("{folder}{slash}{}_{number}.proto", self.one(&FILES));
        let syntax = self.one(&["proto2", "proto3", "proto3", "proto3", ""]);
        let mut text = String::new();
        if !syntax.is_empty() {
            let _ = writeln!(text, "syntax = \"{syntax}\";\n");
        }
        if !package.is_empty() {
            let _ = writeln!(text, "{}package {package};\n", self.comment(""));
        }
        let (usable, public) = self.imports(&mut text);
        for (option, value) in OPTIONS {
            if self.often(12) {
                let _ = writeln!(text, "{}option {option} = {value};", self.comment(""));
            }
        }
        let option = self.often(20);
        if option {
            text += "import \"google/protobuf/descriptor.proto\";\n";
            let label = if syntax == "proto3" { "" } else { "optional " };
            let _ = writeln!(
                text,
                "extend google.protobuf.FieldOptions {{\n  {label}string note_{number} = 5{number:04};\n}}"
            );
        }
        let message = format!("{}{number}", self.one(&TYPES));
        self.message(
            &message,
            number,
            (syntax == "proto3", 0),
            &usable,
            &mut text,
        );
        self.enumeration(number, "", &mut text);
        if self.often(60) {
            self.service(number, &message, &usable, &mut text);
        }
        self.known.push(Known {
            path: path.clone(),
            package: package.to_owned(),
            message,
            public,
            option,
        });
        (path, text)
    }

    /// Imports of earlier files: those whose types can be used, and those that are public.
    fn imports(&mut self, text: &mut String) -> (Vec<usize>, Vec<usize>) {
        let (mut usable, mut public) = (Vec::new(), Vec::new());
        let mut order: Vec<usize> = (0..self.known.len()).collect();
        self.rng.shuffle(&mut order);
        for at in order {
            if !self.often(50) {
                continue;
            }
            let is_public = self.often(15);
            let word = if is_public { "public " } else { "" };
            let comment = self.comment("");
            let _ = writeln!(text, "{comment}import {word}\"{}\";", self.known[at].path);
            if self.often(70) {
                usable.push(at);
                let through = self.known[at].public.clone();
                usable.extend(through.into_iter().filter(|_| self.rng.bool()));
            }
            if is_public {
                public.push(at);
                public.extend(self.known[at].public.clone());
            }
        }
        if self.often(20) {
            text.push_str("import \"google/protobuf/timestamp.proto\";\n");
        }
        text.push_str("import \"google/protobuf/empty.proto\";\n\n");
        (usable, public)
    }

    fn full_name(&self, at: usize) -> String {
        let known = &self.known[at];
        let dot = if known.package.is_empty() { "" } else { "." };
        format!(".{}{dot}{}", known.package, known.message)
    }

    fn message(
        &mut self,
        name: &str,
        number: usize,
        (proto3, depth): (bool, usize),
        usable: &[usize],
        text: &mut String,
    ) {
        let indent = &"  ".repeat(depth);
        let _ = writeln!(text, "{}{indent}message {name} {{", self.comment(indent));
        let label = if proto3 { "" } else { "optional " };
        for (at, field) in (1..).zip(FIELDS) {
            if !self.often(40) {
                continue;
            }
            let label = match self.rng.u32(..5) {
                0 => "repeated ",
                1 if proto3 => "optional ",
                2 if !proto3 => "required ",
                _ => label,
            };
            let ty = match usable.is_empty() {
                false if self.often(60) => {
                    let at = self.rng.usize(..usable.len());
                    self.full_name(usable[at])
                }
                _ => self.one(&["int32", "string"]).to_owned(),
            };
            let noted = usable.iter().copied().find(|at| self.known[*at].option);
            let note = match noted {
                Some(at) if self.often(30) => {
                    let package = &self.known[at].package;
                    let dot = if package.is_empty() { "" } else { "." };
                    let number = self.known[at]
                        .path
                        .trim_end_matches(".proto")
                        .rsplit('_')
                        .next()
                        .unwrap_or_default()
                        .to_owned();
                    format!(" [(.{package}{dot}note_{number}) = \"x\"]")
                }
                _ => String::new(),
            };
            let _ = writeln!(
                text,
                "{}{indent}  {label}{ty} {field} = {at}{note};",
                self.comment("  ")
            );
        }
        if self.often(30) {
            let _ = writeln!(
                text,
                "{}{indent}  map<string, int32> {} = 20;",
                self.comment("  "),
                self.one(&["labels", "Labels"])
            );
        }
        if self.often(30) {
            let _ = writeln!(
                text,
                "{}{indent}  oneof {} {{",
                self.comment("  "),
                self.one(&["kind", "Kind", "some_kind"])
            );
            let _ = writeln!(
                text,
                "{}{indent}    string choice = 21;\n{indent}  }}",
                self.comment("    ")
            );
        }
        if !proto3 && self.often(30) {
            let _ = writeln!(
                text,
                "{}{indent}  optional group {} = 22 {{ }}",
                self.comment("  "),
                self.one(&["Group", "Bad_Group"])
            );
        }
        if depth == 0 && self.often(40) {
            let inner = self.one(&["Inner", "inner", "Inner_Thing"]);
            self.message(inner, number, (proto3, 1), usable, text);
            self.enumeration(number + 100, "  ", text);
        }
        let _ = writeln!(text, "{indent}}}\n");
    }

    fn enumeration(&mut self, number: usize, indent: &str, text: &mut String) {
        let name = self.one(&["Kind", "kind", "HTTPKind", "Kind_Of"]);
        let _ = writeln!(
            text,
            "{}{indent}enum {name}{number} {{",
            self.comment(indent)
        );
        let alias = self.often(15);
        if alias {
            let _ = writeln!(
                text,
                "{}{indent}  option allow_alias = true;",
                self.comment("  ")
            );
        }
        let prefix = match self.rng.u32(..3) {
            0 => format!("X{number}"),
            _ => format!("{}{number}", name.to_uppercase()),
        };
        let zero = self.one(&["_UNSPECIFIED", "_NONE", "_Zero"]);
        let _ = writeln!(text, "{}{indent}  {prefix}{zero} = 0;", self.comment("  "));
        let _ = writeln!(
            text,
            "{}{indent}  {prefix}_{} = 1;",
            self.comment("  "),
            self.one(&["ONE", "one", "O2E", "_TWO"])
        );
        if alias {
            let _ = writeln!(text, "{indent}  {prefix}_ALIAS = 1;");
        }
        let _ = writeln!(text, "{indent}}}\n");
    }

    fn service(&mut self, number: usize, message: &str, usable: &[usize], text: &mut String) {
        for part in ["Request", "Response"] {
            let _ = writeln!(text, "{}message Get{number}{part} {{}}\n", self.comment(""));
        }
        let name = format!("{}{number}", self.one(&["Shop", "shop_front"]));
        let suffix = self.one(&["Service", "API", ""]);
        let _ = writeln!(text, "{}service {name}{suffix} {{", self.comment(""));
        for (at, method) in ["Get", "put", "Cut_It"].iter().enumerate() {
            if at > 0 && self.often(40) {
                continue;
            }
            let mut types = Vec::new();
            for part in ["Request", "Response"] {
                let ty = match self.rng.u32(..5) {
                    0 => message.to_owned(),
                    1 => "google.protobuf.Empty".to_owned(),
                    2 if !usable.is_empty() => {
                        let at = self.rng.usize(..usable.len());
                        self.full_name(usable[at])
                    }
                    _ => format!("Get{number}{part}"),
                };
                let stream = if self.often(20) { "stream " } else { "" };
                types.push(format!("{stream}{ty}"));
            }
            let comment = self.comment("  ");
            let _ = writeln!(
                text,
                "{comment}  rpc {method}{number}({}) returns ({});",
                types[0], types[1]
            );
        }
        text.push_str("}\n");
    }
}
