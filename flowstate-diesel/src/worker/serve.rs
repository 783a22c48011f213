//! What a worker serves: the steps of flows, each with its handler.

use std::marker::PhantomData;
use std::sync::Arc;

use flowstate::{
    Claim, EndHandler, ExpireHandler, Flow, Handler, Handles, Policy, Record, Step, StepEnd,
    StepError, StepRegistry, TransactionalHandler, Transition,
};

use super::engine::handler::{End, NoEnd, Plain};
use super::engine::known::Known;
use super::engine::runner::Runner;
use super::engine::transactional::Transactional;
use super::step::StepSpec;
use super::step::error::text;
use super::step::timed::{self, Timed};
use crate::dialect::connection::Store;
use crate::dialect::rows::FlowRow;
use crate::error::{Error, RecordRef, Result};
use crate::transaction::swallowed;
use crate::transition::decode;

/// What a worker serves.
pub(super) struct Served<C> {
    pub(super) runners: Vec<Arc<dyn Runner<C>>>,
    pub(super) timed: Vec<Timed<C>>,
    pub(super) known: Vec<Known>,
}

impl<C: Store> Served<C> {
    pub(super) fn plain<S: Step>(
        &mut self,
        policy: Policy,
        handler: impl Fn(&Claim<S>, S::Loads) -> Result<S::Outcome, StepError> + Send + Sync + 'static,
        end: impl End<S, C> + 'static,
    ) {
        let parts = Arc::new((handler, end));
        for step in StepSpec::under_each_name::<S>(policy) {
            let (parts, types) = (Arc::clone(&parts), PhantomData);
            self.runners.push(Arc::new(Plain { step, parts, types }));
        }
    }

    pub(super) fn transactional<S: Step>(
        &mut self,
        policy: Policy,
        handler: impl Fn(&Claim<S>, S::Loads, &mut C) -> Result<S::Outcome, StepError>
        + Send
        + Sync
        + 'static,
    ) {
        let handler = Arc::new(handler);
        for step in StepSpec::under_each_name::<S>(policy) {
            let (handler, types) = (Arc::clone(&handler), PhantomData);
            self.runners.push(Arc::new(Transactional { step, handler, types }));
        }
    }

    /// A flow, and those of its timed transitions for which no handler is needed.
    pub(super) fn flow<F: Flow>(&mut self) {
        if self.known.iter().all(|known| known.flow != F::NAME) {
            self.known.extend(Known::all::<F>());
            self.timed.extend(timed::all::<F, C>().filter(|timed| !timed.transition.within));
        }
    }

    pub(super) fn refuse_doubles(&self) -> Result<()> {
        for (at, runner) in self.runners.iter().enumerate() {
            let step = runner.step();
            let before = self.runners.iter().take(at).map(|before| before.step());
            let mut same =
                before.filter(|other| (other.flow, other.running) == (step.flow, step.running));
            if let Some(other) = same.next() {
                let (flow, running) = (step.flow, step.running);
                let (step, other) = (step.name, other.name);
                return Err(Error::ServedTwice { flow, other, step, running });
            }
        }
        Ok(())
    }
}

/// Hands every step of a flow to the methods of `handlers`.
pub(super) fn register<F: Flow, H: Handles<F, C>, C: Store + 'static>(
    handlers: Arc<H>,
    served: &mut Served<C>,
) {
    H::register(&mut Registry { handlers, served });
}

/// The methods of `H` become the handlers of a worker.
struct Registry<'s, H, C> {
    handlers: Arc<H>,
    served: &'s mut Served<C>,
}

impl<H: Send + Sync + 'static, C: Store + 'static> StepRegistry<H, C> for Registry<'_, H, C> {
    fn plain<S: Step>(&mut self, policy: fn(&H) -> Policy, handler: Handler<H, S>) {
        let handlers = Arc::clone(&self.handlers);
        let handler = move |claim: &Claim<S>, loads| handler(&handlers, claim, loads);
        self.served.plain::<S>(policy(&self.handlers), handler, NoEnd);
    }

    fn transactional<S: Step>(
        &mut self,
        policy: fn(&H) -> Policy,
        handler: TransactionalHandler<H, S, C>,
    ) {
        let handlers = Arc::clone(&self.handlers);
        let handler =
            move |claim: &Claim<S>, loads, conn: &mut C| handler(&handlers, claim, loads, conn);
        self.served.transactional::<S>(policy(&self.handlers), handler);
    }

    fn within<S: Step>(
        &mut self,
        policy: fn(&H) -> Policy,
        handler: Handler<H, S>,
        end: EndHandler<H, S, C>,
    ) {
        let (handlers, of_end) = (Arc::clone(&self.handlers), Arc::clone(&self.handlers));
        let handler = move |claim: &Claim<S>, loads| handler(&handlers, claim, loads);
        let end = move |record: &Record<S::Flow>, how: &StepEnd<'_, S>, conn: &mut C| {
            end(&of_end, record, how, conn)
        };
        self.served.plain::<S>(policy(&self.handlers), handler, end);
    }

    fn timed<T: Transition>(&mut self, expire: ExpireHandler<H, T, C>) {
        let handlers = Arc::clone(&self.handlers);
        let expire: timed::Expire<C> = Arc::new(move |row: FlowRow, conn: &mut C| {
            let record = RecordRef::of::<T::Flow>(row.id);
            let flow = Record::new(decode::decode::<T::Flow>(row, None)?);
            expire(&handlers, &flow, conn).map_err(|error| {
                let source = text(&error).into();
                Error::Within { record, transition: T::NAME, source }
            })?;
            swallowed::refuse(conn)
        });
        let all = timed::all::<T::Flow, C>().filter(|timed| timed.transition.name == T::NAME);
        let all = all.map(|timed| Timed { expire: Some(Arc::clone(&expire)), ..timed });
        self.served.timed.extend(all);
    }

    fn flow<F: Flow>(&mut self) {
        self.served.flow::<F>();
    }
}
