//! Where schemas come from.
//!
//! **Invariant**: a source is only named when the command line is read, and read when its image is asked for.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use daemoneye_ipc_codegen::{image::Image, rules::config::Config};

use crate::{args::SchemaSource, failure::Failure};

/// The endings of descriptor sets: buf's, and those that people give protoc's.
const DESCRIPTOR_SETS: [&str; 4] = ["binpb", "bin", "pb", "desc"];

/// Where schemas come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// A folder with schema files.
    Folder(PathBuf),
    /// A file with a descriptor set.
    DescriptorSet(PathBuf),
}

impl Source {
    /// What a path on the command line means: a descriptor set by its ending, else a folder.
    pub(crate) fn of(path: &Path) -> Self {
        let ending = path.extension().and_then(|ending| ending.to_str());
        if ending.is_some_and(|ending| DESCRIPTOR_SETS.contains(&ending)) {
            Self::DescriptorSet(path.to_path_buf())
        } else {
            Self::Folder(path.to_path_buf())
        }
    }

    /// What the command line names.
    pub(crate) fn asked(args: &SchemaSource) -> Self {
        match &args.descriptor_set {
            Some(path) => Self::DescriptorSet(path.clone()),
            None => Self::of(&args.schemas),
        }
    }

    /// The folder that it is, or is in.
    pub(crate) fn folder(&self) -> &Path {
        match self {
            Self::Folder(folder) => folder,
            Self::DescriptorSet(path) => path.parent().unwrap_or(Path::new("")),
        }
    }

    /// Refuses a folder that is not there.
    pub(crate) fn exists(&self) -> Result<(), Failure> {
        match self {
            Self::Folder(folder) if !folder.is_dir() => Err(Failure::Check(missing(folder))),
            _ => Ok(()),
        }
    }

    /// The configuration beside it, or the one in `file`.
    pub(crate) fn config(&self, file: Option<&Path>) -> Result<Config, Failure> {
        let folder = self.folder();
        let config = match file {
            Some(file) => Config::open(file, folder),
            None => Config::find(folder),
        };
        config.map_err(Failure::Check)
    }

    /// The schemas, read with the import roots of `config`.
    pub(crate) fn image(&self, config: &Config) -> Result<Image, Failure> {
        self.exists()?;
        match self {
            Self::Folder(_) => config.image().map_err(Failure::Check),
            Self::DescriptorSet(path) => {
                let encoded = fs::read(path).map_err(|source| {
                    Failure::Check(daemoneye_ipc_codegen::Error::Io {
                        action: "cannot read",
                        path: path.clone(),
                        source,
                    })
                })?;
                Image::decode(&encoded, path).map_err(Failure::Check)
            }
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) | Self::DescriptorSet(path) => path.display().fmt(f),
        }
    }
}

fn missing(folder: &Path) -> daemoneye_ipc_codegen::Error {
    daemoneye_ipc_codegen::Error::Usage {
        message: format!("there is no folder `{}`", folder.display()),
        help: "name a folder of schemas, or a descriptor set whose name ends in .binpb".to_owned(),
    }
}
