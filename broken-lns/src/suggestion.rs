//! What a misspelt name may have meant.

/// Below this Jaro-Winkler similarity a suggestion confuses more than it helps.
const SIMILAR: f64 = 0.8;

/// Longer than any name: comparing it with each of them takes time and finds nothing.
const TOO_LONG: usize = 64;

/// Asks for the names that `text` may have meant; `None` where none of them is near.
pub(crate) fn did_you_mean<'n>(
    text: &str,
    names: impl IntoIterator<Item = &'n str>,
) -> Option<String> {
    if text.len() > TOO_LONG {
        return None;
    }
    let plain = |text: &str| text.to_lowercase().replace(['_', ' '], "-");
    let wanted = plain(text);
    let near: Vec<_> = names
        .into_iter()
        .filter(|name| {
            let name = plain(name);
            // Short names are not similar to anything that is not the same in most places.
            let close = name.contains(&wanted) || strsim::osa_distance(&name, &wanted) <= 1;
            (wanted.len() >= 3 && close) || strsim::jaro_winkler(&name, &wanted) >= SIMILAR
        })
        .map(|name| format!("`{name}`"))
        .collect();
    if near.is_empty() {
        None
    } else {
        Some(format!("did you mean {}?", near.join(" or ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_asked_for() {
        let names = [
            "refuse",
            "silent",
            "lns",
            "assigned_tunnel_id",
            "code-in-address",
        ];
        let long = "refuse".repeat(11);
        for (text, question) in [
            ("refues", Some("did you mean `refuse`?")),
            ("Silent", Some("did you mean `silent`?")),
            ("lsn", Some("did you mean `lns`?")),
            (
                "assigned-tunnel-id",
                Some("did you mean `assigned_tunnel_id`?"),
            ),
            ("tunnel", Some("did you mean `assigned_tunnel_id`?")),
            ("xyzzy", None),
            ("", None),
            (&long, None),
        ] {
            assert_eq!(did_you_mean(text, names).as_deref(), question, "{text}");
        }
    }
}
