//! A page as a tree, as far as the pages of the dashboard need it: they are written by a library that
//! closes what it opens.

/// An element.
#[derive(Debug, Default)]
pub(crate) struct Element {
    pub(crate) name: String,
    attributes: Vec<(String, String)>,
    /// Its text, and that of all that is in it.
    pub(crate) text: String,
    pub(crate) children: Vec<Element>,
}

/// What has no end.
const EMPTY: [&str; 5] = ["meta", "link", "input", "br", "!doctype"];

impl Element {
    /// The whole page.
    pub(crate) fn page(text: &str) -> Self {
        let mut open = vec![Self::default()];
        for part in text.split('<').skip(1) {
            let (tag, text) = part.split_once('>').expect("a tag");
            if let Some(name) = tag.strip_prefix('/') {
                let ended = open.pop().expect("it was opened");
                assert_eq!(name, ended.name, "closed in order");
                let outer = open.last_mut().expect("something round it");
                outer.text.push_str(&ended.text);
                outer.children.push(ended);
            } else {
                let element = Self::of(tag);
                if EMPTY.contains(&&*element.name) {
                    open.last_mut().expect("something round it").children.push(element);
                } else {
                    open.push(element);
                }
            }
            open.last_mut().expect("something round it").text.push_str(text);
        }
        assert_eq!(open.len(), 1, "all is closed");
        open.remove(0)
    }

    fn of(tag: &str) -> Self {
        let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
        let mut attributes = Vec::new();
        while !rest.trim().is_empty() {
            let end = rest.find(['=', ' ']).unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            let (value, after) = match after.strip_prefix("=\"") {
                Some(after) => after.split_once('"').expect("the end of a value"),
                None => ("", after),
            };
            attributes.push((name.to_owned(), value.to_owned()));
            rest = after.trim_start();
        }
        Self { name: name.to_lowercase(), attributes, ..Self::default() }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    pub(crate) fn has_class(&self, class: &str) -> bool {
        self.get("class").is_some_and(|classes| classes.split(' ').any(|one| one == class))
    }

    /// All elements in it of one of these names, in their order, each with what it is in.
    pub(crate) fn all<'e>(&'e self, names: &[&str]) -> Vec<(&'e Self, Vec<&'e Self>)> {
        let mut found = Vec::new();
        self.gather(names, &mut Vec::new(), &mut found);
        found
    }

    fn gather<'e>(
        &'e self,
        names: &[&str],
        around: &mut Vec<&'e Self>,
        found: &mut Vec<(&'e Self, Vec<&'e Self>)>,
    ) {
        if names.contains(&&*self.name) || names.is_empty() {
            found.push((self, around.clone()));
        }
        around.push(self);
        for child in &self.children {
            child.gather(names, around, found);
        }
        around.pop();
    }
}
