//! Labels: a constant for each, and how their values are read from the props.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use crate::model::Model;
use crate::name;

/// The constants, by which queries name labels.
pub(super) fn constants(model: &Model) -> TokenStream {
    let Model { vis, ident, names, .. } = model;
    let krate = &names.krate;
    let constants = names.labels.iter().map(|label| {
        let (constant, plain) = (name::constant(label), name::plain(label));
        let line = format!("The label `{plain}`, that records are looked up by.");
        quote! {
            #[doc = #line]
            #vis const #constant: #krate::Label<#ident> = #krate::Label::new(#plain);
        }
    });
    if names.labels.is_empty() {
        return TokenStream::new();
    }
    quote! {
        #[automatically_derived]
        impl #ident { #(#constants)* }
    }
}

/// The call for the definition, and the method that reads them.
pub(super) fn of_flow(model: &Model) -> (TokenStream, TokenStream) {
    let krate = &model.names.krate;
    let labels = &model.names.labels;
    if labels.is_empty() {
        return (TokenStream::new(), TokenStream::new());
    }
    let plain: Vec<_> = labels.iter().map(name::plain).collect();
    let values = labels.iter().zip(&plain).map(|(label, plain)| {
        // said of the prop, if its type is no value of a label
        quote_spanned! {label.span()=>
            (#plain, #krate::LabelValue::label(&self.#label))
        }
    });
    let method = quote! {
        fn labels(
            &self,
        ) -> #krate::__private::Vec<(&'static ::core::primitive::str, #krate::__private::String)> {
            #krate::__private::labels([#(#values),*])
        }
    };
    (quote!(.with_labels(&[#(#plain),*])), method)
}
