//! `Name = A | B`

use proc_macro2::{Ident, TokenStream};
use syn::{Attribute, Token};

use super::named::docs;
use super::split;
use super::transition::{From, from};
use crate::errors::Errors;

/// A group of states as written.
pub(crate) struct Group {
    pub(crate) docs: Vec<Attribute>,
    pub(crate) ident: Ident,
    pub(crate) states: Vec<Ident>,
}

impl Group {
    /// Reads the arguments of `#[group(…)]`: one group or several.
    pub(crate) fn list(tokens: TokenStream, errors: &mut Errors) -> Vec<Self> {
        let parts = split::parts(tokens, errors).into_iter();
        parts.filter_map(|part| Self::read(part, errors)).collect()
    }

    fn read(part: TokenStream, errors: &mut Errors) -> Option<Self> {
        let parsed = split::parse(part, |input| {
            let docs = docs(input, errors)?;
            let ident = split::name(input, false, "expected a group: `Name = A | B`")?;
            if input.peek(Token![:]) || input.peek(Token![=>]) {
                let message = format!("write `=` after the name: `{ident} = A | B`");
                errors.push(split::error(input, message));
                input.parse::<proc_macro2::TokenTree>()?;
                if input.peek(Token![>]) {
                    input.parse::<Token![>]>()?;
                }
            } else if input.peek(Token![=]) {
                input.parse::<Token![=]>()?;
            } else {
                let message =
                    format!("expected `=` and the states of the group: `{ident} = A | B`");
                return Err(split::error(input, message));
            }
            if input.peek(Token![*]) {
                let message = "a group names its states: `*` is written where sources stand";
                return Err(split::error(input, message));
            }
            let states = from(input, &ident, errors)?;
            let message = "expected `|` or `,`: `Name = A | B`";
            split::nothing_more(input, message)?;
            Ok((docs, ident, states))
        });
        let (docs, ident, states) = errors.keep(parsed)?;
        let From::States(states) = states else { return None };
        Some(Self { docs, ident, states })
    }
}
