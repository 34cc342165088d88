//! Import circles among the files of the host: files that cannot be read or changed without one another.

use std::collections::{BTreeMap, BTreeSet};

use super::host;

/// Files in circles, by folder. Other folders have none. A bound is lowered when a circle is cut.
const IN_CIRCLES_MAX: [(&str, usize); 1] = [("sandbox", 16)];

type Modules = BTreeMap<String, String>;
type Imports = BTreeMap<String, BTreeSet<String>>;

/// The paths of one `use`, without braces.
fn expanded(path: &str) -> Vec<String> {
    let Some((before, rest)) = path.split_once('{') else {
        return vec![path.to_owned()];
    };
    let inside = rest.strip_suffix('}').unwrap_or(rest);
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for letter in inside.chars() {
        match letter {
            ',' if depth == 0 => parts.push(String::new()),
            _ => {
                depth += i32::from(letter == '{') - i32::from(letter == '}');
                parts.last_mut().expect("one at least").push(letter);
            }
        }
    }
    let all = parts.iter().filter(|part| !part.is_empty());
    all.flat_map(|part| expanded(&format!("{before}{part}")))
        .collect()
}

/// The file that a path of a `use` in `module` leads to.
fn target(modules: &Modules, module: &str, path: &str) -> Option<String> {
    let mut names: Vec<&str> = module.split("::").collect();
    let mut rest = path.split("::").peekable();
    match rest.next()? {
        "crate" => names.clear(),
        "self" => {}
        "super" => drop(names.pop()),
        _ => return None,
    }
    while rest.next_if_eq(&"super").is_some() {
        names.pop();
    }
    names.extend(rest);
    while !names.is_empty() && !modules.contains_key(&names.join("::")) {
        names.pop();
    }
    Some(names.join("::")).filter(|it| !it.is_empty())
}

/// The imports of a file, but those of its parents and children, which are one thing with it.
fn imports(modules: &Modules, module: &str, text: &str) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]\nmod tests {").next();
    let lines = code.unwrap_or_default().lines();
    let code: String = lines
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join(" ");
    let uses = code.split("use ").skip(1);
    let uses = uses.filter_map(|it| it.split_once(';').map(|(path, _)| path));
    let uses = uses.map(|path| path.split_whitespace().collect::<String>());
    let is_apart = |it: &String| {
        let (below, above) = (format!("{module}::"), format!("{it}::"));
        it != module && !it.starts_with(&below) && !module.starts_with(&above)
    };
    uses.flat_map(|path| expanded(&path))
        .filter_map(|path| target(modules, module, &path))
        .filter(is_apart)
        .collect()
}

fn reached<'a>(imports: &'a Imports, from: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut next: Vec<&str> = imports
        .get(from)
        .into_iter()
        .flatten()
        .map(|it| &**it)
        .collect();
    while let Some(module) = next.pop() {
        if found.insert(module) {
            next.extend(imports.get(module).into_iter().flatten().map(|it| &**it));
        }
    }
    found
}

#[test]
fn import_circles_do_not_grow() {
    let files = host().into_iter();
    let files = files.filter(|(name, _)| !name.ends_with("tests.rs") && !name.contains("/tests/"));
    let name = |path: &str| path.trim_end_matches(".rs").replace('/', "::");
    let modules: Modules = files.map(|(path, text)| (name(&path), text)).collect();
    let all = modules.iter();
    let imports: Imports = all
        .map(|(module, text)| (module.clone(), imports(&modules, module, text)))
        .collect();
    let mut circles: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for module in modules.keys() {
        if reached(&imports, module).contains(&**module) {
            let folder = module.split("::").next().unwrap_or_default();
            circles.entry(folder).or_default().push(module);
        }
    }
    for (folder, files) in circles {
        let known = IN_CIRCLES_MAX.iter().find(|(it, _)| *it == folder);
        let most = known.map_or(0, |(_, most)| *most);
        assert!(
            files.len() <= most,
            "{} files of {folder} import one another in circles, {most} did before: {files:#?}",
            files.len()
        );
    }
}
