//! `Name(Type)`, `Name { field: Type }`, `path::Existing`, and trailing options.

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};
use syn::parse::ParseStream;
use syn::{Attribute, Fields, Path, Token, Visibility};

use super::option::Opt;
use super::split;
use crate::errors::Errors;

/// The arguments of one `#[persist(…)]`.
pub(crate) struct Persist {
    pub(crate) artefacts: Vec<Artefact>,
    pub(crate) options: Vec<Opt>,
}

/// An artefact as written.
pub(crate) struct Artefact {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) payload: Payload,
}

/// Where the type comes from.
pub(crate) enum Payload {
    /// The derive writes it.
    Generated { vis: Visibility, ident: Ident, fields: Fields },
    /// The user has it.
    Existing(Path),
}

impl Persist {
    /// Reads the arguments.
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut persist = Self { artefacts: Vec::new(), options: Vec::new() };
        for part in split::parts(tokens, errors) {
            if is_option(&part) {
                persist.options.extend(errors.keep(Opt::parse(part)));
            } else {
                persist.artefacts.extend(errors.keep(Artefact::parse(part)));
            }
        }
        persist
    }
}

fn is_option(part: &TokenStream) -> bool {
    let mut tokens = part.clone().into_iter();
    matches!(tokens.next(), Some(TokenTree::Ident(_)))
        && matches!(tokens.next(), Some(TokenTree::Punct(equals)) if equals.as_char() == '=')
}

impl Artefact {
    fn parse(part: TokenStream) -> syn::Result<Self> {
        let (attributes, vis, ident, body) = split::parse(part, |input| {
            let attributes = input.call(Attribute::parse_outer)?;
            let vis: Visibility = input.parse()?;
            if is_path(input) {
                return Ok((attributes, vis, None, Body::Path(existing(input)?)));
            }
            let ident = split::name(input, false, "expected the name of an artefact")?;
            let body = input.parse::<TokenTree>()?;
            let message = format!("expected `,` after the artefact `{ident}`");
            split::nothing_more(input, message)?;
            Ok((attributes, vis, Some(ident), Body::Fields(body)))
        })?;
        let payload = match (ident, body) {
            (Some(ident), Body::Fields(body)) => {
                Payload::Generated { vis, ident, fields: fields(body)? }
            }
            (_, Body::Path(path)) => Payload::Existing(path),
            (None, Body::Fields(body)) => {
                return Err(syn::Error::new_spanned(body, "expected `Name(Type)`"));
            }
        };
        Ok(Self { attributes, payload })
    }
}

enum Body {
    Fields(TokenTree),
    Path(Path),
}

/// Whether anything but a name and a group comes.
fn is_path(input: ParseStream<'_>) -> bool {
    let Some((_, rest)) = input.cursor().ident() else { return !input.is_empty() };
    let group = rest.token_tree().map(|(token, _)| token);
    !matches!(group, Some(TokenTree::Group(group)) if group.delimiter() != Delimiter::Bracket)
}

fn existing(input: ParseStream<'_>) -> syn::Result<Path> {
    if !(input.peek(Token![::]) || input.peek(syn::Ident) || is_path_keyword(input)) {
        return Err(syn::Error::new(input.span(), "expected an artefact such as `Name(Type)`"));
    }
    let path: Path = input.parse()?;
    let last = path.segments.last().map(|last| &last.ident);
    let message = match (input.cursor().token_tree(), last) {
        (Some((TokenTree::Group(_), _)), Some(ident)) => {
            format!("a generated artefact is a plain name with its fields: `{ident}(Type)`")
        }
        _ => "expected `,` after the artefact".to_owned(),
    };
    split::nothing_more(input, message)?;
    Ok(path)
}

fn is_path_keyword(input: ParseStream<'_>) -> bool {
    input.peek(Token![crate]) || input.peek(Token![self]) || input.peek(Token![super])
}

fn fields(body: TokenTree) -> syn::Result<Fields> {
    let braced = matches!(&body, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
    let tokens = TokenStream::from(body);
    let fields = if braced {
        syn::parse2(tokens).map(Fields::Named)
    } else {
        syn::parse2(tokens).map(Fields::Unnamed)
    };
    let expected = if braced { "expected fields: `{ name: Type }`" } else { "expected a type" };
    let fields = fields.map_err(|error| syn::Error::new(error.span(), expected))?;
    match fields.iter().find_map(|field| field.default.as_ref()) {
        Some((_, value)) => Err(syn::Error::new_spanned(
            value,
            "a field has no default here: use `#[serde(default)]`",
        )),
        None => Ok(fields),
    }
}
