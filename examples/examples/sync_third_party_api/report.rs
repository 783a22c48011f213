//! What the run came to: asserted first, then shown.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{ContentArrangement, Table};
use flowstate::{Flow as _, diagram};
use flowstate_diesel::{BoxError, HistoryEntry, prelude::*};
use serde_json::Value;

use crate::flow::{SyncThirdPartyApi, SyncThirdPartyApiRecord as Record, ThirdPartyResponse};
use crate::my_records::MyRecords;
use crate::server;

/// Every flow is completed, its failed tries are in its history, and the application's row holds
/// what the server served; unless the application has deleted its row, and the flow was given up.
/// Returns how many are completed.
pub(crate) fn check<C: MyRecords>(ids: &[i64], conn: &mut C) -> Result<usize, BoxError> {
    let mut given_up = 0;
    for id in ids {
        let flow = SyncThirdPartyApi::find(*id, conn)?;
        if !flow.is_completed() && !conn.my_record_exists(&flow.my_record_id)? {
            given_up += 1;
            continue;
        }
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
    if given_up > 0 {
        println!("{given_up} flows were given up: their records are gone");
    }
    Ok(ids.len() - given_up)
}

/// The history of the flow that took longest, the graph, and a line that sums up.
pub(crate) fn print<C: MyRecords>(ids: &[i64], conn: &mut C) -> Result<(), BoxError> {
    let completed = check(ids, conn)?;
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
        assert_told(&flow, &history);
        println!("\nthe history of flow {} ({}):\n{shown}", flow.id(), flow.third_party_id);
    }
    let graph = diagram::mermaid(SyncThirdPartyApi::DEFINITION);
    for transition in SyncThirdPartyApi::DEFINITION.transitions {
        for from in transition.from {
            let edge = format!("{from} --> {}: {}", transition.to, transition.name);
            assert!(graph.contains(&edge), "{edge} in:\n{graph}");
        }
    }
    println!("\nthe graph, for https://mermaid.live:\n{graph}");

    let audit = flowstate_diesel::audit(conn)?;
    assert!(audit.is_clean(), "{audit}");
    println!(
        "ok: {completed} new flows completed after {failed} failed tries; {} flows in the database, audit clean",
        audit.flows
    );
    Ok(())
}

/// Every column of the table: rows without a gap, each from where the one before it led, with the
/// number of its try, none before the flow was created.
fn assert_told(flow: &Record, history: &[HistoryEntry]) {
    let shown = table(history);
    assert!(history.iter().map(|row| row.seq).eq(0..=flow.seq()), "a gap:\n{shown}");
    let (mut state, mut attempt) = (None, 1);
    for row in history {
        assert_eq!(row.from.as_deref(), state, "row {} starts elsewhere:\n{shown}", row.seq);
        assert_eq!(row.attempt, attempt, "the try of row {}:\n{shown}", row.seq);
        let failed = row.transition.starts_with("fail");
        assert_eq!(row.error.is_some(), failed, "the error of row {}:\n{shown}", row.seq);
        let since = flow.created_at();
        assert!(row.created_at >= since, "row {} is before {since}:\n{shown}", row.seq);
        // a step's next try follows its failure, the next step's first one its success
        attempt = match &*row.to {
            "fetching" | "saving" => attempt,
            _ if failed => attempt + 1,
            _ => 1,
        };
        state = Some(&*row.to);
    }
    assert_eq!(state, Some(flow.state().as_str()), "it ends elsewhere:\n{shown}");
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
