//! Attributes as meant: one check a rule.

pub(crate) mod after;
pub(crate) mod artefact;
pub(crate) mod flow;
pub(crate) mod state;
mod stored;
pub(crate) mod transition;

use proc_macro2::Ident;
use syn::{Attribute, DeriveInput, Visibility};

use crate::attr::Attributes;
use crate::errors::Errors;
use artefact::{Artefact, Artefacts};
use flow::Names;
use state::{State, States};
use transition::Transition;

/// A flow as meant. After a mistake it holds what was understood.
pub(crate) struct Model {
    pub(crate) ident: Ident,
    pub(crate) vis: Visibility,
    pub(crate) docs: Vec<Attribute>,
    pub(crate) names: Names,
    pub(crate) states: Vec<State>,
    pub(crate) initial: usize,
    /// What `#[initial(…)]` says.
    pub(crate) initial_token: Ident,
    pub(crate) artefacts: Vec<Artefact>,
    pub(crate) transitions: Vec<Transition>,
    /// Whether states, transitions and artefacts are all that was meant: only then can something
    /// be said of the graph.
    pub(crate) is_whole: bool,
    /// Whether the type under the derive can implement what a flow does.
    pub(crate) is_possible: bool,
}

impl Model {
    /// The model and the mistakes in it.
    pub(crate) fn new(input: &DeriveInput) -> (Self, Errors) {
        let mut errors = Errors::default();
        let is_possible = flow::check_shape(input, &mut errors);
        let flow = &input.ident;
        let attributes = Attributes::read(&input.attrs, &mut errors);
        let (mut states, state_names) = States::new(&attributes, flow, &mut errors);
        let initial = states.initial(&attributes, flow, &mut errors);
        states.complete(&attributes, flow, &mut errors);
        let (mut artefacts, artefact_names) = Artefacts::new(&attributes, &mut errors);
        let (transitions, transition_names) =
            transition::transitions(&attributes, &states, &artefacts, &mut errors);
        let is_whole = errors.gaps() == 0;
        for others in [state_names, artefact_names, transition_names] {
            errors.extend(others);
        }
        let names = Names::new(&attributes, flow, &mut errors);
        artefacts.spare(flow, &names, &mut errors);
        let model = Self {
            ident: flow.clone(),
            vis: input.vis.clone(),
            names,
            initial_token: attributes.initial.first().map_or(flow, |named| &named.ident).clone(),
            docs: attributes.docs,
            states: states.into_list(),
            initial: initial.unwrap_or(0),
            artefacts: artefacts.into_list(),
            transitions,
            is_whole,
            is_possible,
        };
        (model, errors)
    }
}
