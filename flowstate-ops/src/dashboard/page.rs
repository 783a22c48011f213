//! What all pages have in common.

use chrono::{DateTime, Utc};
use maud::{DOCTYPE, Markup, html};

/// Where a page is, and who sees it.
pub(super) struct Page<'a> {
    pub(super) root: &'a str,
    /// Under the root.
    pub(super) path: &'a str,
    pub(super) who: &'a str,
}

const PLACES: [(&str, &str); 4] = [
    ("/", "Overview"),
    ("/records", "Records"),
    ("/failures", "Failures"),
    ("/workers", "Workers"),
];

impl Page<'_> {
    pub(super) fn html(&self, title: &str, body: &Markup) -> Markup {
        let root = self.root;
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (title) " – flowstate" }
                    link rel="stylesheet" href={ (root) "/style.css" };
                    script src={ (root) "/script.js" } defer {}
                }
                body {
                    a.skip href="#main" { "to the content" }
                    header {
                        strong { "flowstate" }
                        nav aria-label="Pages" {
                            @for (path, name) in PLACES {
                                a href={ (root) (path) }
                                    aria-current=[(path == self.path).then_some("page")] { (name) }
                            }
                        }
                        span.who { (self.who) }
                    }
                    main id="main" { h1 { (title) } (body) }
                }
            }
        }
    }
}

/// A table that can be read without being seen: with a name, and columns that say what is in them. Where
/// it is wider than the page, it is moved by the keys, too. Before the name of a column of numbers
/// stands `#`; a name in brackets is not shown.
pub(super) fn table(id: &str, name: &str, columns: &[&str], rows: &Markup) -> Markup {
    html! {
        div.scroll role="region" aria-label=(name) tabindex="0" { table id=(id) {
            caption.unseen { (name) }
            thead { tr { @for column in columns {
                @let (number, hidden) = (column.starts_with('#'), column.starts_with('('));
                th.n[number] scope="col" {
                    span.unseen[hidden] { (column.trim_matches(['#', '(', ')'])) }
                }
            } } }
            tbody { (rows) }
        } }
    }
}

/// A time, for people and for programs.
pub(super) fn time(at: DateTime<Utc>) -> Markup {
    html! {
        time datetime=(at.to_rfc3339()) { (at.format("%Y-%m-%d %H:%M:%S")) }
    }
}

/// How long, in its largest unit: `3d`, `17m`.
pub(super) fn long(span: chrono::TimeDelta) -> String {
    let seconds = span.num_seconds().max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// `record` or `records`.
pub(super) fn records(count: impl TryInto<i64>) -> &'static str {
    if count.try_into().is_ok_and(|count| count == 1) { "record" } else { "records" }
}
