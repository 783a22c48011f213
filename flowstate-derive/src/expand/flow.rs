//! `impl Flow`: the graph as data.

use proc_macro2::TokenStream;
use quote::quote;

use super::{artefact, doc_text, label, step, transition, version, with};
use crate::model::Model;
use crate::name;

pub(super) fn impls(model: &Model) -> TokenStream {
    let Model { ident, names, .. } = model;
    let outcome = &names.outcome;
    let (state, record, krate, name) =
        (&names.state, &names.record, &names.krate, &names.stored.name);
    let initial = &model.states[model.initial].stored.name;
    let doc = with("with_doc", &doc_text(&model.docs));
    let transitions = transition::definitions(model);
    let artefacts = artefact::definitions(model);
    let steps = step::definitions(model);
    let groups = transition::group_definitions(model);
    let with_steps = (!model.steps.is_empty()).then(|| quote!(.with_steps(__STEPS)));
    let with_groups = (!model.groups.is_empty()).then(|| quote!(.with_groups(#groups)));
    let secrets: Vec<_> = names.secrets.iter().map(name::plain).collect();
    let with_secrets = (!secrets.is_empty()).then(|| quote!(.with_secrets(&[#(#secrets),*])));
    let (with_labels, labels) = label::of_flow(model);
    let constants = label::constants(model);
    let aliases = &names.stored.aliases;
    let with_aliases = (!aliases.is_empty()).then(|| quote!(.with_aliases(&[#(#aliases),*])));
    let with_version = version::with(&names.version);
    let reader = version::reader(model, &names.version, ident);
    let (artefact_of, lock) = (artefact::by_name(model), lock(model));
    quote! {
        #constants

        const __TRANSITIONS: &[#krate::TransitionDefinition] = #transitions;
        const __ARTEFACTS: &[#krate::ArtefactDefinition] = #artefacts;
        #steps

        #[automatically_derived]
        impl #krate::__private::Derived for #ident {}

        #[automatically_derived]
        impl #krate::Flow for #ident {
            type State = #state;
            type Record = #record;
            type Outcome = #outcome;
            const DEFINITION: &'static #krate::Definition =
                &#krate::Definition::new(#name, #initial)
                    #doc
                    #with_aliases
                    .with_states(__STATES)
                    .with_transitions(__TRANSITIONS)
                    .with_artefacts(__ARTEFACTS)
                    #with_steps
                    #with_groups
                    #with_labels
                    #with_secrets
                    #with_version;

            #reader

            #labels
            #artefact_of
            #lock
        }
    }
}

/// The lock file, so that the build follows it.
fn lock(model: &Model) -> Option<TokenStream> {
    let krate = &model.names.krate;
    let path = format!("/{}", model.lock.as_ref()?.path);
    let path = quote!(::core::concat!(::core::env!("CARGO_MANIFEST_DIR"), #path));
    Some(quote! {
        const LOCK: ::core::option::Option<#krate::lock::LockFile> = ::core::option::Option::Some(
            #krate::lock::LockFile::new(#path, ::core::include_str!(#path))
        );
    })
}
