//! What schemas are compared with.
//!
//! **Invariant**: as with sources, named when the command line is read, and read when it is asked for.

use std::{ffi::OsStr, path::Path};

use daemoneye_ipc_codegen::{
    evolution,
    history::{self, History, Released},
    image::Image,
    rules::{Finding, config::Config},
};

use super::{git::Reference, source::Source};
use crate::failure::Failure;

/// What schemas are compared with.
#[derive(Debug)]
pub(crate) enum Against {
    /// The last release.
    Released,
    /// All supported releases.
    Supported,
    /// The schemas of a commit.
    Git(Reference),
    /// A folder or a descriptor set.
    Source(Source),
}

/// Earlier schemas, and what breaks those who rely on them.
#[derive(Debug)]
pub(crate) struct Compared {
    /// The earlier schemas, oldest first.
    pub(crate) earlier: Vec<Earlier>,
    /// What was found.
    pub(crate) findings: Vec<Finding>,
    /// What was compared with, in words.
    pub(crate) words: String,
}

/// Earlier schemas.
#[derive(Debug)]
pub(crate) struct Earlier {
    /// The number of the release, if they are of one.
    pub(crate) release: Option<u32>,
    /// The schemas.
    pub(crate) image: Image,
}

impl Against {
    /// What an argument means; without one, all supported releases: who passes these passes any other.
    pub(crate) fn of(argument: Option<&OsStr>) -> Self {
        let Some(argument) = argument else {
            return Self::Supported;
        };
        let text = argument.to_str().unwrap_or_default();
        let git = |name: &str, itself| {
            Self::Git(Reference {
                name: name.to_owned(),
                itself,
            })
        };
        match (text, text.split_once(':')) {
            ("released", _) => Self::Released,
            ("all", _) => Self::Supported,
            (_, Some(("git", name))) => git(name, false),
            (_, Some(("git-tip", name))) => git(name, true),
            _ => Self::Source(Source::of(Path::new(argument))),
        }
    }

    /// Compares `image`, the schemas of `new`, by the rules of `config`.
    pub(crate) fn compare(
        &self,
        new: &Source,
        image: &Image,
        config: &Config,
    ) -> Result<Compared, Failure> {
        match self {
            Self::Released | Self::Supported => self.compare_releases(new.folder(), image, config),
            Self::Git(reference) => {
                let checked_out = reference.check_out(new.folder())?;
                let old = Source::Folder(checked_out.folder());
                compare_one(&old, image, config, checked_out.commit.clone())
            }
            Self::Source(old) => compare_one(old, image, config, old.to_string()),
        }
    }

    /// The earlier schemas alone, and what they are in words: of releases, the last.
    pub(crate) fn image(&self, new: &Source) -> Result<(Image, String), Failure> {
        match self {
            Self::Released | Self::Supported => {
                let history = History::of(new.folder()).map_err(Failure::Check)?;
                let last = history.last();
                let last = last.ok_or_else(|| Failure::Check(nothing_released(&history)))?;
                let image = history.image(last.number).map_err(Failure::Check)?;
                Ok((image, format!("release {}", last.number)))
            }
            Self::Git(reference) => {
                let checked_out = reference.check_out(new.folder())?;
                let old = Source::Folder(checked_out.folder());
                let image = old.image(&old.config(None)?)?;
                Ok((image, checked_out.commit.clone()))
            }
            Self::Source(old) => Ok((old.image(&old.config(None)?)?, old.to_string())),
        }
    }

    fn compare_releases(
        &self,
        folder: &Path,
        image: &Image,
        config: &Config,
    ) -> Result<Compared, Failure> {
        let history = History::of(folder).map_err(Failure::Check)?;
        let supported = history.supported(config).map_err(Failure::Check)?;
        let last = *supported.end();
        if last == 0 {
            return Err(Failure::Check(nothing_released(&history)));
        }
        let (supported, words) = match self {
            Self::Released => (last..=last, format!("release {last}")),
            _ if supported.is_empty() => (supported, "no supported release".to_owned()),
            _ if *supported.start() == last => (supported, format!("release {last}")),
            _ => {
                let words = format!("releases {} to {last}", supported.start());
                (supported, words)
            }
        };
        let releases = history.images().map_err(Failure::Check)?;
        let findings =
            history::check(image, &releases, &supported, config).map_err(Failure::Check)?;
        let earlier = releases.into_iter().map(Earlier::from).collect();
        Ok(Compared {
            earlier,
            findings,
            words,
        })
    }
}

impl From<Released> for Earlier {
    fn from(Released { number, image }: Released) -> Self {
        Self {
            release: Some(number),
            image,
        }
    }
}

fn compare_one(
    old: &Source,
    new: &Image,
    config: &Config,
    words: String,
) -> Result<Compared, Failure> {
    let image = old.image(&old.config(None)?)?;
    let findings = evolution::check(new, &image, config).map_err(Failure::Check)?;
    let release = None;
    Ok(Compared {
        earlier: vec![Earlier { release, image }],
        findings,
        words,
    })
}

fn nothing_released(history: &History) -> daemoneye_ipc_codegen::Error {
    daemoneye_ipc_codegen::Error::Usage {
        message: format!(
            "nothing was released yet: there is no history in {}",
            history.folder().display()
        ),
        help: "record a release with `daemoneye-cli schema release`, or say what to compare with: --against \
               git:REF, a folder or a descriptor set"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_paths_are_told_apart() {
        let of = |text: &str| Against::of(Some(OsStr::new(text)));
        assert!(matches!(of("released"), Against::Released));
        assert!(matches!(of("all"), Against::Supported));
        assert!(matches!(Against::of(None), Against::Supported));
        assert!(matches!(of("./all"), Against::Source(Source::Folder(_))));
        assert!(matches!(
            of("a.binpb"),
            Against::Source(Source::DescriptorSet(_))
        ));
        for (text, name, itself) in [
            ("git:main", "main", false),
            ("git-tip:v1.2", "v1.2", true),
            ("git:HEAD~1:x", "HEAD~1:x", false),
        ] {
            let Against::Git(reference) = of(text) else {
                panic!("{text}");
            };
            assert_eq!((&*reference.name, reference.itself), (name, itself));
        }
    }
}
