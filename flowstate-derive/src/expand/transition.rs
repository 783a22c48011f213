//! A constant and a unit type for each transition, and a marker for each state.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::Visibility;

use super::{artefact, at, doc_text, docs_or, link, placed, with, with_list};
use crate::model::Model;
use crate::model::transition::Transition;
use crate::name::{self, generated};

pub(super) fn items(model: &Model, is_wrong: bool) -> TokenStream {
    let constants = constants(model);
    let impls = model.transitions.iter().map(|transition| impls(model, transition));
    let starts = model.transitions.iter().map(|transition| starts(model, transition, is_wrong));
    let open = open(model);
    quote!(#constants #open #(#impls #starts)*)
}

/// What every `*` stands for, written once: the size grows with the states and with the wildcards,
/// not with their product.
fn open(model: &Model) -> Option<TokenStream> {
    if !model.transitions.iter().any(|transition| transition.from_any) {
        return None;
    }
    let (flow, state, krate) = (&model.ident, &model.names.state, &model.names.krate);
    let (states, _) = modules(model);
    let open = || model.states.iter().filter(|state| !state.is_completed);
    let idents: Vec<_> = open().map(|state| &state.ident).collect();
    let names = open().map(|state| &state.stored.name);
    Some(quote! {
        #(
            #[automatically_derived]
            impl #krate::__private::Open<#flow> for #states::#idents {}
        )*
        const __OPEN: &[#state] = &[#(#state::#idents),*];
        const __OPEN_NAMES: &[&::core::primitive::str] = &[#(#names),*];
    })
}

/// In modules, so that they hide nothing that the user's types refer to.
pub(super) fn types(model: &Model) -> TokenStream {
    // as what is generated, so that lints do not blame the user's `pub`
    let outer = match &model.vis {
        Visibility::Public(_) => quote!(pub),
        vis => vis.to_token_stream(),
    };
    let line = format!("of {}, as types.", link(&model.ident));
    let (states_doc, transitions_doc) =
        (format!("The states {line}"), format!("The transitions {line}"));
    let vis = in_module(&model.vis);
    let (states, transitions) = modules(model);
    let markers = model.states.iter().map(|state| marker(&state.ident, &vis));
    let types = model.transitions.iter().map(|transition| unit(&transition.ty, &vis));
    quote! {
        #[doc = #states_doc]
        #outer mod #states { #(#markers)* }
        #[doc = #transitions_doc]
        #outer mod #transitions { #(#types)* }
    }
}

/// Placed where the user wrote the name: what the compiler says of it is shown there.
fn marker(state: &Ident, vis: &TokenStream) -> TokenStream {
    let span = generated(state);
    let (ident, vis) = (at(state, span), placed(vis, span));
    quote_spanned! {span=>
        /// The state of this name, as a type.
        #vis enum #ident {}
    }
}

fn unit(ty: &Ident, vis: &TokenStream) -> TokenStream {
    let vis = placed(vis, ty.span());
    quote_spanned! {ty.span()=>
        /// The transition of this name, as a type.
        #[::core::prelude::v1::derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
        #vis struct #ty;
    }
}

/// The modules of the markers and of the unit types.
fn modules(model: &Model) -> (Ident, Ident) {
    (name::module(&model.ident, "states"), name::module(&model.ident, "transitions"))
}

/// What is as visible one module further in.
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
    let groups = groups(model);
    quote! {
        #[automatically_derived]
        impl #flow { #(#constants)* #groups }
    }
}

/// The groups of states, as constants.
fn groups(model: &Model) -> TokenStream {
    let (vis, state) = (&model.vis, &model.names.state);
    let groups = model.groups.iter().filter(|group| group.is_constant).map(|group| {
        let constant = name::constant(&group.ident);
        let docs = docs_or(&group.docs, &format!("The states of the group `{}`.", group.ident));
        let states = group.states.iter().map(|state| &model.states[*state].ident);
        quote!(#docs #vis const #constant: &'static [#state] = &[#(#state::#states),*];)
    });
    groups.collect()
}

/// The list of groups in the definition of the flow.
pub(super) fn group_definitions(model: &Model) -> TokenStream {
    let krate = &model.names.krate;
    let groups = model.groups.iter().map(|group| {
        let name = name::plain(&group.ident);
        let states = group.states.iter().map(|state| &model.states[*state].stored.name);
        let doc = with("with_doc", &doc_text(&group.docs));
        quote!(#krate::GroupDefinition::new(#name, &[#(#states),*]) #doc)
    });
    quote!(&[#(#groups),*])
}

/// `A | B => C`, for the documentation.
fn edge(model: &Model, transition: &Transition) -> String {
    let name = |state: &usize| model.states[*state].ident.to_string();
    let from: Vec<_> = transition.from.iter().map(name).collect();
    let from = if transition.from_any { "*".to_owned() } else { from.join(" | ") };
    let edge = format!("`{from} => {}`", name(&transition.to));
    match &transition.after {
        Some(after) => format!("{edge}, taken by itself after {}.", after.literal.value()),
        None => edge,
    }
}

fn impls(model: &Model, transition: &Transition) -> TokenStream {
    let (flow, state, krate) = (&model.ident, &model.names.state, &model.names.krate);
    let Transition { ty, to, .. } = transition;
    let (states, transitions) = modules(model);
    let to = &model.states[*to].ident;
    let from = from(model, transition);
    let name = &transition.stored.name;
    let persists = artefact::set(model, &transition.persists);
    let persists = set("Persists", &transition.persists, &persists);
    let loads = set("Loads", &transition.loads, &artefact::loads(model, transition));
    let place = ty.span();
    let (flow, transitions) = (at(flow, place), at(&transitions, place));
    let krate = placed(krate, place);
    quote_spanned! {place=>
        #[automatically_derived]
        impl #krate::__private::Derived for #transitions::#ty {}

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
            const FROM: &'static [#state] = #from;
            const TO: #state = #state::#to;
        }

        #[automatically_derived]
        impl #krate::TransitionOf<#flow> for #transitions::#ty
        where
            for<'__f> #flow: #krate::__private::Declared<'__f>,
        {
            type Own = Self;
        }
    }
}

fn from(model: &Model, transition: &Transition) -> TokenStream {
    if transition.from_any {
        return quote!(__OPEN);
    }
    let state = &model.names.state;
    let from = transition.from.iter().map(|state| &model.states[*state].ident);
    quote!(&[#(#state::#from),*])
}

fn starts(model: &Model, transition: &Transition, is_wrong: bool) -> TokenStream {
    let (flow, krate) = (&model.ident, &model.names.krate);
    let Transition { ty, from, from_any, .. } = transition;
    let (states, transitions) = modules(model);
    if is_wrong {
        return quote! {
            #[automatically_derived]
            impl<__S> #krate::StartsFrom<__S> for #transitions::#ty {}
        };
    }
    if *from_any {
        return quote! {
            #[automatically_derived]
            impl<__S: #krate::__private::Open<#flow>> #krate::StartsFrom<__S> for #transitions::#ty {}
        };
    }
    let from = from.iter().map(|state| &model.states[*state].ident);
    quote! {
        #(
            #[automatically_derived]
            impl #krate::StartsFrom<#states::#from> for #transitions::#ty {}
        )*
    }
}

/// An associated type; the compiler shows the artefacts if something is wrong with it.
fn set(name: &str, artefacts: &[(usize, Ident)], ty: &TokenStream) -> TokenStream {
    let span = artefacts.first().map_or_else(Span::call_site, |(_, ident)| generated(ident));
    let name = Ident::new(name, span);
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
    let from = if transition.from_any { quote!(__OPEN_NAMES) } else { quote!(&[#(#from),*]) };
    let aliases = with_list("with_aliases", &transition.stored.aliases);
    let doc = with("with_doc", &doc_text(&transition.docs));
    let persists = with_list("persisting", &artefacts(model, &transition.persists));
    let loads = with_list("loading", &artefacts(model, &transition.loads));
    let is_optional = |(artefact, _): &&(usize, Ident)| transition.optional.contains(artefact);
    let optional: Vec<_> = transition.loads.iter().filter(is_optional).cloned().collect();
    let optional = with_list("with_optional", &artefacts(model, &optional));
    let after = transition.after.as_ref().map(|after| {
        let seconds = after.duration.as_secs();
        quote!(.taken_after(::core::time::Duration::from_secs(#seconds)))
    });
    let within = transition.within.as_ref().map(|_| quote!(.within()));
    let operator = transition.operator.as_ref().map(|_| quote!(.for_operators()));
    quote! {
        #krate::TransitionDefinition::new(#name, #from, #to)
            #aliases #doc #persists #loads #optional #after #within #operator
    }
}

/// The unit type of the transition at this position.
pub(super) fn unit_path(model: &Model, position: usize) -> TokenStream {
    let ty = &model.transitions[position].ty;
    let (_, transitions) = modules(model);
    quote!(#transitions::#ty)
}

/// The stored names of a set of artefacts.
pub(super) fn artefacts(model: &Model, set: &[(usize, Ident)]) -> Vec<String> {
    set.iter().map(|(artefact, _)| model.artefacts[*artefact].stored.name.clone()).collect()
}
