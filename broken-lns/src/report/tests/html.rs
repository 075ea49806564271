use super::fixture::{SECOND, distribution, refused, report, silent};
use crate::judge::Judgements;
use crate::report::html;
use crate::track::findings::Findings;

/// How often the page has that tag.
fn count(page: &str, tag: &str) -> usize {
    page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count()
}

#[test]
fn the_page_has_sentences_tables_and_pictures() {
    let page = html(&report());
    assert!(page.contains(
        "<li>LNS 192.0.2.1, refuse 2/4: 1,000 of 1,000 LACs acknowledged (median 0.4 ms), \
         998 failed over (median 12 ms, p99 80 ms) to 192.0.2.2, \
         2 retried the same LNS after 30 s</li>"
    ));
    assert!(page.contains(
        "<tr><td>192.0.2.2</td><td>silent</td><td>1,010</td><td>0</td><td>0</td><td>997</td>\
         <td>0</td><td>12</td><td>1</td></tr>"
    ));
    assert!(
        page.contains("<td>StopCCN 2/4 \u{201c}no | &lt;answer&gt;\u{fffd}\u{fffd}\u{201d}</td>")
    );
    assert!(page.contains("<h2>Failover within</h2>"));
    assert!(!page.contains("<h2>Lockout within</h2>"));
    assert_eq!((count(&page, "svg"), count(&page, "table")), (2, 3));
    assert!(!page.contains("cannot be drawn"));
}

#[test]
fn the_page_has_expectations_and_who_broke_them() {
    let page = html(&report());
    assert!(page.contains("<p>3 expectations: 1 passed, 1 failed, 1 not seen</p>"));
    assert!(page.contains(
        "<li class=\"not-seen\"><b>not seen</b> other LNSs, silent: do as junos does: \
         no attempt met it</li>"
    ));
    assert!(page.contains(
        "events were lost<ul>\n<li>LAC 10.0.0.7 at 12.3 s, LNS 192.0.2.1: failed over to"
    ));
    assert!(page.contains("came back after 20 s (55s to 1m 5s expected)</li>\n</ul>\n</li>"));
}

#[test]
fn the_page_needs_nothing_else() {
    let page = html(&report()).replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for other in [
        "http:", "https:", "//", "url(", "@import", "src=", "href", "<script", "<link",
    ] {
        assert!(!page.contains(other), "{other}");
    }
}

#[test]
fn a_picture_shows_the_most_frequent_faults() {
    let mut many = report();
    many.findings.faults = (1..=9)
        .map(|rule| {
            let mut fault = refused();
            fault.key.rule = rule;
            fault.lockout = distribution(&[(60 * SECOND, u64::from(rule)), (0, 1)]);
            fault
        })
        .collect();
    let page = html(&many);
    let caption = "The share that took no longer, of the 6 most frequent of 9 faults";
    assert_eq!(page.matches(caption).count(), 2);
    let (_, lockout) = page.split_once("<h2>Lockout within</h2>").expect("there");
    assert_eq!(lockout.matches("<polyline").count() - ticks(lockout), 6);
    assert!(lockout.contains("</span> LNS 192.0.2.1, refuse 2/4 (rule 9)"));
    assert!(!lockout.contains("</span> LNS 192.0.2.1, refuse 2/4 (rule 3)"));
}

/// The lines of a picture that belong to its axes.
fn ticks(picture: &str) -> usize {
    let lines = picture.lines().filter(|line| line.starts_with("<polyline"));
    lines
        .filter(|line| line.contains("stroke=\"#000000\""))
        .count()
}

#[test]
fn no_text_becomes_a_tag() {
    let text = "</style><script>alert('1')</script>&lt;\"";
    let mut hostile = report();
    let mut fault = silent();
    fault.fault = text.to_owned();
    fault.failover_after = distribution(&[(SECOND, 1)]);
    fault.messages[0].message.text = Some(text.to_owned());
    hostile.facts.scenario = text.to_owned();
    hostile.facts.interfaces = vec![text.to_owned()];
    hostile.findings.faults = vec![fault];
    let page = html(&hostile);
    assert!(!page.contains("<script"));
    assert_eq!(page.matches("</style>").count(), 1);
    let shown = "&lt;/style&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;lt;&quot;";
    assert_eq!(page.matches(shown).count(), 7);
}

#[test]
fn without_lacs_there_are_only_the_facts() {
    let mut nothing = report();
    nothing.findings = Findings::default();
    nothing.judgements = Judgements::default();
    nothing.lacs.clear();
    let page = html(&nothing);
    assert_eq!(
        (
            count(&page, "svg"),
            count(&page, "table"),
            count(&page, "h2")
        ),
        (0, 1, 0)
    );
}
