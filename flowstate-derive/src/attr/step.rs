//! `name: A | B => Running => Done(persist(X)) | Other, clause, …`

use proc_macro2::{Ident, TokenStream};
use syn::parse::ParseStream;
use syn::{Attribute, Token};

use super::named::docs;
use super::option::Opt;
use super::split;
use super::transition::{From, arrow, colon, from, has, is_edge, state};
use crate::errors::Errors;

/// A step as written. One that has a name keeps it, whatever else could be read.
pub(crate) struct Step {
    pub(crate) docs: Vec<Attribute>,
    pub(crate) ident: Ident,
    pub(crate) from: From,
    /// Nothing if it could not be read.
    pub(crate) running: Option<Ident>,
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) options: Vec<Opt>,
}

/// `Done(persist(X), then(close))`
pub(crate) struct Outcome {
    pub(crate) ident: Ident,
    pub(crate) options: Vec<Opt>,
}

/// What stands between the name of a step and its clauses.
struct Course {
    from: From,
    running: Ident,
    outcomes: Vec<Outcome>,
    /// Clauses before which a comma is missing.
    rest: TokenStream,
}

impl Step {
    /// Reads the arguments of `#[step(…)]`: one step or several, each followed by its clauses.
    pub(crate) fn list(tokens: TokenStream, errors: &mut Errors) -> Vec<Self> {
        let mut list: Vec<Option<Self>> = Vec::new();
        for part in split::parts(tokens, errors) {
            if list.is_empty() || (is_edge(&part) && has(&part, '>')) {
                list.push(Self::read(part, errors));
            } else if let Some(Some(step)) = list.last_mut() {
                step.options.extend(errors.keep(Opt::parse(part)));
            }
        }
        list.into_iter().flatten().collect()
    }

    fn read(part: TokenStream, errors: &mut Errors) -> Option<Self> {
        let message = |text: &str| format!("write the name of a step without quotes: `{text}`");
        let part = split::unquoted(part, message, errors);
        let end = split::end(&part);
        let head = split::parse(part, |input| {
            let docs = docs(input, errors)?;
            let expected = "expected a step: `name: From => Running => To, fail(Failed)`";
            let ident = split::name(input, true, expected)?;
            Ok((docs, ident, input.parse::<TokenStream>()?))
        });
        let (docs, ident, rest) = errors.keep(head)?;
        let course = split::parse_before(end, rest, |input| course(input, &ident, errors));
        let Some(course) = errors.keep(course) else {
            let (from, outcomes) = (From::States(Vec::new()), Vec::new());
            return Some(Self { docs, ident, from, running: None, outcomes, options: Vec::new() });
        };
        let Course { from, running, outcomes, rest } = course;
        let options = if rest.is_empty() { None } else { errors.keep(Opt::parse(rest)) };
        let options = options.into_iter().collect();
        Some(Self { docs, ident, from, running: Some(running), outcomes, options })
    }
}

fn course(input: ParseStream<'_>, ident: &Ident, errors: &mut Errors) -> syn::Result<Course> {
    colon(input, ident, ("step", "From => Running => To"), errors)?;
    let from = from(input, ident, errors)?;
    arrow(input, ident, errors)?;
    let expected =
        format!("expected the state in which `{ident}` runs: `{ident}: {from} => Running => To`");
    let running = state(input, &expected, errors)?;
    before_outcomes(input, ident, &from, &running)?;
    arrow(input, ident, errors)?;
    let mut outcomes = vec![outcome(input, ident, errors)?];
    while input.peek(Token![|]) {
        if input.peek(Token![||]) {
            errors.push(split::error(input, "write one `|`"));
            input.parse::<Token![|]>()?;
        }
        input.parse::<Token![|]>()?;
        outcomes.push(outcome(input, ident, errors)?);
    }
    let rest = rest(input, ident, &outcomes, errors)?;
    Ok(Course { from, running, outcomes, rest })
}

/// Another arrow must follow the running state.
fn before_outcomes(
    input: ParseStream<'_>,
    ident: &Ident,
    from: &From,
    running: &Ident,
) -> syn::Result<()> {
    if input.peek(Token![=>]) || input.peek(Token![->]) || input.peek(Token![>]) {
        return Ok(());
    }
    let message = if input.peek(Token![|]) {
        format!("`{ident}` runs in one state: write `{ident}: {from} => {running} => To | Other`")
    } else {
        format!(
            "a step says where it leads, too: `{ident}: {from} => {running} => To` (what has one \
             arrow is a `#[transition(…)]`)"
        )
    };
    Err(split::error(input, message))
}

fn outcome(input: ParseStream<'_>, ident: &Ident, errors: &mut Errors) -> syn::Result<Outcome> {
    let expected = format!("expected a state that `{ident}` leads to when it is done");
    let to = state(input, &expected, errors)?;
    let Some(group) = split::group(input)? else {
        return Ok(Outcome { ident: to, options: Vec::new() });
    };
    if group.delimiter() != proc_macro2::Delimiter::Parenthesis {
        let stream = group.stream();
        errors.at(&group, format_args!("options stand in parentheses: `{to}({stream})`"));
    } else if group.stream().is_empty() {
        errors.at(&group, format_args!("nothing stands in the parentheses: write `{to}`"));
    }
    Ok(Outcome { ident: to, options: Opt::list(group.stream(), errors) })
}

/// What comes after the outcomes where a comma is missing.
fn rest(
    input: ParseStream<'_>,
    ident: &Ident,
    outcomes: &[Outcome],
    errors: &mut Errors,
) -> syn::Result<TokenStream> {
    if input.is_empty() {
        return Ok(TokenStream::new());
    }
    let last = outcomes.last().map_or(ident, |outcome| &outcome.ident);
    if input.peek(Token![=>]) {
        let message = format!(
            "`{ident}` ends in `{last}`: a transition that is taken at once after that is named in \
             `{last}(then(name))`"
        );
        return Err(split::error(input, message));
    }
    errors.push(split::error(input, format!("expected `,` and clauses after `{last}`")));
    if !input.peek(syn::Ident) {
        errors.lose();
        input.parse::<TokenStream>()?;
    }
    input.parse()
}
