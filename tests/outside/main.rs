//! The product as its users meet it: fresh crates in a folder outside of this workspace, built with
//! cargo against the path of this workspace, edited, and built again.
//!
//! **Invariant**: what is judged is what cargo and the compiler report, not what the product says of itself.

mod cargo;
mod mistakes;
mod publish;
mod quickstart;
mod revisions;
mod shapes;
mod tracking;
