//! Fields that a newer program has written and this one does not know: a change keeps them.

use serde_json::Value;

/// The changed text with what the stored text has beyond the type: `again` reads JSON as the type and
/// writes it again. `None` if there is nothing to be kept.
///
/// Fields of objects are kept, also in the elements of an array: of one that was not changed wherever it
/// stands now, of one that was changed if it stands where it stood and there are as many as before. What
/// would be read as something of the type, such as the former name of a field, is left out.
pub(crate) fn keep_unknown(
    stored: &str,
    changed: &str,
    again: impl Fn(&str) -> Option<String>,
) -> Option<String> {
    let read = |text: &str| serde_json::from_str::<Value>(text).ok();
    let before = read(stored)?;
    let known = read(&again(stored)?)?;
    let mut kept = read(changed)?;
    if !add(&before, &known, &mut kept) {
        return None;
    }
    let text = kept.to_string();
    super::is_same(&text, changed, again).then_some(text)
}

/// Whether anything was added.
fn add(before: &Value, known: &Value, now: &mut Value) -> bool {
    let mut is_more = false;
    match (before, known, now) {
        (Value::Object(before), Value::Object(known), Value::Object(now)) => {
            for (name, value) in before {
                match (known.get(name), now.get_mut(name)) {
                    (None, None) => {
                        now.insert(name.clone(), value.clone());
                        is_more = true;
                    }
                    (Some(known), Some(now)) => is_more |= add(value, known, now),
                    _ => {}
                }
            }
        }
        (Value::Array(before), Value::Array(known), Value::Array(now))
            if before.len() == known.len() =>
        {
            let was = places(known, now);
            for (element, was) in now.iter_mut().zip(was) {
                if let Some(at) = was {
                    is_more |= add(&before[at], &known[at], element);
                }
            }
        }
        _ => {}
    }
    is_more
}

/// Where each element of an array stood before, as far as that can be told.
fn places(known: &[Value], now: &[Value]) -> Vec<Option<usize>> {
    let unchanged = |(at, element): (usize, &Value)| {
        let stayed = known.get(at).filter(|known| *known == element).map(|_| at);
        stayed.or_else(|| known.iter().position(|known| known == element))
    };
    let mut was: Vec<_> = now.iter().enumerate().map(unchanged).collect();
    if known.len() == now.len() {
        for at in 0..was.len() {
            if was[at].is_none() && !was.contains(&Some(at)) {
                was[at] = Some(at);
            }
        }
    }
    was
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::keep_unknown;

    #[derive(Serialize, Deserialize)]
    struct Order {
        #[serde(alias = "total")]
        cents: i64,
        #[serde(default)]
        lines: Vec<Line>,
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    }

    #[derive(Serialize, Deserialize, PartialEq)]
    struct Line {
        item: String,
    }

    #[track_caller]
    fn keeps(stored: &str, change: impl FnOnce(&mut Order), expected: Option<&str>) {
        let mut order: Order = serde_json::from_str(stored).expect("an order");
        change(&mut order);
        let changed = serde_json::to_string(&order).expect("JSON");
        let again =
            |text: &str| serde_json::to_string(&serde_json::from_str::<Order>(text).ok()?).ok();
        assert_eq!(keep_unknown(stored, &changed, again).as_deref(), expected);
    }

    #[test]
    fn what_the_type_does_not_know_survives() {
        keeps(r#"{"cents":1}"#, |order| order.cents = 2, None);
        keeps(
            r#"{"cents":1,"currency":"EUR","lines":[{"item":"a","vat":7},{"item":"b","vat":19}]}"#,
            |order| {
                order.cents = 2;
                order.lines.remove(0);
            },
            Some(r#"{"cents":2,"currency":"EUR","lines":[{"item":"b","vat":19}]}"#),
        );
    }

    #[test]
    fn an_element_that_is_changed_keeps_its_fields_in_its_place() {
        let lines = r#"{"cents":1,"lines":[{"item":"a","vat":7},{"item":"b","vat":19}]}"#;
        let rename = |order: &mut Order, at: usize| order.lines[at].item = "c".to_owned();
        keeps(
            lines,
            |order| rename(order, 0),
            Some(r#"{"cents":1,"lines":[{"item":"c","vat":7},{"item":"b","vat":19}]}"#),
        );
        // what stood there stands elsewhere now
        keeps(
            lines,
            |order| {
                rename(order, 0);
                order.lines.swap(0, 1);
            },
            Some(r#"{"cents":1,"lines":[{"item":"b","vat":19},{"item":"c"}]}"#),
        );
        // which of them it was nobody knows
        keeps(
            lines,
            |order| {
                order.lines.remove(0);
                rename(order, 0);
            },
            None,
        );
        let twins = r#"{"cents":1,"lines":[{"item":"a","vat":7},{"item":"a","vat":19}]}"#;
        keeps(
            twins,
            |order| order.cents = 2,
            Some(r#"{"cents":2,"lines":[{"item":"a","vat":7},{"item":"a","vat":19}]}"#),
        );
    }

    #[test]
    fn what_it_knows_and_has_removed_does_not_come_back() {
        keeps(r#"{"cents":1,"note":"x"}"#, |order| order.note = None, None);
        // it would be a second value of the field
        keeps(r#"{"total":1}"#, |order| order.cents = 2, None);
    }
}
