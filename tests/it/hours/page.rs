//! The page in a real browser: on a phone, on a desktop, in the dark, on paper.

use tests::browser::Browser;
use tests::world::World;

use super::formats::{SCRIPT, hostile, since};
use crate::expected::readable::{SCREENS, assert_readable, picture};
use crate::given::watched::ended;

/// Paper of A4 within its margins.
const PAPER: u32 = 680;

#[tokio::test]
#[ignore = "needs Chromium: .ci/run page"]
async fn the_report_is_readable_everywhere_and_names_stay_names() {
    let world = World::start(hostile()).await.unwrap();
    world.sync_and_load(&["--days", "40", "--team", "40"]).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let since = since();
    let mut browser = Browser::start().await.unwrap();
    for by in ["project,user", "client,project,tag", "week,user", "day", "user"] {
        let path = folder.path().join("hours.html");
        let file = path.to_str().unwrap();
        ended(world.loader(&["hours", "--from", &since, "--by", by, "-o", file]), 0).await;
        let url = format!("file://{file}");
        let name = by.replace(',', "-");
        for (screen_name, screen) in SCREENS {
            browser.open(&url, screen).await.unwrap();
            assert_readable(&mut browser, screen).await;
            assert_eq!(browser.requests(), [format!("\"{url}\"")], "nothing else is loaded");
            picture(&mut browser, &format!("hours-{name}-{screen_name}")).await;
        }
        let scripts =
            browser.value("document.scripts.length + document.images.length").await.unwrap();
        assert_eq!(scripts, 0);
        if by == "project,user" {
            let names = browser
                .value("[...document.querySelectorAll('.name')].map(e => e.textContent)")
                .await
                .unwrap();
            assert!(names.as_array().unwrap().iter().any(|name| name == SCRIPT), "{names}");
            let bars =
                browser.value("document.querySelectorAll('.timeline rect').length").await.unwrap();
            assert!(bars.as_u64().unwrap() > 50, "{bars}");
        }
        // The last screen is dark; paper is white all the same.
        browser.print(PAPER).await.unwrap();
        let colors = "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]";
        assert_eq!(
            browser.value(colors).await.unwrap(),
            serde_json::json!(["rgb(255, 255, 255)", "rgb(0, 0, 0)"])
        );
        let width = browser.value("document.documentElement.scrollWidth").await.unwrap();
        assert_eq!(width, PAPER);
        picture(&mut browser, &format!("hours-{name}-paper")).await;
    }
}
