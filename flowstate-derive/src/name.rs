//! Names: from Rust to stored, to constants, and "did you mean".

use proc_macro2::{Ident, Span};
use quote::ToTokens;
use syn::ext::IdentExt;

/// The longest stored name in bytes: `flowstate::MAX_NAME_LENGTH`, which the core crate holds
/// against this one.
pub(crate) const MAX_LENGTH: usize = 64;

/// The name without `r#`.
pub(crate) fn plain(ident: &Ident) -> String {
    ident.unraw().to_string()
}

/// `FailedToFetch` → `failed_to_fetch`, `HTTPError` → `http_error`.
pub(crate) fn snake(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (i, &c) in chars.iter().enumerate() {
        if c.is_uppercase() && i > 0 && starts_word(chars[i - 1], chars.get(i + 1).copied()) {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}

fn starts_word(before: char, after: Option<char>) -> bool {
    let in_acronym = before.is_uppercase() && !after.is_some_and(char::is_lowercase);
    before != '_' && !in_acronym
}

/// The constant of a transition: `finish_fetch` → `FINISH_FETCH`.
pub(crate) fn constant(ident: &Ident) -> Ident {
    identifier(&snake(&plain(ident)).to_uppercase(), &format!("_{}", plain(ident)), ident)
}

/// `type` → `Type`
pub(crate) fn capitalized(word: &str) -> String {
    let (first, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
    first.to_uppercase() + rest
}

/// The type of a transition: `finish_fetch` → `FinishFetch`.
pub(crate) fn pascal(ident: &Ident) -> Ident {
    let name = snake(&plain(ident));
    let words = name.split('_').map(capitalized);
    identifier(&words.collect::<String>(), &format!("Transition_{}", plain(ident)), ident)
}

/// A parameter named after an artefact: `ThirdPartyResponse` → `third_party_response`. One of that
/// name, which the method has already, and what is none get an underscore.
pub(crate) fn parameter(artefact: &Ident, taken: &[&str]) -> Ident {
    let name = snake(&plain(artefact));
    let is_free = !taken.contains(&&*name) && syn::parse_str::<Ident>(&name).is_ok();
    Ident::new(&if is_free { name } else { format!("{name}_") }, Span::call_site())
}

/// A module of generated types, named after the flow since the compiler may show it.
pub(crate) fn module(flow: &Ident, content: &str) -> Ident {
    let name = format!("{content}_of_{}", snake(&plain(flow)));
    identifier(&name, &format!("{content}_of_the_flow"), flow)
}

/// An identifier that shows the user's place, but whose lints are those of generated code. A text
/// that is none (`self` gives `Self`, `_1` gives `1`) is replaced.
fn identifier(text: &str, otherwise: &str, user: &Ident) -> Ident {
    let is_identifier = syn::parse_str::<Ident>(text).is_ok();
    Ident::new(if is_identifier { text } else { otherwise }, generated(user))
}

/// The user's place in the source with the origin of generated code, so that lints do not blame
/// the user for what the derive wrote.
pub(crate) fn generated(user: &Ident) -> Span {
    Span::call_site().located_at(user.span())
}

/// Tokens as one would write them.
pub(crate) fn text(tokens: impl ToTokens) -> String {
    let text = tokens.to_token_stream().to_string();
    [("< ", "<"), (" <", "<"), (" >", ">"), (" ,", ","), (" :", ":"), ("' ", "'")]
        .iter()
        .fold(text, |text, (spaced, close)| text.replace(spaced, close))
}

/// The position of the declared name that was probably meant.
pub(crate) fn nearest<T: AsRef<str>>(
    written: &str,
    declared: impl IntoIterator<Item = T>,
) -> Option<usize> {
    let wanted = snake(written);
    let distances = declared.into_iter().enumerate().map(|(i, name)| {
        let name = snake(name.as_ref());
        (distance(&wanted, &name), name.chars().count().min(wanted.chars().count()), i)
    });
    // of one letter nothing would be left of the name
    let is_near =
        |distance: usize, length: usize| distance <= (length / 3).max(1) && distance < length;
    let near = distances.filter(|(distance, length, _)| is_near(*distance, *length));
    near.min_by_key(|(distance, _, _)| *distance).map(|(_, _, i)| i)
}

/// How many letters must be added, dropped, changed, or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before = vec![0; b.len() + 1];
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut next = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let change = row[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            next[j] = change.min(row[j] + 1).min(next[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                next[j] = next[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut row, next);
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_names_are_snake_case() {
        let names = ["FailedToFetch", "finish_fetch", "HTTPError", "Try2", "A", "ÄrgerMit", "_x"];
        let stored = names.map(snake);
        let expected =
            ["failed_to_fetch", "finish_fetch", "http_error", "try2", "a", "ärger_mit", "_x"];
        assert_eq!(stored, expected);
    }

    #[test]
    fn constants_and_types_are_always_identifiers() {
        for name in ["finish_fetch", "self", "_1", "__", "r#type", "move", "ß"] {
            let Ok(ident) = syn::parse::Parser::parse_str(Ident::parse_any, name) else {
                continue;
            };
            let _ = (constant(&ident), pascal(&ident));
        }
    }

    #[test]
    fn near_misses_are_found() {
        let states = ["Fetching", "Fetched", "Saved"];
        assert_eq!(nearest("Fetchd", states), Some(1));
        assert_eq!(nearest("fetching", states), Some(0));
        assert_eq!(nearest("Svaed", states), Some(2));
        assert_eq!(nearest("Archived", states), None);
        assert_eq!(nearest("C", ["A", "B"]), None);
        assert_eq!(nearest("a", ["A", "B"]), Some(0));
        assert_eq!(nearest("S11", ["S1", "S2"]), Some(0));
    }
}
