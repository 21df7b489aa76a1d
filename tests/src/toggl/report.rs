//! The detailed report of a workspace: the entries of all its people, by pages with cursors.
//!
//! The newest start comes first unless `order_dir` says `ASC`; which is Toggl's default is not
//! recorded. Descending is the exact reverse of ascending, by start and then by id.

use axum::http::HeaderName;

use super::account::Account;
use super::behaviour::{Behaviour, ReportOrder, Running};
use super::record::quoted;
use super::reply::Reply;
use super::workspaces::Workspace;

mod listing;
mod local_times;
mod request;
mod row_text;
mod sums;

use listing::{Listing, Row};
use request::{Cursor, Days};
pub(super) use request::{Refusal, ReportRequest};
use row_text::{Figures, RowWriter};
pub(super) use sums::{Sum, Sums};

/// One question, and all it takes to answer it.
#[derive(Debug)]
pub(super) struct Report<'a> {
    pub(super) account: &'a Account,
    pub(super) behaviour: &'a Behaviour,
    pub(super) workspace_id: i64,
    pub(super) workspace: Workspace,
    pub(super) request: ReportRequest,
}

impl Report<'_> {
    pub(super) fn reply(&self) -> Reply {
        let listing = self.listing();
        let (from, skipped, first_number) = match self.request.cursor {
            Cursor::Start => (None, 0, 1),
            Cursor::Row(number) => (None, number - 1, number),
            Cursor::Entry { key, row_number } => (Some(key), 0, row_number),
            Cursor::Nowhere => return self.page([].iter()),
        };
        let mut rows = listing.rows(from).skip(skipped);
        let mut writer = self.writer();
        let size = self.page_size();
        let texts = rows.by_ref().take(size).zip(first_number..);
        let texts: Vec<String> = texts.map(|(row, number)| writer.text(number, &row)).collect();
        let page = self.page(texts.iter());
        match rows.next() {
            Some(next) => self.with_cursor(page, &next, first_number.saturating_add(size)),
            None => page,
        }
    }

    /// The days that are looked at.
    fn days(&self) -> Days {
        let today = self.behaviour.now().to_zoned(self.account.time_zone().clone()).date();
        self.behaviour
            .report_days
            .map_or(self.request.days, |most| self.request.days.last(most, today))
    }

    fn listing(&self) -> Listing<'_> {
        let order = self.behaviour.report_order;
        Listing {
            account: self.account,
            workspace_id: self.workspace_id,
            // Whoever is no admin is shown their own entries, and is not told of the others.
            only_user_id: (!self.workspace.is_admin()).then(|| self.account.user_id()),
            user_ids: &self.request.user_ids,
            time_entry_ids: &self.request.time_entry_ids,
            windows: self.days().windows(self.account),
            shows_running: self.behaviour.report_running == Running::WithoutStop,
            is_descending: self.request.is_descending != (order == ReportOrder::Reversed),
            is_by_description: order == ReportOrder::ByDescription,
            row_length: self.behaviour.report_rows_hold,
        }
    }

    fn writer(&self) -> RowWriter<'_> {
        let preferred = self.behaviour.report_rounding_minutes;
        let figures = Figures {
            currency: quoted(self.workspace.currency()),
            hides_amounts: self.request.hides_amounts,
            rounding_s: self.request.rounding.minutes(preferred).map(|m| u64::from(m) * 60),
            now_s: self.behaviour.now().as_second(),
        };
        RowWriter::new(self.account, self.workspace_id, figures)
    }

    fn page<'t>(&self, texts: impl Iterator<Item = &'t String>) -> Reply {
        Reply::list(texts.map(String::as_str), self.behaviour.empty_lists_as_null)
            .with(HeaderName::from_static("x-page-size"), self.page_size().into())
            .with_all(self.days().headers())
    }

    fn page_size(&self) -> usize {
        self.request.page_size.min(self.behaviour.report_page_cap)
    }

    /// Names the row that the next page begins with. The last page has none of these headers.
    fn with_cursor(&self, page: Reply, next: &Row<'_>, number: usize) -> Reply {
        let page = page.with(HeaderName::from_static("x-next-row-number"), number.into());
        if self.behaviour.report_number_only {
            return page;
        }
        let (start_s, id) = next.key();
        page.with(HeaderName::from_static("x-next-id"), id.into())
            .with(HeaderName::from_static("x-next-timestamp"), start_s.into())
    }
}
