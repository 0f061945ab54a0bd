//! Changes of schemas, by chance.
//!
//! **Invariant**: nothing refers to what is gone; whether the rest is valid is for others to say.

use std::collections::BTreeSet;

use fastrand::Rng;

use crate::grow::{self, fresh, some};
use crate::moves;
use crate::purge::purge;
use crate::schema::{Enum, Extend, Field, Id, Kind, Label, Message, Reserved, Syntax, Tree};

/// One change; false when there is nothing that it could change.
pub(crate) type Change = fn(&mut Tree, &mut Rng) -> bool;

const CHANGES: &[(u8, Change)] = &[
    (6, field_changes),
    (2, field_options),
    (3, field_added),
    (2, field_deleted_and_reserved),
    (2, oneof_changes),
    (2, reserved_changes),
    (1, extension_ranges),
    (1, extension_changes),
    (1, message_options),
    (3, message_deleted),
    (3, message_renamed),
    (4, message_moved),
    (2, enum_deleted),
    (1, enum_renamed),
    (3, enum_moved),
    (5, values),
    (2, services),
    (5, methods),
    (1, package),
    (2, file_options),
    (1, file_deleted),
    (1, file_renamed),
    (1, syntax),
    (2, order),
    (1, layout),
];

/// Changes a tree in one to four ways.
pub(crate) fn mutate(tree: &mut Tree, rng: &mut Rng) {
    let changes = CHANGES.iter().chain(moves::CHANGES);
    let total: u8 = changes.clone().map(|(weight, _)| weight).sum();
    let mut left = rng.usize(1..=4);
    for _ in 0..100 {
        let mut at = rng.u8(..total);
        let chosen = changes.clone().find(|(weight, _)| {
            let found = at < *weight;
            at = at.saturating_sub(*weight);
            found
        });
        let (_, change) = chosen.expect("the weights add up");
        if change(tree, rng) {
            purge(tree, rng);
            left -= 1;
        }
        if left == 0 {
            return;
        }
    }
}

/// Calls `f` with every message.
pub(crate) fn each(messages: &mut [Message], f: &mut impl FnMut(&mut Message)) {
    for message in messages {
        f(message);
        each(&mut message.messages, f);
    }
}

/// Changes one of the messages for which `f` says that it did.
pub(crate) fn one_message(
    tree: &mut Tree,
    rng: &mut Rng,
    mut f: impl FnMut(&mut Message, &mut Rng) -> bool,
) -> bool {
    let mut ids = grow::messages(tree);
    rng.shuffle(&mut ids);
    for id in ids {
        let mut done = false;
        for file in &mut tree.files {
            each(&mut file.messages, &mut |message| {
                if message.id == id {
                    done = f(message, rng);
                }
            });
        }
        if done {
            return true;
        }
    }
    false
}

pub(crate) fn one_field(
    tree: &mut Tree,
    rng: &mut Rng,
    f: impl Fn(&mut Message, usize, &mut Rng),
) -> bool {
    one_message(tree, rng, |message, rng| {
        let Some(index) = (!message.fields.is_empty()).then(|| rng.usize(..message.fields.len()))
        else {
            return false;
        };
        f(message, index, rng);
        true
    })
}

pub(crate) fn one_enum(tree: &mut Tree, rng: &mut Rng, f: impl Fn(&mut Enum, &mut Rng)) -> bool {
    let Some((id, _)) = some(&grow::enums(tree), rng) else {
        return false;
    };
    for file in &mut tree.files {
        let mut inside = |message: &mut Message| {
            message
                .enums
                .iter_mut()
                .filter(|item| item.id == id)
                .for_each(|item| f(item, rng));
        };
        each(&mut file.messages, &mut inside);
        file.enums
            .iter_mut()
            .filter(|item| item.id == id)
            .for_each(|item| f(item, rng));
    }
    true
}

fn field_changes(tree: &mut Tree, rng: &mut Rng) -> bool {
    let (name, kind) = (fresh(tree, "renamed_"), grow::kind(tree, rng));
    let what = rng.u8(..6);
    one_field(tree, rng, |message, index, rng| {
        let field = &mut message.fields[index];
        match what {
            0 => drop(message.fields.remove(index)),
            1 => field.name.clone_from(&name),
            2 => field.number = rng.i32(8..14),
            3 => {
                field.kind = near(&field.kind, kind.clone(), rng);
                field
                    .options
                    .retain(|name, _| matches!(*name, "deprecated" | "json_name"));
            }
            4 => {
                field.label = grow::label(rng);
                field.oneof = None;
                field
                    .options
                    .retain(|name, _| matches!(*name, "deprecated" | "json_name"));
            }
            _ => match &mut field.kind {
                Kind::Map(_, value) => **value = Kind::Scalar(grow::SCALARS[rng.usize(..15)]),
                other => *other = Kind::Map("string", Box::new(Kind::Scalar("string"))),
            },
        }
        let field = message.fields.get_mut(index);
        if let Some(field) =
            field.filter(|field| matches!(field.kind, Kind::Map(..) | Kind::Group(_)))
        {
            field.oneof = None;
            field.label = Label::Optional;
            field.options.clear();
        }
    })
}

