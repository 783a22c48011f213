//! What the generated enums of artefacts can do if their artefacts can.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};

use crate::model::Model;

/// Names for the fields of a variant.
pub(super) fn fields(prefix: &str, count: usize) -> Vec<Ident> {
    (0..count).map(|at| format_ident!("{prefix}{at}", span = Span::call_site())).collect()
}

/// `Debug`, `Clone`, `PartialEq` and `Eq`, each where every artefact has it.
pub(super) fn impls(model: &Model, ty: &Ident, arms: &[(&Ident, Vec<TokenStream>)]) -> TokenStream {
    let paths: Vec<_> = arms.iter().flat_map(|(_, paths)| paths).collect();
    let (debug, clone, equal) = (debug(arms), clone(arms), equal(arms));
    let krate = &model.names.krate;
    quote! {
        #[automatically_derived]
        impl ::core::fmt::Debug for #ty
        where
            #(for<'__f> &'__f #paths: ::core::fmt::Debug,)*
        {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                #debug
            }
        }

        #[automatically_derived]
        impl ::core::clone::Clone for #ty
        where
            #(for<'__f> #paths: #krate::__private::Clonable<'__f>,)*
        {
            fn clone(&self) -> Self {
                #clone
            }
        }

        #[automatically_derived]
        impl ::core::cmp::PartialEq for #ty
        where
            #(for<'__f> &'__f #paths: ::core::cmp::PartialEq<&'__f #paths>,)*
        {
            fn eq(&self, other: &Self) -> ::core::primitive::bool {
                #equal
            }
        }

        #[automatically_derived]
        impl ::core::cmp::Eq for #ty
        where
            #(for<'__f> &'__f #paths: ::core::cmp::Eq,)*
        {
        }
    }
}

/// A match with an arm for each variant; without variants there is nothing to match.
fn of_self(
    arms: &[(&Ident, Vec<TokenStream>)],
    arm: impl Fn(&Ident, &[Ident]) -> TokenStream,
) -> TokenStream {
    let arms = arms.iter().map(|(variant, paths)| {
        let fields = fields("__a", paths.len());
        let pattern = (!fields.is_empty()).then(|| quote!((#(#fields),*)));
        let body = arm(variant, &fields);
        quote!(Self::#variant #pattern => #body,)
    });
    // a reference to what has no variants is matched by its place
    let subject = if arms.len() == 0 { quote!(*self) } else { quote!(self) };
    quote!(match #subject { #(#arms)* })
}

fn debug(arms: &[(&Ident, Vec<TokenStream>)]) -> TokenStream {
    of_self(arms, |variant, fields| {
        let name = crate::name::plain(variant);
        quote!(f.debug_tuple(#name) #(.field(&#fields))* .finish())
    })
}

fn clone(arms: &[(&Ident, Vec<TokenStream>)]) -> TokenStream {
    of_self(arms, |variant, fields| {
        let fields =
            (!fields.is_empty()).then(|| quote!((#(::core::clone::Clone::clone(#fields)),*)));
        quote!(Self::#variant #fields)
    })
}

fn equal(arms: &[(&Ident, Vec<TokenStream>)]) -> TokenStream {
    if arms.is_empty() {
        return quote!({
            let _ = other;
            match *self {}
        });
    }
    let cases = arms.iter().map(|(variant, paths)| {
        let (mine, theirs) = (fields("__a", paths.len()), fields("__b", paths.len()));
        let pattern = |fields: &[Ident]| (!fields.is_empty()).then(|| quote!((#(#fields),*)));
        let (left, right) = (pattern(&mine), pattern(&theirs));
        let equal = mine.iter().zip(&theirs).map(|(mine, theirs)| quote!(&& #mine == #theirs));
        quote!((Self::#variant #left, Self::#variant #right) => true #(#equal)*,)
    });
    let otherwise = (arms.len() > 1).then(|| quote!(_ => false,));
    quote!(match (self, other) { #(#cases)* #otherwise })
}
