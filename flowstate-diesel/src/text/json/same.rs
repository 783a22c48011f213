//! Whether two values that a type writes as JSON are the same to that type.

use serde_json::Value;

/// Whether both texts stand for equal values of a type. `again` reads JSON as that type and writes
/// it again; `None` if it cannot be read so.
///
/// Keys of objects have no order. A sequence has one, unless the type shows that it has none: a
/// `HashSet` writes its elements in another order each time, and drops one that it is given twice.
pub(crate) fn is_same(stored: &str, asked: &str, again: impl Fn(&str) -> Option<String>) -> bool {
    let read = |text: &str| serde_json::from_str::<Value>(text).ok();
    // what the type itself puts in order, and fields that it adds or leaves out
    let normal = |text: &str| again(text).and_then(|text| read(&text));
    let (Some(stored), Some(asked)) = (normal(stored), normal(asked)) else { return false };
    if stored == asked {
        return true;
    }
    let unordered = sorted(stored.clone());
    if unordered != sorted(asked.clone()) {
        return false;
    }
    [Prefer::Inner, Prefer::Outer].into_iter().any(|prefer| {
        let mut doubled = stored.clone();
        double(&mut doubled, &asked, prefer);
        normal(&doubled.to_string()).is_some_and(|found| sorted(found) == unordered)
    })
}

/// What is tried first where it may be the elements of an array that are in another order, or the
/// elements of its elements.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Prefer {
    Inner,
    Outer,
}

/// Gives an element a second time wherever the arrays differ in their order alone: a set drops it.
fn double(stored: &mut Value, asked: &Value, prefer: Prefer) {
    if stored == asked {
        return;
    }
    match (stored, asked) {
        (Value::Object(stored), Value::Object(asked)) => {
            for (name, value) in stored {
                if let Some(asked) = asked.get(name) {
                    double(value, asked, prefer);
                }
            }
        }
        (Value::Array(stored), Value::Array(asked)) => {
            let in_place = stored.iter().zip(asked).all(|(a, b)| loose(a) == loose(b));
            if in_place && (prefer == Prefer::Inner || !is_permuted(stored, asked)) {
                stored.iter_mut().zip(asked).for_each(|(a, b)| double(a, b, prefer));
                return;
            }
            stored.sort_by_cached_key(|element| (loose(element), element.to_string()));
            let mut asked: Vec<_> = asked.iter().collect();
            asked.sort_by_cached_key(|element| (loose(element), element.to_string()));
            stored.iter_mut().zip(asked).for_each(|(a, b)| double(a, b, prefer));
            if let Some(first) = stored.first().cloned() {
                stored.push(first);
            }
        }
        _ => {}
    }
}

/// Whether the arrays have the very same elements.
fn is_permuted(stored: &[Value], asked: &[Value]) -> bool {
    let texts = |elements: &[Value]| {
        let mut texts: Vec<_> = elements.iter().map(Value::to_string).collect();
        texts.sort_unstable();
        texts
    };
    texts(stored) == texts(asked)
}

/// A text that is the same in whatever order the arrays are.
fn loose(value: &Value) -> String {
    sorted(value.clone()).to_string()
}

/// All arrays and objects in one order.
fn sorted(value: Value) -> Value {
    match value {
        Value::Array(elements) => {
            let mut elements: Vec<_> = elements.into_iter().map(sorted).collect();
            elements.sort_by_cached_key(Value::to_string);
            Value::Array(elements)
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.into_iter().collect();
            // `serde_json` may have been built to keep the order in which they were written
            members.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(members.into_iter().map(|(name, value)| (name, sorted(value))).collect())
        }
        value => value,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap, HashSet};

    use serde::de::DeserializeOwned;
    use serde::{Deserialize, Serialize};

    use super::is_same;

    fn same<T: Serialize + DeserializeOwned>(stored: &str, asked: &str) -> bool {
        is_same(stored, asked, |text| {
            serde_json::to_string(&serde_json::from_str::<T>(text).ok()?).ok()
        })
    }

    #[derive(Serialize, Deserialize)]
    struct Import {
        file: String,
        #[serde(default)]
        priority: u8,
    }

    #[test]
    fn a_set_has_no_order() {
        for (stored, asked) in [
            (r#"["red","green","blue"]"#, r#"["blue","red","green"]"#),
            (r#"["red","green"]"#, r#"["green","red"]"#),
        ] {
            assert!(same::<HashSet<String>>(stored, asked));
            assert!(same::<BTreeSet<String>>(stored, asked));
            assert!(!same::<Vec<String>>(stored, asked));
        }
        assert!(!same::<HashSet<String>>(r#"["red","green"]"#, r#"["red","blue"]"#));
        assert!(!same::<HashSet<String>>(r#"["red","green"]"#, r#"["red"]"#));
        assert!(!same::<(u8, u8)>("[1,2]", "[2,1]"));
        assert!(!same::<[u8; 2]>("[1,2]", "[2,1]"));
    }

    #[test]
    fn sets_are_known_wherever_they_stand() {
        let (stored, asked) = (r"[[1,2],[3,4]]", r"[[2,1],[3,4]]");
        assert!(same::<Vec<HashSet<u8>>>(stored, asked));
        assert!(!same::<Vec<Vec<u8>>>(stored, asked));
        assert!(!same::<HashSet<Vec<u8>>>(stored, asked));
        let swapped = r"[[4,3],[1,2]]";
        assert!(!same::<Vec<HashSet<u8>>>(stored, swapped));
        assert!(same::<BTreeSet<BTreeSet<u8>>>(stored, swapped));
        // each may be read two ways
        let (stored, asked) = (r"[[1,2],[2,1]]", r"[[2,1],[1,2]]");
        assert!(same::<Vec<HashSet<u8>>>(stored, asked));
        assert!(same::<HashSet<Vec<u8>>>(stored, asked));
        assert!(!same::<Vec<Vec<u8>>>(stored, asked));
        let (stored, asked) = (r#"{"a":{"x":[1,2,3]},"b":{}}"#, r#"{"b":{},"a":{"x":[3,1,2]}}"#);
        assert!(same::<HashMap<String, HashMap<String, HashSet<u8>>>>(stored, asked));
        assert!(!same::<HashMap<String, HashMap<String, Vec<u8>>>>(stored, asked));
        assert!(!same::<serde_json::Value>(stored, asked));
    }

    #[test]
    fn what_was_stored_is_read_as_the_type_is_now() {
        assert!(same::<Import>(r#"{"file":"a"}"#, r#"{"file":"a","priority":0}"#));
        assert!(!same::<Import>(r#"{"file":"a"}"#, r#"{"file":"a","priority":1}"#));
        assert!(same::<Import>(r#"{"file":"a","old":1}"#, r#"{"file":"a","priority":0}"#));
        assert!(same::<f64>("1.50", "15e-1"));
    }
}
