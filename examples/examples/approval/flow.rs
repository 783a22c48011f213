//! The flow: a person decides, or time does; then money moves and is booked.

use diesel::prelude::*;
use flowstate::Flow;
use flowstate_diesel::{Result, prelude::*};
use serde::{Deserialize, Serialize};

diesel::table! {
    /// The application's own books.
    bookings (payment_id) {
        payment_id -> BigInt,
        receipt -> Text,
        cents -> BigInt,
    }
}

/// A payment that somebody has to approve.
#[derive(Flow, Serialize, Deserialize)]
#[flow(lock)]
#[state(Requested, Approved, Paying, Paid, Booking, Booked, Refused, Expired)]
#[state(FailedToPay(error), FailedToBook(error))]
#[initial(Requested)]
#[completed(Booked, Refused, Expired)]
#[persist(#[derive(Debug, PartialEq)] Receipt { number: String })]
// the human step
#[transition(approve: Requested => Approved)]
#[transition(refuse: Requested => Refused)]
#[transition(expire: Requested => Expired, after("2 seconds"))] // three days, if it were not shown
// the step that talks to the bank
#[step(pay: Approved | FailedToPay => Paying => Paid(persist(Receipt)), fail(FailedToPay))]
// the step that writes to this database
#[step(book: Paid | FailedToBook => Booking => Booked, load(Receipt), fail(FailedToBook), transactional)]
pub(crate) struct Payment {
    pub(crate) payee: String,
    pub(crate) cents: i64,
}

impl PaymentRecord {
    pub(crate) fn approve(&mut self, by: &str, conn: &mut SqliteConnection) -> Result<()> {
        self.transition(Payment::APPROVE, conn)
            .guard("nobody approves a payment to themselves", |payment, _| payment.payee != by)
            .actor(by)
            .run()
    }

    pub(crate) fn refuse(
        &mut self,
        by: &str,
        why: &str,
        conn: &mut SqliteConnection,
    ) -> Result<()> {
        let why = serde_json::json!({ "why": why });
        self.transition(Payment::REFUSE, conn).actor(by).metadata(&why).run()
    }
}

/// Books a payment: in the transaction that finishes the step.
pub(crate) fn book(
    payment_id: i64,
    receipt: &str,
    cents: i64,
    conn: &mut SqliteConnection,
) -> QueryResult<()> {
    let row = (
        bookings::payment_id.eq(payment_id),
        bookings::receipt.eq(receipt),
        bookings::cents.eq(cents),
    );
    diesel::insert_into(bookings::table).values(row).execute(conn).map(drop)
}
