//! Whose time entries a sync has read, out of how many people: the owner's alone look like everybody's
//! until somebody misses the others'.

use shared::catalogue;

use super::Sync;

impl Sync<'_> {
    /// Says whose entries were read, where the number of people is known.
    pub(super) fn note_whose_entries(&mut self, workspace_ids: &[i64]) {
        let (Some(users), Some(entries)) =
            (catalogue::find("users"), catalogue::find("time_entries"))
        else {
            return;
        };
        if !self.options.selection.has(entries) {
            return;
        }
        for id in workspace_ids {
            let is_read_for_all = self.result.team.iter().any(|team| team.workspace_id == *id);
            let people = self.progress.done(users, *id).map(|done| done.records);
            let Some(people) = people.filter(|people| *people > 1 && !is_read_for_all) else {
                continue;
            };
            self.result.notes.push(format!(
                "Time entries are those of 1 of {people} people in workspace {id}: the token's owner. \
                 Everybody's come with --team DAYS (FETCHER_TEAM) and an admin's token, once a day"
            ));
        }
    }
}
