//! The page for a person with a browser at `/`: what anybody may know of the agent, drawn. Nothing of it is a name or an
//! address, and it loads nothing and runs nothing.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hyper::HeaderMap;
use hyper::header::ACCEPT;

use crate::command::CommandTable;
use crate::sys::clock::utc_text;

/// What anybody may know of what the agent does.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Glance {
    /// What it is doing, in words that are the agent's own: `cleaning`.
    pub phase: String,
    /// What its most urgent trouble is about: `network`.
    pub trouble: Option<&'static str>,
}

/// Gives what there is at the moment.
pub(crate) type Look = Arc<dyn Fn() -> Glance + Send + Sync>;

/// What a server says of itself.
pub(super) struct About {
    pub(super) version: String,
    /// In seconds since 1970.
    pub(super) started_at: f64,
    pub(super) look: Look,
}

/// What the page draws.
#[derive(Debug, Default)]
pub(super) struct Page {
    glance: Glance,
    is_busy: bool,
    /// Of the command that runs, where its whole is known.
    percent: Option<u8>,
    /// The error class of the last command that failed.
    last_error: Option<String>,
    version: String,
    started_at: f64,
}

/// Letters of one text on the page.
const LONGEST: usize = 80;

/// A browser may load and run nothing but this style, and nobody may frame the page.
pub(super) const POLICY: &str = "default-src 'none'; \
     style-src 'sha256-mtMOGQKmDnheV5eAeF6BaJwz6TVKfXwnqcSNVUtSns8='; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const STYLE: &str = "body{margin:10vh auto;max-width:32em;padding:0 1em;font:1.1em/1.5 system-ui,sans-serif;\
color:#222;background:#fafafa}h1{font-size:1.6em;margin:0}progress{width:100%;height:1.4em}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.3em 1.5em}dt{color:#666}dd{margin:0}\
.trouble{color:#a00}@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}\
dt{color:#999}.trouble{color:#f77}}";

/// Whether who asks would rather have a page than JSON: a browser. Who says nothing, or anything, is a program.
pub(super) fn is_preferred(headers: &HeaderMap) -> bool {
    let mut html: f32 = 0.0;
    let mut json: f32 = 0.0;
    for value in headers.get_all(ACCEPT) {
        for range in value.to_str().unwrap_or_default().split(',') {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default();
            let quality = parts
                .find_map(|part| part.strip_prefix("q="))
                .map_or(1.0, |quality| quality.parse().unwrap_or(0.0));
            let is = |name: &str| kind.eq_ignore_ascii_case(name);
            if is("text/html") {
                html = html.max(quality);
            } else if is("application/json") || is("application/*") || is("*/*") {
                json = json.max(quality);
            }
        }
    }
    html > json
}

impl Page {
    /// Of this server as it is now.
    pub(super) fn of(table: &CommandTable, about: &About) -> Self {
        let running = table.running();
        let pace = running.as_ref().and_then(|command| command.pace());
        let failed = table.last_failure();
        let outcome = failed.and_then(|command| command.outcome());
        let error = outcome.as_ref().and_then(|outcome| outcome.error.as_ref());
        Self {
            glance: (about.look)(),
            is_busy: running.is_some(),
            percent: pace.and_then(|pace| pace.percent()),
            last_error: error.map(|error| error.type_name.clone()),
            version: about.version.clone(),
            started_at: about.started_at,
        }
    }

    pub(super) fn to_html(&self) -> String {
        let phase = escaped(&self.glance.phase);
        let bar = match self.percent {
            Some(percent) => {
                format!("<progress max=100 value={percent}></progress>\n<p>{percent} %</p>\n")
            }
            None if self.is_busy => "<progress></progress>\n".to_owned(),
            None => String::new(),
        };
        let started = Duration::try_from_secs_f64(self.started_at).unwrap_or_default();
        let started = SystemTime::UNIX_EPOCH.checked_add(started);
        let mut rows = String::new();
        let mut row = |name: &str, class: &str, value: &str| {
            rows.push_str(&format!("<dt>{name}<dd{class}>{}\n", escaped(value)));
        };
        if let Some(trouble) = self.glance.trouble {
            row("Trouble with", " class=trouble", trouble);
        }
        if let Some(error) = &self.last_error {
            row("Last error", " class=trouble", error);
        }
        row("Started", "", &started.map(utc_text).unwrap_or_default());
        row("Version", "", &self.version);
        format!(
            "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n\
             <meta name=viewport content=\"width=device-width\">\n\
             <meta http-equiv=refresh content=5>\n<title>{phase} - farrier</title>\n\
             <style>{STYLE}</style>\n<h1>{phase}</h1>\n{bar}<dl>\n{rows}</dl>\n"
        )
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars().take(LONGEST) {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            letter if letter.is_control() => escaped.push(' '),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::digest::{SHA256, digest};
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    #[test]
    fn a_browser_gets_the_page_and_a_program_does_not() {
        let preferred = |lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(ACCEPT, line.parse().unwrap());
            }
            is_preferred(&headers)
        };
        for browser in [
            // Firefox, Chromium, lynx.
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
            "text/html, text/plain, */*;q=0.01",
            "TEXT/HTML",
        ] {
            assert!(preferred(&[browser]), "{browser}");
        }
        // Both alike is no preference.
        for program in [
            "*/*",
            "application/json",
            "text/html,*/*",
            "text/html;q=0.5,application/json",
            "text/html;q=0",
            "text/html;q=x",
            "text/*",
            "",
            ";;,,;q",
        ] {
            assert!(!preferred(&[program]), "{program}");
        }
        assert!(!preferred(&[]), "nothing is said");
        assert!(!preferred(&["text/html", "application/json"]));
        assert!(preferred(&["application/json;q=0.1", "text/html"]));
    }

    #[test]
    fn the_policy_names_the_style_and_nothing_else() {
        let digest = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
        assert!(POLICY.contains(&format!("'sha256-{digest}'")), "{digest}");
        assert!(!POLICY.contains("unsafe"));
    }

    #[test]
    fn no_text_of_others_becomes_markup_and_the_page_stays_small() {
        let hostile = "<script>alert(1)</script>\"'&\n".repeat(1000);
        let page = Page {
            glance: Glance {
                phase: hostile.clone(),
                trouble: Some("conductor"),
            },
            is_busy: true,
            percent: Some(42),
            last_error: Some(hostile.clone()),
            version: hostile,
            started_at: 1_795_328_604.5,
        };
        let html = page.to_html();
        assert!(html.len() < 4096, "{}", html.len());
        assert!(
            !html.contains("<script") && !html.contains("alert(1)</"),
            "{html}"
        );
        assert!(
            html.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;"),
            "{html}"
        );
        assert!(
            html.contains("<progress max=100 value=42></progress>\n<p>42 %</p>"),
            "{html}"
        );
        assert!(
            html.contains("<dt>Trouble with<dd class=trouble>conductor\n"),
            "{html}"
        );
        assert!(html.contains("<dt>Started<dd>2026-"), "{html}");
        // Nothing comes from elsewhere.
        for loads in ["src=", "href=", "url(", "@import", "http:"] {
            assert!(!html.contains(loads), "{loads}");
        }
    }

    #[test]
    fn without_a_command_there_is_no_bar_and_without_a_whole_no_number() {
        let html = |is_busy| {
            let page = Page {
                is_busy,
                ..Page::default()
            };
            page.to_html()
        };
        assert!(!html(false).contains("<progress"));
        assert!(html(true).contains("<progress></progress>"));
        assert!(!html(true).contains(" %<"));
    }
}
