//! The trait with a method for each step, and how a worker is told of them.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;

use super::{artefact, at, docs_or, link, of_private_types, placed, step, transition};
use crate::model::Model;
use crate::model::step::{Kind, Step};
use crate::model::transition::Transition;
use crate::name::{self, generated};

/// The trait, if it has a method.
pub(super) fn item(model: &Model) -> Option<TokenStream> {
    if !has_methods(model) {
        return None;
    }
    let name = &model.names.steps;
    let place = generated(name);
    let (name, vis) = (at(name, place), placed(&model.vis, place));
    let line = format!(
        "The steps of {}, a method each, for workers on connections of one type.",
        link(&model.ident)
    );
    let conn = connection(model);
    let private = of_private_types(model);
    let steps = model.steps.iter().map(|step| methods(model, step, &conn));
    let timed = timed(model).map(|(_, transition)| expire(model, transition, &conn));
    Some(quote_spanned! {place=>
        #[doc = #line]
        #private
        #vis trait #name<#conn> { #(#steps)* #(#timed)* }
    })
}

fn has_methods(model: &Model) -> bool {
    !model.steps.is_empty() || timed(model).next().is_some()
}

/// The timed transitions in whose transaction a handler runs.
fn timed(model: &Model) -> impl Iterator<Item = (usize, &Transition)> {
    let all = model.transitions.iter().enumerate();
    all.filter(|(_, transition)| transition.within.is_some() && transition.after.is_some())
}

/// `C`, unless the user's types have that name.
fn connection(model: &Model) -> Ident {
    let mut names = model.artefacts.iter().map(|artefact| artefact.path().to_string());
    let is_taken = model.ident == "C" || names.any(|path| path.split(' ').any(|word| word == "C"));
    format_ident!("{}", if is_taken { "__C" } else { "C" })
}

