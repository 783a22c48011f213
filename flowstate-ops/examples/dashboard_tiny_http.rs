//! The dashboard on `tiny_http`: whoever sends the right name may move records.
//!
//! `cargo run -p flowstate-ops --example dashboard_tiny_http -- shop.db 8311`

use flowstate_diesel::prelude::*;
use flowstate_ops::dashboard::{Access, Dashboard, serve};

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut args = std::env::args().skip(1);
    let file = args.next().unwrap_or_else(|| "shop.db".to_owned());
    let port: u16 = args.next().map_or(Ok(8311), |port| port.parse())?;
    let mut conn = SqliteConnection::establish(&file)?;
    flowstate_diesel::migrate(&mut conn)?;

    // in the place of this, ask your own login
    let dashboard = Dashboard::new(|head| match flowstate_ops::dashboard::loopback(head) {
        Access::None => Access::None,
        _ => Access::Operate("anna".to_owned()),
    });
    let server = tiny_http::Server::http(("127.0.0.1", port))?;
    println!("http://{}/", server.server_addr());
    serve(&dashboard, &server, &mut conn)?;
    Ok(())
}
