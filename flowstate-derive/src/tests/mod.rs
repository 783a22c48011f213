//! The whole macro without a compiler: tokens in, tokens out.

mod correct;
mod expansion;
mod fuzz;
mod graphs;
mod lock;
mod mistakes;

use proc_macro2::TokenStream;

/// The messages of a derive, in order.
pub(crate) fn mistakes(input: &str) -> Vec<String> {
    let tokens: TokenStream = input.parse().expect("tokens");
    messages(&crate::derive(tokens))
}

/// The messages in an expansion, which must be a file of items.
fn messages(output: &TokenStream) -> Vec<String> {
    let file: syn::File = syn::parse2(output.clone()).expect("a file of items");
    let errors = file.items.iter().filter_map(|item| match item {
        syn::Item::Macro(item) if item.mac.path.segments.last()?.ident == "compile_error" => {
            item.mac.parse_body::<syn::LitStr>().ok()
        }
        _ => None,
    });
    errors.map(|text| text.value()).collect()
}
