//! What makes a page readable, as a browser sees it.

use serde_json::Value;
use tests::browser::{Browser, Screen, picture_folder};

/// A phone and a desktop, by day and by night.
pub(crate) const SCREENS: [(&str, Screen); 4] = [
    ("phone-light", Screen { width: 360, dark: false }),
    ("phone-dark", Screen { width: 360, dark: true }),
    ("desktop-light", Screen { width: 1280, dark: false }),
    ("desktop-dark", Screen { width: 1280, dark: true }),
];

/// Whatever reaches beyond the right edge, and is not hidden.
const OVERFLOW: &str = "[...document.querySelectorAll('body *')].filter(e => \
    e.getBoundingClientRect().right > document.documentElement.clientWidth + 1).map(e => e.outerHTML)";
/// The contrast of two colours as the browser computes them, by the formula of WCAG 2.
const CONTRAST: &str = "(() => { const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(n => n / 255) \
    .map(n => n <= 0.03928 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b }; \
    const paper = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; \
    if (!c.startsWith('rgba')) return light(c) } return 1 }; \
    return Math.min(...[...document.querySelectorAll('h1,h2,p,li,td,th,strong,figcaption')].map(e => { \
    const [a, b] = [light(getComputedStyle(e).color), paper(e)]; \
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) })) })()";

/// Leaves a picture for people to look at.
pub(crate) async fn picture(browser: &mut Browser, name: &str) {
    let path = picture_folder().unwrap().join(format!("{name}.png"));
    browser.screenshot(&path).await.unwrap();
}

/// Nothing is wider than the screen, or too pale, and the browser complains of nothing.
pub(crate) async fn assert_readable(browser: &mut Browser, screen: Screen) {
    let width = browser.value("document.documentElement.scrollWidth").await.unwrap();
    assert_eq!(width, screen.width, "nothing is wider than the screen");
    let beyond = browser.value(OVERFLOW).await.unwrap();
    assert_eq!(beyond, Value::Array(Vec::new()));
    let contrast = browser.value(CONTRAST).await.unwrap().as_f64().unwrap();
    assert!(contrast >= 4.5, "{contrast} at {screen:?}");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}
