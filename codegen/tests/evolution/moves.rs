//! Changes of schemas, by chance: elements that trade places, numbers or names, or go elsewhere.
//!
//! **Invariant**: as in `mutate`.

use fastrand::Rng;

use crate::grow::{self, fresh, some};
use crate::mutate::{Change, each, one_enum, one_field, one_message};
use crate::schema::{Field, File, Id, Kind, Label, Message, Tree};

pub(crate) const CHANGES: &[(u8, Change)] = &[
    (2, field_moved),
    (2, fields_trade),
    (2, values_trade),
    (2, method_moved),
    (1, map_key),
    (1, group_or_message),
    (1, type_twin),
    (1, file_split),
    (1, package_renamed),
    (1, extend_moved),
];

/// A field of one message becomes one of another.
fn field_moved(tree: &mut Tree, rng: &mut Rng) -> bool {
    let mut taken: Option<(Id, Field)> = None;
    one_message(tree, rng, |message, rng| {
        if message.fields.is_empty() {
            return false;
        }
        let at = rng.usize(..message.fields.len());
        let mut field = message.fields.remove(at);
        field.oneof = None;
        taken = Some((message.id, field));
        true
    });
    let Some((from, field)) = taken else {
        return false;
    };
    one_message(tree, rng, |message, _| {
        let fits = message.id != from
            && message
                .fields
                .iter()
                .all(|other| other.number != field.number);
        if fits {
            message.fields.push(field.clone());
        }
        fits
    });
    true
}

/// Two fields of a message trade numbers, names or types.
fn fields_trade(tree: &mut Tree, rng: &mut Rng) -> bool {
    let what = rng.u8(..3);
    one_message(tree, rng, |message, rng| {
        if message.fields.len() < 2 {
            return false;
        }
        let (one, other) = (
            rng.usize(..message.fields.len()),
            rng.usize(..message.fields.len()),
        );
        if one == other {
            return false;
        }
        let (first, second) = (message.fields[one].clone(), message.fields[other].clone());
        for (at, from) in [(one, second), (other, first)] {
            let field = &mut message.fields[at];
            match what {
                0 => field.number = from.number,
                1 => field.name = from.name,
                _ => {
                    field.kind = from.kind;
                    field.label = from.label;
                    field.options = from.options;
                    field.options.remove("json_name");
                    if field.oneof.is_some() {
                        let oneof = field.oneof.clone().unwrap_or_default();
                        grow::to_oneof(field, &oneof);
                    }
                    unfit(field);
                }
            }
        }
        true
    })
}

/// What cannot be in a oneof is in none.
fn unfit(field: &mut Field) {
    if matches!(field.kind, Kind::Map(..) | Kind::Group(_)) {
        field.oneof = None;
        field.label = match field.kind {
            Kind::Map(..) => Label::Plain,
            _ => Label::Optional,
        };
        field.options.clear();
    }
}

/// Two values of an enum trade numbers or names.
fn values_trade(tree: &mut Tree, rng: &mut Rng) -> bool {
    let names = rng.bool();
    one_enum(tree, rng, |item, rng| {
        let last = item.values.len() - 1;
        let (one, other) = (rng.usize(..=last), rng.usize(..=last));
        let (first, second) = (item.values[one].clone(), item.values[other].clone());
        if names {
            (item.values[one].0, item.values[other].0) = (second.0, first.0);
        } else if one.min(other) > 0 {
            (item.values[one].1, item.values[other].1) = (second.1, first.1);
        }
    })
}

/// A method of one service becomes one of another.
fn method_moved(tree: &mut Tree, rng: &mut Rng) -> bool {
    let services = tree.files.iter_mut().flat_map(|file| &mut file.services);
    let mut services: Vec<_> = services.collect();
    if services.len() < 2 {
        return false;
    }
    let (from, to) = (rng.usize(..services.len()), rng.usize(..services.len()));
    let methods = &mut services[from].methods;
    if methods.is_empty() {
        return false;
    }
    let method = methods.remove(rng.usize(..methods.len()));
    services[to].methods.push(method);
    true
}

