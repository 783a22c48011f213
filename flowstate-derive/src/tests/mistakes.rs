//! What is said of a mistake, without a compiler: the message, and that it is the only one.

use super::mistakes;

const FLOW: &str = r"
    #[state(Pending, Paid, Shipped, Lost(error))]
    #[initial(Pending)]
    #[completed(Shipped)]
    #[persist(Receipt(String))]
    #[transition(pay: Pending => Paid, persist(Receipt))]
    #[transition(ship: Paid => Shipped, load(Receipt))]
    #[transition(lose: Paid => Lost)]
    struct Order {}
";

/// The mistakes of the flow above with some words exchanged.
#[track_caller]
fn with(written: &str, instead: &str) -> Vec<String> {
    assert!(FLOW.contains(written), "{written}");
    mistakes(&FLOW.replacen(written, instead, 1))
}

#[test]
fn what_a_mistake_hides_is_understood() {
    for (written, instead, message) in [
        ("Lost(error)", "Lost(eror)", "did you mean `error`?"),
        ("Lost(error)", "Lost = error", "options stand in parentheses: `Lost(error)`"),
        ("Lost(error)", "Lost(error = true)", "write the option as `error`"),
        ("Lost(error)", "Lost(error, error)", "`error` is given twice: remove one"),
        ("Pending, Paid", "Pending Paid", "expected `,` after `Pending`"),
        ("Pending, Paid", "Pending; Paid", "write `,` in place of `;`"),
        ("Pending, Paid", "Pending,, Paid", "remove it"),
        ("Pending, Paid", "Pending, \"Paid\"", "without quotes: `Paid`"),
        ("Paid, Shipped", "Paid(), Shipped", "nothing stands in the parentheses: write `Paid`"),
        ("initial(Pending)", "initial(Pendig)", "did you mean `Pending`?"),
        ("initial(Pending)", "initial(Pending, Paid)", "remove this one"),
        ("(Receipt(String))", "(Receipt[String])", "`Receipt(String)`"),
        ("(Receipt(String))", "(\"Receipt\"(String))", "without quotes: `Receipt(Type)`"),
        ("pay: Pending", "\"pay\": Pending", "without quotes: `pay`"),
        ("pay: Pending", "pay Pending", "expected `:`"),
        ("Pending => Paid", "Pending -> Paid", "write the arrow as `=>`"),
        ("Pending => Paid", "Pendng => Paid", "did you mean `Pending`?"),
        ("Pending => Paid", "Pending => Payd", "did you mean `Paid`?"),
        ("Pending => Paid", "Pending, Lost => Paid", "write `Pending | Lost`"),
        ("Paid, persist(", "Paid; persist(", "write `,` in place of `;`"),
        ("Paid, persist(", "Paid persist(", "expected `,` and options after `Paid`"),
        ("persist(Receipt))", "persit(Receipt))", "did you mean `persist`?"),
        ("load(Receipt))", "loud(Receipt), load(Receipt))", "did you mean `load`?"),
        ("persist(Receipt))", "persist = Receipt)", "write the option as `persist(Receipt)`"),
        ("persist(Receipt))", "persist: Receipt)", "write the option as `persist(Receipt)`"),
        ("persist(Receipt))", "persist[Receipt])", "write the option as `persist(Receipt)`"),
        ("Lost(error)", "Lost error", "options stand in parentheses: `Lost(error)`"),
        ("Lost(error)", "Lost[error]", "options stand in parentheses: `Lost(error)`"),
        ("Lost(error)", "Lost: error", "options stand in parentheses: `Lost(error)`"),
        ("Lost(error)", "error(Lost)", "`#[state(Name(error))]`"),
        ("(Receipt(String))", "(Receipt: String)", "in parentheses: `Receipt(String)`"),
        ("(Receipt(String))", "(Receipt = String)", "in parentheses: `Receipt(String)`"),
        ("(Receipt(String))", "(struct Receipt(String))", "remove `struct`"),
        ("pay: Pending", "pay, Pending", "write `:` after the name: `pay: Pending => Paid`"),
        ("pay: Pending => Paid", "pay(Pending => Paid)", "`pay: Pending => Paid`"),
        ("Pending => Paid", "[Pending, Lost] => Paid", "write `Pending | Lost`"),
        ("Pending => Paid", "Pending || Lost => Paid", "write one `|`"),
        ("Pending => Paid", "Pending > Paid", "write the arrow as `=>`"),
        ("Pending => Paid", "OrderState::Pending => Paid", "by its last name: `Pending`"),
        ("persist(Receipt))", "persist(Reciept))", "did you mean `Receipt`?"),
        ("persist(Receipt))", "persist(slip::Receipt))", "by its last name: `Receipt`"),
        ("persist(Receipt))", "persist(a::b::Receipt))", "by its last name: `Receipt`"),
        ("Lost(error)", "Lost, error", "in parentheses after a state"),
    ] {
        let found = with(written, instead);
        assert_eq!(found.len(), 1, "{instead}: {found:?}");
        assert!(found[0].contains(message), "{instead}: {found:?}");
    }
}

