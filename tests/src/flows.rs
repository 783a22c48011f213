//! Flows for the tests.

use std::collections::HashSet;

use flowstate::Flow;
use serde::{Deserialize, Serialize};

/// The story of the documentation: fetch a response, keep it, save it.
#[derive(Flow, Serialize, Deserialize, Debug, PartialEq)]
#[state(Pending, Picked, Fetching, Fetched, Saving, Saved, Completed)]
#[state(FailedToFetch(error), FailedToSave(error))]
#[initial(Pending)]
#[completed(Completed)]
#[persist(#[derive(Debug, Clone, PartialEq)] Response(serde_json::Value))]
#[transition(pick: Pending => Picked)]
#[step(fetch: Picked | FailedToFetch => Fetching => Fetched(persist(Response)), fail(FailedToFetch))]
#[step(save: Fetched | FailedToSave => Saving => Saved(then(complete)), load(Response), fail(FailedToSave))]
#[transition(complete: Saved => Completed)]
pub struct Sync {
    /// Whose record.
    pub record_id: String,
    /// At the third party.
    pub party_id: String,
}

impl Sync {
    /// Some flow.
    #[must_use]
    pub fn new(record_id: &str) -> Self {
        Self { record_id: record_id.to_owned(), party_id: "party".to_owned() }
    }
}

/// A flow with everything: an error state, an alias, an artefact that was renamed, a completed
/// state that keeps the record and one that destroys it.
#[derive(Flow, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[state(Open, Working, Half, Parked(alias = "paused"), Broken(error), Done, Gone)]
#[initial(Open)]
#[completed(Done, Gone(destroy))]
#[persist(#[derive(Debug, Clone, PartialEq)] Note(serde_json::Value), alias = "memo")]
#[persist(#[derive(Debug, Clone, PartialEq)] Bill { lines: Vec<u32> })]
#[transition(work: Open | Parked | Broken => Working)]
#[transition(park: Open => Parked)]
#[transition(fail: Working => Broken)]
#[transition(note: Working | Half => Half, persist(Note))]
#[transition(read: Half => Half, load(Note))]
#[transition(bill: Half => Half, persist(Note, Bill))]
#[transition(finish: Half => Done)]
#[transition(abandon: * => Gone)]
pub struct Job {
    /// What the tests know it by.
    pub name: String,
    /// Anything.
    pub payload: serde_json::Value,
}

impl Job {
    /// Some job.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), payload: serde_json::Value::Null }
    }
}

/// A flow that comes round again, with an artefact that may be unreadable.
#[derive(Flow, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[state(Waiting, Working(alias = "at_work"), Worked, Resting, Paying)]
#[state(Broken(error), Unpaid(error), Done)]
#[initial(Waiting)]
#[completed(Done)]
#[persist(#[derive(Debug, Clone, PartialEq)] Receipt { cents: Vec<u32>, touchy: Touchy })]
#[step(
    work: Waiting | Broken => Working => Worked(persist(Receipt)) | Resting(persist(Receipt), then(again)),
    fail(Broken),
)]
#[transition(again: Worked | Resting => Waiting)]
#[step(pay: Worked | Unpaid => Paying => Done, load(Receipt), fail(Unpaid))]
pub struct Round {
    /// May panic when it is read.
    pub touchy: Touchy,
}

impl Receipt {
    /// Some receipt.
    #[must_use]
    pub fn new() -> Self {
        Self { cents: vec![1, 2], touchy: Touchy(0) }
    }
}

impl Default for Receipt {
    fn default() -> Self {
        Self::new()
    }
}

impl Round {
    /// Some round.
    #[must_use]
    pub fn new() -> Self {
        Self { touchy: Touchy(0) }
    }
}

impl Default for Round {
    fn default() -> Self {
        Self::new()
    }
}

/// A user's type whose code panics: writing 1, and reading 2.
#[derive(Debug, Clone, PartialEq)]
pub struct Touchy(pub u32);

impl Serialize for Touchy {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert_ne!(self.0, 1, "touched while writing");
        serializer.serialize_u32(self.0)
    }
}

impl<'de> Deserialize<'de> for Touchy {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u32::deserialize(deserializer)?;
        assert_ne!(number, 2, "touched while reading");
        Ok(Self(number))
    }
}

