//! The enum of the states.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use super::{at, doc_text, docs_or, link, placed, with, with_list};
use crate::graph;
use crate::model::Model;
use crate::model::state::State;
use crate::name;

pub(super) fn item(model: &Model) -> TokenStream {
    let Model { vis, names, .. } = model;
    let name = &names.state;
    let line = format!("The states of {}, in the order of declaration.", link(&model.ident));
    let variants = model.states.iter().map(variant);
    let place = name::generated(name);
    let (name, vis) = (at(name, place), placed(vis, place));
    quote_spanned! {place=>
        #[doc = #line]
        #[::core::prelude::v1::derive(
            ::core::clone::Clone,
            ::core::marker::Copy,
            ::core::cmp::PartialEq,
            ::core::cmp::Eq,
            ::core::hash::Hash,
            ::core::fmt::Debug,
        )]
        #vis enum #name { #(#variants),* }
    }
}

fn variant(state: &State) -> TokenStream {
    let kind = match (state.is_error, state.is_completed, state.destroys) {
        (true, ..) => "A failure state",
        (_, true, true) => "A completed state, which deletes the record",
        (_, true, _) => "A completed state",
        _ => "A state",
    };
    let docs = docs_or(&state.docs, &format!("{kind}, stored as `{}`.", state.stored.name));
    let ident = &state.ident;
    quote!(#docs #ident)
}

pub(super) fn impls(model: &Model) -> TokenStream {
    let inherent = inherent(model);
    let traits = traits(model);
    let serde = serde(model);
    quote!(#inherent #traits #serde)
}

fn inherent(model: &Model) -> TokenStream {
    let Model { vis, names, states, .. } = model;
    let (name, krate) = (&names.state, &names.krate);
    let idents = states.iter().map(|state| &state.ident);
    let kept = model.lock.as_ref().map(|_| graph::kept(model)).unwrap_or_default();
    let none = Vec::new();
    let definitions = states.iter().enumerate().map(|(at, state)| {
        let has = kept.get(at).unwrap_or(&none).iter();
        let has: Vec<_> =
            has.map(|artefact| model.artefacts[*artefact].stored.name.clone()).collect();
        definition(model, state, &has)
    });
    let count = states.len();
    quote! {
        const __STATES: &[#krate::StateDefinition; #count] = &[#(#definitions),*];
        const __ALL: &[#name] = &[#(#name::#idents),*];

        #[automatically_derived]
        impl #name {
            /// Every state, in the order of declaration.
            #vis const ALL: &'static [Self] = __ALL;

            /// The stored name.
            #[must_use]
            #vis const fn as_str(self) -> &'static ::core::primitive::str {
                __STATES[self as ::core::primitive::usize].name
            }

            /// Whether this state stands for a failure.
            #[must_use]
            #vis const fn is_error(self) -> ::core::primitive::bool {
                __STATES[self as ::core::primitive::usize].is_error
            }

            /// Whether the process has ended here.
            #[must_use]
            #vis const fn is_completed(self) -> ::core::primitive::bool {
                __STATES[self as ::core::primitive::usize].is_completed
            }
        }
    }
}

fn definition(model: &Model, state: &State, has: &[String]) -> TokenStream {
    let krate = &model.names.krate;
    let (stored, variant) = (&state.stored.name, name::plain(&state.ident));
    let aliases = with_list("with_aliases", &state.stored.aliases);
    let doc = with("with_doc", &doc_text(&state.docs));
    let error = state.is_error.then(|| quote!(.error()));
    let destroys = state.destroys;
    let completed = state.is_completed.then(|| quote!(.completed(#destroys)));
    let has = with_list("having", has);
    quote!(#krate::StateDefinition::new(#stored, #variant) #aliases #doc #error #completed #has)
}

fn traits(model: &Model) -> TokenStream {
    let (name, krate, flow) = (&model.names.state, &model.names.krate, &model.names.stored.name);
    quote! {
        #[automatically_derived]
        impl #krate::__private::Derived for #name {}

        #[automatically_derived]
        impl #krate::State for #name {
            const ALL: &'static [Self] = __ALL;

            fn definition(self) -> &'static #krate::StateDefinition {
                &__STATES[self as ::core::primitive::usize]
            }
        }

        #[automatically_derived]
        impl ::core::fmt::Display for #name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.pad(self.as_str())
            }
        }

        #[automatically_derived]
        impl ::core::str::FromStr for #name {
            type Err = #krate::UnknownState;

            fn from_str(
                name: &::core::primitive::str,
            ) -> ::core::result::Result<Self, #krate::UnknownState> {
                #krate::__private::parse_state(#flow, name)
            }
        }
    }
}

fn serde(model: &Model) -> TokenStream {
    let (name, krate) = (&model.names.state, &model.names.krate);
    let serde = quote!(#krate::__private::serde);
    quote! {
        #[automatically_derived]
        impl #serde::Serialize for #name {
            fn serialize<__S: #serde::Serializer>(
                &self,
                serializer: __S,
            ) -> ::core::result::Result<__S::Ok, __S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        #[automatically_derived]
        impl<'de> #serde::Deserialize<'de> for #name {
            fn deserialize<__D: #serde::Deserializer<'de>>(
                deserializer: __D,
            ) -> ::core::result::Result<Self, __D::Error> {
                #krate::__private::deserialize_state(deserializer)
            }
        }
    }
}