/// A kind instead of another: often one that the wire takes for it.
fn near(kind: &Kind, other: Kind, rng: &mut Rng) -> Kind {
    let groups: [&[&'static str]; 4] = [
        &["int32", "int64", "uint32", "uint64", "bool"],
        &["sint32", "sint64"],
        &["string", "bytes"],
        &["fixed32", "sfixed32", "fixed64", "sfixed64"],
    ];
    let Kind::Scalar(name) = kind else {
        return other;
    };
    match groups.iter().find(|group| group.contains(name)) {
        Some(group) if rng.bool() => Kind::Scalar(group[rng.usize(..group.len())]),
        _ => other,
    }
}

fn field_options(tree: &mut Tree, rng: &mut Rng) -> bool {
    let mut made = tree.clone();
    one_message(tree, rng, |message, rng| {
        let Some(index) = (!message.fields.is_empty()).then(|| rng.usize(..message.fields.len()))
        else {
            return false;
        };
        let before = message.fields[index].options.clone();
        grow::options(&mut made, &mut message.fields[index], rng);
        before != message.fields[index].options
    })
}

fn field_added(tree: &mut Tree, rng: &mut Rng) -> bool {
    let field = grow::field(tree, rng, 14);
    let number = i32::try_from(14 + tree.next % 10).expect("small");
    one_message(tree, rng, |message, rng| {
        let at = rng.usize(..=message.fields.len());
        message.fields.insert(
            at,
            Field {
                number,
                ..field.clone()
            },
        );
        true
    })
}

fn field_deleted_and_reserved(tree: &mut Tree, rng: &mut Rng) -> bool {
    one_field(tree, rng, |message, index, rng| {
        let field = message.fields.remove(index);
        if rng.u8(..4) > 0 {
            message.reserved.ranges.push((field.number, field.number));
        }
        if rng.u8(..4) > 0 {
            message.reserved.names.push(field.name);
        }
    })
}

fn oneof_changes(tree: &mut Tree, rng: &mut Rng) -> bool {
    let name = fresh(tree, "choice_");
    one_field(tree, rng, |message, index, rng| {
        let oneofs: BTreeSet<String> = message
            .fields
            .iter()
            .filter_map(|field| field.oneof.clone())
            .collect();
        let oneofs: Vec<String> = oneofs.into_iter().collect();
        let oneof = some(&oneofs, rng);
        match (rng.u8(..3), oneof) {
            (0, Some(oneof)) => {
                let members = message
                    .fields
                    .iter_mut()
                    .filter(|field| field.oneof.as_ref() == Some(&oneof));
                members.for_each(|field| field.oneof = Some(name.clone()));
            }
            (1, Some(_)) => message.fields[index].oneof = None,
            (_, oneof) => {
                let field = &mut message.fields[index];
                if !matches!(field.kind, Kind::Map(..) | Kind::Group(_)) {
                    grow::to_oneof(field, &oneof.unwrap_or_else(|| name.clone()));
                }
            }
        }
    })
}

fn reserve(reserved: &mut Reserved, first: i32, name: &str, rng: &mut Rng) {
    match rng.u8(..5) {
        0 => reserved.ranges = grow::ranges(rng, first, false),
        1 => drop(reserved.ranges.pop()),
        2 => drop(reserved.names.pop()),
        3 => reserved.names.push(name.to_owned()),
        _ => {
            if let Some(range) = reserved.ranges.first_mut() {
                *range = (
                    range.0 + rng.i32(0..2),
                    range.1.saturating_sub(rng.i32(0..2)).max(range.0 + 1),
                );
            }
        }
    }
}

fn reserved_changes(tree: &mut Tree, rng: &mut Rng) -> bool {
    let name = fresh(tree, "gone_");
    if rng.bool() {
        return one_enum(tree, rng, |item, rng| {
            reserve(&mut item.reserved, 20, &name, rng)
        });
    }
    one_message(tree, rng, |message, rng| {
        reserve(&mut message.reserved, 30, &name, rng);
        true
    })
}

fn extension_ranges(tree: &mut Tree, rng: &mut Rng) -> bool {
    one_message(tree, rng, |message, rng| {
        message.extensions = match rng.u8(..4) {
            0 => Vec::new(),
            1 => vec![(100, 150), (151, 250)],
            2 => vec![(100, 199), (300, 399)],
            _ => vec![(90, i32::MAX)],
        };
        true
    })
}

fn extension_changes(tree: &mut Tree, rng: &mut Rng) -> bool {
    let (name, kind) = (
        fresh(tree, "ext_"),
        Kind::Scalar(grow::SCALARS[rng.usize(..15)]),
    );
    let what = rng.u8(..4);
    let change = |extends: &mut Vec<Extend>| {
        let Some(extend) = extends.first_mut() else {
            return false;
        };
        let field = extend.fields.first_mut().expect("a field");
        match what {
            0 => drop(extends.remove(0)),
            1 => field.name = name.clone(),
            2 => {
                field.kind = kind.clone();
                field.options.clear();
            }
            _ => field.label = Label::Repeated,
        }
        true
    };
    for file in &mut tree.files {
        let mut moved = None;
        if what == 3 && rng.bool() && !file.extends.is_empty() {
            moved = Some(file.extends.remove(0));
        }
        if let (Some(extend), Some(message)) = (moved, file.messages.first_mut()) {
            message.extends.push(extend);
            return true;
        }
        if change(&mut file.extends) {
            return true;
        }
    }
    false
}

fn message_options(tree: &mut Tree, rng: &mut Rng) -> bool {
    one_message(tree, rng, |message, rng| {
        let value = rng.bool().to_string();
        message
            .options
            .insert("no_standard_descriptor_accessor", value);
        true
    })
}

/// Takes a message out of the tree.
fn take(messages: &mut Vec<Message>, id: Id) -> Option<Message> {
    if let Some(at) = messages.iter().position(|message| message.id == id) {
        return Some(messages.remove(at));
    }
    messages
        .iter_mut()
        .find_map(|message| take(&mut message.messages, id))
}

fn taken(tree: &mut Tree, rng: &mut Rng) -> Option<Message> {
    let id = some(&grow::messages(tree), rng)?;
    tree.files
        .iter_mut()
        .find_map(|file| take(&mut file.messages, id))
}

fn message_deleted(tree: &mut Tree, rng: &mut Rng) -> bool {
    taken(tree, rng).is_some()
}

fn message_renamed(tree: &mut Tree, rng: &mut Rng) -> bool {
    let name = fresh(tree, "Renamed");
    one_message(tree, rng, |message, _| {
        message.name.clone_from(&name);
        true
    })
}

fn message_moved(tree: &mut Tree, rng: &mut Rng) -> bool {
    let Some(message) = taken(tree, rng) else {
        return false;
    };
    let mut left = Some(message);
    if rng.u8(..3) == 0 {
        one_message(tree, rng, |outer, _| {
            outer.messages.extend(left.take());
            true
        });
    }
    let file = rng.usize(..tree.files.len());
    tree.files[file].messages.extend(left);
    true
}

/// Takes an enum out of the tree.
fn taken_enum(tree: &mut Tree, rng: &mut Rng) -> Option<Enum> {
    let (id, _) = some(&grow::enums(tree), rng)?;
    let mut found = None;
    let mut from = |enums: &mut Vec<Enum>| {
        if let Some(at) = enums.iter().position(|item| item.id == id) {
            found = Some(enums.remove(at));
        }
    };
    for file in &mut tree.files {
        from(&mut file.enums);
        each(&mut file.messages, &mut |message| from(&mut message.enums));
    }
    found
}

fn enum_deleted(tree: &mut Tree, rng: &mut Rng) -> bool {
    taken_enum(tree, rng).is_some()
}

fn enum_renamed(tree: &mut Tree, rng: &mut Rng) -> bool {
    let name = fresh(tree, "RenamedEnum");
    one_enum(tree, rng, |item, _| item.name.clone_from(&name))
}

fn enum_moved(tree: &mut Tree, rng: &mut Rng) -> bool {
    let Some(item) = taken_enum(tree, rng) else {
        return false;
    };
    let mut left = Some(item);
    if rng.bool() {
        one_message(tree, rng, |message, _| {
            message.enums.extend(left.take());
            true
        });
    }
    let file = rng.usize(..tree.files.len());
    tree.files[file].enums.extend(left);
    true
}

fn values(tree: &mut Tree, rng: &mut Rng) -> bool {
    let name = fresh(tree, "NEW_");
    let what = rng.u8(..6);
    one_enum(tree, rng, |item, rng| {
        let at = rng.usize(..item.values.len());
        match what {
            0 | 1 if at > 0 => {
                let (name, number) = item.values.remove(at);
                if rng.bool() {
                    item.reserved.ranges.push((number, number));
                }
                if rng.bool() {
                    item.reserved.names.push(name);
                }
            }
            2 => item.values[at].0.clone_from(&name),
            3 if at > 0 => item.values[at].1 = rng.i32(-3..12),
            4 => {
                let number = item.values[at].1;
                item.values.push((name.clone(), number));
            }
            _ => item.values.push((name.clone(), rng.i32(10..15))),
        }
    })
}

fn services(tree: &mut Tree, rng: &mut Rng) -> bool {
    let name = fresh(tree, "RenamedService");
    let to = rng.usize(..tree.files.len());
    let what = rng.u8(..3);
    let Some(file) = tree.files.iter_mut().find(|file| !file.services.is_empty()) else {
        return false;
    };
    let at = rng.usize(..file.services.len());
    match what {
        0 => drop(file.services.remove(at)),
        1 => file.services[at].name = name,
        _ => {
            let service = file.services.remove(at);
            tree.files[to].services.push(service);
        }
    }
    true
}

fn methods(tree: &mut Tree, rng: &mut Rng) -> bool {
    let (name, made) = (fresh(tree, "Renamed"), grow::method(tree, rng));
    let Some(made) = made else {
        return false;
    };
    let services = tree.files.iter_mut().flat_map(|file| &mut file.services);
    let mut services: Vec<_> = services
        .filter(|service| !service.methods.is_empty())
        .collect();
    if services.is_empty() {
        return false;
    }
    let at = rng.usize(..services.len());
    let methods = &mut services[at].methods;
    let at = rng.usize(..methods.len());
    match rng.u8(..8) {
        0 => drop(methods.remove(at)),
        1 => methods[at].name = name,
        2 => methods[at].input = made.input,
        3 => methods[at].output = made.output,
        4 => methods[at].streams.0 ^= true,
        5 => methods[at].streams.1 ^= true,
        6 => methods[at].idempotency = made.idempotency,
        _ => methods.push(made),
    }
    true
}

fn package(tree: &mut Tree, rng: &mut Rng) -> bool {
    let at = rng.usize(..tree.files.len());
    let file = &mut tree.files[at];
    let name = file.path.split('/').next().unwrap_or_default().to_owned();
    let other = format!("{name}.{}", ["a.v1", "b.v1", "c.v1beta1"][rng.usize(..3)]);
    let changed = other != file.package;
    file.package = other;
    changed
}

fn file_options(tree: &mut Tree, rng: &mut Rng) -> bool {
    let at = rng.usize(..tree.files.len());
    let (name, values) = grow::FILE_OPTIONS[rng.usize(..grow::FILE_OPTIONS.len())];
    let options = &mut tree.files[at].options;
    if options.remove(name).is_none() || rng.bool() {
        options.insert(name, values[rng.usize(..values.len())].to_owned());
    }
    true
}

fn file_deleted(tree: &mut Tree, rng: &mut Rng) -> bool {
    if tree.files.len() < 2 {
        return false;
    }
    let file = tree.files.remove(rng.usize(..tree.files.len()));
    if rng.bool() {
        let at = rng.usize(..tree.files.len());
        tree.files[at].messages.extend(file.messages);
        tree.files[at].enums.extend(file.enums);
    }
    true
}

fn file_renamed(tree: &mut Tree, rng: &mut Rng) -> bool {
    let at = rng.usize(..tree.files.len());
    let path = tree.files[at].path.replace(".proto", "_renamed.proto");
    tree.files[at].path = path;
    true
}

fn syntax(tree: &mut Tree, rng: &mut Rng) -> bool {
    let to = [Syntax::Proto2, Syntax::Proto3, Syntax::Unstated][rng.usize(..3)];
    if rng.bool() {
        tree.files.iter_mut().for_each(|file| file.syntax = to);
    } else {
        let at = rng.usize(..tree.files.len());
        tree.files[at].syntax = to;
    }
    true
}

fn order(tree: &mut Tree, rng: &mut Rng) -> bool {
    for file in &mut tree.files {
        rng.shuffle(&mut file.messages);
        rng.shuffle(&mut file.enums);
        each(&mut file.messages, &mut |message| {
            rng.shuffle(&mut message.fields);
            rng.shuffle(&mut message.messages);
        });
    }
    true
}

fn layout(tree: &mut Tree, rng: &mut Rng) -> bool {
    let at = rng.usize(..tree.files.len());
    tree.files[at].layout = rng.u64(..);
    true
}
