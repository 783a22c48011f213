//! `name: A | B => C, option, …`

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::parse::ParseStream;
use syn::{Attribute, Token, token};

use super::named::docs;
use super::option::Opt;
use super::split;
use crate::errors::Errors;

/// A transition as written.
pub(crate) struct Transition {
    pub(crate) edge: Edge,
    pub(crate) options: Vec<Opt>,
}

/// `name: A | B => C`
pub(crate) struct Edge {
    pub(crate) docs: Vec<Attribute>,
    pub(crate) ident: Ident,
    pub(crate) from: From,
    /// Nothing if it could not be read.
    pub(crate) to: Option<Ident>,
}

/// Where a transition starts.
pub(crate) enum From {
    /// Every state that is not completed.
    Any,
    /// These.
    States(Vec<Ident>),
}

impl From {
    /// The names of the states, if they are named.
    pub(crate) fn tokens(&self) -> Vec<Ident> {
        match self {
            Self::Any => Vec::new(),
            Self::States(states) => states.clone(),
        }
    }
}

impl Transition {
    /// Reads the arguments of `#[transition(…)]`: one transition or several, each followed by its
    /// options. (A crate may nest 128 attributes of one item unless it asks for more.)
    pub(crate) fn list(tokens: TokenStream, errors: &mut Errors) -> Vec<Self> {
        let mut list: Vec<Option<Self>> = Vec::new();
        for part in split::parts(tokens, errors) {
            if list.is_empty() || is_edge(&part) {
                list.push(edge(part, errors).map(|edge| Self { edge, options: Vec::new() }));
            } else if let Some(Some(Self { edge, options })) = list.last_mut()
                && !(edge.to.is_none() && is_states(&part))
            {
                options.extend(errors.keep(Opt::parse(part)));
            }
        }
        list.into_iter().flatten().collect()
    }
}

/// Whether a name and a colon come, after doc comments.
fn is_edge(part: &TokenStream) -> bool {
    let mut tokens = part.clone().into_iter().peekable();
    while tokens
        .next_if(|token| matches!(token, TokenTree::Punct(hash) if hash.as_char() == '#'))
        .is_some()
    {
        tokens.next();
    }
    matches!(tokens.next(), Some(TokenTree::Ident(_)))
        && matches!(tokens.next(), Some(TokenTree::Punct(colon)) if colon.as_char() == ':')
}

/// Whether a part belongs to the states of a transition that was cut by a comma.
fn is_states(part: &TokenStream) -> bool {
    let joins =
        |token| matches!(token, TokenTree::Punct(join) if matches!(join.as_char(), '>' | '|'));
    part.clone().into_iter().any(joins)
}

/// Reads a transition without its options. One that has a name keeps it, whatever follows.
fn edge(part: TokenStream, errors: &mut Errors) -> Option<Edge> {
    let end = split::end(&part);
    let head = split::parse(part, |input| {
        let docs = docs(input)?;
        let ident = split::name(input, true, "expected a transition: `name: From => To`")?;
        Ok((docs, ident, input.parse::<TokenStream>()?))
    });
    let (docs, ident, rest) = errors.keep(head)?;
    let states = errors.keep(split::parse_before(end, rest, |input| states(input, &ident)));
    let (from, to) = match states {
        Some((from, to)) => (from, Some(to)),
        None => (From::States(Vec::new()), None),
    };
    Some(Edge { docs, ident, from, to })
}

fn states(input: ParseStream<'_>, ident: &Ident) -> syn::Result<(From, Ident)> {
    expect(input, input.peek(Token![:]) && !input.peek(Token![::]), |input| {
        before_colon(input, ident)
    })?;
    input.parse::<Token![:]>()?;
    let from = from(input, ident)?;
    expect(input, input.peek(Token![=>]), |input| {
        if input.peek(Token![->]) {
            return "write the arrow as `=>`".to_owned();
        }
        format!(
            "expected `=>` and the state that `{ident}` leads to; several states before it are \
             joined by `|`"
        )
    })?;
    input.parse::<Token![=>]>()?;
    let to = split::name(input, false, format_args!("expected the state that `{ident}` leads to"))?;
    expect(input, input.is_empty(), |input| {
        if input.peek(Token![|]) {
            return format!("`{ident}` leads to one state: declare a second transition");
        }
        format!("expected `,` and options after `{to}`")
    })?;
    Ok((from, to))
}

fn before_colon(input: ParseStream<'_>, ident: &Ident) -> String {
    if input.peek(token::Paren) {
        format!("the transition comes before its options: `name: From => To, {ident}(…)`")
    } else if input.peek(Token![=>]) || input.peek(Token![|]) {
        format!("a transition has a name: `name: {ident} => …`")
    } else {
        format!("expected `:` and the states that `{ident}` starts from: `{ident}: From => To`")
    }
}

fn from(input: ParseStream<'_>, ident: &Ident) -> syn::Result<From> {
    if input.peek(Token![*]) {
        input.parse::<Token![*]>()?;
        expect(input, !input.peek(Token![|]), |_| {
            "`*` already means every state that is not completed: remove the other states"
                .to_owned()
        })?;
        return Ok(From::Any);
    }
    let expected = format!("expected a state that `{ident}` starts from, or `*` for all");
    let mut states = vec![split::name(input, false, &expected)?];
    while input.peek(Token![|]) {
        input.parse::<Token![|]>()?;
        states.push(split::name(input, false, &expected)?);
    }
    Ok(From::States(states))
}

fn expect(
    input: ParseStream<'_>,
    met: bool,
    message: impl FnOnce(ParseStream<'_>) -> String,
) -> syn::Result<()> {
    if met { Ok(()) } else { Err(syn::Error::new(input.span(), message(input))) }
}
