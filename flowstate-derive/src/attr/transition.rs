//! `name: A | B => C, option, …`

use std::fmt;

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::quote;
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
    Any(Span),
    /// These.
    States(Vec<Ident>),
}

impl fmt::Display for From {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any(_) => f.write_str("*"),
            Self::States(states) => {
                let names: Vec<_> = states.iter().map(ToString::to_string).collect();
                f.write_str(&names.join(" | "))
            }
        }
    }
}

impl From {
    /// The names of the states, if they are named.
    pub(crate) fn idents(&self) -> &[Ident] {
        match self {
            Self::Any(_) => &[],
            Self::States(states) => states,
        }
    }
}

impl Transition {
    /// Reads the arguments of `#[transition(…)]`: one transition or several, each followed by its
    /// options. (A crate may nest 128 attributes of one item unless it asks for more.)
    pub(crate) fn list(tokens: TokenStream, errors: &mut Errors) -> Vec<Self> {
        let mut list: Vec<Option<Self>> = Vec::new();
        let mut parts = split::parts(tokens, errors).into_iter().peekable();
        while let Some(part) = parts.next() {
            if list.is_empty() || (is_edge(&part) && !is_option(&part)) {
                let mut part = part;
                while let Some(next) = parts.next_if(|next| continues(&part, next)) {
                    part = joined(&part, &next, errors);
                }
                list.push(Self::read(part, errors));
            } else if let Some(Some(Self { options, .. })) = list.last_mut() {
                options.extend(errors.keep(Opt::parse(part)));
            }
        }
        list.into_iter().flatten().collect()
    }

    /// Reads a transition without its options. One that has a name keeps it, whatever follows.
    fn read(part: TokenStream, errors: &mut Errors) -> Option<Self> {
        let message =
            |text: &str| format!("write the name of a transition without quotes: `{text}`");
        let part = split::unquoted(part, message, errors);
        let end = split::end(&part);
        let head = split::parse(part, |input| {
            let docs = docs(input, errors)?;
            let ident = split::name(input, true, "expected a transition: `name: From => To`")?;
            Ok((docs, ident, input.parse::<TokenStream>()?))
        });
        let (docs, ident, rest) = errors.keep(head)?;
        let rest = without_parentheses(rest, &ident, errors);
        let states = split::parse_before(end, rest, |input| states(input, &ident, errors));
        let states = errors.keep(states);
        let (from, to, rest) = match states {
            Some((from, to, rest)) => (from, Some(to), rest),
            None => (From::States(Vec::new()), None, TokenStream::new()),
        };
        let options = if rest.is_empty() { None } else { errors.keep(Opt::parse(rest)) };
        let edge = Edge { docs, ident, from, to };
        Some(Self { edge, options: options.into_iter().collect() })
    }
}

/// Whether a name and a colon come, after doc comments.
pub(super) fn is_edge(part: &TokenStream) -> bool {
    let tokens: Vec<_> = part.clone().into_iter().collect();
    let mut tokens = tokens[split::after_attributes(&tokens)..].iter();
    matches!(tokens.next(), Some(TokenTree::Ident(_) | TokenTree::Literal(_)))
        && matches!(tokens.next(), Some(TokenTree::Punct(colon)) if colon.as_char() == ':')
}

/// Whether it is an option with a colon, such as `persist: Receipt`.
fn is_option(part: &TokenStream) -> bool {
    ["persist", "load", "after", "rename", "alias", "fail", "give_up"]
        .contains(&&*split::first(part))
        && !has(part, '>')
}

pub(super) fn has(tokens: &TokenStream, sign: char) -> bool {
    let mut tokens = tokens.clone().into_iter();
    tokens.any(|token| matches!(token, TokenTree::Punct(punct) if punct.as_char() == sign))
}

