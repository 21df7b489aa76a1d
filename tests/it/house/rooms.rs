//! The rooms of the house: each folder of a crate is one, with the file of its name. Imports between them
//! run one way, so that whoever reads a file knows where the rest of it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The crates of the programs.
const CRATES: [&str; 3] = ["fetcher", "loader", "shared"];

/// For each room those that it uses, with a file that does.
type Rooms = BTreeMap<String, BTreeMap<String, String>>;

#[test]
fn no_room_of_a_crate_uses_one_that_uses_it() {
    for name in CRATES {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../{name}/src"));
        let rooms = rooms(&folder);
        assert!(rooms.len() > 5, "{name} has no rooms: {rooms:?}");
        if let Some(circle) = circle(&rooms) {
            panic!("rooms of {name} use each other:\n{}", circle.join("\n"));
        }
    }
}

#[test]
fn a_circle_is_found_and_told() {
    let uses = |room: &str, other: &str| {
        (room.to_owned(), BTreeMap::from([(other.to_owned(), format!("{room}/x.rs"))]))
    };
    let mut rooms = Rooms::from([uses("a", "b"), uses("b", "c")]);
    assert_eq!(circle(&rooms), None);
    rooms.extend([uses("c", "b")]);
    assert_eq!(circle(&rooms).unwrap(), ["b/x.rs uses c", "c/x.rs uses b"]);
}

#[test]
fn every_way_of_naming_another_room_is_seen() {
    let code = "use crate::{one::X, two};\nuse super::super::three::Y;\nuse super::sibling;\n\
                // crate::no\nfn f() { crate::four::g() }\n#[cfg(test)]\nmod tests { use crate::no; }";
    let names = named(code, 2);
    assert_eq!(names, ["four", "one", "three", "two"].map(str::to_owned).into());
}

fn rooms(folder: &Path) -> Rooms {
    let mut files = Vec::new();
    collect(folder, &mut Vec::new(), &mut files);
    let names: BTreeSet<_> = files.iter().map(|(path, _)| path[0].clone()).collect();
    let mut rooms: Rooms = names.iter().map(|name| (name.clone(), BTreeMap::new())).collect();
    for (path, code) in &files {
        let uses = rooms.get_mut(&path[0]).unwrap();
        for other in named(code, path.len()) {
            if other != path[0] && names.contains(&other) {
                uses.insert(other, format!("{}.rs", path.join("/")));
            }
        }
    }
    rooms
}

/// All modules but the root, which only lists the rooms.
fn collect(folder: &Path, path: &mut Vec<String>, files: &mut Vec<(Vec<String>, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let is_root = path.is_empty() && ["lib", "main", "bin"].contains(&name.as_str());
        if is_root || name == "tests" {
            continue;
        }
        path.push(name);
        if file.is_dir() {
            collect(&file, path, files);
        } else {
            files.push((path.clone(), fs::read_to_string(&file).unwrap()));
        }
        path.pop();
    }
}

/// What a module so many levels below the root names there, but in its tests.
fn named(code: &str, depth: usize) -> BTreeSet<String> {
    let code: String = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|l| l.to_owned() + "\n")
        .collect();
    let code = code.split("#[cfg(test)]").next().unwrap();
    let mut names = BTreeSet::new();
    for root in ["crate::".to_owned(), "super::".repeat(depth)] {
        for rest in code.split(&root).skip(1) {
            match rest.strip_prefix('{') {
                Some(list) => names.extend(firsts(list)),
                None => names.extend(first(rest)),
            }
        }
    }
    names
}

/// The first words of what stands in a list of imports.
fn firsts(list: &str) -> Vec<String> {
    let (mut names, mut depth, mut begin) = (Vec::new(), 0, true);
    for (place, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => begin = true,
            c if begin && c.is_ascii_lowercase() => {
                names.extend(list.get(place..).and_then(first));
                begin = false;
            }
            _ => {}
        }
    }
    names
}

fn first(path: &str) -> Option<String> {
    let is_part = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
    Some(path.chars().take_while(is_part).collect()).filter(|name: &String| !name.is_empty())
}

/// Rooms that use each other in a ring, in words.
fn circle(rooms: &Rooms) -> Option<Vec<String>> {
    let mut done = BTreeSet::new();
    rooms.keys().find_map(|room| walk(rooms, room, &mut Vec::new(), &mut done))
}

fn walk(
    rooms: &Rooms,
    room: &str,
    way: &mut Vec<(String, String)>,
    done: &mut BTreeSet<String>,
) -> Option<Vec<String>> {
    if let Some(begin) = way.iter().position(|(passed, _)| passed == room) {
        return Some(way[begin..].iter().map(|(_, words)| words.clone()).collect());
    }
    if done.contains(room) {
        return None;
    }
    for (other, file) in rooms.get(room).into_iter().flatten() {
        way.push((room.to_owned(), format!("{file} uses {other}")));
        let found = walk(rooms, other, way, done);
        if found.is_some() {
            return found;
        }
        way.pop();
    }
    done.insert(room.to_owned());
    None
}
