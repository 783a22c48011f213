//! `river-drain URL JOBS`: how many empty jobs a second River's client for Rust drains, with 100
//! workers and a pause of 1 ms between fetches.
//!
//! The time is that from the start of the client until every job is completed in the database.

use std::time::{Duration, Instant};

use riverqueue::migrate::PostgresMigrator;
use riverqueue::sqlx::{self, PgPool};
use riverqueue::{BoxError, Client, Job, JobArgs, QueueConfig, WorkContext, WorkOutcome, Workers};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Deserialize, JobArgs, Serialize)]
#[river(kind = "chore")]
struct Chore {
    name: String,
}

async fn work(_: WorkContext, _: Job<Chore>) -> Result<WorkOutcome, BoxError> {
    Ok(WorkOutcome::Complete)
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut args = std::env::args().skip(1);
    let (Some(url), Some(jobs)) = (args.next(), args.next()) else {
        return Err("river-drain URL JOBS".into());
    };
    let jobs: u32 = jobs.parse()?;
    let pool = PgPool::connect(&url).await?;
    PostgresMigrator::new(pool.clone()).migrate_up().await?;
    sqlx::query("TRUNCATE river_job").execute(&pool).await?;

    let mut workers = Workers::new();
    workers.add_fn(work)?;
    let queue = QueueConfig::new(100).with_fetch_cooldown(Duration::from_millis(1));
    let client = Client::builder(pool.clone()).workers(workers).queue("default", queue).build()?;
    let chores = (0..jobs).map(|_| Chore { name: "chore".to_owned() });
    client.insert_many(chores).await?;

    let start = Instant::now();
    let mut run = client.start()?;
    let left = "SELECT COUNT(*) FROM river_job WHERE state <> 'completed'";
    while sqlx::query_scalar::<_, i64>(left).fetch_one(&pool).await? > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    println!("{}", f64::from(jobs) / start.elapsed().as_secs_f64());
    run.stop().await?;
    Ok(())
}
