//! The documentation has what the entries have. `WRITE_DOCS=1` writes it.

use settings::{session, setting, table, view};
use std::path::{Path, PathBuf};

fn pages() -> Vec<PathBuf> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let files = std::fs::read_dir(docs).expect("docs/ is there");
    let mut pages: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
    pages.retain(|page| page.extension().is_some_and(|ending| ending == "md"));
    pages.sort();
    pages
}

#[test]
fn tables_of_the_documentation_are_those_of_the_entries() {
    let mut all = String::new();
    for page in pages() {
        let text = std::fs::read_to_string(&page).expect("UTF-8");
        all += &text;
        let name = page.display();
        let written = table::write(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        if written == text {
            continue;
        }
        assert!(
            std::env::var_os("WRITE_DOCS").is_some(),
            "{name} is not what the entries of crates/settings say; to write it: WRITE_DOCS=1 cargo test --release -p settings"
        );
        std::fs::write(&page, written).expect("writable");
    }
    for name in table::NAMES {
        let mark = format!("{}{name} -->", table::MARK);
        assert!(all.contains(&mark), "table {name} is nowhere");
    }
}

#[test]
fn names_are_given_once() {
    let mut names: Vec<&str> = setting::ALL.iter().map(|setting| setting.name).collect();
    names.extend(session::ALL.iter().map(|switch| switch.name));
    let mut options: Vec<&str> = view::ALL.iter().map(|option| option.name).collect();
    for names in [&mut names, &mut options] {
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
