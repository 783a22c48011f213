//! Which file of a crate uses which: every `use` and every path, also in groups and in macros.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path as File;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, UseTree};

/// The names that lead to a module or an item, such as `["transaction", "open"]`.
pub(crate) type Path = Vec<String>;

/// A crate as modules and what they name. Unit tests are left out.
pub(crate) struct Crate {
    modules: BTreeMap<Path, Module>,
}

/// A module, either a file or one that stands in braces in a file.
#[derive(Default)]
struct Module {
    /// The module that is the file.
    file: Path,
    /// What it brings into scope, by its name here: a trait and a macro can have the same. With `pub`
    /// others can reach it here.
    names: BTreeMap<String, Vec<Path>>,
    /// All that it names, as written.
    paths: Vec<Path>,
}

impl Crate {
    /// Reads the sources under a folder that holds a `lib.rs`.
    pub(crate) fn read(folder: &File) -> Self {
        let mut modules = BTreeMap::new();
        gather(folder, &[], &mut modules);
        Self { modules }
    }

    /// The modules that are files.
    pub(crate) fn files(&self) -> BTreeSet<&[String]> {
        self.modules.values().map(|module| &*module.file).collect()
    }

    /// For each file the other files that it uses. Nothing is said of a module and what is below
    /// it: they may name each other.
    pub(crate) fn arrows(&self) -> BTreeSet<(Path, Path)> {
        let mut arrows = BTreeSet::new();
        for (at, module) in &self.modules {
            for path in module.paths.iter().chain(module.names.values().flatten()) {
                let Some(used) = self.module_of(at, path, &mut BTreeSet::new()) else { continue };
                let (from, to) = (&module.file, &self.modules[&used].file);
                if !from.starts_with(to) && !to.starts_with(from) {
                    arrows.insert((from.clone(), to.clone()));
                }
            }
        }
        arrows
    }

    /// Files that use all that is in another one, so that nobody can see what.
    pub(crate) fn globs(&self) -> Vec<String> {
        let own = |at: &Path, path: &Path| {
            path.last().is_some_and(|last| last == "*")
                && self.module_of(at, path, &mut BTreeSet::new()).is_some()
        };
        let globs = self.modules.iter().flat_map(|(at, module)| {
            module.paths.iter().filter(|path| own(at, path)).map(move |path| (at, path))
        });
        globs.map(|(at, path)| format!("{}: {}", at.join("::"), path.join("::"))).collect()
    }

    /// The module where that stands which a path names, through whatever brings it into scope.
    /// None if it is of another crate.
    fn module_of(&self, at: &[String], path: &[String], seen: &mut Seen) -> Option<Path> {
        let (first, rest) = path.split_first()?;
        match &**first {
            "crate" => self.down(vec![], rest, seen),
            "self" => self.down(at.to_vec(), rest, seen),
            "super" => {
                let above = at.split_last()?.1.to_vec();
                match rest.first() {
                    Some(next) if next == "super" => self.module_of(&above, rest, seen),
                    _ => self.down(above, rest, seen),
                }
            }
            _ => self.step(at, first, rest, seen),
        }
    }

    fn down(&self, at: Path, path: &[String], seen: &mut Seen) -> Option<Path> {
        let Some((first, rest)) = path.split_first() else { return Some(at) };
        // else it is an item of this module
        self.step(&at, first, rest, seen).or(Some(at))
    }

    /// One name further: into a module, or where a `use` leads.
    fn step(&self, at: &[String], name: &str, rest: &[String], seen: &mut Seen) -> Option<Path> {
        let below: Path = at.iter().cloned().chain([name.to_owned()]).collect();
        if self.modules.contains_key(&below) {
            return self.down(below, rest, seen);
        }
        let paths = self.modules.get(at)?.names.get(name)?;
        if !seen.insert((at.to_vec(), name.to_owned())) {
            return None;
        }
        paths.iter().find_map(|path| {
            let path: Path = path.iter().chain(rest).cloned().collect();
            self.module_of(at, &path, seen)
        })
    }
}

/// The names that a search has followed, since one may lead to itself: `use log;`.
type Seen = BTreeSet<(Path, String)>;

