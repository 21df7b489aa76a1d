use super::*;
use proptest::prelude::*;
use reqwest::header::{HeaderName, HeaderValue};

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
        .collect()
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

#[test]
fn retry_after_wins_over_the_rate_limit_reset() {
    let both = headers(&[("retry-after", "7"), ("x-ratelimit-reset", "90")]);
    assert_eq!(retry_after(&both, now()), Some(Duration::from_secs(7)));
}

#[test]
fn a_wait_is_read_in_every_form() {
    let forms = [
        ("retry-after", "7", Some(7)),
        ("retry-after", "Tue, 14 Nov 2023 22:13:30 GMT", Some(10)),
        ("retry-after", "Tue, 14 Nov 2023 22:13:10 GMT", Some(0)),
        ("retry-after", "99999999999", Some(86_400)),
        ("retry-after", "soon", None),
        ("x-ratelimit-reset", "12", Some(12)),
        ("x-ratelimit-reset", "1700000015", Some(15)),
        ("x-ratelimit-reset", "1700000015000", Some(15)),
        ("x-ratelimit-reset", "1600000000", Some(0)),
        ("x-ratelimit-reset", "-1", None),
    ];
    for (name, value, wait) in forms {
        let wait = wait.map(Duration::from_secs);
        assert_eq!(retry_after(&headers(&[(name, value)]), now()), wait, "{name}: {value}");
    }
}

#[test]
fn the_words_of_a_quota_message_name_the_wait() {
    let words = "You have hit your hourly limit for API calls. Please upgrade to a paid plan for \
                 increased access. Your quota will reset in 2380 seconds. CTA: Go to \
                 subscriptions page.";
    assert_eq!(reset_in_words(words), Some(Duration::from_secs(2380)));
    assert_eq!(reset_in_words("Tasks are a premium feature"), None);
}

#[test]
fn words_that_name_no_seconds_name_no_wait() {
    for words in ["", "reset in ", "reset in 5 minutes", "reset in a second", "reset in 7seconds"] {
        assert_eq!(reset_in_words(words), None, "{words}");
    }
    assert_eq!(reset_in_words("reset in 1 second"), Some(Duration::from_secs(1)));
    assert_eq!(reset_in_words("reset in 86401 seconds"), Some(Duration::from_hours(24)));
}

#[test]
fn a_number_is_seconds_up_to_a_billion_and_a_moment_above_it() {
    let wait =
        |value: &str, now| retry_after(&headers(&[("x-ratelimit-reset", value)]), UNIX_EPOCH + now);
    let early = Duration::from_secs(999_999_990);
    assert_eq!(wait("1000000000", early), Some(Duration::from_hours(24)));
    assert_eq!(wait("1000000001", early), Some(Duration::from_secs(11)));
    let late = Duration::from_secs(999_999_999_990);
    assert_eq!(wait("1000000000000", late), Some(Duration::from_secs(10)));
    assert_eq!(wait("1000000000001", early), Some(Duration::from_millis(10_001)));
}

#[test]
fn the_quota_headers_are_read_each_for_itself() {
    let quota = |pairs: &[(&'static str, &str)]| {
        let Quota { remaining, resets_in } = quota(&headers(pairs));
        (remaining, resets_in.map(|wait| wait.as_secs()))
    };
    let (left, reset) = ("x-toggl-quota-remaining", "x-toggl-quota-resets-in");
    assert_eq!(quota(&[(left, "29"), (reset, "3541")]), (Some(29), Some(3541)));
    assert_eq!(quota(&[(left, " 0 ")]), (Some(0), None));
    assert_eq!(quota(&[(left, "-12"), (reset, "-1")]), (Some(-12), None));
    assert_eq!(quota(&[(left, "many"), (reset, "90000")]), (None, Some(86_400)));
    assert_eq!(quota(&[]), (None, None));
}

/// What is left and the seconds of the reset, of quotas `(organisation, remaining, seconds)`.
fn listed(
    quotas: &[(Option<i64>, i64, Option<i64>)],
    of_user: bool,
) -> Option<(Option<i64>, Option<u64>)> {
    let quotas = quotas.iter().map(|(organization_id, remaining, resets_in_secs)| {
        serde_json::json!({
            "organization_id": organization_id, "remaining": remaining, "total": 30,
            "resets_in_secs": resets_in_secs,
        })
    });
    let body = serde_json::to_vec(&quotas.collect::<Vec<_>>()).unwrap();
    quota_in_list(&body, of_user)
        .map(|quota| (quota.remaining, quota.resets_in.map(|wait| wait.as_secs())))
}

#[test]
fn the_users_quota_and_that_of_the_organisation_are_told_apart() {
    let both = [(None, 12, Some(600)), (Some(5), 240, Some(900))];
    assert_eq!(listed(&both, true), Some((Some(12), Some(600))));
    assert_eq!(listed(&both, false), Some((Some(240), Some(900))));
    assert_eq!(listed(&both[1..], true), None);
    assert_eq!(listed(&[], false), None);
    assert_eq!(quota_in_list(b"{}", true), None);
}

#[test]
fn of_several_organisations_the_least_counts_unless_only_some_have_anything_left() {
    let of =
        |first, second| listed(&[(Some(1), first, Some(10)), (Some(2), second, Some(20))], false);
    assert_eq!(of(30, 7), Some((Some(7), Some(20))));
    assert_eq!(of(7, 30), Some((Some(7), Some(10))));
    assert_eq!(of(0, 0), Some((Some(0), Some(10))));
    assert_eq!(of(0, 7), None);
    assert_eq!(of(7, 0), None);
}

#[test]
fn a_reset_in_a_list_is_bounded_and_none_where_it_is_past() {
    assert_eq!(listed(&[(None, 1, Some(90_000))], true), Some((Some(1), Some(86_400))));
    assert_eq!(listed(&[(None, 1, Some(-5))], true), Some((Some(1), None)));
    assert_eq!(listed(&[(None, 1, None)], true), Some((Some(1), None)));
}

proptest! {
    #[test]
    fn no_header_or_body_panics(value in any::<Vec<u8>>(), words in any::<String>()) {
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            for name in ["retry-after", "x-ratelimit-reset", QUOTA_REMAINING, QUOTA_RESETS_IN] {
                let mut headers = HeaderMap::new();
                headers.insert(HeaderName::from_static(name), value.clone());
                let _wait = retry_after(&headers, now());
                let _quota = quota(&headers);
            }
        }
        let _wait = reset_in_words(&format!("reset in {words}"));
        let _standing = quota_in_list(words.as_bytes(), true);
    }
}
