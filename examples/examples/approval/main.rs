//! A payment waits for a person, but not for ever; then it is paid once and booked once.
//!
//! `cargo run --example approval`. Three payments are requested: one is approved, one refused, one
//! forgotten until its time is over. The bank loses its first answer, so the payment is tried
//! again, under the same idempotency key.

mod bank;
mod flow;

use std::process::ExitCode;
use std::time::Duration;

use bank::Bank;
use clap::Parser;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, Pool, PooledConnection};
use flow::{
    Payment, PaymentBook, PaymentOutcome, PaymentPay, PaymentRecord, PaymentSteps, Receipt, book,
    bookings,
};
use flowstate::Flow as _;
use flowstate_diesel::sqlite::Customizer;
use flowstate_diesel::{
    Backoff, BoxError, Claim, Error, Policy, Running, StepError, Worker, prelude::*,
};

type Manager = ConnectionManager<SqliteConnection>;

/// Shows a human step with a deadline, a transactional step and an idempotency key.
#[derive(Parser)]
struct Args {
    /// The database file; made if it is not there. Without it, a new one in a temporary folder.
    #[arg(long, value_name = "PATH")]
    database: Option<std::path::PathBuf>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), BoxError> {
    let folder = tempfile::tempdir()?;
    let file = args.database.clone().unwrap_or_else(|| folder.path().join("payments.db"));
    let pool = Pool::builder()
        .max_size(4)
        .connection_customizer(Box::new(Customizer::new()))
        .build(Manager::new(file.display().to_string()))?;
    let conn = &mut pool.get()?;
    flowstate_diesel::migrate(conn)?;
    conn.batch_execute(
        "CREATE TABLE IF NOT EXISTS bookings \
         (payment_id BIGINT PRIMARY KEY, receipt TEXT NOT NULL, cents BIGINT NOT NULL)",
    )?;

    let bank = Bank::open()?;
    let worker = start(pool.clone(), &bank)?;
    let mut approved = request("Ada", 12_000, conn)?;
    let mut refused = request("Bob", 99_999, conn)?;
    let forgotten = request("Cyd", 500, conn)?;
    println!("requested payments {}, {}, {}", approved.id(), refused.id(), forgotten.id());

    let own = approved.approve("Ada", conn);
    assert!(matches!(own, Err(Error::GuardRejected { .. })), "{own:?}");
    approved.approve("Eve", conn)?;
    refused.refuse("Eve", "over the limit", conn)?;

    let end = |of: &PaymentRecord| Payment::await_outcome(of.id(), Duration::from_secs(30), &pool);
    let receipt = Receipt { number: "R-1".to_owned() };
    assert_eq!(end(&approved)?, Some(PaymentOutcome::Booked(receipt)));
    assert_eq!(end(&refused)?, Some(PaymentOutcome::Refused));
    assert_eq!(end(&forgotten)?, Some(PaymentOutcome::Expired));
    worker.shutdown(Duration::from_secs(10))?;

    for payment in [&approved, &refused, &forgotten] {
        print(payment, conn)?;
    }
    let tries = approved.history(conn)?.iter().filter(|row| row.to == "paying").count();
    assert_eq!(tries, 2, "the first answer of the bank was lost");
    assert_eq!(bank.payments(), 1, "paid once, though it was tried twice");
    let booked: Vec<(String, i64)> = bookings::table
        .filter(bookings::payment_id.eq(approved.id()))
        .select((bookings::receipt, bookings::cents))
        .load(&mut **conn)?;
    assert_eq!(booked, [("R-1".to_owned(), 12_000)]);
    let audit = flowstate_diesel::audit(conn)?;
    assert!(audit.is_clean(), "{audit}");
    println!("ok: one paid and booked once, one refused, one expired; {audit}");
    Ok(())
}

fn start(pool: Pool<Manager>, bank: &Bank) -> flowstate_diesel::Result<Running<Manager>> {
    Worker::new(pool)
        .serve::<Payment>(Handlers { bank: bank.client() })
        .threads(2)
        .poll(Duration::from_millis(100))
        .start()
}

/// Two steps: the bank is asked without a lock or a connection, the books are written in the
/// finishing transaction.
struct Handlers {
    bank: bank::Client,
}

impl PaymentSteps<SqliteConnection> for Handlers {
    fn pay(&self, payment: &Claim<PaymentPay>) -> Result<Receipt, StepError> {
        let key = payment.idempotency_key();
        let number = self.bank.pay(&key, &payment.payee, payment.cents)?;
        Ok(Receipt { number })
    }

    fn book(
        &self,
        payment: &Claim<PaymentBook>,
        receipt: Receipt,
        conn: &mut SqliteConnection,
    ) -> Result<(), StepError> {
        Ok(book(payment.id(), &receipt.number, payment.cents, conn)?)
    }

    fn pay_policy(&self) -> Policy {
        Policy::default().retry(Backoff::exponential(Duration::from_millis(100)).attempts(5))
    }
}

fn request(
    payee: &str,
    cents: i64,
    conn: &mut PooledConnection<Manager>,
) -> flowstate_diesel::Result<PaymentRecord> {
    Payment { payee: payee.to_owned(), cents }.create(conn)
}

fn print(
    payment: &PaymentRecord,
    conn: &mut PooledConnection<Manager>,
) -> flowstate_diesel::Result<()> {
    println!("\n{} of {} to {}:", Payment::NAME, payment.cents, payment.payee);
    for row in payment.history(conn)? {
        let actor = row.actor.map(|actor| format!(" by {actor}")).unwrap_or_default();
        let error = row.error.map(|error| format!(" ({error})")).unwrap_or_default();
        println!("  {:>2}  {:<11} → {}{actor}{error}", row.seq, row.transition, row.to);
    }
    Ok(())
}
