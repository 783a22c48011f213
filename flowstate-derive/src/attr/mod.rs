//! Attributes as written: one file each, nothing is judged.

pub(crate) mod group;
pub(crate) mod named;
pub(crate) mod option;
pub(crate) mod persist;
pub(crate) mod split;
pub(crate) mod step;
pub(crate) mod transition;

use proc_macro2::{Ident, TokenStream};
use syn::Attribute;

use crate::errors::Errors;
use crate::name;
use group::Group;
use named::Named;
use option::Opt;
use persist::{Artefact, Persist};
use step::Step;
use transition::Transition;

/// An attribute that the derive knows.
struct Kind {
    name: &'static str,
    /// What it looks like, for messages.
    usage: &'static str,
    keep: fn(&mut Attributes, TokenStream, &mut Errors),
}

const KINDS: &[Kind] = &[
    Kind {
        name: "state",
        usage: "#[state(A, B)]",
        keep: |all, tokens, errors| {
            all.states.extend(Named::list(tokens, "a state", errors));
        },
    },
    Kind {
        name: "initial",
        usage: "#[initial(A)]",
        keep: |all, tokens, errors| {
            all.initial.extend(Named::list(tokens, "the initial state", errors));
        },
    },
    Kind {
        name: "completed",
        usage: "#[completed(A)]",
        keep: |all, tokens, errors| {
            all.completed.extend(Named::list(tokens, "a completed state", errors));
        },
    },
    Kind {
        name: "persist",
        usage: "#[persist(Name(Type))]",
        keep: |all, tokens, errors| {
            all.artefacts.push(Persist::parse(tokens, errors));
        },
    },
    Kind {
        name: "transition",
        usage: "#[transition(name: From => To)]",
        keep: |all, tokens, errors| {
            all.transitions.extend(Transition::list(tokens, errors));
        },
    },
    Kind {
        name: "step",
        usage: "#[step(name: From => Running => To, fail(Failed))]",
        keep: |all, tokens, errors| {
            all.steps.extend(Step::list(tokens, errors));
        },
    },
    Kind {
        name: "group",
        usage: "#[group(Name = A | B)]",
        keep: |all, tokens, errors| {
            all.groups.extend(Group::list(tokens, errors));
        },
    },
    Kind {
        name: "flow",
        usage: "#[flow(name = \"…\")]",
        keep: |all, tokens, errors| {
            all.flow.extend(Opt::list(tokens, errors));
        },
    },
];

impl Kind {
    fn read(&self, attribute: &Attribute, all: &mut Attributes, errors: &mut Errors) {
        if let Some(tokens) = split::arguments(attribute, self.usage, errors) {
            (self.keep)(all, tokens, errors);
        }
    }

    /// What an unknown attribute was probably meant to be, if it reads as that and is missed. The
    /// compiler refuses it by its name; what it says shall not be missed as well.
    ///
    /// It may as well belong to another derive, which is why it is not taken without need.
    fn misspelt(name: &str, attribute: &Attribute, all: &[Attribute]) -> Option<&'static Self> {
        let kind = &KINDS[name::nearest(name, KINDS.iter().map(|kind| kind.name))?];
        let is_needed = match kind.name {
            "flow" => false,
            "state" | "initial" | "completed" => {
                !all.iter().any(|other| other.path().is_ident(kind.name))
            }
            _ => true,
        };
        let mut errors = Errors::default();
        kind.read(attribute, &mut Attributes::default(), &mut errors);
        (is_needed && errors.is_empty()).then_some(kind)
    }
}

/// Everything that stands above the struct.
#[derive(Default)]
pub(crate) struct Attributes {
    pub(crate) docs: Vec<Attribute>,
    pub(crate) states: Vec<Named>,
    pub(crate) initial: Vec<Named>,
    pub(crate) completed: Vec<Named>,
    pub(crate) artefacts: Vec<Persist>,
    pub(crate) transitions: Vec<Transition>,
    pub(crate) steps: Vec<Step>,
    pub(crate) groups: Vec<Group>,
    pub(crate) flow: Vec<Opt>,
    unread: Vec<&'static str>,
    /// Read from attributes that may belong to another derive.
    doubtful: Vec<Persist>,
}

