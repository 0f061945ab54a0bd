//! `docs/config.md` against the configuration itself.
//!
//! **Invariant**: compares with the runtime's own list; keeps none.

use std::collections::BTreeMap;

use daemoneye_ipc::IpcConfig;

use super::read;

/// The rows of the tables: key, default, environment variable.
fn rows() -> BTreeMap<String, (String, String)> {
    let unquote = |cell: &str| cell.trim().trim_matches('`').to_owned();
    let mut rows = BTreeMap::new();
    for line in read("docs/config.md").lines() {
        let cells: Vec<&str> = line.split('|').collect();
        if let [_, key, default, variable, _, _] = cells[..]
            && key.trim().starts_with('`')
        {
            let row = (unquote(default), unquote(variable));
            assert!(rows.insert(unquote(key), row).is_none(), "{key} twice");
        }
    }
    rows
}

#[test]
fn every_setting_is_there_and_no_other() {
    let documented: Vec<String> = rows().into_keys().collect();
    let mut keys = IpcConfig::setting_keys();
    keys.sort();
    assert_eq!(documented, keys);
}

#[test]
fn defaults_are_what_the_page_says() {
    let defaults = serde_json::to_value(IpcConfig::default()).expect("a tree");
    for (key, (default, variable)) in rows() {
        let value = key.split('.').fold(&defaults, |tree, part| &tree[part]);
        // The commas of numbers are for reading.
        let (value, documented) = match value.as_str() {
            Some(text) => (text.to_owned(), default),
            None => (value.to_string(), default.replace(',', "")),
        };
        assert_eq!(documented, value.trim_end_matches(".0"), "{key}");
        let name = key.replace('.', "_").to_uppercase();
        assert_eq!(variable, format!("DAEMONEYE_IPC_{name}"));
    }
}
