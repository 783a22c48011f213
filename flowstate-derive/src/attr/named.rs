//! `Name` and `Name(option, …)`, with doc comments: states, completed states, artefacts in lists.

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::ParseStream;
use syn::{Attribute, Token, token};

use super::option::Opt;
use super::split;
use crate::errors::Errors;
use crate::name;

/// A name with what is said of it.
pub(crate) struct Named {
    pub(crate) docs: Vec<Attribute>,
    pub(crate) ident: Ident,
    pub(crate) options: Vec<Opt>,
}

/// What comes after a name and should not.
enum Rest {
    Nothing,
    /// `= option`
    Options(TokenStream),
    /// `::Name`: the first was only the way to it.
    Path(TokenStream),
    /// Another name: the comma between them is missing.
    Named(TokenStream),
    Unknown,
}

impl Named {
    /// Reads a comma separated list; `what` is the kind of thing, with its article.
    pub(crate) fn list(tokens: TokenStream, what: &str, errors: &mut Errors) -> Vec<Self> {
        let mut list = Vec::new();
        for part in split::parts(tokens, errors) {
            Self::read(part, what, &mut list, errors);
        }
        list
    }

    fn read(part: TokenStream, what: &str, list: &mut Vec<Self>, errors: &mut Errors) {
        let message = |text: &str| format!("write the name of {what} without quotes: `{text}`");
        let part = split::unquoted(part, message, errors);
        let parsed = split::parse(part, |input| {
            let docs = docs(input, errors)?;
            let ident = split::name(input, false, format_args!("expected the name of {what}"))?;
            let options = group(input, &ident, errors)?;
            let rest = rest(input, &ident, errors)?;
            Ok((docs, ident, options, rest))
        });
        let Some((docs, ident, options, rest)) = errors.keep(parsed) else { return };
        let (options, next) = match rest {
            Rest::Path(next) => return Self::read(next, what, list, errors),
            Rest::Named(next) => (options, Some(next)),
            Rest::Options(options) => (options, None),
            Rest::Unknown => {
                errors.lose();
                (options, None)
            }
            Rest::Nothing => (options, None),
        };
        list.push(Self { docs, ident, options: Opt::list(options, errors) });
        if let Some(next) = next {
            Self::read(next, what, list, errors);
        }
    }
}

/// What follows a name, with what is wrong about it.
fn rest(input: ParseStream<'_>, ident: &Ident, errors: &mut Errors) -> syn::Result<Rest> {
    if input.is_empty() {
        return Ok(Rest::Nothing);
    }
    let at = input.span();
    let mut mistake = |message: String| errors.push(syn::Error::new(at, message));
    if input.peek(Token![::]) {
        let last = split::last_name(&input.cursor().token_stream());
        mistake(format!("refer to it by its last name: `{last}`"));
        while input.peek(Token![::]) {
            input.parse::<Token![::]>()?;
            if input.peek2(Token![::]) {
                input.parse::<Ident>()?;
            }
        }
        return Ok(Rest::Path(input.parse()?));
    }
    if input.peek(Token![<]) {
        let ty = format!("{ident}{}", name::text(input.cursor().token_stream()));
        let message = format!(
            "a name stands here: give the type one with `#[persist(Name({ty}))]`, and write `Name`"
        );
        return Err(split::error(input, message));
    }
    if input.peek(token::Brace) {
        let body = name::text(input.cursor().token_stream());
        mistake(format!(
            "`{ident}` carries no data, since the row of a record holds a state's name alone: declare \
             an artefact with `#[persist({ident}Data {body})]` and persist it in the transition to \
             `{ident}`"
        ));
        input.parse::<TokenStream>()?;
        return Ok(Rest::Nothing);
    }
    if let Some(options) = options(input)? {
        mistake(format!("options stand in parentheses: `{ident}({options})`"));
        return Ok(Rest::Options(options));
    }
    mistake(format!("expected `,` after `{ident}`"));
    let is_name = input.peek(syn::Ident) || input.peek(syn::LitStr);
    let rest = input.parse()?;
    Ok(if is_name { Rest::Named(rest) } else { Rest::Unknown })
}

/// What was meant to stand in parentheses: `= error`, `: error`, `[error]`, or `error` alone.
fn options(input: ParseStream<'_>) -> syn::Result<Option<TokenStream>> {
    if input.peek(token::Brace) {
        return Ok(None);
    }
    if input.peek(Token![=]) {
        input.parse::<Token![=]>()?;
    } else if input.peek(Token![:]) {
        input.parse::<Token![:]>()?;
    } else if let Some(group) = split::group(input)? {
        return Ok(Some(group.stream()));
    } else {
        let word = input.cursor().ident().map(|(word, _)| word.to_string());
        if !matches!(word.as_deref(), Some("error" | "destroy" | "rename" | "alias")) {
            return Ok(None);
        }
    }
    input.parse().map(Some)
}

/// Doc comments, and nothing else of the kind.
pub(crate) fn docs(input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<Vec<Attribute>> {
    let mut attributes = input.call(Attribute::parse_outer)?;
    attributes.retain(|attribute| {
        let is_doc = attribute.path().is_ident("doc");
        if !is_doc {
            let path = attribute.path().to_token_stream();
            let message = format!("only doc comments may stand before a name: remove `#[{path}…]`");
            errors.at(attribute, message);
        }
        is_doc
    });
    Ok(attributes)
}

/// What stands in parentheses, if they come next.
fn group(input: ParseStream<'_>, ident: &Ident, errors: &mut Errors) -> syn::Result<TokenStream> {
    let Some((TokenTree::Group(group), _)) = input.cursor().token_tree() else {
        return Ok(TokenStream::new());
    };
    if group.delimiter() != Delimiter::Parenthesis {
        return Ok(TokenStream::new());
    }
    input.parse::<TokenTree>()?;
    if group.stream().is_empty() {
        errors.at(&group, format_args!("nothing stands in the parentheses: write `{ident}`"));
    }
    Ok(group.stream())
}
