use flowstate::Flow;

#[derive(Flow)]
#[state(Pending, Paid, Shipped)]
#[initial(Pending)]
#[completed(Shipped)]
#[transition(pay: Pending => Paid)]
#[transition(ship: Paid => Shipped)]
struct Order<'a> {
    item: &'a str,
}

fn main() {}
