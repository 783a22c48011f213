use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Pending, WaitingForTheConfirmationOfTheDeliveryByTheCustomerOrTheCourier, Shipped)]
#[initial(Pending)]
#[completed(Shipped)]
#[transition(pay: Pending => WaitingForTheConfirmationOfTheDeliveryByTheCustomerOrTheCourier)]
#[transition(ship: WaitingForTheConfirmationOfTheDeliveryByTheCustomerOrTheCourier => Shipped)]
struct Order {}

fn main() {}
