//! Documentation of schemas: a folder of HTML pages, one for each package, that needs nothing but itself.
//!
//! **Invariant**: what schemas say reaches a page as text, never as markup; a page loads nothing from elsewhere, and runs
//! no script but the one beside it.

mod link;
mod markdown;
mod page;
mod search;
mod view;

use std::{fs, io, path::Path};

use askama::Template as _;
use daemoneye_ipc_codegen::{history::History, image::Image};

use self::{link::Links, view::Overview};

/// The folder of the packages' pages, beside the first page.
const PACKAGES: &str = "packages";
const STYLE: &str = include_str!("../../../templates/docs/style.css");
const SCRIPT: &str = include_str!("../../../templates/docs/page.js");

/// How much was written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// Pages of packages.
    pub(crate) packages: usize,
    /// Services, messages and enums on them.
    pub(crate) elements: usize,
}

/// Writes the documentation of `image` into the folder `out`, which is made where it does not exist. Files of an earlier
/// run are replaced; pages of packages that are gone are removed.
///
/// # Errors
///
/// What the system says of the folder.
pub(crate) fn write(
    image: &Image,
    history: &History,
    title: &str,
    out: &Path,
) -> io::Result<Written> {
    let links = Links::of(image);
    let packages = page::packages(image, history, &links);
    let folder = out.join(PACKAGES);
    fs::create_dir_all(&folder)?;
    let html = |template: askama::Result<String>| template.map_err(io::Error::other);
    for package in &packages {
        let page = view::PackagePage {
            title,
            root: "../",
            packages: &packages,
            package,
        };
        fs::write(folder.join(&package.file), html(page.render())?)?;
    }
    let overview = Overview {
        title,
        root: "",
        packages: &packages,
    };
    fs::write(out.join("index.html"), html(overview.render())?)?;
    fs::write(out.join("style.css"), STYLE)?;
    fs::write(out.join("page.js"), SCRIPT)?;
    fs::write(out.join("search.js"), search::index(&packages)?)?;
    remove_others(&folder, &packages)?;
    let elements = packages.iter().map(view::Package::elements).sum();
    Ok(Written {
        packages: packages.len(),
        elements,
    })
}

/// Removes pages of packages that an earlier run has written.
fn remove_others(folder: &Path, packages: &[view::Package]) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_page = Path::new(&name)
            .extension()
            .is_some_and(|ending| ending == "html");
        let is_current = packages.iter().any(|package| *package.file == *name);
        if is_page && !is_current {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
