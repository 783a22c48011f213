//! Who does not see a page, or has no mouse, is told the same and can do the same.

use flowstate_diesel::diesel::connection::SimpleConnection as _;
use http::Request;

use crate::html::Element;
use crate::office::{Office, post, text};

/// Every page of an office in which there is something to show, errors among them: the address, the
/// status and the page.
fn pages() -> Vec<(String, u16, Element)> {
    let mut office = Office::new();
    let mut shown = Vec::new();
    let mut get = |office: &mut Office, path: &str| {
        let request = Request::get(path).header("x-operator", "anna").body(Vec::new());
        let answer = office.ask(&request.expect("a request"));
        shown.push((path.to_owned(), answer.status().as_u16(), Element::page(&text(&answer))));
    };
    for empty in ["/", "/records", "/failures", "/workers", "/flow?name=bill"] {
        get(&mut office, empty);
    }
    let id = office.refused("the bank says no");
    office.refused("order 17 is odd");
    let worker = "INSERT INTO flowstate_workers VALUES ('worker 1', 'shop', '1', 'host', 7, \
         '2026-01-01 00:00:00.000000', '2026-01-01 00:00:00.000000', '{\"bill\":[\"open\"]}', 4, 0)";
    office.conn.batch_execute(worker).expect("a worker that is gone");
    let plan = format!("/plan?action=retry&id={id}&seq=2");
    for path in [
        "/",
        "/flow?name=bill",
        "/records",
        "/records?stuck=1&flow=bill",
        "/records?flow=none",
        &format!("/record?id={id}"),
        &format!("/record?id={id}&artefact=note&of=1"),
        "/failures",
        "/workers",
        &plan,
        "/plan?action=retry&flow=bill&state=refused",
        "/nowhere",
        "/record?id=999",
        "/plan?action=none&id=1",
    ] {
        get(&mut office, path);
    }
    let form = office.form(&plan);
    let request = post(&form).header("x-operator", "anna").body(form.into_bytes());
    let answer = office.ask(&request.expect("a request"));
    shown.push(("/act".to_owned(), answer.status().as_u16(), Element::page(&text(&answer))));
    shown
}

/// What a reader says for it.
fn name(element: &Element) -> &str {
    element.get("aria-label").unwrap_or(&element.text).trim()
}

/// Where one is, and what there is, can be heard: language, title, headings in their order, and parts.
#[test]
fn every_page_has_a_title_headings_and_parts() {
    for (path, _, page) in pages() {
        let one = |what: &str| {
            let mut found = page.all(&[what]);
            found.retain(|(_, around)| around.iter().all(|outer| outer.name != "svg"));
            assert_eq!(found.len(), 1, "{path}: {what}");
            found[0].0
        };
        assert_eq!(one("html").get("lang"), Some("en"), "{path}");
        assert_eq!(one("title").text, format!("{} – flowstate", one("h1").text), "{path}");
        assert!(!one("h1").text.trim().is_empty(), "{path}");
        let levels = page.all(&["h1", "h2", "h3", "h4"]);
        let levels: Vec<_> = levels.iter().map(|(heading, _)| &heading.name[1..]).collect();
        let mut last = 0;
        for level in levels.iter().map(|level| level.parse::<u8>().expect("a level")) {
            assert!(level <= last + 1, "{path}: {levels:?}");
            last = level;
        }
        assert!(one("nav").get("aria-label").is_some(), "{path}");
        assert!(one("header").all(&["nav"]).len() == 1, "{path}");
        let main = one("main").get("id").expect("a place to skip to");
        let first = page.all(&["a", "button", "input", "summary"])[0].0;
        assert_eq!(
            first.get("href"),
            Some(&*format!("#{main}")),
            "{path}: the first is the skip link"
        );
    }
}

/// Whatever can be used says what it is.
#[test]
fn everything_to_use_has_a_name() {
    let mut found = 0;
    for (path, _, page) in pages() {
        for (one, around) in page.all(&["a", "button", "summary", "input", "select", "textarea"]) {
            let is_field = ["input", "select", "textarea"].contains(&&*one.name);
            if is_field && one.get("type") == Some("hidden") {
                continue;
            }
            let label = around.iter().find(|outer| outer.name == "label");
            let said = if is_field { label.map_or("", |label| name(label)) } else { name(one) };
            assert!(!said.is_empty(), "{path}: {one:?}");
            assert!(one.get("tabindex").is_none(), "{path}: the order is that of the page");
            found += 1;
        }
        // what scrolls can be reached, and says what it is
        for (one, _) in page.all(&["div"]).iter().filter(|(one, _)| one.has_class("scroll")) {
            assert_eq!(
                (one.get("role"), one.get("tabindex")),
                (Some("region"), Some("0")),
                "{path}"
            );
            assert!(one.get("aria-label").is_some_and(|label| !label.is_empty()), "{path}");
        }
    }
    assert!(found > 150, "{found}");
}

/// A table is named, and each cell belongs to a column that has a name.
#[test]
fn every_table_is_named_and_so_are_its_columns() {
    let mut found = 0;
    for (path, _, page) in pages() {
        for (table, _) in page.all(&["table"]) {
            let captions = table.all(&["caption"]);
            assert!(captions.len() == 1 && !captions[0].0.text.is_empty(), "{path}");
            let heads = table.all(&["th"]);
            for (head, _) in &heads {
                assert_eq!(head.get("scope"), Some("col"), "{path}: {head:?}");
                assert!(!head.text.trim().is_empty(), "{path}: a column of {}", captions[0].0.text);
            }
            for (row, _) in &table.all(&["tr"])[1..] {
                assert_eq!(row.children.len(), heads.len(), "{path}: {row:?}");
            }
            found += 1;
        }
    }
    assert!(found > 15, "{found}");
}

