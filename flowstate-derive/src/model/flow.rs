//! The struct itself, and `#[flow(…)]`.

use proc_macro2::Ident;
use quote::format_ident;
use syn::{Data, DeriveInput, Fields, Path};

use super::stored::{Stored, fits, is_storable};
use super::version::{UPGRADE, VERSION, Version};
use crate::attr::Attributes;
use crate::attr::named::Named;
use crate::attr::option::{ALIAS, Form, Key, Options};
use crate::errors::Errors;
use crate::name;

const OPTIONS: &[Key] = &[
    Key { name: "name", form: Form::Text, usage: "name = \"…\"" },
    ALIAS,
    Key { name: "record", form: Form::Tokens, usage: "record = Name" },
    Key { name: "state", form: Form::Tokens, usage: "state = Name" },
    Key { name: "outcome", form: Form::Tokens, usage: "outcome = Name" },
    Key { name: "steps", form: Form::Tokens, usage: "steps = Name" },
    Key { name: "label", form: Form::List, usage: "label(field)" },
    Key { name: "secret", form: Form::List, usage: "secret(field)" },
    VERSION,
    UPGRADE,
    Key { name: "lock", form: Form::FlagOrText, usage: "lock = \"flows/….flow\"" },
    Key { name: "crate", form: Form::Tokens, usage: "crate = path::to::flowstate" },
];

/// The names of what is generated.
pub(crate) struct Names {
    pub(crate) stored: Stored,
    pub(crate) record: Ident,
    pub(crate) state: Ident,
    pub(crate) outcome: Ident,
    pub(crate) steps: Ident,
    /// How generated code reaches the core crate.
    pub(crate) krate: Path,
    /// The props that records are looked up by.
    pub(crate) labels: Vec<Ident>,
    /// The props that tools never show.
    pub(crate) secrets: Vec<Ident>,
    /// Of the props.
    pub(crate) version: Version,
    /// The lock file, if there is one.
    pub(crate) lock: Option<LockPath>,
}

/// Where the lock file of a flow is.
pub(crate) struct LockPath {
    /// Where it is asked for.
    pub(crate) token: Ident,
    /// Below the folder of the crate's manifest.
    pub(crate) path: String,
}

impl Names {
    /// What `#[flow(…)]` says, or the defaults.
    pub(crate) fn new(
        attributes: &Attributes,
        (flow, data): (&Ident, &Data),
        errors: &mut Errors,
    ) -> Self {
        let options = Options::check(attributes.flow.clone(), "`#[flow(…)]`", OPTIONS, errors);
        let stored = options
            .text("name")
            .filter(|text| is_storable(text, "name", &name::snake(&name::plain(flow)), errors));
        let stored = stored.map_or_else(
            || {
                let name = name::snake(&name::plain(flow));
                fits(&name, flow, "#[flow(name = \"…\")]", errors);
                name
            },
            |text| text.value(),
        );
        let aliases = aliases(&stored, flow, &options, errors);
        let stored = Stored { name: stored, aliases };
        let mut taken = vec![flow.clone()];
        let mut item = |key: &str, suffix: &str| {
            let name = named(key, &options, errors);
            let name = name.filter(|name| is_free(name, key, &taken, errors));
            let name = name.unwrap_or_else(|| format_ident!("{flow}{suffix}"));
            taken.push(name.clone());
            name
        };
        let (record, state) = (item("record", "Record"), item("state", "State"));
        let (outcome, steps) = (item("outcome", "Outcome"), item("steps", "Steps"));
        let krate = options.tokens("crate").and_then(|tokens| {
            let path = syn::parse2(tokens.clone());
            path.map_err(|_| errors.at(tokens, "expected a path: `crate = path::to::flowstate`"))
                .ok()
        });
        let krate = krate.unwrap_or_else(|| syn::parse_quote!(::flowstate));
        let labels = props("label", &options, data, errors);
        let secrets = props("secret", &options, data, errors);
        let version = Version::new(flow, &options, errors);
        let lock = lock(&stored.name, &options, errors);
        Self { stored, record, state, outcome, steps, krate, labels, secrets, version, lock }
    }

    /// The names of types and traits.
    pub(crate) fn types(&self) -> impl Iterator<Item = &Ident> {
        [&self.record, &self.state, &self.outcome, &self.steps].into_iter()
    }
}

