//! A constant and a unit type for each step, and the enum of its outcomes.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use super::{
    artefact, at, doc_text, docs_or, link, of_private_types, placed, transition, variants, with,
    with_list,
};
use crate::model::Model;
use crate::model::step::{Kind, Outcome, Step};
use crate::name::{self, generated};

/// What users name.
pub(super) fn items(model: &Model) -> TokenStream {
    let steps = model.steps.iter();
    let items = steps.map(|step| {
        let unit = unit(model, step);
        let outcomes = outcomes(model, step);
        quote!(#unit #outcomes)
    });
    items.collect()
}

fn unit(model: &Model, step: &Step) -> TokenStream {
    let place = step.ty.span();
    let (ty, vis) = (&step.ty, placed(&model.vis, place));
    let line = format!(
        "The step `{}` of {}: `{}::{}` is its value.",
        name::plain(&step.ident),
        link(&model.ident),
        model.ident,
        step.constant
    );
    quote_spanned! {place=>
        #[doc = #line]
        #[::core::prelude::v1::derive(::core::clone::Clone, ::core::marker::Copy)]
        #vis struct #ty;
    }
}

fn outcomes(model: &Model, step: &Step) -> Option<TokenStream> {
    let ty = step.outcome_ty()?;
    let place = generated(&step.ident);
    let (ty, vis) = (at(&ty, place), placed(&model.vis, place));
    let line = format!(
        "How the step `{}` of {} may end well.",
        name::plain(&step.ident),
        link(&model.ident)
    );
    let private = of_private_types(model);
    let arms = step.outcomes.iter().map(|outcome| {
        let state = &model.states[outcome.to.state].ident;
        let doc = format!("Leads to `{state}`.");
        let paths = paths(model, outcome);
        let fields = (!paths.is_empty()).then(|| quote!((#(#paths),*)));
        quote!(#[doc = #doc] #state #fields)
    });
    Some(quote_spanned! {place=>
        #[doc = #line]
        #private
        #vis enum #ty { #(#arms),* }
    })
}

/// The types that an outcome persists.
fn paths(model: &Model, outcome: &Outcome) -> Vec<TokenStream> {
    let persists = &model.transitions[outcome.transition].persists;
    persists.iter().map(|(artefact, _)| model.artefacts[*artefact].path()).collect()
}

/// What a handler returns.
pub(super) fn returned(model: &Model, step: &Step) -> TokenStream {
    match (step.outcome_ty(), &*step.outcomes) {
        (None, [outcome, ..]) => {
            artefact::set(model, &model.transitions[outcome.transition].persists)
        }
        (ty, _) => quote!(#ty),
    }
}

/// What stands in the constant without a name.
pub(super) fn impls(model: &Model) -> TokenStream {
    let (flow, vis) = (&model.ident, &model.vis);
    let constants = model.steps.iter().map(|step| {
        let Step { constant, ty, docs, .. } = step;
        let docs = docs_or(docs, &format!("The step `{}`.", name::plain(&step.ident)));
        quote!(#docs #vis const #constant: #ty = #ty;)
    });
    let constants = (!model.steps.is_empty()).then(|| {
        quote! {
            #[automatically_derived]
            impl #flow { #(#constants)* }
        }
    });
    let impls = model.steps.iter().enumerate().map(|(at, step)| {
        let outcome = step.outcome_ty().map(|ty| {
            let arms = step
                .outcomes
                .iter()
                .map(|outcome| (&model.states[outcome.to.state].ident, paths(model, outcome)));
            let of_artefacts = variants::impls(model, &ty, &arms.collect::<Vec<_>>());
            let outcome = outcome_impl(model, step);
            quote!(#of_artefacts #outcome)
        });
        let step = step_impl(model, step, at);
        quote!(#step #outcome)
    });
    quote!(#constants #(#impls)*)
}

fn step_impl(model: &Model, step: &Step, position: usize) -> TokenStream {
    let (flow, krate, ty) = (&model.ident, &model.names.krate, &step.ty);
    let unit = |position: usize| transition::unit_path(model, position);
    let (start, fail) = (unit(step.start), unit(step.fail));
    let give_up = unit(step.give_up.unwrap_or(step.fail));
    let loads = artefact::loads(model, &model.transitions[step.start]);
    let returned = returned(model, step);
    let ends_alone = (step.kind != Kind::Within).then(|| {
        quote_spanned! {step.ty.span()=>
            #[automatically_derived]
            impl #krate::EndsAlone for #ty {}
        }
    });
    quote_spanned! {step.ty.span()=>
        #[automatically_derived]
        impl #krate::Step for #ty
        {
            type Flow = #flow;
            type Start = #start;
            type Fail = #fail;
            type GiveUp = #give_up;
            type Loads = #loads;
            type Outcome = #returned;
            const DECLARED: #krate::__private::DeclaredStep =
                #krate::__private::DeclaredStep::new(&__STEPS[#position]);

        }
        #[automatically_derived]
        impl #krate::StartsStep for #start {}
        #ends_alone
    }
}

/// Which of several outcomes it is, and what it persists.
fn outcome_impl(model: &Model, step: &Step) -> Option<TokenStream> {
    let ty = step.outcome_ty()?;
    let (krate, flow) = (&model.names.krate, &model.ident);
    let count = |outcome: &Outcome| model.transitions[outcome.transition].persists.len();
    let states: Vec<_> =
        step.outcomes.iter().map(|outcome| &model.states[outcome.to.state].ident).collect();
    let positions = 0..step.outcomes.len();
    let rest = step.outcomes.iter().map(|outcome| (count(outcome) > 0).then(|| quote!((..))));
    let writes = step.outcomes.iter().map(|outcome| {
        let fields = variants::fields("__a", count(outcome));
        let pattern = (!fields.is_empty()).then(|| quote!((#(#fields),*)));
        quote!(#pattern => { #(#krate::ArtefactWriter::write(writer, #fields)?;)* })
    });
    Some(quote! {
        #[automatically_derived]
        impl #krate::StepOutcome<#flow> for #ty
        where
            for<'__f> #flow: #krate::__private::Declared<'__f>,
        {
            fn position(&self) -> ::core::primitive::usize {
                match self { #(Self::#states #rest => #positions,)* }
            }

            fn write_to<__W: #krate::ArtefactWriter<#flow>>(
                &self,
                writer: &mut __W,
            ) -> ::core::result::Result<(), __W::Error> {
                match self { #(Self::#states #writes)* }
                ::core::result::Result::Ok(())
            }
        }
    })
}

/// The list of steps in the definition of the flow.
pub(super) fn definitions(model: &Model) -> TokenStream {
    let krate = &model.names.krate;
    let count = model.steps.len();
    let steps = model.steps.iter().map(|step| definition(model, step));
    quote!(const __STEPS: &[#krate::StepDefinition; #count] = &[#(#steps),*];)
}

fn definition(model: &Model, step: &Step) -> TokenStream {
    let krate = &model.names.krate;
    let state = |state: usize| &model.states[state].stored.name;
    let transition = |transition: usize| &model.transitions[transition].stored.name;
    let from = step.from.iter().map(|from| state(*from));
    let (name, running) = (name::plain(&step.ident), state(step.running.state));
    let (start, fail) = (transition(step.start), transition(step.fail));
    let outcomes = step.outcomes.iter().map(|outcome| {
        let (transition, to) = (transition(outcome.transition), state(outcome.to.state));
        let persists = &model.transitions[outcome.transition].persists;
        let persists = with_list("persisting", &transition::artefacts(model, persists));
        let then: Vec<String> = outcome
            .then
            .iter()
            .map(|(then, _)| model.transitions[*then].stored.name.clone())
            .collect();
        let then = with_list("followed_by", &then);
        quote!(#krate::OutcomeDefinition::new(#transition, #to) #persists #then)
    });
    let doc = with("with_doc", &doc_text(&step.docs));
    let give_up = step.give_up.map(|give_up| with("giving_up", transition(give_up)));
    let loads = transition::artefacts(model, &model.transitions[step.start].loads);
    let loads = with_list("loading", &loads);
    let kind = match step.kind {
        Kind::Plain => None,
        Kind::Transactional => Some(quote!(.of_kind(#krate::StepKind::Transactional))),
        Kind::Within => Some(quote!(.of_kind(#krate::StepKind::Within))),
    };
    quote! {
        #krate::StepDefinition::new(#name, &[#(#from),*], #running, #start, #fail)
            .with_outcomes(&[#(#outcomes),*])
            #doc #give_up #loads #kind
    }
}
