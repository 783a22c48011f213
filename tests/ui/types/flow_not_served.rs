use flowstate::{Flow, Handles};
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Queued, Fetching, Fetched, Failed(error))]
#[initial(Queued)]
#[completed(Fetched)]
#[persist(Page(String))]
#[step(fetch: Queued | Failed => Fetching => Fetched(persist(Page)), fail(Failed))]
struct Fetch {}

struct Handlers;

fn serve<F: Flow>(_: impl Handles<F, ()>) {}

fn worker() {
    serve::<Fetch>(Handlers);
}

fn main() {}
