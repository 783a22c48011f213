//! A program with a step that fails while the bank is away: `BANK=up` brings it back. What it leaves
//! behind is found and healed with the command `flowstate`: see the README.

use std::env;
use std::error::Error;
use std::time::Duration;

use flowstate_diesel::diesel::r2d2::{ConnectionManager, Pool};
use flowstate_diesel::operator::register;
use flowstate_diesel::{Backoff, Claim, StepError, Worker, prelude::*, sqlite};
use serde::{Deserialize, Serialize};

/// Charges a customer.
#[derive(flowstate::Flow, Serialize, Deserialize)]
#[state(Open, Charging, Paid, Refused(error))]
#[initial(Open)]
#[completed(Paid)]
#[flow(lock = "examples/bills.flow")]
#[step(charge: Open | Refused => Charging => Paid, fail(Refused))]
pub(crate) struct Bill {
    pub(crate) customer: String,
    pub(crate) cents: u64,
}

fn charge(bill: &Claim<BillCharge>) -> Result<(), StepError> {
    let is_up = env::var("BANK").is_ok_and(|bank| bank == "up");
    let failed =
        || format!("the bank does not answer about {} cents of {}", bill.cents, bill.customer);
    if is_up { Ok(()) } else { Err(failed().into()) }
}

fn main() -> Result<(), Box<dyn Error>> {
    let url = env::var("DATABASE_URL").unwrap_or_else(|_| "bills.db".to_owned());
    let manager = ConnectionManager::<SqliteConnection>::new(url);
    let customizer = Box::new(sqlite::Customizer::default());
    let pool = Pool::builder().max_size(2).connection_customizer(customizer).build(manager)?;
    let conn = &mut pool.get()?;
    flowstate_diesel::migrate(conn)?;
    register::<(Bill,)>("bills 1", conn)?;
    // the first start creates it, a later one finds it
    let bill = Bill { customer: "Ada".to_owned(), cents: 4_200 };
    let mut bill = bill.create_once("bill 1", conn)?.into_record();
    let twice = Backoff::fixed(Duration::ZERO).attempts(2);
    Worker::new(pool.clone())
        .step(Bill::CHARGE.retry(twice), |bill, ()| charge(bill))
        .run_until_idle()?;
    bill.reload(conn)?;
    println!("bill #{} of {} is {}", bill.id(), bill.customer, bill.state());
    Ok(())
}
