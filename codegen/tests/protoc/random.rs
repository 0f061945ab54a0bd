//! Schemas made at random, most of them sound and many with a mistake or two.
//!
//! **Invariant**: the same seed gives the same files; no schema has what protox alone refuses, namely proto3 fields
//! whose names differ in case and underscores alone, and proto2 fields of one JSON name.

use std::fmt::Write as _;

use fastrand::Rng;

const SCALARS: [&str; 15] = [
    "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64", "sfixed32",
    "sfixed64", "float", "double", "bool", "string", "bytes",
];
const KEYS: [&str; 6] = ["int32", "string", "bool", "fixed64", "float", "Kind"];
const TARGETS: [&str; 9] = [
    "FILE",
    "EXTENSION_RANGE",
    "MESSAGE",
    "FIELD",
    "ONEOF",
    "ENUM",
    "ENUM_ENTRY",
    "SERVICE",
    "METHOD",
];

/// The files of a schema; `a.proto` imports the rest.
pub(crate) fn schema(seed: u64) -> Vec<(&'static str, String)> {
    let mut maker = Maker {
        rng: Rng::with_seed(seed),
        risk: [0, 2, 5][seed as usize % 3],
        proto3: seed.is_multiple_of(2),
    };
    let b = maker.imported();
    let a = maker.main();
    vec![("a.proto", a), ("b.proto", b)]
}

struct Maker {
    rng: Rng,
    /// How likely a mistake is where one can be, in percent.
    risk: u32,
    proto3: bool,
}

