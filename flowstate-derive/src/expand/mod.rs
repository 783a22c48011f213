//! What is generated: one file an item.

mod artefact;
mod flow;
mod label;
mod outcome;
mod record;
mod serve;
mod state;
mod step;
mod transition;
mod variants;
mod version;

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::Attribute;

use crate::model::Model;
use crate::model::artefact::Artefact;
use crate::name;

/// The items of a flow: what users name stands outside, the rest in an unnamed constant.
///
/// After a mistake every transition may follow every other one: which it was is not known.
pub(crate) fn flow(model: &Model, is_wrong: bool) -> TokenStream {
    let state = state::item(model);
    let record = record::item(model);
    let artefacts = artefact::items(model);
    let outcome = outcome::item(model);

    let types = transition::types(model);
    let steps = step::items(model);

    let state_impls = state::impls(model);
    if !model.is_possible {
        return quote! {
            #state #record #artefacts #outcome #types #steps
            const _: () = { #state_impls };
        };
    }
    let served = serve::item(model);
    let record_impls = record::impls(model);
    let artefact_impls = artefact::impls(model);
    let transitions = transition::items(model, is_wrong);
    let flow = flow::impls(model);
    let outcome_impls = outcome::impls(model);
    let step_impls = step::impls(model);
    let served_impls = serve::impls(model);
    quote! {
        #state
        #record
        #artefacts
        #outcome
        #types
        #steps
        #served
        const _: () = {
            #state_impls
            #record_impls
            #artefact_impls
            #transitions
            #flow
            #outcome_impls
            #step_impls
            #served_impls
        };
    }
}

/// The user's doc comments, or this line in their place.
fn docs_or(docs: &[Attribute], line: &str) -> TokenStream {
    if docs.is_empty() { quote!(#[doc = #line]) } else { quote!(#(#docs)*) }
}

/// The text of doc comments, as far as the derive can know it.
fn doc_text<'a>(docs: impl IntoIterator<Item = &'a Attribute>) -> String {
    let lines: Vec<String> = docs.into_iter().filter_map(doc_line).collect();
    lines.join("\n").trim().to_owned()
}

fn doc_line(doc: &Attribute) -> Option<String> {
    let value = &doc.meta.require_name_value().ok()?.value;
    let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) = value else { return None };
    let text = text.value();
    Some(text.strip_prefix(' ').map_or(text.clone(), str::to_owned))
}

/// For items that name artefacts: that one of the user's types is seen less far than the flow is
/// said once, at its transitions.
fn of_private_types(model: &Model) -> Option<TokenStream> {
    let is_foreign = |artefact: &Artefact| !artefact.ty.is_generated();
    model.artefacts.iter().any(is_foreign).then(|| quote!(#[allow(private_interfaces)]))
}

/// A link to the item in a doc line; a raw name cannot be linked to.
fn link(ident: &Ident) -> String {
    let name = ident.to_string();
    if name.starts_with("r#") { format!("`{}`", name::plain(ident)) } else { format!("[`{name}`]") }
}

/// The name at another place.
fn at(ident: &Ident, place: Span) -> Ident {
    let mut ident = ident.clone();
    ident.set_span(place);
    ident
}

/// Tokens that stand at another place, and otherwise are what they were.
fn placed(tokens: &impl ToTokens, place: Span) -> TokenStream {
    let tokens = tokens.to_token_stream().into_iter().map(|mut token| {
        if let TokenTree::Group(group) = &token {
            let mut inner = Group::new(group.delimiter(), placed(&group.stream(), place));
            inner.set_span(group.span());
            token = inner.into();
        }
        token.set_span(token.span().located_at(place));
        token
    });
    tokens.collect()
}

/// A `.with_…("…")` call, unless there is nothing to say.
fn with(method: &str, text: &str) -> TokenStream {
    if text.is_empty() {
        return TokenStream::new();
    }
    let method = Ident::new(method, Span::call_site());
    quote!(.#method(#text))
}

/// A `.with_…(&[…])` call, unless there is nothing to say.
fn with_list(method: &str, texts: &[String]) -> TokenStream {
    if texts.is_empty() {
        return TokenStream::new();
    }
    let method = Ident::new(method, Span::call_site());
    quote!(.#method(&[#(#texts),*]))
}
