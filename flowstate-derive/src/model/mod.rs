//! Attributes as meant: one check a rule.

pub(crate) mod after;
pub(crate) mod artefact;
pub(crate) mod flow;
mod label;
pub(crate) mod locked;
pub(crate) mod state;
pub(crate) mod step;
mod step_reader;
mod step_rules;
pub(crate) mod stored;
mod timed;
pub(crate) mod transition;
pub(crate) mod version;

use proc_macro2::Ident;
use syn::{Attribute, DeriveInput, Visibility};

use crate::attr::Attributes;
use crate::errors::Errors;
use artefact::{Artefact, Artefacts};
use flow::Names;
use locked::Locked;
use state::{Group, State, States};
use step::Step;
use step_rules::Rules;
use transition::{Transition, Transitions};

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
    pub(crate) steps: Vec<Step>,
    pub(crate) groups: Vec<Group>,
    /// The lock file, once it is read.
    pub(crate) lock: Option<Locked>,
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
        Attributes::refuse_on_fields(&input.data, &mut errors);
        let (mut states, state_names) = States::new(&attributes, flow, &mut errors);
        let initial = states.initial(&attributes, flow, &mut errors);
        states.complete(&attributes, flow, &mut errors);
        let (mut artefacts, artefact_names) = Artefacts::new(&attributes, &mut errors);
        let mut transitions = Transitions::new(&attributes, &states, &artefacts, &mut errors);
        let declared = (&states, &artefacts);
        let mut steps =
            step_reader::steps(&attributes, flow, declared, &mut transitions, &mut errors);
        transitions.spare_groups(&mut states, &mut errors);
        let (transitions, transition_names) = transitions.finish();
        timed::check(&transitions, &states, &mut errors);
        let mut is_whole = errors.gaps() == 0;
        if is_whole {
            let mut broken = Errors::default();
            let initial = initial.unwrap_or(0);
            Rules { steps: &steps, transitions: &transitions, states: &states, initial }
                .check(&mut broken);
            // the graph is not what was meant
            is_whole = broken.is_empty();
            errors.extend(broken);
        }
        for others in [state_names, artefact_names, transition_names] {
            errors.extend(others);
        }
        let names = Names::new(&attributes, (flow, &input.data), &mut errors);
        step_rules::check_names(&mut steps, &transitions, (flow, &names), &mut errors);
        let mut taken: Vec<Ident> = names.types().cloned().collect();
        taken.extend(
            steps.iter().flat_map(|step| [step.outcome_ty(), Some(step.ty.clone())]).flatten(),
        );
        artefacts.spare(flow, &taken, &mut errors);
        let (states, groups) = states.into_lists();
        let mut model = Self {
            ident: flow.clone(),
            vis: input.vis.clone(),
            names,
            initial_token: attributes.initial.first().map_or(flow, |named| &named.ident).clone(),
            docs: attributes.docs,
            states,
            initial: initial.unwrap_or(0),
            artefacts: artefacts.into_list(),
            transitions,
            steps,
            groups,
            lock: None,
            is_whole,
            is_possible,
        };
        label::check(&mut model, &mut errors);
        (model, errors)
    }
}