fn lock(stored: &str, options: &Options, errors: &mut Errors) -> Option<LockPath> {
    let token = options.given("lock")?.key.clone();
    let path = options.text("lock");
    if let Some(path) = path.as_ref().filter(|path| std::path::Path::new(&path.value()).has_root())
    {
        errors.at(
            path,
            format_args!(
                "the path begins in the folder of this crate's manifest, so that it is the same on \
                 every machine: `lock = \"flows/{stored}.flow\"`"
            ),
        );
        return None;
    }
    let path = path.map_or_else(|| format!("flows/{stored}.flow"), |path| path.value());
    Some(LockPath { token, path })
}

/// The former names of the flow, each once.
fn aliases(stored: &str, flow: &Ident, options: &Options, errors: &mut Errors) -> Vec<String> {
    let mut aliases: Vec<String> = Vec::new();
    for text in options.texts("alias") {
        let alias = text.value();
        if !is_storable(&text, "alias", "old_name", errors) {
            continue;
        }
        if alias == stored || aliases.contains(&alias) {
            let message = format_args!("`{alias}` is already a stored name of `{flow}`: remove it");
            errors.at(&text, message);
        } else {
            aliases.push(alias);
        }
    }
    aliases
}

/// Reads an option that lists props.
fn props(key: &str, options: &Options, data: &Data, errors: &mut Errors) -> Vec<Ident> {
    let fields: Vec<_> = match data {
        Data::Struct(data) => data.fields.iter().filter_map(|field| field.ident.as_ref()).collect(),
        Data::Enum(_) | Data::Union(_) => Vec::new(),
    };
    let mut props: Vec<Ident> = Vec::new();
    let tokens = options.tokens(key).unwrap_or_default();
    for named in Named::list(tokens, "a prop", errors) {
        Options::check(named.options, "a prop named here", &[], errors);
        let ident = named.ident;
        if props.contains(&ident) {
            errors.at(&ident, format_args!("`{ident}` is already in this `{key}(…)`: remove one"));
        } else if fields.contains(&&ident) {
            props.push(ident);
        } else {
            let known = fields.iter().map(|field| name::plain(field));
            let near = name::nearest(&name::plain(&ident), known).map(|near| fields[near]);
            let message = match near {
                Some(near) => format!("there is no prop `{ident}`: did you mean `{near}`?"),
                None => format!("there is no prop `{ident}`: name a field of the struct"),
            };
            errors.at(&ident, message);
        }
    }
    props
}

/// Reads an option that names something.
fn named(key: &str, options: &Options, errors: &mut Errors) -> Option<Ident> {
    let tokens = options.tokens(key)?;
    let parsed = syn::parse2(tokens.clone());
    parsed.map_err(|_| errors.at(tokens, format_args!("expected a name: `{key} = Name`"))).ok()
}

/// Whether a name can be given to one of the generated items.
fn is_free(name: &Ident, key: &str, taken: &[Ident], errors: &mut Errors) -> bool {
    let is_free = !taken.contains(name);
    if !is_free {
        let message = format!(
            "the flow already has an item named `{name}`: write another name after `{key} =`"
        );
        errors.at(name, message);
    }
    is_free
}

/// Checks the item under the derive. Whether it could be a flow if it was written otherwise: a type
/// without parameters that serde knows.
pub(crate) fn check_shape(input: &DeriveInput, errors: &mut Errors) -> bool {
    let ident = &input.ident;
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(_) | Fields::Unit => {}
            Fields::Unnamed(fields) => errors.at(
                fields,
                format_args!("the props of a flow have names: `struct {ident} {{ field: Type }}`"),
            ),
        },
        Data::Enum(data) => errors.at(
            data.enum_token,
            "a flow is a struct whose fields are its props: its states go in `#[state(…)]`",
        ),
        Data::Union(data) => errors.at(
            data.union_token,
            format_args!("a flow is a struct whose fields are its props: `struct {ident} {{ … }}`"),
        ),
    }
    let generics = &input.generics;
    if !generics.params.is_empty() {
        let message = format!(
            "a flow takes no generics, since each stored record has one concrete type of props: \
             remove `{}`",
            name::text(generics)
        );
        errors.at(generics, message);
    }
    generics.params.is_empty() && !matches!(input.data, Data::Union(_))
}
