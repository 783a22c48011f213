use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Queued, Fetching, Fetched, Failed(error))]
#[initial(Queued)]
#[completed(Fetched)]
#[persist(Page(String))]
#[step(fetch_the_page_of_the_third_party_and_its_pictures_and_its_style: Queued | Failed => Fetching => Fetched(persist(Page)), fail(Failed))]
struct Fetch {}

fn main() {}
