//! Where elements are: the page of their package, and their place on it.
//!
//! **Invariant**: the address of an element follows from its full name alone, so that links to it last; names become parts
//! of addresses only as letters, digits, `_`, `.` and `-`.

use std::collections::{HashMap, HashSet};

use daemoneye_ipc_codegen::image::{File, Image};

/// The page of schemas without a package.
const NAMELESS: &str = "no-package";

/// The addresses of all elements.
pub(crate) struct Links {
    /// By package: the file of its page.
    pages: HashMap<String, String>,
    /// By full name, and for types alone with what they are in: the page, and the place on it.
    elements: HashMap<String, (String, String)>,
}

impl Links {
    /// The addresses of what is documented: the files that were asked for, not their imports.
    pub(crate) fn of(image: &Image) -> Self {
        let mut links = Self {
            pages: pages(image),
            elements: HashMap::new(),
        };
        let message = image.messages().iter();
        for message in message.filter(|message| !message.is_map_entry()) {
            links.add(image.file(message.file), &message.full_name);
            for field in &message.fields {
                links.add(image.file(message.file), &field.full_name);
            }
        }
        for item in image.enums() {
            links.add(image.file(item.file), &item.full_name);
        }
        for service in image.services() {
            let file = image.file(service.file);
            links.add(file, &service.full_name);
            for method in &service.methods {
                links.add(file, &format!("{}.{}", service.full_name, method.name));
            }
        }
        links
    }

    fn add(&mut self, file: &File, full_name: &str) {
        if let Some(page) = self.pages.get(&file.package).filter(|_| !file.is_import) {
            let place = anchor(&file.package, full_name);
            self.elements
                .insert(full_name.to_owned(), (page.clone(), place));
        }
    }

    /// The file of a package's page.
    pub(crate) fn page(&self, package: &str) -> &str {
        self.pages.get(package).map_or(NAMELESS, String::as_str)
    }

    /// The address of an element as seen from any package's page.
    pub(crate) fn to(&self, full_name: &str) -> Option<String> {
        let (page, place) = self.elements.get(full_name)?;
        Some(format!("{page}#{place}"))
    }

    /// The same of a name as a comment has it: a full name, or one that is found from `scope` outwards.
    pub(crate) fn to_named(&self, scope: &str, name: &str) -> Option<String> {
        let name = name.trim_start_matches('.');
        let mut scope = Some(scope);
        while let Some(outer) = scope.filter(|outer| !outer.is_empty()) {
            if let Some(found) = self.to(&format!("{outer}.{name}")) {
                return Some(found);
            }
            scope = outer.rfind('.').map(|end| &outer[..end]);
        }
        self.to(name)
    }
}

/// The place of an element on the page of its package.
pub(crate) fn anchor(package: &str, full_name: &str) -> String {
    let inside = full_name.strip_prefix(package).unwrap_or(full_name);
    plain(inside.trim_start_matches('.'))
}

/// Pages by package: named alike, in lower case where two would be one file on some systems.
fn pages(image: &Image) -> HashMap<String, String> {
    let mut taken = HashSet::new();
    let mut pages = HashMap::new();
    for file in image.files().iter().filter(|file| !file.is_import) {
        if pages.contains_key(&file.package) {
            continue;
        }
        let name = match &*file.package {
            "" => NAMELESS.to_owned(),
            package => plain(package.trim_start_matches('.')),
        };
        let mut page = format!("{name}.html");
        let mut more = 2;
        while !taken.insert(page.to_lowercase()) {
            page = format!("{name}-{more}.html");
            more += 1;
        }
        pages.insert(file.package.clone(), page);
    }
    pages
}

/// Descriptor sets may name things as they like.
fn plain(name: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "_.".contains(character);
    let plain = |character| {
        if is_plain(character) { character } else { '-' }
    };
    name.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_none_become_no_paths_and_no_markup() {
        assert_eq!(plain("../../etc/passwd"), "..-..-etc-passwd");
        assert_eq!(plain("a\"><script>"), "a---script-");
        assert_eq!(anchor("a.v1", "a.v1.Outer.Inner"), "Outer.Inner");
        assert_eq!(anchor("", "Outer"), "Outer");
    }
}
