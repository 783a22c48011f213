//! A12: the connection of a worker fails while a finish is committed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use diesel::connection::SimpleConnection as _;
use flowstate_diesel::{Worker, prelude::*};
use serde_json::json;

use crate::database::server::Served;
use crate::flows::{Response, Sync, SyncState};
use crate::proxy::{Cut, Proxy};
use crate::statement_probe::Probe;
use crate::steps::picked;
use crate::{check, fetch_step, save_step};

/// A12: a worker finds out by itself whether its finish was committed. The handler has run once, and
/// once more only where a transactional one was rolled back; the transition was taken once.
pub fn a12_a_worker_finds_out<D: Served>() {
    for cut in [Cut::Before, Cut::After] {
        let database = D::migrated();
        let proxy = Arc::new(Proxy::start(&D::address()));
        let conn = &mut database.connect();
        check::make_effects(conn);
        let id = picked::<D>(conn, "a");
        let through = database.url_through(proxy.port());
        let pool = || D::probed_pool(&through, 1, Probe::new(|_| {}));
        let ran = Arc::new(AtomicU32::new(0));
        let stats = Worker::new(pool())
            .step(fetch_step!(), {
                let (proxy, ran) = (Arc::clone(&proxy), Arc::clone(&ran));
                move |_, ()| {
                    ran.fetch_add(1, Ordering::SeqCst);
                    // the artefact, where one statement does it all
                    let words = if D::FOLDER == "mysql" { D::LAST_WORDS } else { "cut at this" };
                    proxy.cut(cut, words);
                    Ok(Response(json!("cut at this")))
                }
            })
            .run_until_idle()
            .expect("ran");
        assert_eq!((stats.finished, stats.failed, stats.lost), (1, 0, 0), "{cut:?}");
        assert_eq!((proxy.cuts(), ran.load(Ordering::SeqCst)), (1, 1), "{cut:?}");

        let stats = Worker::new(pool())
            .transactional_step(save_step!(), {
                let (proxy, ran) = (Arc::clone(&proxy), Arc::clone(&ran));
                move |_, _, conn| {
                    if ran.fetch_add(1, Ordering::SeqCst) == 1 {
                        proxy.cut(cut, D::LAST_WORDS_OF_MANY);
                    }
                    conn.batch_execute("INSERT INTO effects VALUES ('saved')")?;
                    Ok(())
                }
            })
            .run_until_idle()
            .expect("ran");
        assert_eq!((stats.finished, stats.failed, stats.lost), (1, 0, 0), "{cut:?}");
        let runs = if cut == Cut::Before { 3 } else { 2 };
        assert_eq!((proxy.cuts(), ran.load(Ordering::SeqCst)), (2, runs), "{cut:?}");
        assert_eq!(check::rows::<D>(conn, "effects"), 1, "{cut:?}");
        let flow = Sync::find(id, conn).expect("found");
        assert_eq!((flow.state(), flow.seq()), (SyncState::Completed, 6), "{cut:?}");
        check::clean(conn);
    }
}
