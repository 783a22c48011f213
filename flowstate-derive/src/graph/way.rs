//! A path through the graph, in words, and what would put an artefact onto it.

use crate::model::Model;
use crate::model::transition::Transition;

/// ` -pay-> Paid -ship-> Shipped`
pub(super) fn way(path: &[(usize, usize)], model: &Model) -> String {
    let former = |by: usize| {
        let former = model.lock.iter().flat_map(|lock| &lock.former);
        former
            .map(|former| former.name.clone())
            .nth(by - model.transitions.len())
            .unwrap_or_default()
    };
    let name = |by: usize| {
        let own = model.transitions.get(by).map(|transition| transition.ident.to_string());
        own.unwrap_or_else(|| format!("{} (of before)", former(by)))
    };
    let steps =
        path.iter().map(|(by, to)| format!(" -{}-> {}", name(*by), model.states[*to].ident));
    steps.collect()
}

/// What to do about a path on which an artefact is missing.
pub(super) fn on_the_way(
    transition: &Transition,
    artefact: usize,
    path: &[(usize, usize)],
    model: &Model,
) -> String {
    let ident = &model.artefacts[artefact].ident;
    let mut names: Vec<_> = Vec::new();
    for (by, _) in path {
        // one of an older program is no place to write anything
        let Some(transition) = model.transitions.get(*by) else { continue };
        let name = format!("`{}`", transition.ident);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let some = match names.as_slice() {
        [_, _, _, _, ..] => "a transition on that path".to_owned(),
        few => few.join(" or "),
    };
    let add = format!("add `persist({ident})` to {some}");
    match path.last() {
        Some((_, last)) if transition.from_tokens.len() > 1 => {
            let (last, name) = (&model.states[*last].ident, &transition.ident);
            format!("{add}, or take `{last}` out of the states that `{name}` starts from")
        }
        _ => add,
    }
}
