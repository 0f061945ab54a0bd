//! Environment variables over a configuration.
//!
//! **Invariant**: the names are derived from the structure itself; there is no second list of settings.

use std::ffi::OsString;

use serde_json::{Number, Value};

use super::{
    IpcConfig,
    check::{self, Origins, wrong},
};
use crate::error::IpcError;

const PREFIX: &str = "DAEMONEYE_IPC_";

/// Name and value of an environment variable.
pub(super) type Var = (OsString, OsString);

/// Applies those of `vars` that are ours and notes in `origins` which key each has set.
pub(super) fn apply(
    config: &mut IpcConfig,
    vars: impl Iterator<Item = Var>,
    origins: &mut Origins,
) -> Result<(), IpcError> {
    let mut ours: Vec<(String, OsString)> = vars
        .filter_map(|(name, value)| Some((name.to_str()?.to_owned(), value)))
        .filter(|(name, _)| name.starts_with(PREFIX))
        .collect();
    ours.sort();
    for (name, value) in ours {
        let Some(key) = keys().into_iter().find(|key| variable(key) == name) else {
            let known = keys()
                .iter()
                .map(|key| variable(key))
                .collect::<Vec<_>>()
                .join(", ");
            return Err(wrong(
                Some(name),
                format!("no such setting; the variables are {known}"),
            ));
        };
        set(config, &key, value).map_err(|message| {
            let allowed = check::allowed(&key).map(|allowed| format!("; {allowed}"));
            wrong(Some(name.clone()), message + &allowed.unwrap_or_default())
        })?;
        origins.insert(key, name);
    }
    Ok(())
}

/// Paths of all settings, as `limits.max_calls`.
pub(super) fn keys() -> Vec<String> {
    let mut keys = Vec::new();
    if let Ok(tree) = serde_json::to_value(IpcConfig::default()) {
        leaves(&tree, "", &mut keys);
    }
    keys
}

fn leaves(value: &Value, path: &str, keys: &mut Vec<String>) {
    match value {
        Value::Object(entries) => {
            let dot = if path.is_empty() { "" } else { "." };
            for (key, value) in entries {
                leaves(value, &format!("{path}{dot}{key}"), keys);
            }
        }
        _ => keys.push(path.to_owned()),
    }
}

/// Whether the setting at `key` is a number.
pub(super) fn is_number(key: &str) -> bool {
    let tree = serde_json::to_value(IpcConfig::default());
    let pointer = format!("/{}", key.replace('.', "/"));
    tree.is_ok_and(|tree| tree.pointer(&pointer).is_some_and(Value::is_number))
}

pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_uppercase())
}

/// Sets one key from text; the error says what is wrong with the text.
pub(super) fn set(config: &mut IpcConfig, key: &str, text: OsString) -> Result<(), String> {
    // A path is the one value that need not be text.
    if key == "endpoint_path" {
        config.endpoint_path = text.into();
        return Ok(());
    }
    let text = text
        .into_string()
        .map_err(|_| "the value is not UTF-8".to_owned())?;
    let path = std::mem::take(&mut config.endpoint_path);
    let result = replaced(config, key, text.trim());
    *config = result.as_ref().unwrap_or(config).clone();
    config.endpoint_path = path;
    result.map(drop)
}

fn replaced(config: &IpcConfig, key: &str, text: &str) -> Result<IpcConfig, String> {
    let mut tree = serde_json::to_value(config).map_err(|error| error.to_string())?;
    let leaf = tree
        .pointer_mut(&format!("/{}", key.replace('.', "/")))
        .ok_or("no such setting")?;
    *leaf = match leaf {
        Value::Number(_) => number(text)
            .map(Value::Number)
            .ok_or_else(|| format!("`{text}` is not a number"))?,
        _ => Value::String(text.to_owned()),
    };
    serde_json::from_value(tree).map_err(|error| error.to_string())
}

/// A number as JSON writes it, and if it has a fraction, the nearest that there is.
fn number(text: &str) -> Option<Number> {
    let number: Number = text.parse().ok()?;
    if number.is_f64() {
        return Number::from_f64(text.parse().ok()?);
    }
    Some(number)
}
