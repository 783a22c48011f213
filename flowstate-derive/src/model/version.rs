//! Versions of what is stored as JSON: the props, and each artefact.

use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens;
use syn::parse::Parser as _;
use syn::punctuated::Punctuated;
use syn::{LitInt, Path, Token};

use crate::attr::option::{Form, Key, Options};
use crate::errors::Errors;

pub(crate) const VERSION: Key = Key { name: "version", form: Form::Tokens, usage: "version = 2" };
pub(crate) const UPGRADE: Key = Key { name: "upgrade", form: Form::List, usage: "upgrade(Former)" };

/// Which version is written, and as which types the earlier ones are read.
pub(crate) struct Version {
    pub(crate) number: u32,
    /// The types of the earlier versions, the first one first.
    pub(crate) former: Vec<Path>,
    /// Where the version is said.
    pub(crate) token: Option<Span>,
}

impl Default for Version {
    fn default() -> Self {
        Self { number: 1, former: Vec::new(), token: None }
    }
}

impl Version {
    /// What the options of `ident` say.
    pub(crate) fn new(ident: &Ident, options: &Options, errors: &mut Errors) -> Self {
        let given = options.tokens("version").map(|tokens| (number(&tokens, errors), tokens));
        let former = options.tokens("upgrade").map(|tokens| (types(&tokens, errors), tokens));
        let all = |count: u32| {
            let names: Vec<_> = (1..=count).map(|number| format!("{ident}V{number}")).collect();
            format!("upgrade({})", names.join(", "))
        };
        match (given, former) {
            (Some((Some(number), token)), Some((Some(former), tokens))) => {
                let earlier = u64::from(number) - 1;
                if u64::try_from(former.len()) != Ok(earlier) {
                    let types = if former.len() == 1 { "type stands" } else { "types stand" };
                    let remedy = if number == 1 {
                        format!("remove it, or write `version = {}`", former.len() + 1)
                    } else {
                        format!(
                            "name the type of each, the first one first, such as `{}`",
                            all(number.min(4) - 1)
                        )
                    };
                    let message = format!(
                        "{earlier} {} before version {number}, and {} {types} here: {remedy}",
                        if earlier == 1 { "version came" } else { "versions came" },
                        former.len(),
                    );
                    errors.at(tokens, message);
                    return Self::default();
                }
                Self { number, former, token: span(&token) }
            }
            (Some((Some(number), token)), None) if number > 1 => {
                let former = format!("{ident}V1");
                let message = format!(
                    "what was stored before version {number} is read as the type that it had: add \
                     `{}`, with `impl From<{former}> for {}`",
                    all(number.min(4) - 1),
                    if number == 2 { ident.to_string() } else { format!("{ident}V2") },
                );
                errors.at(token, message);
                Self::default()
            }
            (None, Some((Some(former), tokens))) => {
                let message = format!(
                    "of which version it is now is not said: add `version = {}`",
                    former.len() + 1
                );
                errors.at(tokens, message);
                Self::default()
            }
            (Some((Some(_), token)), None) => Self { token: span(&token), ..Self::default() },
            // what could not be read has been reported
            _ => Self::default(),
        }
    }
}

fn span(tokens: &TokenStream) -> Option<Span> {
    tokens.clone().into_iter().next().map(|token| token.span())
}

fn number(tokens: &TokenStream, errors: &mut Errors) -> Option<u32> {
    let read = |tokens| syn::parse2::<LitInt>(tokens).ok()?.base10_parse().ok();
    let number = read(tokens.clone()).filter(|number| *number > 0);
    if number.is_none() {
        errors.at(tokens, "a version is a number from 1 up: `version = 2`");
    }
    number
}

fn types(tokens: &TokenStream, errors: &mut Errors) -> Option<Vec<Path>> {
    let types = Punctuated::<Path, Token![,]>::parse_terminated.parse2(tokens.clone());
    if types.is_err() {
        let message = "expected the types of the earlier versions, such as `upgrade(ReceiptV1)`";
        errors.at(tokens.to_token_stream(), message);
    }
    Some(types.ok()?.into_iter().collect())
}
