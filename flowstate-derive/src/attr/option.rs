//! Options: `key`, `key = value`, `key(…)`, each known by a row of a table.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{LitStr, Token};

use super::split;
use crate::errors::Errors;
use crate::name;

/// An option that a place takes.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) form: Form,
    /// What it looks like, for messages.
    pub(crate) usage: &'static str,
}

/// How an option is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `error`
    Flag,
    /// `rename = "…"`, once
    Text,
    /// `alias = "…"`, as often as needed
    Texts,
    /// `record = Name`, `crate = path`
    Tokens,
    /// `persist(…)`
    List,
}

pub(crate) const RENAME: Key = Key { name: "rename", form: Form::Text, usage: "rename = \"…\"" };
pub(crate) const ALIAS: Key = Key { name: "alias", form: Form::Texts, usage: "alias = \"…\"" };

/// Words that are sought in the wrong place, and where they stand.
const ELSEWHERE: &[(&str, &str)] = &[
    ("initial", "#[initial(Name)]"),
    ("completed", "#[completed(Name)]"),
    ("destroy", "#[completed(Name(destroy))]"),
    ("error", "#[state(Name(error))]"),
    ("persist", "#[transition(name: From => To, persist(Name))]"),
    ("load", "#[transition(name: From => To, load(Name))]"),
    (
        "rename",
        "rename = \"…\"` where the name is declared, such as `#[state(Name(rename = \"…\"))]",
    ),
];

/// An option as written.
#[derive(Clone)]
pub(crate) struct Opt {
    pub(crate) key: Ident,
    value: Value,
}

#[derive(Clone)]
enum Value {
    None,
    Equals(TokenStream),
    List(Group),
}

impl Opt {
    /// Reads one part of a list of options.
    pub(crate) fn parse(part: TokenStream) -> syn::Result<Self> {
        split::parse(part, |input| {
            let key = split::name(input, true, "expected an option such as `rename = \"…\"`")?;
            let value = Value::parse(input)?;
            split::nothing_more(input, format_args!("expected `,` after the option `{key}`"))?;
            Ok(Self { key, value })
        })
    }

    /// Reads a list of options.
    pub(crate) fn list(tokens: TokenStream, errors: &mut Errors) -> Vec<Self> {
        let parts = split::parts(tokens, errors);
        parts.into_iter().filter_map(|part| errors.keep(Self::parse(part))).collect()
    }

    fn has(&self, form: Form) -> bool {
        match &self.value {
            Value::None => form == Form::Flag,
            Value::Equals(_) if matches!(form, Form::Text | Form::Texts) => self.text().is_some(),
            Value::Equals(tokens) => form == Form::Tokens && !tokens.is_empty(),
            Value::List(_) => form == Form::List,
        }
    }

    fn text(&self) -> Option<LitStr> {
        let Value::Equals(tokens) = &self.value else { return None };
        syn::parse2(tokens.clone()).ok()
    }
}

impl Value {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            return Ok(Self::Equals(input.parse()?));
        }
        if let Some((TokenTree::Group(group), _)) = input.cursor().token_tree()
            && group.delimiter() == Delimiter::Parenthesis
        {
            input.parse::<TokenTree>()?;
            return Ok(Self::List(group));
        }
        Ok(Self::None)
    }
}

impl ToTokens for Opt {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.key.to_tokens(tokens);
        match &self.value {
            Value::None => {}
            Value::Equals(value) => value.to_tokens(tokens),
            Value::List(group) => group.to_tokens(tokens),
        }
    }
}

/// Options of which every one is known, well-formed and given as often as it may be.
#[derive(Clone, Default)]
pub(crate) struct Options(Vec<Opt>);

impl Options {
    /// Keeps what the table of `place` (such as "a state") knows, and reports the rest.
    pub(crate) fn check(list: Vec<Opt>, place: &str, table: &[Key], errors: &mut Errors) -> Self {
        let mut kept = Self::default();
        for opt in list {
            match table.iter().find(|key| opt.key == key.name) {
                None => errors.at(&opt.key, unknown(&opt.key, place, table)),
                Some(key) if !opt.has(key.form) => {
                    errors.at(&opt, format_args!("write the option as `{}`", key.usage));
                }
                Some(key) if kept.given(key.name).is_some() && key.form != Form::Texts => {
                    let message = format!("`{}` is given twice: remove one", key.name);
                    errors.at(&opt.key, message);
                }
                Some(_) => kept.0.push(opt),
            }
        }
        kept
    }

    /// The first option of this name.
    pub(crate) fn given(&self, name: &str) -> Option<&Opt> {
        self.0.iter().find(|opt| opt.key == name)
    }

    /// The text of an option.
    pub(crate) fn text(&self, name: &str) -> Option<LitStr> {
        self.given(name).and_then(Opt::text)
    }

    /// The texts of an option that may be given several times.
    pub(crate) fn texts(&self, name: &str) -> Vec<LitStr> {
        self.0.iter().filter(|opt| opt.key == name).filter_map(Opt::text).collect()
    }

    /// What stands in the parentheses of an option or after its `=`.
    pub(crate) fn tokens(&self, name: &str) -> Option<TokenStream> {
        match &self.given(name)?.value {
            Value::None => None,
            Value::Equals(tokens) => Some(tokens.clone()),
            Value::List(group) => Some(group.stream()),
        }
    }
}

fn unknown(key: &Ident, place: &str, table: &[Key]) -> String {
    let written = key.unraw().to_string();
    if let Some(near) = name::nearest(&written, table.iter().map(|key| key.name)) {
        let near = table[near].name;
        return format!("{place} has no option `{written}`: did you mean `{near}`?");
    }
    if let Some((_, usage)) = ELSEWHERE.iter().find(|(name, _)| written == *name) {
        return format!("{place} has no option `{written}`: write `{usage}`");
    }
    let usages: Vec<_> = table.iter().map(|key| format!("`{}`", key.usage)).collect();
    match usages.as_slice() {
        [] => format!("{place} takes no options: remove `{written}`"),
        usages => format!("{place} has no option `{written}`, only {}", usages.join(", ")),
    }
}
