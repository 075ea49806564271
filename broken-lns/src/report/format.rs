//! The forms that a report has, and how a file's name tells them.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// As on a terminal, without colours.
    Text,
    /// For programs, as in [`json`](mod@super::json).
    Json,
    /// With the tables of GitHub.
    #[serde(rename = "md")]
    Markdown,
    /// A page that needs nothing else.
    Html,
    /// For test systems, as in [`junit`](mod@super::junit).
    Junit,
}

/// A file whose name does not tell the form of a report.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "cannot tell the form of the report \"{}\" from its name, which has to end in {}",
    path.display(),
    Format::endings()
)]
pub struct UnknownFormat {
    /// The file.
    pub path: PathBuf,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Text,
        Self::Json,
        Self::Markdown,
        Self::Html,
        Self::Junit,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Markdown => "md",
            Self::Html => "html",
            Self::Junit => "junit",
        }
    }

    /// The form with that name or with that extension, in whatever case it is.
    pub fn named(name: &str) -> Option<Self> {
        let is_named = |format: &Self| {
            let names = format.extensions().iter().copied();
            let mut names = names.chain([format.name()]);
            names.any(|known| known.eq_ignore_ascii_case(name))
        };
        Self::ALL.into_iter().find(is_named)
    }

    /// The extensions of its files.
    pub const fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::Text => &["txt"],
            Self::Json => &["json"],
            Self::Markdown => &["md", "markdown"],
            Self::Html => &["html", "htm"],
            Self::Junit => &["xml"],
        }
    }

    /// Whether a file that begins like this has a report in any form.
    pub fn begins_report(begin: &[u8]) -> bool {
        let Some(begin) = begin.utf8_chunks().next().map(|chunk| chunk.valid()) else {
            return false;
        };
        let is_within = |text: &str| begin.contains(text);
        Self::ALL.into_iter().any(|format| match format {
            Self::Text => begin.lines().next().is_some_and(|line| {
                let line =
                    line.trim_start_matches(|octet: char| octet.is_ascii_digit() || octet == ',');
                let rest = line.strip_prefix(" LACs made ");
                let rest = rest.or_else(|| line.strip_prefix(" LAC made "));
                rest.is_some_and(|rest| rest.contains(" attempt"))
            }),
            Self::Json => begin.starts_with("{\n  \"schema\": ") && is_within("\n  \"started\": "),
            Self::Markdown => begin.starts_with("# broken-lns report\n"),
            Self::Html => {
                begin.starts_with("<!DOCTYPE html>")
                    && is_within("<title>broken-lns report</title>")
            }
            Self::Junit => {
                begin.starts_with("<?xml ") && is_within("<testsuites name=\"broken-lns\"")
            }
        })
    }

    /// The form that a file's extension asks for, in whatever case it is.
    ///
    /// # Errors
    ///
    /// If there is no extension, or it is none of the known ones.
    pub fn of(path: &Path) -> Result<Self, UnknownFormat> {
        let extension = path.extension().unwrap_or_default();
        let asks_for = |format: &Self| {
            let mut known = format.extensions().iter();
            known.any(|known| extension.eq_ignore_ascii_case(known))
        };
        let unknown = || UnknownFormat {
            path: path.to_owned(),
        };
        Self::ALL.into_iter().find(asks_for).ok_or_else(unknown)
    }

    /// All known endings of a file's name, for people.
    fn endings() -> String {
        let extensions = Self::ALL.iter().flat_map(|format| format.extensions());
        let endings: Vec<_> = extensions
            .map(|extension| format!(".{extension}"))
            .collect();
        match endings.split_last() {
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
            None => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_tells_the_form() {
        for (name, format) in [
            ("report.txt", Format::Text),
            ("a.b/report.JSON", Format::Json),
            ("report.json.md", Format::Markdown),
            ("report.markdown", Format::Markdown),
            ("report.htm", Format::Html),
            ("junit.xml", Format::Junit),
        ] {
            assert_eq!(Format::of(Path::new(name)), Ok(format), "{name}");
        }
    }

    #[test]
    fn an_unknown_extension_is_an_error_with_the_known_ones() {
        for name in ["report.pdf", "report", ".json", "json", "/", "a.txt/.."] {
            let unknown = Format::of(Path::new(name)).expect_err(name);
            let ending = "from its name, which has to end in \
                          .txt, .json, .md, .markdown, .html, .htm or .xml";
            assert_eq!(
                unknown.to_string(),
                format!("cannot tell the form of the report \"{name}\" {ending}")
            );
        }
    }
}
