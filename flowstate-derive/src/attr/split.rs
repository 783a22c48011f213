//! The comma separated parts of an attribute, so that a mistake in one does not hide the others.

use std::fmt::Display;

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, LitStr, Meta, Token};

use crate::errors::Errors;
use crate::name;

/// What stands in the parentheses of an attribute, `usage` being what it should look like.
pub(crate) fn arguments(
    attribute: &Attribute,
    usage: &str,
    errors: &mut Errors,
) -> Option<TokenStream> {
    match &attribute.meta {
        Meta::List(list) if list.tokens.is_empty() => {
            errors.gap(list, format_args!("nothing stands in the parentheses: write `{usage}`"));
            None
        }
        Meta::List(list) => {
            if !matches!(list.delimiter, syn::MacroDelimiter::Paren(_)) {
                errors.at(list, format_args!("write it with parentheses: `{usage}`"));
            }
            Some(list.tokens.clone())
        }
        meta => {
            errors.gap(meta, format_args!("write it with parentheses: `{usage}`"));
            None
        }
    }
}

/// Cuts at the commas that stand neither in a group nor between angle brackets; a semicolon there
/// was meant to be one.
pub(crate) fn parts(tokens: TokenStream, errors: &mut Errors) -> Vec<TokenStream> {
    let mut parts = Vec::new();
    let mut part = Vec::new();
    let mut angles = Angles::default();
    for token in tokens {
        match token {
            TokenTree::Punct(cut) if matches!(cut.as_char(), ',' | ';') && angles.are_closed() => {
                if cut.as_char() == ';' {
                    errors.at(&cut, "write `,` in place of `;`");
                } else if part.is_empty() {
                    errors.at(&cut, "nothing stands before this `,`: remove it");
                }
                if !part.is_empty() {
                    parts.push(std::mem::take(&mut part).into_iter().collect());
                }
            }
            token => {
                angles.see(&token);
                part.push(token);
            }
        }
    }
    if !part.is_empty() {
        parts.push(part.into_iter().collect());
    }
    parts
}

/// Counts `<` and `>`, but not the `>` of an arrow.
#[derive(Default)]
struct Angles {
    open: usize,
    in_arrow: bool,
}

impl Angles {
    fn are_closed(&self) -> bool {
        self.open == 0
    }

    fn see(&mut self, token: &TokenTree) {
        let char = if let TokenTree::Punct(punct) = token { punct.as_char() } else { ' ' };
        match char {
            '<' => self.open += 1,
            '>' if !self.in_arrow => self.open = self.open.saturating_sub(1),
            _ => {}
        }
        self.in_arrow = matches!(char, '=' | '-');
    }
}

/// A part of which a name stands in quotes, without them. The message is given what is in them.
pub(crate) fn unquoted(
    part: TokenStream,
    message: impl FnOnce(&str) -> String,
    errors: &mut Errors,
) -> TokenStream {
    let mut tokens: Vec<TokenTree> = part.into_iter().collect();
    let at = after_attributes(&tokens);
    let text = tokens.get(at).cloned().and_then(|token| syn::parse2::<LitStr>(token.into()).ok());
    if let Some(text) = text
        && let Ok(ident) = text.parse::<Ident>()
    {
        errors.at(&text, message(&text.value()));
        tokens[at] = ident.into();
    }
    tokens.into_iter().collect()
}

/// Where the attributes before a name end.
pub(crate) fn after_attributes(tokens: &[TokenTree]) -> usize {
    let is_hash =
        |pair: &&[TokenTree]| matches!(&pair[0], TokenTree::Punct(hash) if hash.as_char() == '#');
    tokens.chunks(2).take_while(is_hash).map(<[TokenTree]>::len).sum()
}

/// Parses a whole part; what is missing at its end is missed at its last token. For parsers that
/// do not look into groups.
pub(crate) fn parse<T>(
    part: TokenStream,
    parser: impl FnOnce(ParseStream<'_>) -> syn::Result<T>,
) -> syn::Result<T> {
    parse_before(end(&part), part, parser)
}

/// Parses what stands before `end` and may be nothing; what is missing is missed at `end`.
pub(crate) fn parse_before<T>(
    end: Span,
    part: TokenStream,
    parser: impl FnOnce(ParseStream<'_>) -> syn::Result<T>,
) -> syn::Result<T> {
    let placed = |input: ParseStream<'_>| {
        let parsed = parser(input);
        parsed.map_err(|error| if input.is_empty() { syn::Error::new(end, error) } else { error })
    };
    placed.parse2(part)
}

/// The span of the last token.
pub(crate) fn end(tokens: &TokenStream) -> Span {
    tokens.clone().into_iter().last().map_or_else(Span::call_site, |token| match token {
        TokenTree::Group(group) if group.delimiter() != Delimiter::None => group.span_close(),
        token => token.span(),
    })
}

/// The group that comes next, if one does. (One without delimiters is what a macro left.)
pub(crate) fn group(input: ParseStream<'_>) -> syn::Result<Option<Group>> {
    let Some((TokenTree::Group(group), _)) = input.cursor().token_tree() else { return Ok(None) };
    if group.delimiter() == Delimiter::None {
        return Ok(None);
    }
    input.parse::<TokenTree>()?;
    Ok(Some(group))
}

/// The last name among the tokens.
pub(crate) fn last_name(tokens: &TokenStream) -> String {
    let is_name = |token: &TokenTree| matches!(token, TokenTree::Ident(_));
    let name = tokens.clone().into_iter().filter(is_name).last();
    name.map_or_else(String::new, |name| name.to_string())
}

/// The first token, as text.
pub(crate) fn first(tokens: &TokenStream) -> String {
    tokens.clone().into_iter().next().map_or_else(String::new, |token| token.to_string())
}

/// The last token, as text.
pub(crate) fn last(tokens: &TokenStream) -> String {
    tokens.clone().into_iter().last().map_or_else(String::new, |token| token.to_string())
}

/// A name, or `expected` at what stands in its place. Keywords pass if `keywords` does.
pub(crate) fn name(
    input: ParseStream<'_>,
    keywords: bool,
    expected: impl Display,
) -> syn::Result<Ident> {
    if input.peek(Token![_]) || !input.peek(Ident::peek_any) {
        return Err(syn::Error::new(input.span(), expected));
    }
    let is_keyword = !input.peek(syn::Ident);
    let ident = input.call(Ident::parse_any)?;
    if is_keyword && !keywords {
        let message = format!(
            "{expected}, but `{ident}` is a keyword of Rust: write `{}`",
            name::capitalized(&ident.to_string())
        );
        return Err(syn::Error::new_spanned(ident, message));
    }
    Ok(ident)
}

/// A mistake at what comes next. (`input.error` would add words of its own at the end.)
pub(crate) fn error(input: ParseStream<'_>, message: impl Display) -> syn::Error {
    syn::Error::new(input.span(), message)
}

/// Nothing more may come, or `message` at it.
pub(crate) fn nothing_more(input: ParseStream<'_>, message: impl Display) -> syn::Result<()> {
    if input.is_empty() { Ok(()) } else { Err(syn::Error::new(input.span(), message)) }
}
