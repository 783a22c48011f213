//! A constant and a unit type for each transition, and a marker for each state.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Visibility;

use super::{artefact, doc_text, with, with_list};
use crate::model::Model;
use crate::model::transition::Transition;
use crate::name;

pub(super) fn items(model: &Model) -> TokenStream {
    let types = types(model);
    let constants = constants(model);
    let impls = model.transitions.iter().map(|transition| impls(model, transition));
    quote!(#types #constants #(#impls)*)
}

/// In modules, so that they hide nothing that the user's types refer to.
fn types(model: &Model) -> TokenStream {
    let vis = in_module(&model.vis);
    let (states, transitions) = modules(model);
    let markers = model.states.iter().map(|state| marker(&state.ident));
    let types = model.transitions.iter().map(|transition| &transition.ty);
    quote! {
        mod #states {
            #(
                /// The state of this name, as a type.
                #vis enum #markers {}
            )*
        }
        mod #transitions {
            #(
                /// The transition of this name, as a type.
                #[::core::prelude::v1::derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
                #vis struct #types;
            )*
        }
    }
}

/// The modules of the markers and of the unit types.
fn modules(model: &Model) -> (Ident, Ident) {
    (name::module(&model.ident, "states"), name::module(&model.ident, "transitions"))
}

fn marker(state: &Ident) -> Ident {
    let mut marker = state.clone();
    marker.set_span(name::generated(state));
    marker
}

/// The same visibility one module further in.
fn in_module(vis: &Visibility) -> TokenStream {
    match vis {
        Visibility::Inherited => quote!(pub(super)),
        Visibility::Public(_) => quote!(pub),
        Visibility::Restricted(restricted) => {
            let path = &restricted.path;
            let first = path.segments.first().map(|first| first.ident.to_string());
            match first.as_deref() {
                Some("self") if path.segments.len() == 1 => quote!(pub(super)),
                Some("super") => quote!(pub(in super::#path)),
                _ => quote!(pub(in #path)),
            }
        }
    }
}

fn constants(model: &Model) -> TokenStream {
    let Model { vis, ident: flow, .. } = model;
    let (_, module) = modules(model);
    let constants = model.transitions.iter().map(|transition| {
        let Transition { constant, ty, docs, .. } = transition;
        let edge = edge(model, transition);
        let edge = if docs.is_empty() { edge } else { format!("\n{edge}") };
        quote! {
            #(#docs)*
            #[doc = #edge]
            #vis const #constant: #module::#ty = #module::#ty;
        }
    });
    quote! {
        #[automatically_derived]
        impl #flow { #(#constants)* }
    }
}

/// `A | B => C`, for the documentation.
fn edge(model: &Model, transition: &Transition) -> String {
    let name = |state: &usize| model.states[*state].ident.to_string();
    let from: Vec<_> = transition.from.iter().map(name).collect();
    let edge = format!("`{} => {}`", from.join(" | "), name(&transition.to));
    match &transition.after {
        Some(after) => format!("{edge}, taken by itself after {}.", after.literal.value()),
        None => edge,
    }
}

fn impls(model: &Model, transition: &Transition) -> TokenStream {
    let (flow, state, krate) = (&model.ident, &model.names.state, &model.names.krate);
    let Transition { ty, from, to, .. } = transition;
    let (states, transitions) = modules(model);
    let ident = |state: &usize| model.states[*state].ident.clone();
    let from: Vec<_> = from.iter().map(ident).collect();
    let to = ident(to);
    let name = &transition.stored.name;
    let persists = set(model, "Persists", &transition.persists);
    let loads = set(model, "Loads", &transition.loads);
    quote! {
        #[automatically_derived]
        impl #krate::Transition for #transitions::#ty
        where
            for<'__f> #flow: #krate::__private::Declared<'__f>,
        {
            type Flow = #flow;
            type To = #states::#to;
            #persists
            #loads
            const NAME: &'static ::core::primitive::str = #name;
            const FROM: &'static [#state] = &[#(#state::#from),*];
            const TO: #state = #state::#to;
        }
        #(
            #[automatically_derived]
            impl #krate::StartsFrom<#states::#from> for #transitions::#ty {}
        )*
    }
}

/// An associated type; the compiler shows the artefacts if something is wrong with it.
fn set(model: &Model, name: &str, artefacts: &[(usize, Ident)]) -> TokenStream {
    let span = artefacts.first().map_or_else(Span::call_site, |(_, ident)| name::generated(ident));
    let name = Ident::new(name, span);
    let ty = artefact::set(model, artefacts);
    quote_spanned!(span=> type #name = #ty;)
}

/// The list of transitions in the definition of the flow.
pub(super) fn definitions(model: &Model) -> TokenStream {
    let definitions = model.transitions.iter().map(|transition| definition(model, transition));
    quote!(&[#(#definitions),*])
}

fn definition(model: &Model, transition: &Transition) -> TokenStream {
    let krate = &model.names.krate;
    let state = |state: &usize| &model.states[*state].stored.name;
    let (name, to) = (&transition.stored.name, state(&transition.to));
    let from = transition.from.iter().map(state);
    let aliases = with_list("with_aliases", &transition.stored.aliases);
    let doc = with("with_doc", &doc_text(&transition.docs));
    let persists = with_list("persisting", &artefacts(model, &transition.persists));
    let loads = with_list("loading", &artefacts(model, &transition.loads));
    let after = transition.after.as_ref().map(|after| {
        let seconds = after.duration.as_secs();
        quote!(.taken_after(::core::time::Duration::from_secs(#seconds)))
    });
    quote! {
        #krate::TransitionDefinition::new(#name, &[#(#from),*], #to)
            #aliases #doc #persists #loads #after
    }
}

fn artefacts(model: &Model, set: &[(usize, Ident)]) -> Vec<String> {
    set.iter().map(|(artefact, _)| model.artefacts[*artefact].stored.name.clone()).collect()
}
