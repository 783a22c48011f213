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
    /// `lock`, `lock = "…"`
    FlagOrText,
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
    ("fail", "#[step(name: From => Running => To, fail(Name))]"),
    ("give_up", "#[step(name: From => Running => To, fail(Name), give_up(Name))]"),
    ("transactional", "#[step(name: From => Running => To, fail(Name), transactional)]"),
    ("within", "#[step(name: From => Running => To, fail(Name), within)]"),
    ("then", "#[step(name: From => Running => To(then(name)), fail(Name))]"),
    ("after", "#[transition(name: From => To, after(\"3 days\"))]"),
    ("operator", "#[transition(name: From => To, operator)]"),
    ("secret", "#[persist(Name(Type), secret)]"),
    (
        "rename",
        "rename = \"…\"` where the name is declared, such as `#[state(Name(rename = \"…\"))]",
    ),
];

/// Words that are sought in the wrong place of a step.
const ELSEWHERE_IN_A_STEP: &[(&str, &str)] = &[
    ("persist", "name: From => Running => To(persist(Name))"),
    ("then", "name: From => Running => To(then(name))"),
    ("load", "name: From => Running => To, fail(Failed), load(Name)"),
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
    /// `key: value`, `key[value]`: in no form that there is.
    Other(TokenStream),
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

    fn is(&self, name: &str) -> bool {
        self.key.unraw() == name
    }

    /// Whether this name stands in its parentheses.
    pub(crate) fn mentions(&self, ident: &Ident) -> bool {
        let Value::List(group) = &self.value else { return false };
        group
            .stream()
            .into_iter()
            .any(|token| matches!(token, TokenTree::Ident(other) if other == *ident))
    }

    /// Whether it can be taken for another form than the one it was written in.
    fn recover(&mut self, form: Form) -> bool {
        let value = match (form, &self.value) {
            (Form::List, Value::Equals(tokens) | Value::Other(tokens)) if !tokens.is_empty() => {
                Value::List(Group::new(Delimiter::Parenthesis, tokens.clone()))
            }
            (Form::Text | Form::Texts | Form::Tokens | Form::FlagOrText, Value::List(group)) => {
                Value::Equals(group.stream())
            }
            (Form::Text | Form::Texts | Form::Tokens | Form::FlagOrText, Value::Other(tokens)) => {
                Value::Equals(tokens.clone())
            }
            (Form::Flag, Value::Equals(tokens)) if tokens.to_string() == "true" => Value::None,
            _ => return false,
        };
        self.value = value;
        self.has(form)
    }

    fn has(&self, form: Form) -> bool {
        match &self.value {
            Value::None => matches!(form, Form::Flag | Form::FlagOrText),
            Value::Equals(_) if matches!(form, Form::Text | Form::Texts | Form::FlagOrText) => {
                self.text().is_some()
            }
            Value::Equals(tokens) => form == Form::Tokens && !tokens.is_empty(),
            Value::List(_) => form == Form::List,
            Value::Other(_) => false,
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
        if input.peek(Token![:]) && !input.peek(Token![::]) {
            input.parse::<Token![:]>()?;
            return Ok(Self::Other(input.parse()?));
        }
        Ok(match split::group(input)? {
            Some(group) if group.delimiter() == Delimiter::Parenthesis => Self::List(group),
            Some(group) => Self::Other(group.stream()),
            None => Self::None,
        })
    }
}

impl ToTokens for Opt {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.key.to_tokens(tokens);
        match &self.value {
            Value::None => {}
            Value::Equals(value) | Value::Other(value) => value.to_tokens(tokens),
            Value::List(group) => group.to_tokens(tokens),
        }
    }
}

/// Options of which every one is known, well-formed and given as often as it may be.
#[derive(Clone, Default)]
pub(crate) struct Options(Vec<Opt>);

impl Options {
    /// Keeps what the table of `place` (such as "a state") knows or what was probably meant, and
    /// reports what is wrong.
    pub(crate) fn check(list: Vec<Opt>, place: &str, table: &[Key], errors: &mut Errors) -> Self {
        let mut kept = Self::default();
        let (known, unknown): (Vec<_>, Vec<_>) =
            list.into_iter().partition(|opt| table.iter().any(|key| opt.is(key.name)));
        for opt in known {
            if let Some(key) = table.iter().find(|key| opt.is(key.name)) {
                kept.take(opt, key, errors);
            }
        }
        // after those that are known: what is given is not what was meant
        for opt in unknown {
            kept.guess(opt, place, table, errors);
        }
        kept
    }

    fn guess(&mut self, opt: Opt, place: &str, table: &[Key], errors: &mut Errors) {
        errors.at(&opt.key, unknown(&opt.key, place, table));
        match nearest(&opt.key, table) {
            Some(key) if opt.has(key.form) && self.given(key.name).is_none() => {
                self.take(opt, key, errors);
            }
            _ => errors.lose(),
        }
    }

    fn take(&mut self, mut opt: Opt, key: &Key, errors: &mut Errors) {
        if !opt.has(key.form) {
            let written = opt.clone();
            let is_clear = opt.recover(key.form);
            let usage = match &opt.value {
                Value::List(group) if is_clear => format!("{}({})", key.name, group.stream()),
                _ => key.usage.to_owned(),
            };
            errors.at(&written, format_args!("write the option as `{usage}`"));
            if !is_clear {
                return errors.lose();
            }
        }
        if self.given(key.name).is_some() && key.form != Form::Texts {
            errors.at(&opt.key, format_args!("`{}` is given twice: remove one", key.name));
            if key.form == Form::List {
                errors.lose();
            }
            return;
        }
        if matches!(&opt.value, Value::List(group) if group.stream().is_empty()) {
            let message = format!(
                "nothing stands in the parentheses: write `{}`, or remove `{}`",
                key.usage, key.name
            );
            return errors.gap(&opt, message);
        }
        opt.key = Ident::new(key.name, opt.key.span());
        self.0.push(opt);
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
            Value::Equals(tokens) | Value::Other(tokens) => Some(tokens.clone()),
            Value::List(group) => Some(group.stream()),
        }
    }
}

fn nearest<'a>(key: &Ident, table: &'a [Key]) -> Option<&'a Key> {
    let near = name::nearest(&name::plain(key), table.iter().map(|key| key.name))?;
    table.get(near)
}

fn unknown(key: &Ident, place: &str, table: &[Key]) -> String {
    let written = key.unraw().to_string();
    if let Some(near) = nearest(key, table) {
        return format!("{place} has no option `{written}`: did you mean `{}`?", near.name);
    }
    let in_a_step: &[_] =
        if matches!(place, "a step" | "an outcome") { ELSEWHERE_IN_A_STEP } else { &[] };
    let mut elsewhere = in_a_step.iter().chain(ELSEWHERE);
    if let Some((_, usage)) = elsewhere.find(|(name, _)| written == *name) {
        return format!("{place} has no option `{written}`: write `{usage}`");
    }
    let usages: Vec<_> = table.iter().map(|key| format!("`{}`", key.usage)).collect();
    match usages.as_slice() {
        [] => format!("{place} takes no options: remove `{written}`"),
        usages => format!("{place} has no option `{written}`, only {}", usages.join(", ")),
    }
}