/// What a picture shows stands in tables of its page too, or one link away.
#[test]
fn what_a_picture_shows_is_told() {
    let pages = pages();
    let mut found = 0;
    for (path, _, page) in &pages {
        for (picture, _) in page.all(&["svg"]) {
            assert_eq!(picture.get("role"), Some("img"), "{path}");
            let said = picture.get("aria-label").expect("a name");
            if path.starts_with("/record") {
                assert!(said.contains("is in refused"), "{said}");
                let links = page.all(&["a"]);
                assert!(links.iter().any(|(link, _)| link.get("href") == Some("/flow?name=bill")));
            } else {
                let cells = page.all(&["td"]);
                for (state, _) in picture.all(&["title"]) {
                    let name = state.text.split(':').next().expect("a name");
                    let stands = cells.iter().any(|(cell, _)| cell.text.contains(name));
                    assert!(stands, "{path}: {name} in no table");
                }
            }
            found += 1;
        }
    }
    assert!(found >= 4, "{found}");
}

/// Nothing is told by its colour alone: what is coloured says so in words, and states of a picture
/// differ in their lines or corners.
#[test]
fn nothing_is_told_by_colour_alone() {
    for (path, _, page) in pages() {
        for (one, around) in page.all(&[]) {
            if one.has_class("bad") || one.has_class("tag") {
                let is_number = one.text.trim().bytes().all(|sign| sign.is_ascii_digit());
                let in_cell = around.iter().any(|outer| outer.name == "td");
                assert!(!is_number || in_cell && !one.text.is_empty(), "{path}: {one:?}");
            }
        }
        for (picture, _) in page.all(&["svg"]) {
            let look = |class: Option<&str>| {
                let groups = picture.all(&["g"]);
                let of_class = groups.iter().find(|(group, _)| match class {
                    Some(class) => group.has_class(class),
                    None => !group.has_class("error") && !group.has_class("done"),
                });
                let group = of_class.expect("such a state").0;
                let rect = group.all(&["rect"])[0].0;
                (rect.get("rx").map(str::to_owned), rect.get("stroke-dasharray").map(str::to_owned))
            };
            let looks = [look(None), look(Some("error")), look(Some("done"))];
            assert!(
                looks[0] != looks[1] && looks[1] != looks[2] && looks[0] != looks[2],
                "{looks:?}"
            );
        }
    }
}

/// Pages that refresh announce nothing by themselves: each refresh would be read out. An answer that
/// refuses does, and is not refreshed.
#[test]
fn a_refresh_announces_nothing() {
    for (path, status, page) in pages() {
        for (one, _) in page.all(&[]) {
            assert!(one.get("aria-live").is_none() && one.get("autofocus").is_none(), "{path}");
            let announces = ["alert", "status", "log", "timer", "marquee"];
            let role = one.get("role").unwrap_or_default();
            assert!(!announces.contains(&role) || status != 200, "{path}: {one:?}");
        }
        let alerts =
            page.all(&[]).iter().filter(|(one, _)| one.get("role") == Some("alert")).count();
        assert_eq!(alerts, usize::from(status != 200), "{path}");
    }
}

/// The brightness of a colour such as `#fff` or `#1c1e21`, from 0 to 1.
fn brightness(colour: &str) -> f64 {
    let digits: Vec<_> = colour
        .trim_start_matches('#')
        .chars()
        .map(|digit| digit.to_digit(16).expect("a digit"))
        .collect();
    let parts = match digits.len() {
        3 => digits.iter().map(|digit| digit * 17).collect::<Vec<_>>(),
        _ => digits.chunks(2).map(|pair| pair[0] * 16 + pair[1]).collect(),
    };
    let linear = |part: &u32| {
        let part = f64::from(*part) / 255.0;
        if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    };
    parts.iter().map(linear).zip([0.2126, 0.7152, 0.0722]).map(|(part, share)| part * share).sum()
}

/// Text can be read on what it stands on, in the light and in the dark
/// <https://www.w3.org/TR/WCAG22/#contrast-minimum>; and what is reached by keys is seen to be.
#[test]
fn text_and_focus_can_be_seen() {
    let style = include_str!("../../src/dashboard/style.css");
    assert!(style.contains(":focus-visible{outline:3px solid"), "{style}");
    assert!(!style.contains("outline:none") && !style.contains("outline:0"), "{style}");
    let schemes: Vec<_> =
        style.split(":root{").skip(1).map(|of| of.split('}').next().expect("its end")).collect();
    assert_eq!(schemes.len(), 2, "light and dark");
    for scheme in schemes {
        let colour = |name: &str| {
            let value = scheme.split(&format!("--{name}:")).nth(1).expect("a colour");
            brightness(value.split(';').next().expect("its end"))
        };
        let contrast = |one: &str, other: &str| {
            let (one, other) = (colour(one), colour(other));
            (one.max(other) + 0.05) / (one.min(other) + 0.05)
        };
        for (text, ground, least) in [
            ("ink", "bg", 4.5),
            ("ink", "card", 4.5),
            ("soft", "bg", 4.5),
            ("soft", "card", 4.5),
            ("accent", "bg", 4.5),
            ("accent", "card", 4.5),
            ("bad", "bg", 4.5),
            ("bad", "card", 4.5),
            ("bad", "bad-bg", 4.5),
            ("accent", "bad-bg", 4.5),
            ("good", "card", 3.0),
            ("ink", "bad-bg", 4.5),
        ] {
            let found = contrast(text, ground);
            assert!(found >= least, "{text} on {ground}: {found:.2}");
        }
    }
}