#[test]
fn what_is_lost_says_nothing_of_the_rest() {
    for (written, instead) in [
        ("Paid, Shipped", "Paid, type, Shipped"),
        ("Shipped, Lost(error)", "Lost(error), 1"),
        ("Paid => Shipped", "Paid => Refunded"),
        ("Paid => Shipped", "Paid"),
        ("Paid => Shipped", "Paid =>"),
        ("(Receipt(String))", "(Receipt(Vec<))"),
        ("(Receipt(String))", "(\"Receipt\")"),
        ("ship: Paid", "pay: Paid"),
        ("persist(Receipt))", "persist())"),
        ("persist(Receipt))", "keep(Receipt))"),
        ("persist(Receipt))", "persist(Paid))"),
        ("#[initial(Pending)]", ""),
        ("#[completed(Shipped)]", "#[completed()]"),
    ] {
        let found = with(written, instead);
        assert_eq!(found.len(), 1, "{instead}: {found:?}");
    }
}

#[test]
fn one_misspelt_option_does_not_hide_the_graph() {
    let found = with("Lost(error)", "Lost(eror), Returned");
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[1].contains("no path leads from `Pending` to the state `Returned`"), "{found:?}");
    let found = with("#[state(Pending", "#[flow] #[state(Returned, Pending");
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn the_attribute_of_another_derive_is_left_alone() {
    let none: [&str; 0] = [];
    assert_eq!(with("#[initial", "#[persisted(Orders)] #[initial"), none);
    assert_eq!(with("#[initial", "#[states(Small, Large)] #[initial"), none);
    assert_eq!(with("#[initial", "#[complete(Lost)] #[initial"), none);
    // unless it is missed, and then the compiler refuses it
    assert_eq!(with("#[persist(", "#[persists("), none);
    assert_eq!(with("#[completed(", "#[complete("), none);
}

#[test]
fn raw_names_are_names() {
    let none: [&str; 0] = [];
    assert_eq!(with("Lost(error)", "Lost(r#error)"), none);
    assert_eq!(with("Paid => Lost", "r#Paid => r#Lost"), none);
    let found = with("lose: Paid", "lose: r#Shipped");
    assert!(found[0].contains("nothing leaves the completed state `Shipped`"), "{found:?}");
}

#[test]
fn items_of_one_name_are_refused() {
    for (flow, message) in [
        ("record = Order", "the flow already has an item named `Order`"),
        ("state = Order", "write another name after `state =`"),
        ("record = Kept, state = Kept", "the flow already has an item named `Kept`"),
    ] {
        let found = with("#[state", &format!("#[flow({flow})] #[state"));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(message), "{found:?}");
    }
    assert!(with("Paid, Shipped", "Paid, ALL, Shipped")[0].contains("choose another name"));
}

#[test]
fn a_wrong_shape_still_has_its_items() {
    for (shape, items) in [
        ("struct Order(u8);", 7),
        ("enum Order { A }", 7),
        ("union Order { a: u8 }", 7),
        ("struct Order<'a, T> { a: &'a T }", 7),
    ] {
        let flow = FLOW.replace("struct Order {}", shape);
        let output = crate::derive(flow.parse().unwrap());
        let file: syn::File = syn::parse2(output).unwrap();
        // the error, the states, the record, the artefact, the results, two modules, and the unnamed
        // constant
        assert_eq!(file.items.len(), 1 + items, "{shape}");
        assert_eq!(mistakes(&flow).len(), 1, "{shape}");
    }
}
