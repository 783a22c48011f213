use flowstate::Flow;

#[derive(Flow)]
#[state(Pending, Paid, Shipped)]
#[initial(Pending)]
#[completed(Shipped)]
#[transition(pay: Pending => Paid)]
#[transition(ship: Paid => Shipped)]
union Order {
    small: u8,
    large: u64,
}

fn main() {}
