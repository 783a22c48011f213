//! The states that a worker polls for, and the steps that the answers stand for.

use super::runner::Runner;
use super::watermark::{Source, Watermark};
use crate::dialect::PollState;
use crate::transaction::notify::Notification;
use crate::worker::step::timed::Timed;

/// The states that a poll asks the database for.
#[derive(Debug)]
pub(crate) struct Questions {
    /// Every state from which a step starts, with what is asked of it but for how far back to look.
    sources: Vec<(Source, PollState<'static>)>,
    /// Every state in which a step runs.
    pub(super) running: Vec<PollState<'static>>,
    /// Every state with a timed transition.
    pub(super) timed: Vec<PollState<'static>>,
    /// For each label what it stands for.
    pub(super) labels: Vec<Label>,
    /// Which steps start where.
    served: Vec<(Notification, Vec<Source>)>,
}

/// What the database says something about: by its place in the list of steps, or of timed
/// transitions.
#[derive(Clone, Copy, Debug)]
pub(super) enum Label {
    Due(usize, &'static str),
    Leased(usize, &'static str),
    Timed(usize),
}

impl Questions {
    pub(crate) fn new<C>(runners: &[std::sync::Arc<dyn Runner<C>>], timed: &[Timed<C>]) -> Self {
        let mut labels = Vec::new();
        let mut ask = |flow, state, label| {
            labels.push(label);
            PollState { label: labels.len() - 1, flow, state, reach: 0 }
        };
        let (mut sources, mut running) = (Vec::new(), Vec::new());
        let mut served = Vec::<(Notification, Vec<Source>)>::new();
        for (at, runner) in runners.iter().enumerate() {
            let step = runner.step();
            for source in step.sources.iter().copied() {
                let asked = ask(step.flow, source, Label::Due(at, source));
                sources.push(((at, source), asked));
                let notification = Notification { flow: step.flow, state: source, is_due: true };
                match served.iter_mut().find(|(known, _)| *known == notification) {
                    Some((_, steps)) => steps.push((at, source)),
                    None => served.push((notification, vec![(at, source)])),
                }
            }
            for name in &step.running_names {
                running.push(ask(step.flow, name, Label::Leased(at, name)));
            }
        }
        let timed = timed.iter().enumerate();
        let timed =
            timed.map(|(at, timed)| ask(timed.flow, timed.state, Label::Timed(at))).collect();
        Self { sources, running, timed, labels, served }
    }

    /// The sources, each with how far back to look.
    pub(super) fn sources(&self, watermark: &Watermark) -> Vec<PollState<'static>> {
        let sources: Vec<_> = self.sources.iter().map(|(source, _)| *source).collect();
        let asked = self.sources.iter().zip(watermark.reaches(&sources));
        asked.map(|((_, asked), reach)| PollState { reach, ..*asked }).collect()
    }

    /// The steps that start in this state of this flow.
    pub(super) fn starting(&self, flow: &str, state: &str) -> &[Source] {
        let starts = |known: &Notification| known.flow == flow && known.state == state;
        let served = self.served.iter().find(|(known, _)| starts(known));
        served.map_or(&[], |(_, steps)| steps)
    }

    /// The steps that start where a record has come to.
    pub(super) fn served(&self, notification: Notification) -> &[Source] {
        let served = self.served.iter().find(|(known, _)| *known == notification);
        served.map_or(&[], |(_, steps)| steps)
    }
}