fn methods(model: &Model, step: &Step, conn: &Ident) -> TokenStream {
    let krate = &model.names.krate;
    let Step { ident, ty, .. } = step;
    let plain = name::plain(ident);
    let docs = docs_or(&step.docs, &format!("Does the work of the step `{plain}`."));
    let stands = (step.kind == Kind::Transactional).then(|| {
        let running = &model.states[step.running.state].ident;
        let line = format!(
            "The record is in `{running}`, as its claim has left it: it moves on in this \
             transaction, with all that is written through `conn`, once this has returned."
        );
        quote!(#[doc = ""] #[doc = #line])
    });
    let loads = loads(model, step);
    let loads = loads.iter().map(|(name, path)| quote!(#name: #path));
    let connection = (step.kind == Kind::Transactional).then(|| quote!(conn: &mut #conn,));
    let returned = step::returned(model, step);
    let policy = policy(step);
    let policy_doc = format!("How `{plain}` is leased and tried, and how many of it run at once.");
    let within = (step.kind == Kind::Within).then(|| within_method(model, step, conn));
    let method = method(&step.method);
    quote! {
        #docs
        #stands
        fn #method(
            &self,
            flow: &#krate::Claim<#ty>,
            #(#loads,)*
            #connection
        ) -> ::core::result::Result<#returned, #krate::StepError>;

        #[doc = #policy_doc]
        fn #policy(&self) -> #krate::Policy {
            #krate::__private::policy()
        }

        #within
    }
}

fn within_method(model: &Model, step: &Step, conn: &Ident) -> TokenStream {
    let (krate, flow, ty) = (&model.names.krate, &model.ident, &step.ty);
    let line = format!(
        "Runs in the transaction that ends a try of `{}`, whichever way it ends. The record is still \
         in `{}`.",
        name::plain(&step.ident),
        model.states[step.running.state].ident
    );
    let method = within(&step.method);
    quote! {
        #[doc = #line]
        fn #method(
            &self,
            flow: &#krate::Record<#flow>,
            end: &#krate::StepEnd<'_, #ty>,
            conn: &mut #conn,
        ) -> ::core::result::Result<(), #krate::StepError>;
    }
}

fn expire(model: &Model, transition: &Transition, conn: &Ident) -> TokenStream {
    let (krate, flow) = (&model.names.krate, &model.ident);
    let line = format!(
        "Runs in the transaction in which a worker takes `{}`. The record is still in the state that \
         it leaves.",
        name::plain(&transition.ident)
    );
    let method = within(&transition.ident);
    quote! {
        #[doc = #line]
        fn #method(
            &self,
            flow: &#krate::Record<#flow>,
            conn: &mut #conn,
        ) -> ::core::result::Result<(), #krate::StepError>;
    }
}

/// A method with the name that the user wrote, as far as a method may have it; the compiler shows it
/// there.
fn method(ident: &Ident) -> Ident {
    let plain = name::plain(ident);
    let is_identifier = |text: &str| syn::parse_str::<Ident>(text).is_ok();
    let place = generated(ident);
    if is_identifier(&plain) {
        Ident::new(&plain, place)
    } else if is_identifier(&format!("r#{plain}")) {
        Ident::new_raw(&plain, place)
    } else {
        Ident::new(&format!("{plain}_"), place)
    }
}

fn policy(step: &Step) -> Ident {
    format_ident!("{}_policy", step.method.unraw(), span = generated(&step.ident))
}

fn within(ident: &Ident) -> Ident {
    format_ident!("{}_within", ident.unraw(), span = generated(ident))
}

/// What a handler is given: a parameter for each artefact, named after it.
fn loads(model: &Model, step: &Step) -> Vec<(Ident, TokenStream)> {
    let loads = artefact::loaded(model, &model.transitions[step.start]);
    let named = loads
        .map(|(artefact, ty)| (name::parameter(&artefact.ident, &["flow", "conn", "self"]), ty));
    named.collect()
}

pub(super) fn impls(model: &Model) -> TokenStream {
    let (flow, krate, steps) = (&model.ident, &model.names.krate, &model.names.steps);
    let registered = model.steps.iter().map(|step| register(model, step));
    let expires_alone = timed(model).next().is_none().then(|| {
        quote! {
            #[automatically_derived]
            impl #krate::ExpiresAlone for #flow where for<'__f> #flow: #krate::__private::Declared<'__f> {}
        }
    });
    let timed =
        timed(model).map(|(position, transition)| register_timed(model, position, transition));
    let bound = has_methods(model).then(|| quote!(#steps<__C> +));
    quote! {
        #expires_alone
        #[automatically_derived]
        impl<__C, __H> #krate::ServedBy<__H, __C> for #flow
        where
            for<'__f> #flow: #krate::__private::Declared<'__f>,
            __H: #bound ::core::marker::Send + ::core::marker::Sync + 'static,
        {
            fn register<__R: #krate::StepRegistry<__H, __C>>(registry: &mut __R) {
                #(#registered)*
                #(#timed)*
                registry.flow::<#flow>();
            }
        }
    }
}

fn register(model: &Model, step: &Step) -> TokenStream {
    let (ty, steps) = (&step.ty, &model.names.steps);
    let (method, policy) = (method(&step.method), policy(step));
    let names = super::variants::fields("__a", model.transitions[step.start].loads.len());
    let (register, conn) = match step.kind {
        Kind::Plain => (quote!(plain), None),
        Kind::Transactional => (quote!(transactional), Some(quote!(conn))),
        Kind::Within => (quote!(within), None),
    };
    let end = (step.kind == Kind::Within).then(|| {
        let within = within(&step.method);
        quote!(<__H as #steps<__C>>::#within)
    });
    let pattern = match &*names {
        [name] => quote!(#name),
        names => quote!((#(#names),*)),
    };
    let parameters = conn.clone().map(|conn| quote!(, #conn));
    quote! {
        registry.#register::<#ty>(
            <__H as #steps<__C>>::#policy,
            |handlers, flow, #pattern #parameters| {
                <__H as #steps<__C>>::#method(handlers, flow, #(#names,)* #conn)
            },
            #end
        );
    }
}

fn register_timed(model: &Model, position: usize, transition: &Transition) -> TokenStream {
    let (ty, within) = (transition::unit_path(model, position), within(&transition.ident));
    let steps = &model.names.steps;
    quote!(registry.timed::<#ty>(<__H as #steps<__C>>::#within);)
}
