//! The tables of the documentation, in Markdown. Each stands behind a comment that names it, `<!-- settings: NAME -->`, and ends at an empty line.

use crate::Values;
use crate::server::{self, Form, ServerOption, Who};
use crate::session;
use crate::setting::{self, Context, Setting};
use crate::view::{self, Relation, ViewOption};

/// What a comment that names a table begins with.
pub const MARK: &str = "<!-- settings: ";

/// The tables.
pub const NAMES: [&str; 9] = [
    "session",
    "reload",
    "superuser",
    "restart",
    "super",
    "view",
    "server",
    "mapping",
    "relation",
];

/// A page with its tables written anew; an error names a table that there is not.
pub fn write(page: &str) -> Result<String, String> {
    let mut written = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        written += line;
        written += "\n";
        let Some(name) = line.strip_prefix(MARK) else {
            continue;
        };
        let name = name.trim_end_matches(" -->");
        written += &table(name).ok_or_else(|| format!("there is no table {name}"))?;
        for old in lines.by_ref() {
            if old.is_empty() {
                written += "\n";
                break;
            }
        }
    }
    Ok(written)
}

fn table(name: &str) -> Option<String> {
    Some(match name {
        "session" => settings(Context::Session),
        "reload" => settings(Context::Reload),
        "superuser" => settings(Context::Superuser),
        "restart" => settings(Context::Restart),
        "super" => switches(),
        "view" => options(),
        "server" => of_server(&server::SERVER),
        "mapping" => of_server(&server::MAPPING),
        "relation" => of_server(&server::TABLE),
        _ => return None,
    })
}

/// Head and rows, each a list of cells.
fn rows<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = line(&head.map(str::to_owned)) + &"|---".repeat(N) + "|\n";
    for row in rows {
        text += &line(&row);
    }
    text
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn settings(context: Context) -> String {
    let row = |setting: &Setting| {
        let default = setting.default.show(&setting.values);
        [
            code(&format!("redshift.{}", setting.name)),
            default.map_or("none".to_owned(), |default| code(&default)),
            values(&setting.values),
            meaning(setting),
        ]
    };
    let of_context = setting::ALL.into_iter().filter(|of| of.context == context);
    rows(
        ["setting", "default", "values", "meaning"],
        of_context.map(row),
    )
}

fn values(values: &Values) -> String {
    match values {
        Values::Whole(whole) => whole.range(),
        Values::Switch => "`on`, `off`".to_owned(),
        Values::Words(words) => words
            .iter()
            .copied()
            .map(code)
            .collect::<Vec<_>>()
            .join(", "),
        Values::Text(form) => (*form).to_owned(),
    }
}

fn meaning(setting: &Setting) -> String {
    let see = match setting.see {
        "" => String::new(),
        see => format!("See {see}."),
    };
    let parts = [setting.summary, setting.details, &see];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(" ")
}

fn switches() -> String {
    let row = |switch: &session::SessionSwitch| {
        [
            code(switch.name),
            code(&format!("redshift.{}", switch.name)),
            code(if switch.default { "on" } else { "off" }),
            switch.summary.to_owned(),
        ]
    };
    rows(
        ["setting", "alias", "default", "meaning"],
        session::ALL.into_iter().map(row),
    )
}

fn options() -> String {
    let row = |option: &ViewOption| {
        let changes = if option.can_change { "yes" } else { "no" };
        [
            code(option.name),
            default_first(option),
            meaning_of_option(option),
            changes.to_owned(),
        ]
    };
    rows(
        [
            "option",
            "values (default first)",
            "meaning",
            "`ALTER .. SET`",
        ],
        view::ALL.into_iter().map(row),
    )
}

fn default_first(option: &ViewOption) -> String {
    let default = match (option.setting, option.default.show(&option.values)) {
        (Relation::None, default) => default.map(|default| code(&default)),
        _ => Some("the setting".to_owned()),
    };
    let others = match (&option.values, &default) {
        (Values::Words(words), Some(default)) => {
            let others = words.iter().copied().map(code);
            let others: Vec<String> = others.filter(|word| word != default).collect();
            others.join(", ")
        }
        (Values::Switch, Some(default)) => code(if default == "`on`" { "off" } else { "on" }),
        (Values::Text(form), Some(_)) => {
            let rest = form.split_once(", ").map_or("", |(_, rest)| rest);
            rest.to_owned()
        }
        (of, _) => values(of),
    };
    let cells = [default.unwrap_or_default(), others];
    let cells: Vec<String> = cells.into_iter().filter(|cell| !cell.is_empty()).collect();
    cells.join(", ")
}

fn meaning_of_option(option: &ViewOption) -> String {
    match option.setting {
        Relation::None => option.meaning.to_owned(),
        Relation::Instead(setting) => {
            format!(
                "instead of `redshift.{}`: {}",
                setting.name,
                meaning(setting)
            )
        }
        Relation::Within(setting) => format!(
            "where it is less than `redshift.{}`, which is the most: {}",
            setting.name, setting.summary
        ),
    }
}

fn of_server(options: &[ServerOption]) -> String {
    let row = |option: &ServerOption| {
        let who = match option.who {
            Who::Owner => "the owner",
            Who::HostRole => {
                "members of [`redshift.host_role`](external-schemas.md#who-may-do-what)"
            }
            Who::Superuser => "superusers",
        };
        [
            code(option.name),
            match option.form {
                Form::Of(of) => values(&of),
                form => form.allowed(),
            },
            option.meaning.to_owned(),
            who.to_owned(),
        ]
    };
    rows(
        ["option", "values", "meaning", "set by"],
        options.iter().map(row),
    )
}
