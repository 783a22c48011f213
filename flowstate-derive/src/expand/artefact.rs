//! The structs of artefacts declared with a body, and what makes a type an artefact.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Field, Fields, Visibility};

use super::{at, link, placed, version, with_list};
use crate::model::Model;
use crate::model::artefact::{Artefact, Type};
use crate::model::transition::Transition;
use crate::name::{generated, module, plain};

pub(super) fn items(model: &Model) -> TokenStream {
    let alias = serde_alias(model).map(|alias| {
        let krate = &model.names.krate;
        quote!(use #krate::__private::serde as #alias;)
    });
    let items = model.artefacts.iter().map(|artefact| item(model, artefact));
    quote!(#alias #(#items)*)
}

/// Serde's derives take the path to serde as text, in which `$crate` cannot be written: then it has
/// a name of its own.
fn serde_alias(model: &Model) -> Option<Ident> {
    let first = &model.names.krate.segments.first()?.ident;
    let is_needed = model.artefacts.iter().any(|artefact| artefact.ty.is_generated());
    (first == "$crate" && is_needed).then(|| module(&model.ident, "serde"))
}

fn item(model: &Model, artefact: &Artefact) -> TokenStream {
    let Type::Generated { vis, fields } = &artefact.ty else { return TokenStream::new() };
    let Artefact { ident, attributes, stored, .. } = artefact;
    let line = format!("The artefact `{}` of {}.", stored.name, link(&model.ident));
    let line = artefact.docs().next().is_none().then(|| quote!(#[doc = #line]));
    let vis = or_of_flow(vis, model);
    let place = generated(ident);
    let body = body(model, artefact, fields, place);
    let krate = &model.names.krate;
    let serde = quote!(#krate::__private::serde);
    let path = serde_alias(model).map_or_else(|| serde.to_string(), |alias| alias.to_string());
    let path = path.replace(' ', "");
    let (ident, vis, serde) = (at(ident, place), placed(vis, place), placed(&serde, place));
    quote_spanned! {place=>
        #line
        #[::core::prelude::v1::derive(#serde::Serialize, #serde::Deserialize)]
        #[serde(crate = #path)]
        #(#attributes)*
        #vis struct #ident #body
    }
}

fn body(model: &Model, artefact: &Artefact, fields: &Fields, place: Span) -> TokenStream {
    let list = fields.iter().map(|field| self::field(model, artefact, field));
    if matches!(fields, Fields::Named(_)) {
        quote_spanned!(place=> { #(#list),* })
    } else {
        quote_spanned!(place=> (#(#list),*);)
    }
}

fn field(model: &Model, artefact: &Artefact, field: &Field) -> TokenStream {
    let Field { attrs, vis, ident, ty, .. } = field;
    let vis = or_of_flow(vis, model);
    let documented = attrs.iter().any(|attribute| attribute.path().is_ident("doc"));
    let Some(ident) = ident else { return quote!(#(#attrs)* #vis #ty) };
    let line = format!("The `{}` of `{}`.", plain(ident), artefact.ident);
    let line = (!documented).then(|| quote!(#[doc = #line]));
    quote!(#line #(#attrs)* #vis #ident: #ty)
}

fn or_of_flow<'a>(vis: &'a Visibility, model: &'a Model) -> &'a Visibility {
    if matches!(vis, Visibility::Inherited) { &model.vis } else { vis }
}

pub(super) fn impls(model: &Model) -> TokenStream {
    let artefacts = model.artefacts.iter().enumerate().map(|(at, artefact)| {
        let mut transitions = model.transitions.iter();
        let optional = transitions
            .any(|transition| transition.optional.contains(&at))
            .then(|| optional_impls_of(model, artefact));
        let impls = impls_of(model, artefact);
        quote!(#impls #optional)
    });
    artefacts.collect()
}

/// What makes one that may be missing a part of what a transition loads.
fn optional_impls_of(model: &Model, artefact: &Artefact) -> TokenStream {
    let (flow, krate, ty) = (&model.ident, &model.names.krate, artefact.path());
    let name = &artefact.stored.name;
    quote_spanned! {generated(&artefact.ident)=>
        #[automatically_derived]
        impl #krate::__private::Derived<#flow> for ::core::option::Option<#ty> {}

        #[automatically_derived]
        impl #krate::ArtefactSet<#flow> for ::core::option::Option<#ty>
        where
            for<'__f> #flow: #krate::__private::Declared<'__f>,
        {
            const NAMES: &'static [&'static ::core::primitive::str] = &[#name];

            fn write_to<__W: #krate::ArtefactWriter<#flow>>(
                &self,
                writer: &mut __W,
            ) -> ::core::result::Result<(), __W::Error> {
                match self {
                    ::core::option::Option::Some(artefact) => writer.write(artefact),
                    ::core::option::Option::None => ::core::result::Result::Ok(()),
                }
            }

            fn read_from<__R: #krate::ArtefactReader<#flow>>(
                reader: &mut __R,
            ) -> ::core::result::Result<Self, __R::Error> {
                reader.read_optional()
            }
        }
    }
}

fn impls_of(model: &Model, artefact: &Artefact) -> TokenStream {
    let flow = &model.ident;
    let krate = &model.names.krate;
    let ty = artefact.path();
    let name = &artefact.stored.name;
    let aliases = &artefact.stored.aliases;
    let aliases = (!aliases.is_empty()).then(
        || quote!(const ALIASES: &'static [&'static ::core::primitive::str] = &[#(#aliases),*];),
    );
    let number = version::constant(&artefact.version);
    let reader = version::reader(model, &artefact.version, &ty);
    // two names of one type give two impls: the compiler shows the second name
    quote_spanned! {generated(&artefact.ident)=>
        #[automatically_derived]
        impl #krate::__private::Derived<#flow> for #ty {}

        #[automatically_derived]
        impl #krate::Artefact<#flow> for #ty
        where
            for<'__f> #flow: #krate::__private::Declared<'__f>,
        {
            const NAME: &'static ::core::primitive::str = #name;
            #aliases
            #number
            #reader
        }

        #[automatically_derived]
        impl #krate::ArtefactSet<#flow> for #ty
        where
            for<'__f> #flow: #krate::__private::Declared<'__f>,
        {
            const NAMES: &'static [&'static ::core::primitive::str] = &[#name];

            fn write_to<__W: #krate::ArtefactWriter<#flow>>(
                &self,
                writer: &mut __W,
            ) -> ::core::result::Result<(), __W::Error> {
                writer.write(self)
            }

            fn read_from<__R: #krate::ArtefactReader<#flow>>(
                reader: &mut __R,
            ) -> ::core::result::Result<Self, __R::Error> {
                reader.read()
            }
        }
    }
}

/// The list of artefacts in the definition of the flow.
pub(super) fn definitions(model: &Model) -> TokenStream {
    let krate = &model.names.krate;
    let definitions = model.artefacts.iter().map(|artefact| {
        let name = &artefact.stored.name;
        let aliases = with_list("with_aliases", &artefact.stored.aliases);
        let doc = super::with("with_doc", &super::doc_text(artefact.docs()));
        let secret = artefact.is_secret.then(|| quote!(.secret()));
        let version = version::with(&artefact.version);
        quote!(#krate::ArtefactDefinition::new(#name) #aliases #doc #secret #version)
    });
    quote!(&[#(#definitions),*])
}

/// The method that reads an artefact whose name is known and whose type is not.
pub(super) fn by_name(model: &Model) -> Option<TokenStream> {
    let (flow, krate) = (&model.ident, &model.names.krate);
    let arms = model.artefacts.iter().map(|artefact| {
        let (path, name, aliases) =
            (artefact.path(), &artefact.stored.name, &artefact.stored.aliases);
        quote! {
            #name #(| #aliases)* => ::core::result::Result::map(
                #krate::ArtefactReader::<#flow>::read::<#path>(reader),
                |_| true,
            ),
        }
    });
    (!model.artefacts.is_empty()).then(|| {
        quote! {
            fn read_artefact<__R: #krate::ArtefactReader<#flow>>(
                name: &::core::primitive::str,
                reader: &mut __R,
            ) -> ::core::result::Result<::core::primitive::bool, __R::Error> {
                match name {
                    #(#arms)*
                    _ => ::core::result::Result::Ok(false),
                }
            }
        }
    })
}

/// The types of what a transition loads, each with its artefact.
pub(super) fn loaded<'a>(
    model: &'a Model,
    transition: &'a Transition,
) -> impl Iterator<Item = (&'a Artefact, TokenStream)> {
    transition.loads.iter().map(|(artefact, _)| {
        let is_optional = transition.optional.contains(artefact);
        let artefact = &model.artefacts[*artefact];
        let path = artefact.path();
        (artefact, if is_optional { quote!(::core::option::Option<#path>) } else { path })
    })
}

/// The type of all that a transition loads.
pub(super) fn loads(model: &Model, transition: &Transition) -> TokenStream {
    let types: Vec<_> = loaded(model, transition).map(|(_, ty)| ty).collect();
    if let [only] = &*types { only.clone() } else { quote!((#(#types),*)) }
}

/// The type of a set of artefacts.
pub(super) fn set(model: &Model, artefacts: &[(usize, Ident)]) -> TokenStream {
    if let [(artefact, _)] = artefacts {
        return model.artefacts[*artefact].path();
    }
    let paths = artefacts.iter().map(|(artefact, _)| model.artefacts[*artefact].path());
    quote!((#(#paths),*))
}
