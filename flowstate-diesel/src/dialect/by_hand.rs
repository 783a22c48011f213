//! Transactions that were begun by hand, by statements of others that say so in their text. Diesel
//! knows nothing of them, and PostgreSQL and MySQL do not refuse a second BEGIN: the first COMMIT,
//! which is ours, would end the transaction of the caller.

/// What the text of a statement of others, or of several, does outside a transaction that Diesel knows
/// of: `Some(true)` if it leaves one open, `Some(false)` if it ends one.
pub(crate) fn effect(text: &str) -> Option<bool> {
    text.split(';').filter_map(effect_of_one).next_back()
}

fn effect_of_one(text: &str) -> Option<bool> {
    let mut words = without_comments(text).split_whitespace().map(str::to_ascii_uppercase);
    let (first, second) = (words.next()?, words.next().unwrap_or_default());
    match (&*first, &*second) {
        ("BEGIN", _) | ("START", "TRANSACTION") => Some(true),
        // to a savepoint
        ("ROLLBACK", "TO") | ("ROLLBACK" | "COMMIT", "PREPARED") => None,
        ("COMMIT" | "ROLLBACK" | "END" | "ABORT", _) => Some(words.any(|word| word == "CHAIN")),
        ("PREPARE", "TRANSACTION") => Some(false),
        _ => None,
    }
}

/// The text from its first word on.
fn without_comments(text: &str) -> &str {
    let mut text = text.trim_start();
    loop {
        let end = if text.starts_with("--") || text.starts_with('#') {
            text.find('\n').map(|at| at + 1)
        } else if text.starts_with("/*") {
            text.find("*/").map(|at| at + 2)
        } else {
            return text;
        };
        text = text[end.unwrap_or(text.len())..].trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::effect;

    #[test]
    fn texts_that_begin_and_end_are_known() {
        for text in [
            "BEGIN",
            "begin transaction isolation level serializable",
            "START TRANSACTION READ ONLY;",
            "-- mine\n /* too */ Begin; INSERT INTO mine VALUES (1)",
            "COMMIT AND CHAIN",
            "COMMIT; BEGIN",
            "BEGIN -- binds: []",
        ] {
            assert_eq!(effect(text), Some(true), "{text}");
        }
        for text in ["COMMIT", "rollback;", "END", "BEGIN; SELECT 1; COMMIT", "ROLLBACK WORK"] {
            assert_eq!(effect(text), Some(false), "{text}");
        }
        for text in ["", "SELECT 'BEGIN'", "ROLLBACK TO mine", "SAVEPOINT begin", "-- BEGIN"] {
            assert_eq!(effect(text), None, "{text}");
        }
    }
}
