//! One self-contained HTML page from sections of tables, texts and figures.

use std::fmt::Write;

/// A part of the page.
pub enum Part {
    /// A paragraph; plain text.
    Text(String),
    /// Output as it was printed.
    Pre(String),
    /// Header and rows.
    Table(Vec<String>, Vec<Vec<String>>),
    /// SVG, inline, with its caption.
    Figure(String, String),
}

/// A section with the kind of its numbers (measured, simulated, estimated) and the command that gives them.
pub struct Section {
    pub title: String,
    pub kind: &'static str,
    pub command: String,
    pub parts: Vec<Part>,
}

/// Text with the characters that HTML gives a meaning replaced.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;color:#28282e;max-width:1160px;margin:2rem auto;padding:0 1.5rem}\
h1{font-size:1.9rem;margin:0 0 .3rem}h2{font-size:1.3rem;margin:2.6rem 0 .2rem;border-top:1px solid #dedee4;padding-top:1.2rem}\
.k{display:inline-block;font-size:.78rem;background:#e8eef6;color:#315c91;border-radius:3px;padding:.05rem .5rem;margin-right:.6rem}\
code{font-size:.82rem;color:#666670}pre{background:#f6f6f9;padding:.9rem;overflow-x:auto;font-size:.8rem;line-height:1.4}\
table{border-collapse:collapse;margin:.8rem 0;font-variant-numeric:tabular-nums;font-size:.9rem}th,td{padding:.25rem .8rem;text-align:right;border-bottom:1px solid #e6e6ec}\
th:first-child,td:first-child{text-align:left}th{color:#666670;font-weight:600}figure{margin:1.2rem 0}figure svg{max-width:100%;height:auto}figcaption{color:#666670;font-size:.88rem}";

/// The page.
pub fn page(title: &str, lead: &str, sections: &[Section]) -> String {
    let mut t = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{0}</title><style>{STYLE}</style></head><body>\n<h1>{0}</h1>\n<p>{1}</p>\n",
        escape(title),
        escape(lead)
    );
    for s in sections {
        let _ = writeln!(t, "<h2>{}</h2>\n<p><span class=\"k\">{}</span><code>{}</code></p>", escape(&s.title), s.kind, escape(&s.command));
        for part in &s.parts {
            write_part(&mut t, part);
        }
    }
    t += "</body></html>\n";
    t
}

fn write_part(t: &mut String, part: &Part) {
    let _ = match part {
        Part::Text(text) => writeln!(t, "<p>{}</p>", escape(text)),
        Part::Pre(text) => writeln!(t, "<pre>{}</pre>", escape(text)),
        Part::Figure(svg, caption) => {
            let body = svg.find("<svg").map_or("", |at| &svg[at..]);
            let (width, height) = (attribute(body, "width"), attribute(body, "height"));
            let body = body.replacen("<svg", &format!("<svg viewBox=\"0 0 {width} {height}\""), usize::from(!body.contains("viewBox")));
            writeln!(t, "<figure>{body}<figcaption>{}</figcaption></figure>", escape(caption))
        }
        Part::Table(header, rows) => {
            let cells = |tag: &str, row: &[String]| row.iter().map(|c| format!("<{tag}>{}</{tag}>", escape(c))).collect::<String>();
            let body: String = rows.iter().map(|r| format!("<tr>{}</tr>\n", cells("td", r))).collect();
            writeln!(t, "<table><tr>{}</tr>\n{body}</table>", cells("th", header))
        }
    };
}

/// Value of an attribute of the first tag.
fn attribute<'a>(svg: &'a str, name: &str) -> &'a str {
    let tag = svg.split('>').next().unwrap_or("");
    tag.split_once(&format!(" {name}=\"")).and_then(|(_, rest)| rest.split('"').next()).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_an_svg_scales_with_the_page() {
        let svg = "<?xml?><svg width=\"30\" height=\"20\"><text>a</text></svg>";
        let parts = vec![Part::Text("a < b & c".into()), Part::Figure(svg.into(), "x".into())];
        let section = Section { title: "t".into(), kind: "simulated", command: "c \"d\"".into(), parts };
        let page = page("T", "lead", &[section]);
        assert!(page.contains("<p>a &lt; b &amp; c</p>"));
        assert!(page.contains("<figure><svg viewBox=\"0 0 30 20\" width=\"30\""));
        assert!(!page.contains("<?xml"));
    }
}