/// `pay(Pending => Paid)`
fn without_parentheses(rest: TokenStream, ident: &Ident, errors: &mut Errors) -> TokenStream {
    let tokens: Vec<_> = rest.clone().into_iter().collect();
    match tokens.as_slice() {
        [TokenTree::Group(group)] if has(&group.stream(), '>') && !has(&group.stream(), ':') => {
            let inner = group.stream();
            errors.at(group, format_args!("write it without parentheses: `{ident}: {inner}`"));
            quote!(: #inner)
        }
        _ => rest,
    }
}

/// Whether a comma stands between two states that a transition starts from.
fn continues(part: &TokenStream, next: &TokenStream) -> bool {
    let only_states = |tokens: &TokenStream| {
        let mut tokens = tokens.clone().into_iter();
        tokens.all(|token| matches!(token, TokenTree::Ident(_) | TokenTree::Punct(_)))
    };
    !has(part, '>') && !has(next, ':') && only_states(next) && !next.is_empty()
}

fn joined(part: &TokenStream, next: &TokenStream, errors: &mut Errors) -> TokenStream {
    let (before, after) = (split::last(part), split::first(next));
    if !has(part, ':') {
        let message = format!("write `:` after the name: `{before}: {next}`");
        errors.push(syn::Error::new(split::end(part), message));
        return quote!(#part: #next);
    }
    let error = syn::Error::new(
        split::end(part),
        format!("several states are joined by `|`: write `{before} | {after}`"),
    );
    errors.push(error);
    quote!(#part | #next)
}

/// The states of a transition, and what comes after them.
fn states(
    input: ParseStream<'_>,
    ident: &Ident,
    errors: &mut Errors,
) -> syn::Result<(From, Ident, TokenStream)> {
    colon(input, ident, ("transition", "From => To"), errors)?;
    let from = from(input, ident, errors)?;
    arrow(input, ident, errors)?;
    let expected = format!("expected the state that `{ident}` leads to: `{ident}: {from} => To`");
    let to = state(input, &expected, errors)?;
    let rest = rest(input, &from, &to, ident, errors)?;
    Ok((from, to, rest))
}

/// The colon after a name.
pub(super) fn colon(
    input: ParseStream<'_>,
    ident: &Ident,
    usage: (&str, &str),
    errors: &mut Errors,
) -> syn::Result<()> {
    if input.peek(Token![:]) && !input.peek(Token![::]) {
        return input.parse::<Token![:]>().map(drop);
    }
    let error = split::error(input, before_colon(input, ident, usage));
    if !input.peek(syn::Ident) {
        return Err(error);
    }
    errors.push(error);
    Ok(())
}

/// `=>`, or what was meant to be one.
pub(super) fn arrow(input: ParseStream<'_>, ident: &Ident, errors: &mut Errors) -> syn::Result<()> {
    let is_thin = input.peek(Token![->]);
    if is_thin || input.peek(Token![>]) {
        errors.push(split::error(input, "write the arrow as `=>`"));
        return if is_thin {
            input.parse::<Token![->]>().map(drop)
        } else {
            input.parse::<Token![>]>().map(drop)
        };
    }
    if !input.peek(Token![=>]) {
        return Err(split::error(
            input,
            format!(
                "expected `=>` and the state that `{ident}` leads to; several states before it are \
             joined by `|`"
            ),
        ));
    }
    input.parse::<Token![=>]>().map(drop)
}

/// What comes after a transition where a comma is missing.
fn rest(
    input: ParseStream<'_>,
    from: &From,
    to: &Ident,
    ident: &Ident,
    errors: &mut Errors,
) -> syn::Result<TokenStream> {
    if input.is_empty() {
        return Ok(TokenStream::new());
    }
    if !input.peek(Token![|]) {
        errors.push(split::error(input, format!("expected `,` and options after `{to}`")));
        let rest: TokenStream = input.parse()?;
        let is_option = matches!(rest.clone().into_iter().next(), Some(TokenTree::Ident(_)));
        if !is_option {
            errors.lose();
        }
        return Ok(if is_option { rest } else { TokenStream::new() });
    }
    let at = input.span();
    input.parse::<Token![|]>()?;
    let other = input.parse::<Ident>().map_or_else(|_| "To".to_owned(), |other| other.to_string());
    input.parse::<TokenStream>()?;
    Err(syn::Error::new(
        at,
        format!(
            "`{ident}` leads to one state: declare a second transition, \
             `#[transition(name: {from} => {other})]`"
        ),
    ))
}

fn before_colon(input: ParseStream<'_>, ident: &Ident, (what, usage): (&str, &str)) -> String {
    if input.peek(token::Paren) {
        format!("the {what} comes before its options: `name: {usage}, {ident}(…)`")
    } else if input.peek(Token![=>]) || input.peek(Token![|]) {
        format!("a {what} has a name: `name: {ident} => …`")
    } else {
        format!("expected `:` and the states that `{ident}` starts from: `{ident}: {usage}`")
    }
}

/// The states before an arrow.
pub(super) fn from(
    input: ParseStream<'_>,
    ident: &Ident,
    errors: &mut Errors,
) -> syn::Result<From> {
    let expected = format!("expected a state that `{ident}` starts from, or `*` for all");
    let (is_any, at) = (input.peek(Token![*]), input.span());
    if is_any {
        input.parse::<Token![*]>()?;
        if input.peek(Token![|]) {
            errors.push(split::error(
                input,
                "`*` already means every state that is not completed: remove the other states",
            ));
        }
    }
    let mut states = Vec::new();
    if let Some(group) = split::group(input)? {
        states = in_a_group(&group, errors);
    } else if !is_any {
        states.push(state(input, &expected, errors)?);
    }
    while input.peek(Token![|]) {
        if input.peek(Token![||]) {
            errors.push(split::error(input, "write one `|`"));
            input.parse::<Token![|]>()?;
        }
        input.parse::<Token![|]>()?;
        states.push(state(input, &expected, errors)?);
    }
    Ok(if is_any { From::Any(at) } else { From::States(states) })
}

/// `[A, B]`, `(A | B)`
fn in_a_group(group: &Group, errors: &mut Errors) -> Vec<Ident> {
    let idents = group.stream().into_iter().filter_map(|token| match token {
        TokenTree::Ident(ident) => Some(ident),
        _ => None,
    });
    let states = From::States(idents.collect());
    errors.at(group, format_args!("several states are joined by `|`: write `{states}`"));
    states.idents().to_vec()
}

/// The name of a state; the path to it is not needed.
pub(super) fn state(
    input: ParseStream<'_>,
    expected: &str,
    errors: &mut Errors,
) -> syn::Result<Ident> {
    let mut ident = split::name(input, false, expected)?;
    let at = input.span();
    let mut is_path = false;
    while input.peek(Token![::]) {
        input.parse::<Token![::]>()?;
        ident = split::name(input, false, expected)?;
        is_path = true;
    }
    if is_path {
        let message = format!("refer to it by its last name: `{ident}`");
        errors.push(syn::Error::new(at, message));
    }
    Ok(ident)
}
