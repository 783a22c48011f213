//! Stored names: no two things of a kind share one.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::Ident;
use quote::ToTokens;
use syn::LitStr;

use crate::attr::option::Options;
use crate::errors::Errors;
use crate::name;

/// The stored name of a thing and its earlier ones.
#[derive(Clone, Default)]
pub(crate) struct Stored {
    pub(crate) name: String,
    pub(crate) aliases: Vec<String>,
}

/// Where a stored name comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    Rust,
    Rename,
    Alias,
}

/// The stored names of one kind of thing.
#[derive(Default)]
pub(crate) struct StoredNames {
    owners: BTreeMap<String, Ident>,
    renames: Vec<(LitStr, Ident)>,
    aliases: Vec<(LitStr, Ident)>,
    /// The steps of which a name is too long.
    long: BTreeSet<String>,
    /// Kept apart: a name that clashes hides nothing of the graph.
    errors: Errors,
}

impl StoredNames {
    /// The names of `ident`: its own in snake case unless the options say otherwise.
    pub(crate) fn of(&mut self, ident: &Ident, options: &Options) -> Stored {
        let snake = name::snake(&name::plain(ident));
        let rename = options
            .text("rename")
            .filter(|text| is_storable(text, "rename", &snake, &mut self.errors));
        let name = rename.as_ref().map_or_else(|| snake.clone(), LitStr::value);
        match &rename {
            Some(token) => self.renames.push((token.clone(), ident.clone())),
            None if fits(&name, ident, "rename = \"…\"", &mut self.errors) => {
                self.claim(&name, ident, ident, Written::Rust);
            }
            None => {}
        }
        let mut aliases = options.texts("alias");
        aliases.retain(|text| is_storable(text, "alias", "old_name", &mut self.errors));
        self.aliases.extend(aliases.iter().map(|alias| (alias.clone(), ident.clone())));
        Stored { name, aliases: aliases.iter().map(LitStr::value).collect() }
    }

    /// The names of a transition that a step brings: made from the step's, its own and earlier ones,
    /// by `name`.
    pub(crate) fn of_step(
        &mut self,
        ident: &Ident,
        step: &Stored,
        rest: &Stored,
        name: impl Fn(&str, &str) -> String,
    ) -> Stored {
        let main = name(&step.name, &rest.name);
        // what makes one of them too long makes the others, too
        let is_news = main.len() <= name::MAX_LENGTH || self.long.insert(step.name.clone());
        if is_news && fits(&main, ident, "rename = \"…\"", &mut self.errors) {
            self.claim(&main, ident, ident, Written::Rust);
        }
        let mut aliases = Vec::new();
        for step in [&step.name].into_iter().chain(&step.aliases) {
            for rest in [&rest.name].into_iter().chain(&rest.aliases) {
                let alias = name(step, rest);
                if alias != main && !aliases.contains(&alias) {
                    aliases.push(alias);
                }
            }
        }
        Stored { name: main, aliases }
    }

    /// Holds what is written against what follows from the code, once that is known, and gives
    /// the mistakes.
    pub(crate) fn finish(mut self) -> Errors {
        for (text, owner) in std::mem::take(&mut self.renames) {
            self.claim(&text.value(), &text, &owner, Written::Rename);
        }
        for (text, owner) in std::mem::take(&mut self.aliases) {
            self.claim(&text.value(), &text, &owner, Written::Alias);
        }
        self.errors
    }

    fn claim(&mut self, name: &str, token: &dyn ToTokens, owner: &Ident, written: Written) {
        match self.owners.get(name) {
            None => drop(self.owners.insert(name.to_owned(), owner.clone())),
            Some(other) if other == owner => {
                self.errors.at(
                    token,
                    format_args!("`{name}` is already a stored name of `{owner}`: remove it"),
                );
            }
            Some(other) if written == Written::Alias => self.errors.at(
                token,
                format_args!("`{name}` is a stored name of `{other}`: remove this `alias`"),
            ),
            Some(other) => self.errors.at(
                token,
                format_args!(
                    "`{name}` is already the stored name of `{other}`: give `{owner}` another one \
                     with `rename = \"…\"`"
                ),
            ),
        }
    }
}

/// Whether the text of an option can be a stored name, such as `example`.
pub(crate) fn is_storable(text: &LitStr, option: &str, example: &str, errors: &mut Errors) -> bool {
    let name = text.value();
    let trimmed = name.trim();
    let message = if trimmed.is_empty() {
        format!("`{option}` is empty: write `{option} = \"{example}\"`")
    } else if name.contains(char::is_control) {
        "a stored name has no control characters: remove them".to_owned()
    } else if name.contains('.') {
        "names with a dot are the library's, such as `claim.release`: write `_` in its place"
            .to_owned()
    } else if trimmed != name {
        format!("a stored name has no space around it: write `{option} = \"{trimmed}\"`")
    } else if name.len() > name::MAX_LENGTH {
        format!("{}: choose a shorter one", too_long(&name))
    } else {
        return true;
    };
    errors.at(text, message);
    false
}

/// Whether a name that was made from one in the code fits into its column; `option` pins another.
pub(crate) fn fits(name: &str, token: &Ident, option: &str, errors: &mut Errors) -> bool {
    let fits = name.len() <= name::MAX_LENGTH;
    if !fits {
        errors.at(token, format_args!("{}: pin a shorter one with `{option}`", too_long(name)));
    }
    fits
}

fn too_long(name: &str) -> String {
    let (bytes, limit) = (name.len(), name::MAX_LENGTH);
    format!("the stored name `{name}` has {bytes} bytes, more than {limit}")
}
