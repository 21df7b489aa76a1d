//! The lists of a workspace: a line each.

/// Lists with the name of their resource, which is also the last part of their path and the name of their fixture.
macro_rules! lists {
    ($($(#[$meaning:meta])* $list:ident = $name:literal,)+) => {
        /// The lists of a workspace.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum List {
            $($(#[$meaning])* $list,)+
        }

        impl List {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$list,)+];

            /// The name of its resource, and the last part of its path.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$list => $name,)+
                }
            }

            /// Some of its records, as Toggl sends them.
            pub(super) const fn fixture(self) -> &'static str {
                match self {
                    $(Self::$list => include_str!(concat!("../../fixtures/", $name, ".json")),)+
                }
            }
        }
    };
}

lists! {
    /// Archived ones have `active` false.
    Projects = "projects",
    /// Archived ones have `archived` true.
    Clients = "clients",
    /// Tags are never archived.
    Tags = "tags",
    /// Ids are the users' global ids.
    Users = "users",
    /// Groups of users.
    Groups = "groups",
    /// Done ones have `active` false.
    Tasks = "tasks",
    /// Who works on which project.
    ProjectUsers = "project_users",
    /// Ids are the memberships'; the records carry secrets.
    WorkspaceUsers = "workspace_users",
}

impl List {
    /// The list of this name, if there is one.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|list| list.name() == name)
    }

    /// Whether Toggl tells what has changed in it since some time.
    pub(super) const fn has_since(self) -> bool {
        matches!(self, Self::Projects | Self::Tasks | Self::Clients | Self::Tags)
    }
}
