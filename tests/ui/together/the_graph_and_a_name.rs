use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[flow(nam = "order")]
#[state(Pending, Paid, Shipped, Returned, Lost)]
#[initial(Pending)]
#[completed(Shipped)]
#[transition(pay: Pending => Paid)]
#[transition(ship: Paid => Shipped)]
#[transition(resend: Returned => Paid)]
#[transition(lose: Paid => Lost)]
struct Order {}

fn main() {}
