//! The closures of a request, and what they may return.

use flowstate::{Flow, Record};

use crate::dialect::Dialect;
use crate::error::{BoxError, Error, RecordRef, Result};
use crate::transaction::swallowed;

/// What a guard returns: `bool`, or `Result<bool, E>`.
#[diagnostic::on_unimplemented(
    message = "a guard returns `bool` or `Result<bool, E>`, not `{Self}`",
    label = "not the verdict of a guard"
)]
pub trait Verdict {
    /// The verdict of any guard in one form.
    ///
    /// # Errors
    /// The guard's own.
    fn verdict(self) -> Result<bool, BoxError>;
}

impl Verdict for bool {
    fn verdict(self) -> Result<bool, BoxError> {
        Ok(self)
    }
}

impl<E: Into<BoxError>> Verdict for Result<bool, E> {
    fn verdict(self) -> Result<bool, BoxError> {
        self.map_err(Into::into)
    }
}

/// What a hook returns: `()`, or any `Result`.
#[diagnostic::on_unimplemented(
    message = "a hook returns `()` or a `Result`, not `{Self}`",
    label = "end it with `;` if nobody needs the value"
)]
pub trait HookResult {
    /// The result of any hook in one form.
    ///
    /// # Errors
    /// The hook's own.
    fn hook_result(self) -> Result<(), BoxError>;
}

impl HookResult for () {
    fn hook_result(self) -> Result<(), BoxError> {
        Ok(())
    }
}

impl<R, E: Into<BoxError>> HookResult for Result<R, E> {
    fn hook_result(self) -> Result<(), BoxError> {
        self.map(drop).map_err(Into::into)
    }
}

/// `!`, which cannot be named yet: what a closure returns that always panics. Without it a guard or a
/// hook that is still `todo!()` does not compile.
type Never = <fn() -> ! as never::Returning>::Output;

mod never {
    pub trait Returning {
        type Output;
    }

    impl<R> Returning for fn() -> R {
        type Output = R;
    }
}

#[diagnostic::do_not_recommend]
impl Verdict for Never {
    fn verdict(self) -> Result<bool, BoxError> {
        self
    }
}

#[diagnostic::do_not_recommend]
impl HookResult for Never {
    fn hook_result(self) -> Result<(), BoxError> {
        self
    }
}

type Guard<'a, F, C> = Box<dyn FnMut(&Record<F>, &mut C) -> Result<bool, BoxError> + 'a>;
type Within<'a, F, C> = Box<dyn FnMut(&Record<F>, &mut C) -> Result<(), BoxError> + 'a>;
type Update<'a, F> = Box<dyn FnMut(&mut F) + 'a>;
pub(crate) type Hook<F> = Box<dyn FnOnce(&Record<F>) -> Result<(), BoxError>>;

/// All closures of a request.
pub(crate) struct Closures<'a, F: Flow, C> {
    pub(crate) guards: Vec<(&'static str, Guard<'a, F, C>)>,
    pub(crate) updates: Vec<Update<'a, F>>,
    pub(crate) within: Vec<Within<'a, F, C>>,
    pub(crate) hooks: Vec<Hook<F>>,
}

impl<F: Flow, C> Closures<'_, F, C> {
    pub(crate) fn none() -> Self {
        Self { guards: Vec::new(), updates: Vec::new(), within: Vec::new(), hooks: Vec::new() }
    }

    /// Whether none of them runs under the lock.
    pub(crate) fn is_plain(&self) -> bool {
        self.guards.is_empty() && self.updates.is_empty() && self.within.is_empty()
    }
}

impl<F: Flow, C: Dialect> Closures<'_, F, C> {
    /// Asks every guard, in order, until one says no.
    pub(crate) fn ask_guards(
        &mut self,
        flow: &Record<F>,
        conn: &mut C,
        record: RecordRef,
        transition: &'static str,
    ) -> Result<()> {
        for (guard, ask) in &mut self.guards {
            let guard = *guard;
            match ask(flow, conn) {
                Ok(true) => swallowed::refuse(conn)?,
                Ok(false) => return Err(Error::GuardRejected { record, transition, guard }),
                Err(source) => return Err(Error::Guard { record, transition, guard, source }),
            }
        }
        Ok(())
    }

    /// Does the caller's own work, in order.
    pub(crate) fn work_within(
        &mut self,
        flow: &Record<F>,
        conn: &mut C,
        record: RecordRef,
        transition: &'static str,
    ) -> Result<()> {
        for work in &mut self.within {
            work(flow, conn).map_err(|source| match source.downcast::<Error>() {
                Ok(ours) => *ours,
                Err(source) => Error::Within { record, transition, source },
            })?;
            swallowed::refuse(conn)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn returns<V: Verdict, H: HookResult>(_: impl FnOnce() -> V, _: impl FnOnce() -> H) {}

    #[test]
    fn closures_that_always_panic_are_guards_and_hooks() {
        returns(|| unreachable!(), || unreachable!());
    }
}