/// A flow whose step has a time limit, which ends where a failed try does.
#[derive(Flow, Serialize, Deserialize, Debug)]
#[state(Queued, Running, Done, NotDone(error))]
#[initial(Queued)]
#[completed(Done)]
#[step(run: Queued | NotDone => Running => Done, fail(NotDone))]
#[transition(time_out: Running => NotDone, after("1 hour"))]
pub struct Limited {}

/// A flow whose props may hold what JSON cannot.
#[derive(Flow, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[state(New, Done)]
#[initial(New)]
#[completed(Done)]
#[transition(end: New => Done)]
pub struct Measure {
    /// Numbers.
    pub values: Vec<f64>,
}

/// A flow whose props are JSON that somebody else wrote.
#[derive(Flow, Serialize, Deserialize, Debug)]
#[state(New, Done)]
#[initial(New)]
#[completed(Done)]
#[transition(end: New => Done)]
pub struct Verbatim {
    /// As it was received.
    pub json: Box<serde_json::value::RawValue>,
}

/// A flow whose stored names differ in case, accents and signs alone.
#[derive(Flow, Serialize, Deserialize, Debug)]
#[flow(name = "it's \"my\" `Flow` \\ 🦀")]
#[state(Upper(rename = "State"), Lower(rename = "state"), Accent(rename = "Státe"))]
#[state(Signs(rename = "'; -- \"🦀\" %_`\\"), Ended(rename = "ENDED", alias = "Ended"))]
#[initial(Upper)]
#[completed(Ended)]
#[persist(#[derive(Debug, PartialEq)] Big(u32), rename = "Note")]
#[persist(#[derive(Debug, PartialEq)] Small(u32), rename = "note")]
#[transition(big: Upper => Lower, persist(Big), rename = "Move")]
#[transition(small: Lower => Accent, persist(Small), rename = "move")]
#[transition(read: Accent => Signs, load(Big, Small), rename = "'🦀' \"move\"")]
#[transition(end: Signs => Ended, rename = "END")]
pub struct Named {}

/// A flow that begins with a failure.
#[derive(Flow, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[state(Wrong(error), Right)]
#[initial(Wrong)]
#[completed(Right)]
#[transition(mend: Wrong => Right)]
pub struct Flawed {}

/// Two versions of one program: the newer has a field more in its artefact, and a state more.
pub mod versions {
    use super::{Deserialize, Flow, Serialize};

    /// The older program.
    pub mod v1 {
        use super::{Deserialize, Flow, Serialize};

        /// An order.
        #[derive(Flow, Serialize, Deserialize, Debug)]
        #[flow(name = "order")]
        #[state(New, Priced, Shipped)]
        #[initial(New)]
        #[completed(Shipped)]
        #[persist(#[derive(Debug)] Price { cents: u32 })]
        #[transition(price: New => Priced, persist(Price))]
        #[transition(ship: Priced => Shipped, load(Price))]
        pub struct Order {
            /// The customer.
            pub customer: String,
        }
    }

    /// The newer program.
    pub mod v2 {
        use super::{Deserialize, Flow, Serialize};

        /// A line of a price.
        #[derive(Serialize, Deserialize, Debug)]
        pub struct Line {
            /// The amount.
            pub cents: u32,
        }

        /// An order.
        #[derive(Flow, Serialize, Deserialize, Debug)]
        #[flow(name = "order")]
        #[state(New, Priced, Packed, Shipped)]
        #[initial(New)]
        #[completed(Shipped)]
        #[persist(#[derive(Debug)] Price { cents: u32, currency: String, #[serde(default)] lines: Vec<Line> })]
        #[transition(price: New => Priced, persist(Price))]
        #[transition(pack: Priced => Packed)]
        #[transition(ship: Priced | Packed => Shipped, load(Price))]
        pub struct Order {
            /// The customer.
            pub customer: String,
        }
    }
}

/// Two versions of one program with workers: the newer has a state more, in which a step starts.
pub mod releases {
    use super::{Deserialize, Flow, Serialize};

    /// The older program.
    pub mod v1 {
        use super::{Deserialize, Flow, Serialize};

        /// A parcel.
        #[derive(Flow, Serialize, Deserialize, Debug)]
        #[flow(name = "parcel")]
        #[state(New, Sending, Sent, Lost(error))]
        #[initial(New)]
        #[completed(Sent)]
        #[step(send: New | Lost => Sending => Sent, fail(Lost))]
        pub struct Parcel {
            /// Where to.
            pub to: String,
        }
    }

