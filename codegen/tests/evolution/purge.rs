//! What a change leaves behind that refers to what is gone.
//!
//! **Invariant**: afterwards every type that is named is there.

use std::collections::BTreeSet;

use fastrand::Rng;

use crate::grow::{self, some};
use crate::mutate::each;
use crate::schema::{Extend, Field, Id, Kind, Tree};

/// Takes out what refers to types that are gone.
pub(crate) fn purge(tree: &mut Tree, rng: &mut Rng) {
    let messages = grow::messages(tree);
    let mut known: BTreeSet<Id> = messages.iter().copied().collect();
    known.extend(grow::enums(tree).iter().map(|(id, _)| *id));
    let clean = |field: &mut Field| {
        let gone =
            |kind: &Kind| matches!(kind, Kind::Message(id) | Kind::Enum(id) if !known.contains(id));
        if gone(&field.kind) {
            field.kind = Kind::Scalar("bytes");
            field.options.remove("default");
        }
        if let Kind::Map(_, value) = &mut field.kind
            && gone(value)
        {
            **value = Kind::Scalar("bytes");
        }
    };
    let extends = |extends: &mut Vec<Extend>| {
        extends.retain(|extend| known.contains(&extend.of));
        extends
            .iter_mut()
            .flat_map(|extend| &mut extend.fields)
            .for_each(clean);
    };
    for file in &mut tree.files {
        extends(&mut file.extends);
        each(&mut file.messages, &mut |message| {
            message.fields.iter_mut().for_each(clean);
            extends(&mut message.extends);
        });
        for service in &mut file.services {
            service.methods.retain_mut(|method| {
                for id in [&mut method.input, &mut method.output] {
                    if !known.contains(id)
                        && let Some(other) = some(&messages, rng)
                    {
                        *id = other;
                    }
                }
                known.contains(&method.input) && known.contains(&method.output)
            });
        }
    }
}
