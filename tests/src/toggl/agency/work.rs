//! Who works at the agency, for whom, and on what.

/// Somebody of the agency.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) name: &'static str,
    /// Places in [`PROJECTS`], the one worked on most first.
    pub(super) projects: &'static [usize],
    pub(super) minutes_a_day: i64,
    pub(super) works_fridays: bool,
}

#[derive(Debug)]
pub(super) struct Project {
    pub(super) name: &'static str,
    pub(super) color: &'static str,
    /// A place in [`CLIENTS`]; the agency's own work has none, and is not billed.
    pub(super) client: Option<usize>,
    pub(super) tasks: &'static [Task],
}

#[derive(Debug)]
pub(super) struct Task {
    pub(super) name: &'static str,
    /// A place in [`TAGS`].
    pub(super) tag: usize,
    /// Descriptions of its entries.
    pub(super) words: &'static [&'static str],
}

impl Person {
    pub(super) fn email(&self) -> String {
        let first = self.name.split(' ').next().unwrap_or_default();
        format!("{}@studio-north.example", first.to_lowercase())
    }
}

impl Project {
    pub(super) const fn is_billable(&self) -> bool {
        self.client.is_some()
    }
}

pub(super) const PEOPLE: [Person; 4] = [
    Person {
        name: "Nora Lindqvist",
        projects: &[0, 1, 6, 4],
        minutes_a_day: 480,
        works_fridays: true,
    },
    Person { name: "Tom Rivera", projects: &[1, 4, 5], minutes_a_day: 480, works_fridays: true },
    Person {
        name: "Amina Haddad",
        projects: &[2, 3, 6, 0],
        minutes_a_day: 450,
        works_fridays: true,
    },
    Person { name: "Ben Carter", projects: &[7, 5, 2], minutes_a_day: 420, works_fridays: false },
];

pub(super) const CLIENTS: [&str; 5] =
    ["Acme Outdoor", "Globex Energy", "Harbor Books", "Northwind Coffee", "City Museum"];

const DESIGN: usize = 0;
const DEVELOPMENT: usize = 1;
const MEETING: usize = 2;
const RESEARCH: usize = 3;
const SUPPORT: usize = 4;

pub(super) const TAGS: [&str; 5] = ["design", "development", "meeting", "research", "support"];

/// The agency's own: the last of [`PROJECTS`].
pub(super) const INTERNAL: usize = PROJECTS.len() - 1;

const fn task(name: &'static str, tag: usize, words: &'static [&'static str]) -> Task {
    Task { name, tag, words }
}

pub(super) const PROJECTS: [Project; 9] = [
    Project {
        name: "Online shop",
        color: "#0b83d9",
        client: Some(0),
        tasks: &[
            task(
                "Checkout",
                DEVELOPMENT,
                &["Checkout: address form", "Checkout: payment", "Checkout: error states"],
            ),
            task(
                "Product pages",
                DEVELOPMENT,
                &["Product page on phones", "Filters", "Image gallery"],
            ),
            task("Meetings", MEETING, &["Call with Acme", "Sprint review"]),
        ],
    },
    Project {
        name: "Shop maintenance",
        color: "#06a893",
        client: Some(0),
        tasks: &[task(
            "Maintenance",
            SUPPORT,
            &["Updates", "Slow search", "Returns by e-mail", "Broken images"],
        )],
    },
    Project {
        name: "Brand refresh",
        color: "#d94182",
        client: Some(1),
        tasks: &[
            task("Concept", RESEARCH, &["Interviews", "Competitors", "Mood boards"]),
            task("Design", DESIGN, &["Logo variants", "Colours and type", "Slide template"]),
        ],
    },
    Project {
        name: "Annual report",
        color: "#e36a00",
        client: Some(1),
        tasks: &[task("Layout", DESIGN, &["Charts", "Cover", "Chapter 2", "Proofs"])],
    },
    Project {
        name: "Reader app",
        color: "#2da608",
        client: Some(2),
        tasks: &[
            task("App", DEVELOPMENT, &["Offline reading", "Bookmarks", "Store release"]),
            task("Meetings", MEETING, &["Call with Harbor", "Planning"]),
        ],
    },
    Project {
        name: "Newsletter",
        color: "#c7af14",
        client: Some(2),
        tasks: &[task(
            "Issues",
            DESIGN,
            &["Monthly issue", "Template", "Numbers of the last issue"],
        )],
    },
    Project {
        name: "Packaging",
        color: "#bf7000",
        client: Some(3),
        tasks: &[task("Design", DESIGN, &["Winter edition", "Print data", "Label sizes"])],
    },
    Project {
        name: "Exhibition site",
        color: "#9e5bd9",
        client: Some(4),
        tasks: &[
            task("Site", DEVELOPMENT, &["Timeline", "Audio guide", "Accessibility"]),
            task("Content", RESEARCH, &["Captions", "Archive photos"]),
        ],
    },
    Project {
        name: "Internal",
        color: "#7b8a99",
        client: None,
        tasks: &[
            task("Meetings", MEETING, &["Stand-up", "Weekly planning"]),
            task("Office", SUPPORT, &["E-mail", "Invoices", "Applications"]),
        ],
    },
];
