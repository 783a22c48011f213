//! The rules of labels.

use super::Model;
use crate::errors::Errors;
use crate::name;

/// Refuses labels whose constant another item has, and those that would show a secret.
pub(super) fn check(model: &mut Model, errors: &mut Errors) {
    let (transitions, groups) = (&model.transitions, &model.groups);
    let (flow, secrets) = (&model.ident, &model.names.secrets);
    model.names.labels.retain(|label| {
        let constant = name::constant(label);
        let is_taken = transitions.iter().any(|other| other.constant == constant)
            || groups.iter().any(|group| name::constant(&group.ident) == constant);
        if is_taken {
            let message = format!(
                "the label `{label}` and another item would both be `{flow}::{constant}`: rename one"
            );
            errors.at(label, message);
        } else if secrets.contains(label) {
            let message = format!(
                "`{label}` is secret, and a label is shown and searched for: remove it from one of \
                 the two"
            );
            errors.at(label, message);
        }
        !is_taken
    });
}
