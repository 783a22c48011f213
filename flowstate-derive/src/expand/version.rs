//! What reads earlier versions of a payload.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned as _;

use super::placed;
use crate::model::Model;
use crate::model::version::Version;

/// The constant `VERSION`, unless the flow has it of its definition.
pub(super) fn constant(version: &Version) -> Option<TokenStream> {
    let number = version.number;
    (number > 1).then(|| quote!(const VERSION: ::core::primitive::u32 = #number;))
}

/// A `.with_version(…)` call, unless it is the first.
pub(super) fn with(version: &Version) -> Option<TokenStream> {
    let number = version.number;
    (number > 1).then(|| quote!(.with_version(#number)))
}

/// The method that reads earlier versions of the type `ty`, unless there are none.
pub(super) fn reader(model: &Model, version: &Version, ty: &impl ToTokens) -> Option<TokenStream> {
    if version.former.is_empty() {
        return None;
    }
    let krate = &model.names.krate;
    let serde = quote!(#krate::__private::serde);
    // each earlier version becomes the next one
    let name = |at: usize| -> Ident { format_ident!("__from_{}", at + 1) };
    let steps = version.former.iter().enumerate().map(|(at, former)| {
        let from = name(at);
        let next = version.former.get(at + 1);
        let becomes = next.map_or_else(|| ty.to_token_stream(), ToTokens::to_token_stream);
        let next = next.map(|_| name(at + 1));
        let place = former.span();
        // a missing `From` is shown at the earlier type, which is what was added
        let becomes = placed(&becomes, place);
        let converted = quote_spanned! {place=>
            <#becomes as ::core::convert::From<#former>>::from(payload)
        };
        let converted = next.map_or_else(|| converted.clone(), |next| quote!(#next(#converted)));
        quote!(fn #from(payload: #former) -> #ty { #converted })
    });
    let arms = (1_u32..).zip(version.former.iter().enumerate()).map(|(number, (at, former))| {
        let from = name(at);
        let read = quote_spanned! {former.span()=>
            <#former as #serde::Deserialize<'__de>>::deserialize(payload)
        };
        quote!(#number => ::core::result::Result::map(#read, #from),)
    });
    Some(quote! {
        fn read_version<'__de, __D: #serde::Deserializer<'__de>>(
            version: ::core::primitive::u32,
            payload: __D,
        ) -> ::core::result::Result<Self, __D::Error> {
            #(#steps)*
            match version {
                #(#arms)*
                _ => <Self as #serde::Deserialize<'__de>>::deserialize(payload),
            }
        }
    })
}
