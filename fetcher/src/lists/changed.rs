//! What has changed of a list since some time, where Toggl tells that.

use jiff::Timestamp;
use shared::listing::{Listing, Span};

use super::{Asking, ask, check_shape, listing, page_size};
use crate::toggl::Error;

impl Asking<'_> {
    /// What was created, changed or deleted since then, in one request, which claims nothing; and whether that is
    /// all.
    ///
    /// # Errors
    /// When the request fails.
    pub(crate) async fn changes(self, since: Timestamp) -> Result<(Listing, bool), Error> {
        let Self { client, resource, workspace_id, .. } = self;
        let path = resource.path.replace("{workspace}", &workspace_id.to_string());
        let path = format!("{}{path}", resource.api.prefix());
        let size = page_size(resource);
        let (since, per_page) = (since.as_second().to_string(), size.to_string());
        let mut query = resource.query.to_vec();
        query.extend([("since", since.as_str()), ("page", "1"), ("per_page", per_page.as_str())]);
        let (answer, page) = ask(client, resource, &path, &query).await?;
        check_shape(&path, page.records.len(), &page.rejected)?;
        let is_all = page.count < size;
        let (records, rejected) = (page.records, page.rejected);
        let at = answer.fetched_at;
        Ok((listing(resource, workspace_id, at, Span::Partial, records, rejected), is_all))
    }
}