impl Attributes {
    /// Reads the attributes of the struct and leaves out those of others.
    pub(crate) fn read(attributes: &[Attribute], errors: &mut Errors) -> Self {
        let mut all = Self::default();
        for attribute in attributes {
            let Some(name) = attribute.path().get_ident().map(ToString::to_string) else {
                continue;
            };
            if name == "doc" {
                all.docs.push(attribute.clone());
            } else if let Some(kind) = KINDS.iter().find(|kind| kind.name == name) {
                let mut own = Errors::default();
                kind.read(attribute, &mut all, &mut own);
                all.unread.extend((own.gaps() > 0).then_some(kind.name));
                // it says nothing of the graph, so that nothing of the graph is missing
                if kind.name == "flow" { errors.extend_whole(own) } else { errors.extend(own) }
            } else if let Some(kind) = Kind::misspelt(&name, attribute, attributes) {
                let mut one = Self::default();
                kind.read(attribute, &mut one, errors);
                all.doubtful.append(&mut one.artefacts);
                all.take(one);
            }
        }
        all.take_doubtful();
        all
    }

    fn take(&mut self, other: Self) {
        self.states.extend(other.states);
        self.initial.extend(other.initial);
        self.completed.extend(other.completed);
        self.transitions.extend(other.transitions);
        self.steps.extend(other.steps);
        self.groups.extend(other.groups);
    }

    /// Takes the doubtful artefacts that a transition names.
    fn take_doubtful(&mut self) {
        for persist in std::mem::take(&mut self.doubtful) {
            let outcomes = self.steps.iter().flat_map(|step| &step.outcomes);
            let of_steps = self.steps.iter().flat_map(|step| &step.options);
            let of_transitions = self.transitions.iter().flat_map(|transition| &transition.options);
            let of_outcomes = outcomes.flat_map(|outcome| &outcome.options);
            let mut named = of_transitions.chain(of_steps).chain(of_outcomes);
            let idents: Vec<_> = persist.artefacts.iter().filter_map(Artefact::ident).collect();
            if named.any(|option| idents.iter().any(|ident| option.mentions(ident))) {
                self.artefacts.push(persist);
            }
        }
    }

    /// Every name that stands where a state should.
    pub(crate) fn mentioned_states(&self) -> impl Iterator<Item = &Ident> {
        let named = self.initial.iter().chain(&self.completed).map(|named| &named.ident);
        let edges = self.transitions.iter().map(|transition| &transition.edge);
        let steps = self.steps.iter();
        let of_steps = steps.flat_map(|step| {
            let outcomes = step.outcomes.iter().map(|outcome| &outcome.ident);
            step.from.idents().iter().chain(&step.running).chain(outcomes)
        });
        let groups = self.groups.iter();
        let sources = edges.flat_map(|edge| edge.from.idents().iter().chain(&edge.to));
        let states = named.chain(sources).chain(of_steps);
        let is_group = |ident: &&Ident| self.groups.iter().any(|group| group.ident == **ident);
        groups.flat_map(|group| &group.states).chain(states).filter(move |ident| !is_group(ident))
    }

    /// Refuses attributes of the derive on fields, where they would say nothing.
    pub(crate) fn refuse_on_fields(data: &syn::Data, errors: &mut Errors) {
        let syn::Data::Struct(data) = data else { return };
        for attribute in data.fields.iter().flat_map(|field| &field.attrs) {
            if let Some(kind) = KINDS.iter().find(|kind| attribute.path().is_ident(kind.name)) {
                let message = format!(
                    "a field is a prop, of which `#[{}(…)]` says nothing: write `{}` above the struct",
                    kind.name, kind.usage
                );
                errors.at(attribute, message);
            }
        }
    }

    /// Whether something was lost in an attribute of this name. What is not known of it then is not
    /// a second mistake.
    pub(crate) fn misread(&self, name: &str) -> bool {
        self.unread.contains(&name)
    }
}
