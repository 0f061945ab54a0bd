//! Who may call the methods of a service, from the options of `daemoneye.ipc.v1`.
//!
//! **Invariant**: an option that is there gives a list, or a problem with its place.

use prost_reflect::{
    DynamicMessage, FileDescriptor, MethodDescriptor, ReflectMessage, ServiceDescriptor, Value,
};

use crate::error::{Problem, ProblemKind};
use crate::index::Index;
use crate::model::Allow;

const OF_METHOD: &str = "daemoneye.ipc.v1.access";
const OF_SERVICE: &str = "daemoneye.ipc.v1.default_access";
const ALLOW: &str = "allow";

// Field numbers of descriptor.proto, of which source paths are made.
const METHOD_OPTIONS: i32 = 4;
const SERVICE_OPTIONS: i32 = 3;

const HELP: &str = "write `self`, `root`, `anyone`, `uid:N`, `user:NAME`, `gid:N` or `group:NAME`";

/// Who may call the methods of one service.
pub(super) struct Access<'a, 'i> {
    index: &'a Index<'i>,
    file: FileDescriptor,
    /// For methods that do not say it themselves.
    default: Vec<Allow>,
    pub(super) problems: Vec<Problem>,
}

impl<'a, 'i> Access<'a, 'i> {
    pub(super) fn of(index: &'a Index<'i>, service: &ServiceDescriptor) -> Self {
        let mut access = Self {
            index,
            file: service.parent_file(),
            default: Vec::new(),
            problems: Vec::new(),
        };
        let place = path(service.path(), SERVICE_OPTIONS);
        access.default = access
            .list(&service.options(), OF_SERVICE, &place)
            .unwrap_or_default();
        access
    }

    /// Who may call `method`; empty where the schema does not say.
    pub(super) fn method(&mut self, method: &MethodDescriptor) -> Vec<Allow> {
        let place = path(method.path(), METHOD_OPTIONS);
        self.list(&method.options(), OF_METHOD, &place)
            .unwrap_or_else(|| self.default.clone())
    }

    /// The list of an option, if the element has the option.
    fn list(&mut self, options: &DynamicMessage, name: &str, path: &[i32]) -> Option<Vec<Allow>> {
        let pool = options.descriptor().parent_pool().clone();
        let extension = pool.get_extension_by_name(name)?;
        if !options.has_extension(&extension) {
            return None;
        }
        let value = options.get_extension(&extension);
        let texts = value.as_message()?.get_field_by_name(ALLOW)?;
        let texts = texts.as_list()?.iter().filter_map(Value::as_str);
        let mut allow = Vec::new();
        for text in texts {
            match Allow::parse(text) {
                Ok(one) if allow.contains(&one) => {
                    let problem = format!("`{}` is allowed twice", text.escape_debug());
                    self.problem(path, Some(text), problem, "remove one of the two");
                }
                Ok(one) => allow.push(one),
                Err(problem) => self.problem(path, Some(text), problem, HELP),
            }
        }
        if value
            .as_message()?
            .get_field_by_name(ALLOW)?
            .as_list()?
            .is_empty()
        {
            let problem = format!("`({name})` allows nobody, so that nothing could be called");
            self.problem(path, None, problem, HELP);
        } else if allow.len() > 1 && allow.contains(&Allow::Anyone) {
            let problem = "`anyone` includes all others".to_owned();
            let help = "write `anyone` alone, or leave it out";
            self.problem(path, Some("anyone"), problem, help);
        }
        Some(allow)
    }

    fn problem(&mut self, path: &[i32], text: Option<&str>, message: String, help: &str) {
        let place = self.index.place_of_text(&self.file, path, text);
        let problem = Problem::new(ProblemKind::Meaning, message);
        self.problems.push(problem.at(place).help(help));
    }
}

/// The source path of the options of an element.
fn path(element: &[i32], options: i32) -> Vec<i32> {
    element.iter().copied().chain([options]).collect()
}