/// The keys of a map are of another type.
fn map_key(tree: &mut Tree, rng: &mut Rng) -> bool {
    let key = ["int32", "int64", "string", "bool", "uint64", "sfixed32"][rng.usize(..6)];
    one_message(tree, rng, |message, _| {
        let maps = message.fields.iter_mut();
        let mut keys = maps.filter_map(|field| match &mut field.kind {
            Kind::Map(old, _) => Some(old),
            _ => None,
        });
        match keys.next() {
            Some(old) if *old != key => {
                *old = key;
                true
            }
            _ => false,
        }
    })
}

/// A group becomes a field of a message, or the reverse.
fn group_or_message(tree: &mut Tree, rng: &mut Rng) -> bool {
    let Some(message) = some(&grow::messages(tree), rng) else {
        return false;
    };
    let name = fresh(tree, "Group");
    one_field(tree, rng, |owner, at, _| {
        let field = &mut owner.fields[at];
        field.kind = match field.kind {
            Kind::Group(_) => Kind::Message(message),
            _ => Kind::Group(name.clone()),
        };
        field.options.clear();
        unfit(field);
    })
}

/// A field is of a type that looks like its own: a copy under another name, in another scope.
fn type_twin(tree: &mut Tree, rng: &mut Rng) -> bool {
    let Some((id, _)) = some(&grow::enums(tree), rng) else {
        return false;
    };
    let twin = tree.id();
    let mut found = None;
    for file in &mut tree.files {
        let of = file.enums.iter().find(|item| item.id == id).cloned();
        found = found.or(of);
        each(&mut file.messages, &mut |message| {
            let of = message.enums.iter().find(|item| item.id == id).cloned();
            found = found.take().or(of);
        });
    }
    let Some(mut copy) = found else {
        return false;
    };
    copy.id = twin;
    if rng.bool() {
        copy.values.push((format!("TWIN_{twin}"), 40));
    }
    let placed = one_message(tree, rng, |message, _| {
        message.enums.push(copy.clone());
        true
    });
    if !placed {
        return false;
    }
    for file in &mut tree.files {
        each(&mut file.messages, &mut |message: &mut Message| {
            for field in &mut message.fields {
                if field.kind == Kind::Enum(id) {
                    field.kind = Kind::Enum(twin);
                }
            }
        });
    }
    true
}

/// Half of what is in a file goes into a new one.
fn file_split(tree: &mut Tree, rng: &mut Rng) -> bool {
    let name = fresh(tree, "split_");
    let at = rng.usize(..tree.files.len());
    let file = &mut tree.files[at];
    let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let half = File {
        path: format!("{folder}/{name}.proto"),
        syntax: file.syntax,
        package: file.package.clone(),
        options: file.options.clone(),
        messages: file.messages.split_off(file.messages.len() / 2),
        enums: file.enums.split_off(file.enums.len() / 2),
        services: file.services.split_off(file.services.len() / 2),
        extends: file.extends.split_off(file.extends.len() / 2),
        layout: rng.u64(..),
    };
    tree.files.push(half);
    true
}

/// All files of a package are in another.
fn package_renamed(tree: &mut Tree, rng: &mut Rng) -> bool {
    let at = rng.usize(..tree.files.len());
    let old = tree.files[at].package.clone();
    let new = match old.rsplit_once('.') {
        Some((stem, _)) => format!("{stem}.v{}", rng.u8(2..5)),
        None => return false,
    };
    let files = tree.files.iter_mut();
    files
        .filter(|file| file.package == old)
        .for_each(|file| file.package.clone_from(&new));
    true
}

/// Extensions are declared in another file, or in a message.
fn extend_moved(tree: &mut Tree, rng: &mut Rng) -> bool {
    let from = tree.files.iter_mut().find(|file| !file.extends.is_empty());
    let Some(extend) = from.map(|file| file.extends.remove(0)) else {
        return false;
    };
    if rng.bool() {
        return one_message(tree, rng, |message, _| {
            message.extends.push(extend.clone());
            true
        });
    }
    let to = rng.usize(..tree.files.len());
    tree.files[to].extends.push(extend);
    true
}