impl Maker {
    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.rng.usize(..of.len())]
    }

    fn often(&mut self, percent: u32) -> bool {
        self.rng.u32(..100) < percent
    }

    fn wrong(&mut self) -> bool {
        let risk = self.risk;
        self.often(risk)
    }

    fn syntax(&self) -> &'static str {
        if self.proto3 { "proto3" } else { "proto2" }
    }

    fn imported(&mut self) -> String {
        let syntax = if self.proto3 && !self.wrong() {
            "proto3"
        } else {
            "proto2"
        };
        let lite = if self.wrong() {
            "option optimize_for = LITE_RUNTIME;"
        } else {
            ""
        };
        let extensions = if syntax == "proto2" {
            "extensions 50 to 60;"
        } else {
            ""
        };
        format!(
            "syntax = \"{syntax}\";\npackage t.other;\n{lite}\nenum Far {{\n  FAR_A = 0;\n}}\nmessage Distant {{\n  {extensions}\n}}\n"
        )
    }

    fn main(&mut self) -> String {
        let mut out = format!(
            "syntax = \"{}\";\npackage t.v1;\nimport \"b.proto\";\n",
            self.syntax()
        );
        let custom = self.often(50);
        if custom {
            out += "import \"google/protobuf/descriptor.proto\";\n";
        }
        for option in [
            "optimize_for = LITE_RUNTIME",
            "java_generic_services = true",
            "features.enum_type = OPEN",
            "php_generic_services = false",
        ] {
            if self.wrong() {
                let _ = writeln!(out, "option {option};");
            }
        }
        if custom {
            self.custom_options(&mut out);
        }
        self.enumeration("Kind", "", custom, &mut out);
        for name in ["One", "Two"] {
            self.message(name, 0, custom, &mut out);
        }
        if !self.proto3 || self.wrong() {
            self.extend("", &mut out);
        }
        out += "service Things {\n";
        if custom && self.often(30) {
            out += "  option (service_note) = 1;\n";
        }
        let name = if self.wrong() { "One" } else { "Get" };
        let dot = if self.wrong() { ".t.v1." } else { "" };
        let _ = writeln!(
            out,
            "  rpc {name}({dot}One) returns (stream Two);\n  rpc Put(One) returns (Two);\n}}"
        );
        out
    }

    fn custom_options(&mut self, out: &mut String) {
        let label = if self.proto3 { "" } else { "optional " };
        for (options, name, target) in [
            ("MessageOptions", "message_note", "MESSAGE"),
            ("FieldOptions", "field_note", "FIELD"),
            ("EnumOptions", "enum_note", "ENUM"),
            ("EnumValueOptions", "value_note", "ENUM_ENTRY"),
            ("ServiceOptions", "service_note", "SERVICE"),
        ] {
            let mut targets = Vec::new();
            if self.often(40) {
                let target = if self.wrong() {
                    self.one(&TARGETS)
                } else {
                    target
                };
                targets.push(format!("targets = TARGET_TYPE_{target}"));
                if self.often(30) {
                    targets.push(format!("targets = TARGET_TYPE_{}", self.one(&TARGETS)));
                }
            }
            let targets = if targets.is_empty() {
                String::new()
            } else {
                format!(" [{}]", targets.join(", "))
            };
            let second = if self.wrong() {
                format!("\n  {label}int32 {name}_2 = 50001;")
            } else {
                String::new()
            };
            let _ = writeln!(
                out,
                "extend google.protobuf.{options} {{\n  {label}int32 {name} = 50001{targets};{second}\n}}"
            );
        }
        if !self.proto3 {
            *out += "message Deep {\n  required int32 must = 1;\n  optional int32 may = 2;\n}\n";
            *out += "extend google.protobuf.MessageOptions {\n  optional Deep deep = 50002;\n}\n";
        }
    }

    fn enumeration(&mut self, name: &str, indent: &str, custom: bool, out: &mut String) {
        let _ = writeln!(out, "{indent}enum {name} {{");
        let prefix = name.to_uppercase();
        let alias = self.often(20);
        if alias != self.wrong() {
            let _ = writeln!(out, "{indent}  option allow_alias = true;");
        } else if self.wrong() {
            let _ = writeln!(out, "{indent}  option allow_alias = false;");
        }
        if custom && self.often(20) {
            let _ = writeln!(out, "{indent}  option (enum_note) = 3;");
        }
        let first = if self.wrong() { 1 } else { 0 };
        let _ = writeln!(out, "{indent}  {prefix}_A = {first};");
        for (number, letter) in (2..).zip(["B", "C_D", "E"]) {
            if self.often(60) {
                let value = if self.wrong() {
                    self.one(&["A", "a", "CD", "C_d", "KIND__A", "Kind_C_D"])
                        .to_owned()
                } else {
                    format!("{prefix}_{letter}")
                };
                let note = if custom && self.often(10) {
                    " [(value_note) = 1]"
                } else {
                    ""
                };
                let number = if self.often(10) { -number } else { number };
                let _ = writeln!(out, "{indent}  {value} = {number}{note};");
            }
        }
        if alias {
            let _ = writeln!(out, "{indent}  {prefix}_ALIAS = {first};");
        }
        self.reserved(indent, "KIND_B", 10, out);
        let _ = writeln!(out, "{indent}}}");
    }

    /// Reserved numbers from `base` on, and names.
    fn reserved(&mut self, indent: &str, name: &str, base: i32, out: &mut String) {
        let mut next = base;
        for _ in 0..self.rng.usize(..4) {
            let start = if self.wrong() { base } else { next };
            let end = start + self.rng.i32(0..4);
            next = end + 1;
            let range = match self.rng.u32(..3) {
                0 => format!("{start}"),
                1 if self.wrong() => format!("{end} to {start}"),
                _ => format!("{start} to {end}"),
            };
            let _ = writeln!(out, "{indent}  reserved {range};");
        }
        if self.often(30) {
            let again = if self.wrong() { ", \"gone\"" } else { "" };
            let other = if self.wrong() { name } else { "old" };
            let _ = writeln!(out, "{indent}  reserved \"gone\", \"{other}\"{again};");
        }
    }

    fn message(&mut self, name: &str, depth: usize, custom: bool, out: &mut String) {
        let indent = &"  ".repeat(depth);
        let _ = writeln!(out, "{indent}message {name} {{");
        self.message_options(indent, custom, out);
        let names = ["id", "foo_bar", "count", "parts", "blob"];
        for (number, field) in (1..).zip(names) {
            if self.often(70) {
                let field = if self.wrong() && self.proto3 {
                    "fooBar"
                } else {
                    field
                };
                let line = self.field(field, number, custom);
                let _ = writeln!(out, "{indent}  {line}");
            }
        }
        if self.often(40) {
            let key = if self.wrong() {
                self.one(&KEYS)
            } else {
                "string"
            };
            let value = self.one(&["string", "Kind", "t.other.Far", "t.other.Distant", "int64"]);
            let option = if self.wrong() { " [packed = true]" } else { "" };
            let _ = writeln!(out, "{indent}  map<{key}, {value}> labels = 8{option};");
            if self.wrong() {
                let label = if self.proto3 { "" } else { "optional " };
                let _ = writeln!(out, "{indent}  {label}LabelsEntry entry = 9;");
            }
        }
        if self.often(40) {
            let _ = writeln!(
                out,
                "{indent}  oneof choice {{\n{indent}    Kind left = 10;"
            );
            if self.wrong() {
                let _ = writeln!(out, "{indent}    repeated int32 right = 11;");
            }
            let _ = writeln!(
                out,
                "{indent}    string middle = 12 [lazy = {}];\n{indent}  }}",
                self.wrong()
            );
        }
        self.reserved(indent, "foo_bar", 20, out);
        if !self.proto3 || self.wrong() {
            self.extension_ranges(indent, out);
        }
        if depth == 0 {
            if self.often(50) {
                self.message("Inner", 1, custom, out);
            }
            if self.often(50) {
                self.enumeration("Sort", "  ", custom, out);
            }
        }
        let _ = writeln!(out, "{indent}}}");
    }

    fn message_options(&mut self, indent: &str, custom: bool, out: &mut String) {
        let rare = [
            "map_entry = true",
            "message_set_wire_format = true",
            "features.json_format = ALLOW",
        ];
        if self.wrong() {
            let option = self.one(&rare);
            let _ = writeln!(out, "{indent}  option {option};");
        }
        if custom && self.often(30) {
            let _ = writeln!(out, "{indent}  option (message_note) = 3;");
        }
        if custom && !self.proto3 && self.often(30) {
            let field = if self.wrong() { "may" } else { "must" };
            let _ = writeln!(out, "{indent}  option (deep) = {{ {field}: 3 }};");
        }
    }

    fn extension_ranges(&mut self, indent: &str, out: &mut String) {
        let mut next = 30;
        for _ in 0..1 + self.rng.usize(..3) {
            let start = if self.wrong() { 22 } else { next };
            next = start + 10;
            let end = if self.wrong() { start - 1 } else { start + 9 };
            let declared = match self.rng.u32(..4) {
                0 => format!(
                    " [declaration = {{ number: {start}, full_name: \".t.v1.ext\", type: \"int32\" }}]"
                ),
                1 => " [verification = UNVERIFIED]".to_owned(),
                _ => String::new(),
            };
            let _ = writeln!(out, "{indent}  extensions {start} to {end}{declared};");
        }
    }

    fn field(&mut self, name: &str, number: i32, custom: bool) -> String {
        let number = if self.wrong() {
            self.rng.i32(1..40)
        } else {
            number
        };
        let ty = match self.rng.u32(..6) {
            0 => "Kind",
            1 => "Two",
            2 => self.one(&["t.other.Far", "t.other.Distant"]),
            _ => self.one(&SCALARS),
        };
        let label = match (self.rng.u32(..3), self.proto3) {
            (0, _) => "repeated ",
            (1, true) => "",
            _ => "optional ",
        };
        let integer = ty.contains("int64") || ty.contains("fixed64");
        let scalar = SCALARS.contains(&ty) && !matches!(ty, "string" | "bytes");
        let mut options = Vec::new();
        if self.often(10) && (integer || self.wrong()) {
            options.push("jstype = JS_STRING".to_owned());
        }
        if self.often(10) && (scalar && label == "repeated " || self.wrong()) {
            options.push("packed = true".to_owned());
        }
        if self.often(10) && (matches!(ty, "Two" | "t.other.Distant") || self.wrong()) {
            options.push(
                self.one(&["lazy = true", "unverified_lazy = true"])
                    .to_owned(),
            );
        }
        if self.often(10) {
            let json = if self.wrong() {
                self.one(&["[x]", "\\0", "id"]).to_owned()
            } else {
                format!("J{name}")
            };
            options.push(format!("json_name = \"{json}\""));
        }
        if custom && self.often(20) {
            options.push("(field_note) = 5".to_owned());
        }
        if self.wrong() {
            options.push("features.field_presence = IMPLICIT".to_owned());
        }
        let options = if options.is_empty() {
            String::new()
        } else {
            format!(" [{}]", options.join(", "))
        };
        format!("{label}{ty} {name} = {number}{options};")
    }

    fn extend(&mut self, indent: &str, out: &mut String) {
        let extendee = self.one(&["One", "Two", "t.other.Distant"]);
        let _ = writeln!(out, "{indent}extend {extendee} {{");
        for name in ["ext", "more"] {
            let number = if self.wrong() {
                5
            } else {
                self.rng.i32(30..45)
            };
            let label = if self.often(20) {
                "repeated"
            } else {
                "optional"
            };
            let json = if self.wrong() {
                " [json_name = \"j\"]"
            } else {
                ""
            };
            let ty = self.one(&["int32", "Two", "Kind"]);
            let _ = writeln!(out, "{indent}  {label} {ty} {name} = {number}{json};");
        }
        let _ = writeln!(out, "{indent}}}");
    }
}
