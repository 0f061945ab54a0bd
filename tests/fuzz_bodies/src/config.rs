//! The settings, from any text.
//!
//! **Invariant**: what is taken is valid; what is refused says where.

use daemoneye_ipc::{IpcConfig, IpcError};

/// Reads the bytes as a settings file.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match IpcConfig::from_yaml(&text, "fuzz.yaml") {
        Ok(config) => {
            if let Err(error) = config.validate() {
                panic!("taken, and not valid: {error}");
            }
        }
        Err(error @ IpcError::Config { .. }) => {
            let words = error.to_string();
            assert!(
                words.contains("fuzz.yaml"),
                "it does not say where: {words}"
            );
        }
        Err(error) => panic!("another error: {error:?}"),
    }
}