fn gather(folder: &File, at: &[String], modules: &mut BTreeMap<Path, Module>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
        let is_source = path.extension().is_some_and(|extension| extension == "rs");
        let module: Path = match &*name {
            // the program of a library names the library as others do
            "tests" | "main" => continue,
            "lib" | "mod" => at.to_vec(),
            _ => at.iter().cloned().chain([name]).collect(),
        };
        if path.is_dir() {
            gather(&path, &module, modules);
        } else if is_source {
            let text = fs::read_to_string(&path).expect("a source file");
            let file = syn::parse_file(&text).expect("what compiles can be parsed");
            let mut reader = Reader { file: module.clone(), at: module, modules };
            reader.module();
            reader.visit_file(&file);
        }
    }
}

struct Reader<'a> {
    file: Path,
    at: Path,
    modules: &'a mut BTreeMap<Path, Module>,
}

impl Reader<'_> {
    fn module(&mut self) -> &mut Module {
        let module = self.modules.entry(self.at.clone()).or_default();
        module.file.clone_from(&self.file);
        module
    }

    fn brings(&mut self, tree: &UseTree, mut path: Path) {
        match tree {
            UseTree::Path(tree) => {
                path.push(tree.ident.to_string());
                self.brings(&tree.tree, path);
            }
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.brings(tree, path.clone()));
            }
            UseTree::Glob(_) => {
                path.push("*".to_owned());
                self.module().paths.push(path);
            }
            UseTree::Name(name) => {
                let name = name.ident.to_string();
                if name != "self" {
                    path.push(name);
                }
                let name = path.last().expect("a name").clone();
                self.module().names.entry(name).or_default().push(path);
            }
            UseTree::Rename(rename) => {
                if rename.ident != "self" {
                    path.push(rename.ident.to_string());
                }
                match &*rename.rename.to_string() {
                    "_" => self.module().paths.push(path),
                    name => self.module().names.entry(name.to_owned()).or_default().push(path),
                }
            }
        }
    }

    /// Paths among tokens that are not parsed: `crate :: name :: name`.
    fn scan(&mut self, tokens: TokenStream) {
        let mut path = Path::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == ':' && !path.is_empty() => {
                    colons += 1;
                    continue;
                }
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.names(std::mem::take(&mut path));
                    }
                    path.push(ident.to_string());
                }
                TokenTree::Group(group) if colons == 2 => {
                    self.scan_group(std::mem::take(&mut path), group.stream());
                }
                TokenTree::Group(group) => {
                    self.names(std::mem::take(&mut path));
                    self.scan(group.stream());
                }
                _ => self.names(std::mem::take(&mut path)),
            }
            colons = 0;
        }
        self.names(path);
    }

    /// The names in the braces of `use crate::{a, b}`.
    fn scan_group(&mut self, before: Path, tokens: TokenStream) {
        let tree = syn::parse2::<syn::ItemUse>(quote::quote!(use {#tokens};));
        match tree {
            Ok(tree) => self.brings(&tree.tree, before),
            Err(_) => self.scan(tokens),
        }
    }

    fn names(&mut self, path: Path) {
        // a single name is of this module, or comes from a `use`
        if path.len() > 1 {
            self.module().paths.push(path);
        }
    }
}

/// Whether it is there in tests alone: `#[cfg(test)]`, `#[cfg(all(test, …))]`.
fn is_test(attributes: &[Attribute]) -> bool {
    let is_test = |attribute: &Attribute| {
        let tokens = match &attribute.meta {
            syn::Meta::List(list) if list.path.is_ident("cfg") => list.tokens.to_string(),
            _ => return false,
        };
        let mut words = tokens.split(|c: char| !c.is_alphanumeric());
        words.any(|word| word == "test") && !tokens.contains("not")
    };
    attributes.iter().any(is_test)
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if item.content.is_some() && !is_test(&item.attrs) {
            self.at.push(item.ident.to_string());
            self.module();
            visit::visit_item_mod(self, item);
            self.at.pop();
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !is_test(&item.attrs) && item.leading_colon.is_none() {
            self.brings(&item.tree, vec![]);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        // `::name` is another crate
        if path.leading_colon.is_none() {
            self.names(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.scan(item.tokens.clone());
        visit::visit_macro(self, item);
    }

    fn visit_meta_list(&mut self, list: &'ast syn::MetaList) {
        self.scan(list.tokens.clone());
        visit::visit_meta_list(self, list);
    }
}
