//! The categories as rules list them, and names that buf had once.
//!
//! **Invariant**: the orders and members are buf's; ours comes last.

/// Deleted from a file, by those who generate code per file.
pub(super) const FILE: &[&str] = &["FILE"];
/// Visible in generated code.
pub(super) const SOURCE: &[&str] = &["FILE", "PACKAGE"];
/// The same, where a registry of schemas cares.
pub(super) const REGISTRY_SOURCE: &[&str] = &["CSR", "FILE", "PACKAGE"];
/// Deleted from a file, where a registry of schemas cares.
pub(super) const REGISTRY_FILE: &[&str] = &["CSR", "FILE"];
/// Visible in JSON.
pub(super) const JSON: &[&str] = &["CSR", "FILE", "PACKAGE", "WIRE_JSON"];
/// Visible on every wire.
pub(super) const WIRE: &[&str] = &["CSR", "FILE", "PACKAGE", "WIRE_JSON", "WIRE", "IPC"];
/// Visible on wires that do not tell a stronger promise from a weaker one.
pub(super) const OTHER_WIRES: &[&str] = &["CSR", "FILE", "PACKAGE", "WIRE_JSON", "WIRE"];
/// Deleted from a package.
pub(super) const PACKAGE: &[&str] = &["PACKAGE"];
/// Visible in JSON, unless it was prepared for.
pub(super) const JSON_UNLESS: &[&str] = &["CSR", "WIRE_JSON"];
/// Visible on every wire, unless it was prepared for.
pub(super) const WIRE_UNLESS: &[&str] = &["CSR", "WIRE_JSON", "WIRE", "IPC"];
/// Visible in the binary form alone.
pub(super) const BINARY: &[&str] = &["WIRE", "IPC"];

/// Former ids, and what took their place.
pub const NAMES_REPLACED: &[(&str, &[&str])] = &[
    ("FIELD_SAME_CTYPE", &["FIELD_SAME_CPP_STRING_TYPE"]),
    (
        "FIELD_SAME_LABEL",
        &[
            "FIELD_SAME_CARDINALITY",
            "FIELD_WIRE_COMPATIBLE_CARDINALITY",
            "FIELD_WIRE_JSON_COMPATIBLE_CARDINALITY",
        ],
    ),
    (
        "FILE_SAME_JAVA_STRING_CHECK_UTF8",
        &["FIELD_SAME_JAVA_UTF8_VALIDATION"],
    ),
];
