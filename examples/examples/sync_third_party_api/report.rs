//! What the run came to: asserted first, then shown.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{ContentArrangement, Table};
use flowstate::{Flow as _, diagram};
use flowstate_diesel::{BoxError, HistoryEntry, Store, prelude::*};
use serde_json::Value;

use crate::flow::{SyncThirdPartyApi, SyncThirdPartyApiRecord as Record, ThirdPartyResponse};
use crate::my_records::MyRecords;
use crate::server;

/// Every flow is completed, its failed tries are in its history, and the application's row holds
/// what the server served.
pub(crate) fn check<C: MyRecords>(ids: &[i64], conn: &mut C) -> Result<(), BoxError> {
    for id in ids {
        let flow = SyncThirdPartyApi::find(*id, conn)?;
        let history = flow.history(conn)?;
        let failed = failed_tries(&history);
        assert!(
            flow.is_completed(),
            "flow {id} is in `{}` after {failed} failed tries",
            flow.state()
        );
        assert!(failed > 0, "flow {id} has no failed try in its history");

        let served = server::answer(&flow.third_party_id);
        let kept: Option<ThirdPartyResponse> = flow.artefact(conn)?;
        assert_eq!(kept.map(|kept| kept.0).as_ref(), Some(&served), "the artefact of flow {id}");
        let saved = conn.payload_of(&flow.my_record_id)?;
        let saved: Option<Value> = saved.as_deref().map(serde_json::from_str).transpose()?;
        assert_eq!(saved.as_ref(), Some(&served), "my record of flow {id}");
    }
    let audit = flowstate_diesel::audit(conn)?;
    assert!(audit.is_clean(), "{audit}");
    Ok(())
}

/// The history of the flow that took longest, the graph, and a line that sums up.
pub(crate) fn print<C: Store>(ids: &[i64], conn: &mut C) -> Result<(), BoxError> {
    let mut longest: Option<(Record, Vec<HistoryEntry>)> = None;
    let mut failed = 0;
    for id in ids {
        let flow = SyncThirdPartyApi::find(*id, conn)?;
        let history = flow.history(conn)?;
        failed += failed_tries(&history);
        if longest.as_ref().is_none_or(|(_, found)| history.len() > found.len()) {
            longest = Some((flow, history));
        }
    }
    if let Some((flow, history)) = longest {
        let shown = table(&history);
        let planned = server::failing_tries(&flow.third_party_id) as usize;
        assert!(failed_tries(&history) >= planned, "the server failed {planned} tries:\n{shown}");
        assert!(history.iter().map(|row| row.seq).eq(0..=flow.seq()), "a gap:\n{shown}");
        println!("\nthe history of flow {} ({}):\n{shown}", flow.id(), flow.third_party_id);
    }
    let graph = diagram::mermaid(SyncThirdPartyApi::DEFINITION);
    assert!(graph.contains("fetching --> fetched: finish_fetch"), "{graph}");
    println!("\nthe graph, for https://mermaid.live:\n{graph}");

    let audit = flowstate_diesel::audit(conn)?;
    println!(
        "ok: {} new flows completed after {failed} failed tries; {} flows in the database, audit clean",
        ids.len(),
        audit.flows
    );
    Ok(())
}

fn failed_tries(history: &[HistoryEntry]) -> usize {
    history.iter().filter(|row| row.error.is_some()).count()
}

fn table(history: &[HistoryEntry]) -> Table {
    let mut table = Table::new();
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(110);
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["seq", "time (UTC)", "transition", "from → to", "attempt", "error"]);
    for row in history {
        table.add_row([
            row.seq.to_string(),
            row.created_at.format("%H:%M:%S%.3f").to_string(),
            row.transition.clone(),
            format!("{} → {}", row.from.as_deref().unwrap_or("·"), row.to),
            row.attempt.to_string(),
            row.error.clone().unwrap_or_default(),
        ]);
    }
    table
}
