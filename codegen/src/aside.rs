//! Source positions that linking does not need, kept beside it: they are most of a file's descriptor, and the
//! linker copies what it is given several times.
//!
//! They are kept encoded, which takes a fraction of the memory: most files are never asked for theirs.
//!
//! **Invariant**: positions of options stay with the linker, which moves them to where the options end up.

use std::collections::HashMap;
use std::sync::OnceLock;

use prost::Message as _;
use prost_types::{FileDescriptorProto, SourceCodeInfo};
use protox::file::File;

/// `uninterpreted_option` in the options of every element.
const UNINTERPRETED: i32 = 999;

/// Positions of files, by the names of the files.
#[derive(Clone, Debug, Default)]
pub(crate) struct Aside(HashMap<String, Positions>);

#[derive(Clone, Debug)]
struct Positions {
    encoded: Vec<u8>,
    decoded: OnceLock<SourceCodeInfo>,
}

impl Aside {
    /// The file without the positions that are kept here from now on.
    pub(crate) fn take(&mut self, file: File) -> File {
        let mut descriptor = FileDescriptorProto::from(file);
        if let Some(info) = descriptor.source_code_info.take() {
            let (options, rest) = info
                .location
                .into_iter()
                .partition(|location| location.path.contains(&UNINTERPRETED));
            descriptor.source_code_info = Some(SourceCodeInfo { location: options });
            let kept = Positions {
                encoded: SourceCodeInfo { location: rest }.encode_to_vec(),
                decoded: OnceLock::new(),
            };
            self.0.insert(descriptor.name().to_owned(), kept);
        }
        File::from_file_descriptor_proto(descriptor)
    }

    /// The positions of a file that are kept here.
    pub(crate) fn of(&self, name: &str) -> Option<&SourceCodeInfo> {
        let kept = self.0.get(name)?;
        // What is read here was written here.
        let decode = || SourceCodeInfo::decode(&*kept.encoded).unwrap_or_default();
        Some(kept.decoded.get_or_init(decode))
    }

    /// The same, encoded, and no longer kept.
    #[cfg(feature = "evolution")]
    pub(crate) fn remove(&mut self, name: &str) -> Vec<u8> {
        let kept = self.0.remove(name);
        kept.map(|kept| kept.encoded).unwrap_or_default()
    }
}
