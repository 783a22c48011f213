//! The dashboard in an axum server, under `/ops`. It waits for the database, so it runs where that
//! holds nobody up.
//!
//! `cargo run -p flowstate-ops --example dashboard_axum -- shop.db 8312`

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{any, get};
use flowstate_diesel::diesel::r2d2::{ConnectionManager, Pool};
use flowstate_diesel::prelude::*;
use flowstate_ops::dashboard::{Dashboard, loopback};

struct Ops {
    dashboard: Dashboard,
    pool: Pool<ConnectionManager<SqliteConnection>>,
}

async fn ops(State(ops): State<Arc<Ops>>, request: Request) -> Result<Response, StatusCode> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 64 * 1024).await.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
    let request = Request::from_parts(head, body.to_vec());
    let answer = tokio::task::spawn_blocking(move || {
        let mut conn = ops.pool.get().map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
        Ok::<_, StatusCode>(ops.dashboard.respond(&request, &mut conn))
    });
    let answer = answer.await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)??;
    Ok(answer.map(Body::from))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let file = args.next().unwrap_or_else(|| "shop.db".to_owned());
    let port: u16 = args.next().map_or(Ok(8312), |port| port.parse())?;
    let pool = Pool::builder().max_size(4).build(ConnectionManager::new(file))?;
    flowstate_diesel::migrate(&mut pool.get()?)?;

    let dashboard = Dashboard::new(loopback).mounted_at("/ops");
    let ops = Arc::new(Ops { dashboard, pool });
    let app = Router::new()
        .route("/", get(|| async { "the shop" }))
        .route("/ops", any(self::ops))
        .route("/ops/", any(self::ops))
        .route("/ops/{*path}", any(self::ops))
        .with_state(ops);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("http://{}/ops", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
