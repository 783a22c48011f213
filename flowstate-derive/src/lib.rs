//! The derive macro of `flowstate`. Use it through that crate.

mod attr;
mod errors;
mod expand;
mod graph;
mod lock;
mod model;
mod name;
#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;
use quote::quote;
use syn::DeriveInput;

use model::Model;

// Documented where `flowstate` exports it, so that its examples are compiled.
#[expect(missing_docs, reason = "see above")]
#[proc_macro_derive(
    Flow,
    attributes(state, initial, completed, persist, transition, step, group, flow)
)]
pub fn flow(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    derive(input.into()).into()
}

/// The whole macro: the mistakes as compile errors, and the items of what was understood.
fn derive(input: TokenStream) -> TokenStream {
    derive_with(input, &lock::of_the_crate)
}

/// The whole macro, where `read` gives the text of a lock file.
fn derive_with(input: TokenStream, read: &lock::Reader<'_>) -> TokenStream {
    let input: DeriveInput = match syn::parse2(input) {
        Ok(input) => input,
        Err(error) => return error.into_compile_error(),
    };
    let (mut model, mut errors) = Model::new(&input);
    model.lock = lock::read(&model, read, &mut errors);
    if model.is_whole {
        graph::explain(&model, &mut errors);
    }
    let items = expand::flow(&model, !errors.is_empty());
    quote!(#errors #items)
}
