//! `Name` and `Name(option, …)`, with doc comments: states, completed states, artefacts in lists.

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};
use syn::parse::ParseStream;
use syn::{Attribute, LitStr, Token};

use super::option::Opt;
use super::split;
use crate::errors::Errors;

/// A name with what is said of it.
pub(crate) struct Named {
    pub(crate) docs: Vec<Attribute>,
    pub(crate) ident: Ident,
    pub(crate) options: Vec<Opt>,
}

impl Named {
    /// Reads a comma separated list; `what` is the kind of thing, with its article.
    pub(crate) fn list(tokens: TokenStream, what: &str, errors: &mut Errors) -> Vec<Self> {
        let parts = split::parts(tokens, errors);
        parts.into_iter().filter_map(|part| Self::parse(part, what, errors)).collect()
    }

    fn parse(part: TokenStream, what: &str, errors: &mut Errors) -> Option<Self> {
        let result = split::parse(part, |input| {
            let docs = docs(input)?;
            unquoted(input, what)?;
            let ident = split::name(input, false, format_args!("expected the name of {what}"))?;
            let options = group(input)?;
            split::nothing_more(input, after(input, &ident))?;
            Ok((docs, ident, options))
        });
        let (docs, ident, options) = errors.keep(result)?;
        Some(Self { docs, ident, options: Opt::list(options, errors) })
    }
}

/// What is probably meant by that which follows a name.
fn after(input: ParseStream<'_>, ident: &Ident) -> String {
    if input.peek(Token![=]) {
        format!("options stand in parentheses: `{ident}(…)`")
    } else if input.peek(Token![::]) {
        "refer to it by its last name, without the path before it".to_owned()
    } else {
        format!("expected `,` after `{ident}`")
    }
}

fn unquoted(input: ParseStream<'_>, what: &str) -> syn::Result<()> {
    if !input.peek(LitStr) {
        return Ok(());
    }
    let text: LitStr = input.parse()?;
    let message = format!("write the name of {what} without quotes: `{}`", text.value());
    Err(syn::Error::new_spanned(text, message))
}

/// Doc comments, and nothing else of the kind.
pub(crate) fn docs(input: ParseStream<'_>) -> syn::Result<Vec<Attribute>> {
    let attributes = input.call(Attribute::parse_outer)?;
    match attributes.iter().find(|attribute| !attribute.path().is_ident("doc")) {
        Some(other) => {
            Err(syn::Error::new_spanned(other, "only doc comments may stand before a name"))
        }
        None => Ok(attributes),
    }
}

/// What stands in parentheses, if they come next.
fn group(input: ParseStream<'_>) -> syn::Result<TokenStream> {
    if let Some((TokenTree::Group(group), _)) = input.cursor().token_tree()
        && group.delimiter() == Delimiter::Parenthesis
    {
        input.parse::<TokenTree>()?;
        return Ok(group.stream());
    }
    Ok(TokenStream::new())
}
