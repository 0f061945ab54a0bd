//! What the caller may choose about the Rust that is emitted.
//!
//! **Invariant**: equal options and schemas give equal output; nothing is taken from the environment.

use crate::error::Error;

/// Choices about the emitted code. The default is what a crate wants that depends on
/// `daemoneye-ipc` under its own name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The absolute path of the runtime crate. Default: `::daemoneye_ipc`.
    pub runtime: String,
    /// Protobuf packages or messages (with a leading dot) that live in other Rust modules, and the
    /// paths of these.
    pub extern_paths: Vec<(String, String)>,
    /// The packages to emit; `None`, the default, for all that are not elsewhere.
    pub packages: Option<Vec<String>>,
    /// Attributes for messages and enums: protobuf path (`.` for all) and attribute.
    pub type_attributes: Vec<(String, String)>,
    /// Attributes for fields: protobuf path (`.` for all) and attribute.
    pub field_attributes: Vec<(String, String)>,
    /// Services (with a leading dot) and the Rust names of their handler traits.
    pub service_names: Vec<(String, String)>,
    /// Whether clients are emitted. Default: yes.
    pub build_client: bool,
    /// Whether handler traits and servers are emitted. Default: yes.
    pub build_server: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            runtime: "::daemoneye_ipc".to_owned(),
            extern_paths: Vec::new(),
            packages: None,
            type_attributes: Vec::new(),
            field_attributes: Vec::new(),
            service_names: Vec::new(),
            build_client: true,
            build_server: true,
        }
    }
}

impl Options {
    /// Whether code of that package is to be emitted.
    pub(crate) fn wants(&self, package: &str) -> bool {
        let selected = match &self.packages {
            Some(packages) => packages.iter().any(|selected| selected == package),
            None => true,
        };
        selected && !self.is_elsewhere(package)
    }

    /// Whether that package or type is in another module or crate.
    pub(crate) fn is_elsewhere(&self, full_name: &str) -> bool {
        let known = ["google.protobuf", "buf.validate"];
        known.iter().any(|package| {
            let rest = full_name.strip_prefix(package);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        }) || self.is_extern(full_name)
    }

    /// Whether an extern path covers that package or message (named without a leading dot).
    pub(crate) fn is_extern(&self, full_name: &str) -> bool {
        self.extern_paths.iter().any(|(proto, _)| {
            let proto = proto.trim_start_matches('.');
            full_name
                .strip_prefix(proto)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }

    /// The name in Rust that was asked for a service (named without a leading dot).
    pub(crate) fn service_name(&self, full_name: &str) -> Option<&str> {
        let mut names = self.service_names.iter().rev();
        names
            .find(|(service, _)| service.strip_prefix('.') == Some(full_name))
            .map(|(_, rust)| rust.as_str())
    }

    /// Checks what can be checked without a schema.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let paths = self.extern_paths.iter().map(|(_, rust)| rust);
        for path in paths.chain([&self.runtime]) {
            if syn::parse_str::<syn::Path>(path).is_err() {
                return Err(Error::usage(
                    format!("`{path}` is not a Rust path"),
                    "write it as in a `use` item, such as `::my_crate::inventory::v1`",
                ));
            }
        }
        for (service, name) in &self.service_names {
            if syn::parse_str::<syn::Ident>(name).is_err() {
                return Err(Error::usage(
                    format!(
                        "`{name}`, the name for the service `{service}`, is not a Rust identifier"
                    ),
                    "write the name of the handler trait, such as `InventoryApi`",
                ));
            }
        }
        let services = self.service_names.iter().map(|(service, _)| service);
        for proto in self
            .extern_paths
            .iter()
            .map(|(proto, _)| proto)
            .chain(services)
        {
            if !proto.starts_with('.') || proto.split('.').skip(1).any(str::is_empty) {
                return Err(Error::usage(
                    format!("`{proto}` is not a full protobuf name"),
                    "write it with a leading dot, such as `.inventory.v1`",
                ));
            }
        }
        Ok(())
    }

    /// prost's configuration for these options.
    pub(crate) fn prost_config(&self) -> prost_build::Config {
        let mut config = prost_build::Config::new();
        config
            .bytes(["."])
            .prost_path(format!("{}::prost", self.runtime))
            .prost_types_path(format!("{}::prost_types", self.runtime));
        for (proto, rust) in &self.extern_paths {
            config.extern_path(proto, rust);
        }
        for (path, attribute) in &self.type_attributes {
            config.type_attribute(path, attribute);
        }
        for (path, attribute) in &self.field_attributes {
            config.field_attribute(path, attribute);
        }
        config
    }
}

#[cfg(test)]
mod tests {
    use super::Options;

    #[test]
    fn an_extern_path_covers_whole_names_only() {
        let options = Options {
            extern_paths: vec![(".a.b".to_owned(), "::x".to_owned())],
            ..Options::default()
        };
        assert!(options.is_extern("a.b") && options.is_extern("a.b.C"));
        assert!(!options.is_extern("a.bc") && !options.is_extern("a"));
        assert!(options.is_elsewhere("google.protobuf") && !options.is_elsewhere("google.rpc"));
    }

    #[test]
    fn bad_paths_are_refused_with_a_remedy() {
        for (proto, rust) in [("a.b", "::x"), (".a..b", "::x"), (".a", "not a path")] {
            let extern_paths = vec![(proto.to_owned(), rust.to_owned())];
            let error = Options {
                extern_paths,
                ..Options::default()
            }
            .validate();
            assert!(
                error
                    .expect_err("refused")
                    .to_string()
                    .contains("help: write it")
            );
        }
    }
}
