//! A `buf.yaml` in a folder above: what it says of a folder that is one of its modules.
//!
//! **Invariant**: the nearest one that has to do with the folder counts; the folder keeps the path that it was given by.

use std::path::{Path, PathBuf};

use super::{BUF_FILE, Config, Module, OWN_FILE, buf_yaml, present};
use crate::error::Error;

/// The configuration of `folder` in the workspace that it is a module of.
///
/// # Errors
///
/// [`Error::Io`] when a file cannot be read, [`Error::Usage`] when one cannot be understood, or when `folder` is a part of
/// a module.
pub(super) fn above(folder: &Path) -> Result<Option<Config>, Error> {
    // A folder that is not there is somebody else's to tell of.
    let Ok(whole) = folder.canonicalize() else {
        return Ok(None);
    };
    for outer in whole.ancestors().skip(1) {
        let file = outer.join(BUF_FILE);
        let Some(text) = present(&file) else {
            continue;
        };
        let config = Config::of(buf_yaml::modules(&file, outer, &text?)?);
        let mut config = config.overlaid(&outer.join(OWN_FILE), outer)?;
        let modules = &mut config.modules;
        if let Some(at) = modules.iter().position(|module| is_at(module, &whole)) {
            let module = Module {
                root: folder.to_path_buf(),
                ..modules.swap_remove(at)
            };
            let others = std::mem::replace(modules, vec![module]).into_iter();
            config.elsewhere = others.map(|module| module.root).collect();
            return Ok(Some(config));
        }
        if let Some(module) = modules
            .iter()
            .find(|module| whole.starts_with(real(module)))
        {
            return Err(Error::usage(
                format!(
                    "`{}` is a part of the module `{}` of `{}`",
                    folder.display(),
                    module.root.display(),
                    file.display()
                ),
                "name the folder of the module; or the file of a configuration that counts instead, by --config",
            ));
        }
    }
    Ok(None)
}

fn is_at(module: &Module, folder: &Path) -> bool {
    real(module) == folder
}

fn real(module: &Module) -> PathBuf {
    let root = module.root.canonicalize();
    root.unwrap_or_else(|_| module.root.clone())
}
