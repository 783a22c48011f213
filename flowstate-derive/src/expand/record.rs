//! The wrapper round `Record`, on which users define their methods.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use super::{at, link, placed};
use crate::model::Model;
use crate::name::generated;

pub(super) fn item(model: &Model) -> TokenStream {
    let Model { vis, ident, names, .. } = model;
    let (name, krate) = (&names.record, &names.krate);
    if !model.is_possible {
        return quote!(#vis struct #name;);
    }
    let place = generated(name);
    let (name, vis) = (at(name, place), placed(vis, place));
    let line = format!("One persisted {}: define its methods here.", link(ident));
    quote_spanned! {place=>
        #[doc = #line]
        #[::core::prelude::v1::derive(::core::clone::Clone, ::core::fmt::Debug)]
        #vis struct #name(#krate::Record<#ident>);
    }
}

pub(super) fn impls(model: &Model) -> TokenStream {
    let Model { ident, names, .. } = model;
    let (name, krate) = (&names.record, &names.krate);
    quote! {
        #[automatically_derived]
        impl ::core::convert::From<#krate::Record<#ident>> for #name {
            fn from(record: #krate::Record<#ident>) -> Self {
                Self(record)
            }
        }

        #[automatically_derived]
        impl ::core::convert::From<#name> for #krate::Record<#ident> {
            fn from(record: #name) -> Self {
                record.0
            }
        }

        #[automatically_derived]
        impl ::core::ops::Deref for #name {
            type Target = #krate::Record<#ident>;

            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }

        #[automatically_derived]
        impl ::core::ops::DerefMut for #name {
            fn deref_mut(&mut self) -> &mut Self::Target {
                &mut self.0
            }
        }
    }
}
