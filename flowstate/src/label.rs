//! Labels: props that records are looked up by.

use std::fmt;
use std::marker::PhantomData;

use crate::Flow;

/// A label of the flow `F`: what `#[flow(label(merchant_id))]` generates as `F::MERCHANT_ID`.
pub struct Label<F> {
    name: &'static str,
    flow: PhantomData<fn() -> F>,
}

impl<F: Flow> Label<F> {
    /// The label of this name: for generated code.
    #[doc(hidden)]
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, flow: PhantomData }
    }

    /// The stored name: that of the prop.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }
}

impl<F> Clone for Label<F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F> Copy for Label<F> {}

impl<F> fmt::Debug for Label<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Label").field(&self.name).finish()
    }
}

/// A value that records can be looked up by: what a prop that is named in `label(…)` has.
///
/// Implemented for integers, `bool`, `char`, texts, and an `Option` of them. For a type of your own:
///
/// ```
/// struct MerchantId(u64);
///
/// impl flowstate::LabelValue for MerchantId {
///     fn label(&self) -> Option<String> {
///         self.0.label()
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "records cannot be looked up by a `{Self}`",
    label = "no value of a label",
    note = "labels are integers, texts, or a type with `impl LabelValue for {Self}`"
)]
pub trait LabelValue {
    /// As it is kept, and compared byte by byte: at most 255 bytes. `None` for no label.
    fn label(&self) -> Option<String>;
}

macro_rules! shown {
    ($($ty:ty)*) => {
        $(impl LabelValue for $ty {
            fn label(&self) -> Option<String> {
                Some(self.to_string())
            }
        })*
    };
}

shown!(i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize bool char str String);

impl<V: LabelValue + ?Sized> LabelValue for &V {
    fn label(&self) -> Option<String> {
        (**self).label()
    }
}

impl<V: LabelValue> LabelValue for Option<V> {
    fn label(&self) -> Option<String> {
        self.as_ref().and_then(LabelValue::label)
    }
}
