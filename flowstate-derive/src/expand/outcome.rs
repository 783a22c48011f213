//! The enum of a flow's results.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};

use super::{at, link, of_private_types, placed, variants};
use crate::graph;
use crate::model::Model;
use crate::name::generated;

/// The completed states of which something can be read, each with the artefacts that are there.
pub(super) fn arms(model: &Model) -> Vec<(&Ident, Vec<TokenStream>)> {
    let kept = graph::kept(model);
    let states = model.states.iter().zip(kept);
    states
        .filter(|(state, _)| state.is_completed && !state.destroys)
        .map(|(state, kept)| {
            let paths = kept.iter().map(|artefact| model.artefacts[*artefact].path());
            (&state.ident, paths.collect())
        })
        .collect()
}

pub(super) fn item(model: &Model) -> TokenStream {
    let name = &model.names.outcome;
    let place = generated(name);
    let (name, vis) = (at(name, place), placed(&model.vis, place));
    let line = format!(
        "What a {} ended with: a completed state, and the artefacts that every path to it has \
         persisted.",
        link(&model.ident)
    );
    let private = of_private_types(model);
    let arms = arms(model);
    let arms = arms.iter().map(|(state, paths)| {
        let doc = format!("It ended in `{state}`.");
        let fields = (!paths.is_empty()).then(|| quote!((#(#paths),*)));
        quote!(#[doc = #doc] #state #fields)
    });
    quote_spanned! {place=>
        #[doc = #line]
        #private
        #vis enum #name { #(#arms),* }
    }
}

pub(super) fn impls(model: &Model) -> TokenStream {
    let (name, krate, flow) = (&model.names.outcome, &model.names.krate, &model.ident);
    let arms = arms(model);
    let of_artefacts = variants::impls(model, name, &arms);
    let states = &model.names.state;
    let is_all = arms.len() == model.states.len();
    let arms = arms.iter().map(|(state, paths)| {
        let reads = paths
            .iter()
            .map(|path| quote!(#krate::ArtefactReader::<#flow>::read::<#path>(reader)?));
        let fields = (!paths.is_empty()).then(|| quote!((#(#reads),*)));
        quote! {
            #states::#state => ::core::result::Result::Ok(
                ::core::option::Option::Some(Self::#state #fields)
            ),
        }
    });
    let otherwise =
        (!is_all).then(|| quote!(_ => ::core::result::Result::Ok(::core::option::Option::None),));
    quote! {
        #of_artefacts

        #[automatically_derived]
        impl #krate::FlowOutcome<#flow> for #name
        where
            for<'__f> #flow: #krate::__private::Declared<'__f>,
        {
            fn read<__R: #krate::ArtefactReader<#flow>>(
                state: #states,
                reader: &mut __R,
            ) -> ::core::result::Result<::core::option::Option<Self>, __R::Error> {
                let _ = &reader;
                match state { #(#arms)* #otherwise }
            }
        }
    }
}