    /// The newer program.
    pub mod v2 {
        use super::{Deserialize, Flow, Serialize};

        /// A parcel.
        #[derive(Flow, Serialize, Deserialize, Debug)]
        #[flow(name = "parcel")]
        #[state(New, Weighed, Sending, Sent, Lost(error))]
        #[initial(New)]
        #[completed(Sent)]
        #[transition(weigh: New => Weighed)]
        #[step(send: New | Weighed | Lost => Sending => Sent, fail(Lost))]
        pub struct Parcel {
            /// Where to.
            pub to: String,
        }
    }
}

/// A person decides, or time does; a reminder goes out meanwhile.
#[derive(Flow, Serialize, Deserialize, Debug)]
#[state(Asked, Reminding, Reminded, Approved, Expired, FailedToRemind(error))]
#[initial(Asked)]
#[completed(Approved, Expired)]
#[step(remind: Asked | FailedToRemind => Reminding => Reminded, fail(FailedToRemind))]
#[transition(approve: Asked | Reminded | FailedToRemind => Approved)]
#[transition(expire: Asked | Reminded | FailedToRemind => Expired, after("3 days"))]
pub struct Approval {
    /// What is to be approved.
    pub subject: String,
}

/// A letter, which is shredded when it could not be sent in time, and forgotten in the end.
#[derive(Flow, Serialize, Deserialize, Debug)]
#[state(Queued, Sending, Sent, Bounced(error), Shredded, Forgotten)]
#[initial(Queued)]
#[completed(Sent, Shredded(destroy), Forgotten)]
#[step(send: Queued | Bounced => Sending => Sent, fail(Bounced), give_up(Shredded))]
#[transition(forget: Bounced => Forgotten, after("1 week"))]
pub struct Letter {}

/// A ticket, which is thrown away when nobody has closed it in time.
#[derive(Flow, Serialize, Deserialize, Debug)]
#[state(Open, Closed, Gone)]
#[initial(Open)]
#[completed(Closed, Gone(destroy))]
#[transition(close: Open => Closed)]
#[transition(expire: Open => Gone, after("1 hour"))]
pub struct Ticket {}

/// A flow whose props hold what has no order, and what has one.
#[derive(Flow, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[state(New, Done)]
#[initial(New)]
#[completed(Done)]
#[transition(end: New => Done)]
pub struct Tagged {
    /// Without an order.
    pub tags: HashSet<String>,
    /// In order, each without one.
    pub groups: Vec<HashSet<String>>,
    /// In order.
    pub prices: Vec<f64>,
}

/// Two versions of one program: the newer one added a field with a default.
pub mod import {
    use super::{Deserialize, Flow, Serialize};

    /// The older program.
    pub mod v1 {
        use super::{Deserialize, Flow, Serialize};

        /// An import.
        #[derive(Flow, Serialize, Deserialize, Debug)]
        #[flow(name = "import")]
        #[state(New, Done)]
        #[initial(New)]
        #[completed(Done)]
        #[transition(touch: New => New)]
        #[transition(end: New => Done)]
        pub struct Import {
            /// What is imported.
            pub file: String,
        }
    }

    /// The newer program.
    pub mod v2 {
        use super::{Deserialize, Flow, Serialize};

        /// An import.
        #[derive(Flow, Serialize, Deserialize, Debug)]
        #[flow(name = "import")]
        #[state(New, Done)]
        #[initial(New)]
        #[completed(Done)]
        #[transition(touch: New => New)]
        #[transition(end: New => Done)]
        pub struct Import {
            /// What is imported.
            pub file: String,
            /// The sooner the higher.
            #[serde(default)]
            pub priority: u8,
        }
    }
}

/// Work whose handler is all that is of interest.
#[derive(Flow, Serialize, Deserialize, Debug)]
#[state(Waiting, Running, Done, Failed(error))]
#[initial(Waiting)]
#[completed(Done)]
#[step(run: Waiting | Failed => Running => Done, fail(Failed))]
pub struct Errand {
    /// What the tests know it by.
    pub name: String,
}

impl Errand {
    /// Some errand.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned() }
    }
}
