//! Every mistake, at its token, all at once.

use std::fmt::Display;

use proc_macro2::TokenStream;
use quote::ToTokens;

/// Collects mistakes; its tokens are one `compile_error!` for each.
#[derive(Default)]
#[must_use = "mistakes nobody emits are lost"]
pub(crate) struct Errors {
    list: Vec<syn::Error>,
    gaps: usize,
}

impl Errors {
    /// A mistake that the tokens show, and behind which it is known what was meant.
    pub(crate) fn at(&mut self, tokens: impl ToTokens, message: impl Display) {
        self.push(syn::Error::new_spanned(tokens, message));
    }

    /// A mistake that the tokens show, and behind which something is missing that was meant.
    pub(crate) fn gap(&mut self, tokens: impl ToTokens, message: impl Display) {
        self.at(tokens, message);
        self.lose();
    }

    /// A mistake that was read past.
    pub(crate) fn push(&mut self, error: syn::Error) {
        self.list.push(error);
    }

    /// The value; or its mistake is kept, and the value is missing.
    pub(crate) fn keep<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result
            .map_err(|error| {
                self.push(error);
                self.lose();
            })
            .ok()
    }

    /// Something is missing that was meant.
    pub(crate) fn lose(&mut self) {
        self.gaps += 1;
    }

    /// Takes over those of another collector.
    pub(crate) fn extend(&mut self, others: Self) {
        self.list.extend(others.list);
        self.gaps += others.gaps;
    }

    /// Takes over those of another collector that miss nothing which matters here.
    pub(crate) fn extend_whole(&mut self, others: Self) {
        self.list.extend(others.list);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.list.len()
    }

    /// How much is missing: more than before means that a name may be declared in what was lost.
    pub(crate) fn gaps(&self) -> usize {
        self.gaps
    }
}

impl ToTokens for Errors {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(self.list.iter().map(syn::Error::to_compile_error));
    }
}
