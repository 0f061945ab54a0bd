//! Why a command ended before its work was done, and the exit code for it.
//!
//! **Invariant**: every failure that a user can meet is shown with its cause and the next thing to try.

use std::{io, path::Path};

use daemoneye_ipc::{CallError, Code, IpcError, wire::Crc32Variant};

use crate::{
    explain::{self, Explanation, Scene},
    format,
    output::{BAD, FAINT},
};

/// The exit code of a call that ended with status code 0, if there were one: the numbers of the 16
/// failing codes come on top, so that they stay apart from this program's own exit codes.
const STATUS_EXIT_CODES: u8 = 64;

/// Why a command could not go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Standard output is gone or full.
    #[error("cannot write to standard output")]
    Output(#[from] io::Error),
    /// An argument or a setting is wrong: exit code 2.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: String,
    },
    /// A server cannot be called: exit code 4.
    #[error("{headline}")]
    Unreachable {
        /// What happened, in a few words.
        headline: String,
        /// Why, and what to do.
        why: Explanation,
    },
    /// What was asked for failed: exit code 3.
    #[error("{headline}")]
    Failed {
        /// What happened, in a few words.
        headline: String,
        /// Why, and what to do.
        why: Explanation,
    },
    /// A call that ended with a status: exit code 64 and the number of the code.
    #[error("{headline}")]
    Status {
        /// The method, the endpoint and the code.
        headline: String,
        /// Why, and what to do.
        why: Explanation,
        /// What came with the status: what it is, and how it reads.
        parts: Vec<(&'static str, String)>,
        /// The status code.
        code: Code,
    },
    /// The generator found something wrong, and says by itself where and what to do: exit code 3, and
    /// 2 when it was called wrongly.
    #[error("{0}")]
    Schema(#[from] daemoneye_ipc_codegen::Error),
    /// Schemas could not be checked by rules: exit code 1, as buf has it.
    #[error("{0}")]
    Check(daemoneye_ipc_codegen::Error),
    /// The user ended it: exit code 130, as shells have it.
    #[error("interrupted")]
    Interrupted,
}

impl Failure {
    /// A failure of the command's own.
    pub(crate) fn failed(headline: impl Into<String>, why: Explanation) -> Self {
        Self::Failed {
            headline: headline.into(),
            why,
        }
    }

    /// What a failed attempt to connect means.
    pub(crate) fn connect(error: &IpcError, endpoint: &Path, crc: Crc32Variant) -> Self {
        let survey = crate::endpoint::Survey::of(endpoint);
        let scene = Scene {
            endpoint,
            survey: Some(&survey),
            server: None,
            crc,
        };
        let headline = format!("{}: {}", endpoint.display(), explain::headline(error));
        Self::Unreachable {
            headline,
            why: explain::explain(error, scene),
        }
    }

    /// What a failed call means.
    pub(crate) fn call(error: &CallError, crc: Crc32Variant) -> Self {
        let endpoint = Path::new(error.endpoint());
        let scene = Scene {
            endpoint,
            survey: None,
            server: None,
            crc,
        };
        let headline = format!(
            "{} at {}: {}",
            error.method(),
            error.endpoint(),
            explain::headline(error.kind())
        );
        Self::Failed {
            headline,
            why: explain::explain(error.kind(), scene),
        }
    }

    /// What a failed call means whose caller wants to tell status codes apart; `parts` is what came with
    /// the status.
    pub(crate) fn status(
        error: &CallError,
        parts: Vec<(&'static str, String)>,
        crc: Crc32Variant,
    ) -> Self {
        match (Self::call(error, crc), error.kind()) {
            // Whether this side or the server sees first that the time is over is a matter of chance.
            (Self::Failed { headline, why }, IpcError::Status(_) | IpcError::Timeout) => {
                Self::Status {
                    headline,
                    why,
                    parts,
                    code: error.code(),
                }
            }
            (failure, _) => failure,
        }
    }

    /// What a wrong configuration means.
    pub(crate) fn config(error: &IpcError) -> Self {
        Self::Usage {
            message: error.to_string(),
            hint: "correct the setting, or leave it out to have its default".to_owned(),
        }
    }

    /// The exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            // Whoever read the output has seen enough, as with `head`.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Check(_) => 1,
            Self::Output(_) | Self::Failed { .. } => 3,
            Self::Usage { .. } | Self::Schema(daemoneye_ipc_codegen::Error::Usage { .. }) => 2,
            Self::Schema(_) => 3,
            Self::Unreachable { .. } => 4,
            Self::Status { code, .. } => STATUS_EXIT_CODES + *code as u8,
            Self::Interrupted => 130,
        }
    }

    /// What to show on standard error; nothing when there is nobody to tell.
    pub(crate) fn message(&self) -> Option<String> {
        let (cause, hint) = match self {
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => return None,
            Self::Output(error) => (Some(error.to_string()), None),
            Self::Usage { hint, .. } => (None, Some(hint.as_str())),
            Self::Unreachable { why, .. } | Self::Failed { why, .. } | Self::Status { why, .. } => {
                (Some(why.cause.clone()), Some(why.hint.as_str()))
            }
            Self::Schema(error) | Self::Check(error) => {
                return Some(format!("{BAD}error{BAD:#}: {error}"));
            }
            Self::Interrupted => (None, None),
        };
        let mut text = format!("{BAD}error{BAD:#}: {}", format::plain(&self.to_string()));
        if let Some(cause) = cause {
            text.push_str(&format!(
                "\n  {FAINT}cause{FAINT:#}  {}",
                format::plain(&cause)
            ));
        }
        if let Self::Status { parts, .. } = self {
            for (what, part) in parts {
                text.push_str(&format!(
                    "\n  {FAINT}{what:<6}{FAINT:#} {}",
                    format::plain(part)
                ));
            }
        }
        if let Some(hint) = hint {
            text.push_str(&format!(
                "\n  {FAINT}try{FAINT:#}    {}",
                format::plain(hint)
            ));
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_words() {
        let gone = Failure::Output(io::ErrorKind::BrokenPipe.into());
        assert_eq!((gone.exit_code(), gone.message()), (0, None));
        let full = Failure::Output(io::Error::other("disk full"));
        assert_eq!(full.exit_code(), 3);
        let error = IpcError::ServerNotFound {
            endpoint: "/nowhere/x.sock".into(),
        };
        let failure = Failure::connect(&error, Path::new("/nowhere/x.sock"), Crc32Variant::Ieee);
        assert_eq!(failure.exit_code(), 4);
        let text = anstream::adapter::strip_str(&failure.message().expect("words")).to_string();
        assert!(
            text.starts_with("error: /nowhere/x.sock: not found\n  cause  "),
            "{text}"
        );
        assert!(text.contains("\n  try    start the server"), "{text}");
    }
}
