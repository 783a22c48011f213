//! `Name(Type)`, `Name { field: Type }`, `path::Existing`, and trailing options.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
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

impl Artefact {
    /// The name by which transitions refer to it.
    pub(crate) fn ident(&self) -> Option<&Ident> {
        match &self.payload {
            Payload::Generated { ident, .. } => Some(ident),
            Payload::Existing(path) => path.segments.last().map(|last| &last.ident),
        }
    }
}

impl Persist {
    /// Reads the arguments.
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut persist = Self { artefacts: Vec::new(), options: Vec::new() };
        for part in split::parts(tokens, errors) {
            if is_option(&part) {
                persist.options.extend(errors.keep(Opt::parse(part)));
            } else {
                persist.read(part, errors);
            }
        }
        persist
    }

    fn read(&mut self, part: TokenStream, errors: &mut Errors) {
        let message = |text: &str| format!("write it without quotes: `{text}(Type)`");
        let is_text = is_text(&part);
        let part = split::unquoted(part, message, errors);
        if is_text && part.clone().into_iter().count() == 1 {
            // nothing tells its type
            return errors.lose();
        }
        let parsed = split::parse(part, |input| {
            let attributes = input.call(Attribute::parse_outer)?;
            let vis: Visibility = input.parse()?;
            let payload = payload(input, vis, errors)?;
            Ok((Artefact { attributes, payload }, input.parse::<TokenStream>()?))
        });
        let Some((artefact, rest)) = errors.keep(parsed) else { return };
        self.artefacts.push(artefact);
        if !rest.is_empty() {
            self.read(rest, errors);
        }
    }
}

fn is_option(part: &TokenStream) -> bool {
    let mut tokens = part.clone().into_iter();
    // types begin with a capital letter
    let is_key = |key: &Ident| !key.to_string().starts_with(char::is_uppercase);
    let Some(TokenTree::Ident(key)) = tokens.next() else { return false };
    match tokens.next() {
        None => key == "secret",
        Some(TokenTree::Group(_)) => key == "upgrade",
        Some(TokenTree::Punct(equals)) => equals.as_char() == '=' && is_key(&key),
        Some(_) => false,
    }
}

fn is_text(part: &TokenStream) -> bool {
    matches!(part.clone().into_iter().next(), Some(TokenTree::Literal(_)))
}

/// Reads an artefact up to what follows it.
fn payload(input: ParseStream<'_>, vis: Visibility, errors: &mut Errors) -> syn::Result<Payload> {
    if input.peek(Token![struct]) {
        errors.push(split::error(input, "the derive writes the struct: remove `struct`"));
        input.parse::<Token![struct]>()?;
    }
    if input.peek(syn::Ident) && (input.peek2(Token![=]) || is_typed(input)) {
        return typed(input, vis, errors);
    }
    if is_path(input) {
        return existing(input).map(Payload::Existing);
    }
    let ident = split::name(input, false, "expected the name of an artefact")?;
    let body = input.parse::<TokenTree>()?;
    let body = in_parentheses(body, &ident, errors);
    let fields = fields(body, &ident, errors)?;
    if !input.is_empty() {
        errors.push(split::error(input, format!("expected `,` after the artefact `{ident}`")));
    }
    Ok(Payload::Generated { vis, ident, fields })
}

/// Whether a name, a colon and a type come.
fn is_typed(input: ParseStream<'_>) -> bool {
    input.peek2(Token![:]) && !input.peek2(Token![::])
}

/// `Name: Type`, `Name = Type`
fn typed(input: ParseStream<'_>, vis: Visibility, errors: &mut Errors) -> syn::Result<Payload> {
    let ident: Ident = input.parse()?;
    let at = input.span();
    input.parse::<TokenTree>()?;
    let ty: TokenStream = input.parse()?;
    let message = format!("the type stands in parentheses: `{ident}({ty})`");
    errors.push(syn::Error::new(at, message));
    let fields = fields(Group::new(Delimiter::Parenthesis, ty).into(), &ident, errors)?;
    Ok(Payload::Generated { vis, ident, fields })
}

/// Whether anything but a name and a group comes.
fn is_path(input: ParseStream<'_>) -> bool {
    let Some((_, rest)) = input.cursor().ident() else { return !input.is_empty() };
    !matches!(rest.token_tree(), Some((TokenTree::Group(_), _)))
}

fn existing(input: ParseStream<'_>) -> syn::Result<Path> {
    if !(input.peek(Token![::]) || input.peek(syn::Ident) || is_path_keyword(input)) {
        return Err(split::error(input, "expected an artefact such as `Name(Type)`"));
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

/// The fields of an artefact; those in brackets were meant to be in parentheses.
fn in_parentheses(body: TokenTree, ident: &Ident, errors: &mut Errors) -> TokenTree {
    let TokenTree::Group(group) = &body else { return body };
    if group.delimiter() != Delimiter::Bracket {
        return body;
    }
    let stream = group.stream();
    errors.at(group, format_args!("fields stand in parentheses: `{ident}({stream})`"));
    let mut parenthesis = Group::new(Delimiter::Parenthesis, stream);
    parenthesis.set_span(group.span());
    parenthesis.into()
}

fn fields(body: TokenTree, ident: &Ident, errors: &mut Errors) -> syn::Result<Fields> {
    let braced = matches!(&body, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
    let tokens = TokenStream::from(body);
    let fields = if braced {
        syn::parse2(tokens).map(Fields::Named)
    } else {
        syn::parse2(tokens).map(Fields::Unnamed)
    };
    let mut fields = fields.map_err(|error| {
        let expected = if braced {
            format!("expected fields: `{ident} {{ name: Type }}`")
        } else {
            format!("expected a type: `{ident}(Type)`")
        };
        syn::Error::new(error.span(), expected)
    })?;
    for field in &mut fields {
        if let Some((_, value)) = field.default.take() {
            errors.at(value, "a field has no default here: use `#[serde(default)]`");
        }
    }
    Ok(fields)
}
