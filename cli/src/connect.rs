//! From options to a configuration, and from that to a channel.
//!
//! **Invariant**: the command line overrides the environment, which overrides the file; the result is
//! validated before anything is opened.

use std::path::{self, Path, PathBuf};

use daemoneye_ipc::{Channel, IpcConfig};

use crate::{args::Target, examination, failure::Failure};

/// File and environment alone.
pub(crate) fn base(file: Option<&Path>) -> Result<IpcConfig, Failure> {
    IpcConfig::load(file).map_err(|error| Failure::config(&error))
}

/// File, environment and options.
pub(crate) fn configuration(file: Option<&Path>, target: &Target) -> Result<IpcConfig, Failure> {
    let mut config = base(file)?;
    if let Some(endpoint) = &target.endpoint {
        config.endpoint_path = absolute(endpoint)?;
    }
    if let Some(timeout) = target.timeout {
        config.read_timeout_ms = timeout;
        config.limits.handshake_timeout_ms = timeout;
        config.reconnect.connect_timeout_ms = timeout;
    }
    config.validate().map_err(|error| Failure::config(&error))?;
    Ok(config)
}

/// What a user means by a relative path on a command line; a configuration has none.
fn absolute(endpoint: &Path) -> Result<PathBuf, Failure> {
    path::absolute(endpoint).map_err(|error| Failure::Usage {
        message: format!("--endpoint {}: {error}", endpoint.display()),
        hint: "name the path of the server's socket".to_owned(),
    })
}

/// A connected channel; the failure says why there is none.
pub(crate) async fn channel(config: &IpcConfig) -> Result<Channel, Failure> {
    match Channel::connect(config.clone()).await {
        Ok(channel) => Ok(channel),
        Err(error) => Err(match examination::refusal(config).await {
            // Each step by hand shows more than the channel's one error does.
            Some((headline, why)) => {
                let headline = format!("{}: {headline}", config.endpoint_path.display());
                Failure::Unreachable { headline, why }
            }
            None => Failure::connect(&error, &config.endpoint_path, config.crc32_variant),
        }),
    }
}
