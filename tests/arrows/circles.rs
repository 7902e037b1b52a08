//! No circles between files: which file uses what another one defines, read from every path in the
//! code (`use`, expressions, types, and inside of macros), with re-exports followed to the file
//! that defines. Code for tests alone does not count, nor does a file that re-exports.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

use super::rust_files;

/// A module, by the names from the crate down to it.
type Module = Vec<String>;

const CRATES: &[&str] = &[
    "src",
    "hardware_managers/sdk/src",
    "hardware_managers/host/src",
    "hardware_managers/onmetal/src",
    "hardware_managers/example/src",
];

/// A room, its floors from top to bottom, each by the files and folders on it, and the files that stand
/// beside the floors.
type Floors = (
    &'static str,
    &'static [&'static [&'static str]],
    &'static [&'static str],
);

/// Rooms with floors of their own, as ARCHITECTURE.md draws them.
const WITHIN: &[Floors] = &[
    (
        "src/command",
        &[
            &["table"],
            &["registry"],
            &[
                "clean", "deploy", "flow", "image", "log", "poll", "rescue", "service", "standby",
                "system",
            ],
            &["steps"],
            &["definition"],
            &["context", "journal", "request", "results"],
            &["document", "echo", "environment", "outcome", "parameters"],
            &["omission", "pace", "words"],
        ],
        // For tests: what there is on all floors, described.
        &["schema"],
    ),
    (
        "src/hardware",
        &[
            &["managers"],
            &["plugin"],
            &["generic", "logs", "steps"],
            &["disk_wait"],
            &["dispatch"],
        ],
        &[],
    ),
    (
        "src/erase",
        &[
            &["step"],
            &["record"],
            &["plan"],
            &["drive"],
            &["medium"],
            &["guard"],
            &["proof"],
            &["method"],
        ],
        // Errors hold those of each floor.
        &["error", "flags"],
    ),
];

#[test]
fn arrows_within_a_room_point_down() {
    let arrows = arrows(&modules("src"));
    for (room, floors, beside) in WITHIN {
        let between = between_floors(&arrows, room, floors);
        assert!(between.len() > floors.len(), "{room}: {between:?}");
        let up: Vec<_> = between.iter().filter(|(from, to, _)| from > to).collect();
        assert!(up.is_empty(), "{room}: {up:?}");
        let floors = [*floors, &[*beside]].concat();
        let nowhere = on_no_floor(&arrows, room, &floors);
        assert!(nowhere.is_empty(), "{room}: {nowhere:?} are on no floor");
    }
    let to = |file: &str| BTreeSet::from([file.to_owned()]);
    let wrong = BTreeMap::from([
        (
            "src/hardware/dispatch.rs".to_owned(),
            to("src/hardware/plugin/call.rs"),
        ),
        ("src/hardware/new.rs".to_owned(), to("src/sys/root.rs")),
    ]);
    let (room, floors, _) = WITHIN[1];
    assert_eq!(between_floors(&wrong, room, floors)[0].0, floors.len() - 1);
    assert_eq!(
        on_no_floor(&wrong, room, floors),
        [Path::new("src/hardware/new.rs")]
    );
}

/// The floor of a file; none for what is no file of the room.
fn floor(file: &str, room: &str, floors: &[&[&str]]) -> Option<usize> {
    let first = Path::new(file).strip_prefix(room).ok()?.iter().next()?;
    let name = Path::new(first).file_stem()?.to_str()?;
    floors.iter().position(|floor| floor.contains(&name))
}

/// Files of the room that the floors leave out, without its own.
fn on_no_floor<'a>(
    arrows: &'a BTreeMap<String, BTreeSet<String>>,
    room: &str,
    floors: &[&[&str]],
) -> Vec<&'a Path> {
    let own = Path::new(room).join("mod.rs");
    arrows
        .keys()
        .filter(|file| floor(file, room, floors).is_none())
        .map(Path::new)
        .filter(|file| file.starts_with(room) && *file != own)
        .collect()
}

/// Floor of the one file, floor of the other that it uses, and both files.
fn between_floors<'a>(
    arrows: &'a BTreeMap<String, BTreeSet<String>>,
    room: &str,
    floors: &[&[&str]],
) -> Vec<(usize, usize, [&'a str; 2])> {
    let floor = |file: &str| floor(file, room, floors);
    arrows
        .iter()
        .flat_map(|(from, used)| used.iter().map(move |to| (from, to)))
        .filter_map(|(from, to)| Some((floor(from)?, floor(to)?, [from.as_str(), to.as_str()])))
        .filter(|(from, to, _)| from != to)
        .collect()
}

/// All files of a crate's source.
fn modules(source: &str) -> Modules {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let is_library = root.join(source).join("lib.rs").exists();
    let modules: Modules = rust_files(&root.join(source))
        .into_iter()
        // Where both are, the program is another crate than the library.
        .filter(|file| !(is_library && *file == root.join(source).join("main.rs")))
        .filter_map(|file| {
            let relative = file.strip_prefix(root).expect("found below it");
            let within = file.strip_prefix(root.join(source)).expect("below it");
            let code = fs::read_to_string(&file).expect("readable source");
            Some((
                module_of(within)?,
                read(&relative.display().to_string(), &code),
            ))
        })
        .collect();
    assert!(!modules.is_empty(), "no source below {source}");
    modules
}

#[test]
fn no_files_name_each_other_in_a_circle() {
    let found: Vec<String> = CRATES
        .iter()
        .flat_map(|source| circles(&arrows(&modules(source))))
        .map(|files| files.join("\n  "))
        .collect();
    assert!(found.is_empty(), "circles:\n  {}", found.join("\n\n  "));
}

#[test]
fn circles_are_found_through_re_exports_macros_and_parents() {
    let found = |files: &[(&str, &str)]| -> Vec<Vec<String>> {
        let modules = files
            .iter()
            .map(|(name, code)| {
                (
                    module_of(Path::new(name)).expect("counted"),
                    read(name, code),
                )
            })
            .collect();
        circles(&arrows(&modules))
    };
    let facade = ("erase/mod.rs", "mod plan; mod ata; pub use plan::Plan;");
    let through_facade = [
        facade,
        ("erase/plan.rs", "use super::ata; pub struct Plan;"),
        ("erase/ata.rs", "use crate::erase::{self, Plan};"),
    ];
    assert_eq!(found(&through_facade), [["erase/ata.rs", "erase/plan.rs"]]);
    let in_a_macro = [
        facade,
        (
            "erase/plan.rs",
            "fn a() { vec![super::ata::B] } pub struct Plan;",
        ),
        ("erase/ata.rs", "fn a(_: super::Plan) {}"),
    ];
    assert_eq!(found(&in_a_macro), [["erase/ata.rs", "erase/plan.rs"]]);
    let parent = [
        ("erase/mod.rs", "mod ata; struct Plan; fn a() { ata::b() }"),
        ("erase/ata.rs", "use super::Plan;"),
    ];
    assert_eq!(found(&parent), [["erase/ata.rs", "erase/mod.rs"]]);
    let for_tests_alone = [
        facade,
        (
            "erase/plan.rs",
            "#[cfg(test)] mod tests { use crate::erase::ata; } pub struct Plan;",
        ),
        (
            "erase/ata.rs",
            "use crate::erase::Plan; #[test] fn a() { super::plan::b() }",
        ),
    ];
    assert_eq!(found(&for_tests_alone), [[""; 0]; 0]);
}

/// What one file holds.
struct File {
    name: String,
    /// (module in the file, path as written).
    uses: Vec<(Module, Module)>,
    /// (module in the file, name) of what is imported or re-exported there, to the path as written.
    imports: BTreeMap<(Module, String), Module>,
}

type Modules = BTreeMap<Module, File>;

/// The module that a file is; none for what only tests compile.
fn module_of(file: &Path) -> Option<Module> {
    let mut module: Module = file
        .with_extension("")
        .iter()
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    let last = module.last()?.as_str();
    if ["mod", "lib", "main"].contains(&last) {
        module.pop();
    }
    let for_tests = ["tests", "fuzzing", "samples"];
    let is_for_tests = |name: &String| {
        for_tests.contains(&name.as_str()) || name.ends_with("_tests") || name.starts_with("fake")
    };
    (!module.iter().any(is_for_tests)).then_some(module)
}

fn read(name: &str, code: &str) -> File {
    let mut reader = Reader {
        file: File {
            name: name.to_owned(),
            uses: Vec::new(),
            imports: BTreeMap::new(),
        },
        within: Vec::new(),
    };
    reader.visit_file(&syn::parse_file(code).unwrap_or_else(|error| panic!("{name}: {error}")));
    reader.file
}

struct Reader {
    file: File,
    /// The module inside the file.
    within: Module,
}

impl Reader {
    fn names(&mut self, path: Module) {
        self.file.uses.push((self.within.clone(), path));
    }

    fn tree(&mut self, tree: &syn::UseTree, before: &[String], is_re_export: bool) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.tree(&path.tree, &with(&path.ident), is_re_export),
            syn::UseTree::Name(name) if name.ident == "self" => {
                let last = before.last().cloned().unwrap_or_default();
                self.import(last, before.to_vec(), is_re_export);
            }
            syn::UseTree::Name(name) => {
                self.import(name.ident.to_string(), with(&name.ident), is_re_export);
            }
            syn::UseTree::Rename(name) => {
                self.import(name.rename.to_string(), with(&name.ident), is_re_export);
            }
            syn::UseTree::Glob(_) => self.names(before.to_vec()),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.tree(tree, before, is_re_export);
                }
            }
        }
    }

    fn import(&mut self, name: String, path: Module, is_re_export: bool) {
        self.file
            .imports
            .insert((self.within.clone(), name), path.clone());
        if !is_re_export {
            self.names(path);
        }
    }

    /// Paths among the tokens of a macro.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path = Module::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
                TokenTree::Ident(name) if colons == 2 && !path.is_empty() => {
                    path.push(name.to_string());
                    colons = 0;
                }
                other => {
                    self.names(std::mem::take(&mut path));
                    colons = 0;
                    match other {
                        TokenTree::Ident(name) => path.push(name.to_string()),
                        TokenTree::Group(group) => self.tokens(group.stream()),
                        _ => {}
                    }
                }
            }
        }
        self.names(path);
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !attributes(item).iter().any(is_for_tests) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !function.attrs.iter().any(is_for_tests) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if module.content.is_some() {
            self.within.push(module.ident.to_string());
            visit::visit_item_mod(self, module);
            self.within.pop();
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let is_re_export = !matches!(item.vis, syn::Visibility::Inherited);
        self.tree(&item.tree, &[], is_re_export);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.names(path.segments.iter().map(|s| s.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }

    /// `pub(in path)` names who may see it, not what is used.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    use syn::Item;
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// `#[test]`, `#[cfg(test)]`, `#[cfg(any(test, fuzzing))]`; not `#[cfg(not(test))]`.
fn is_for_tests(attribute: &syn::Attribute) -> bool {
    if attribute.path().is_ident("test") {
        return true;
    }
    let syn::Meta::List(list) = &attribute.meta else {
        return false;
    };
    let condition = list.tokens.to_string();
    attribute.path().is_ident("cfg")
        && !condition.contains("not")
        && (condition == "test" || condition.contains("(test") || condition.contains("fuzzing"))
}

/// From file to the files that it uses.
fn arrows(modules: &Modules) -> BTreeMap<String, BTreeSet<String>> {
    let mut arrows = BTreeMap::new();
    for (module, file) in modules {
        let targets: &mut BTreeSet<String> = arrows.entry(file.name.clone()).or_default();
        for (within, path) in &file.uses {
            let from = [module.as_slice(), within].concat();
            if let Some(target) = resolve(modules, &from, path, 0)
                && target != file.name
            {
                targets.insert(target);
            }
        }
    }
    arrows
}

/// The file that defines what a path in a module names; none for what is of another crate.
fn resolve(modules: &Modules, from: &[String], path: &[String], depth: u8) -> Option<String> {
    let mut at = from.to_vec();
    let mut rest = path;
    let mut is_ours = false;
    while let Some((first, after)) = rest.split_first() {
        match first.as_str() {
            "crate" => at.clear(),
            "self" => {}
            "super" => drop(at.pop()),
            _ => break,
        }
        is_ours = true;
        rest = after;
    }
    while let Some((first, after)) = rest.split_first() {
        let below = [at.as_slice(), std::slice::from_ref(first)].concat();
        if modules.contains_key(&below) {
            at = below;
            is_ours = true;
            rest = after;
            continue;
        }
        let (file, within) = file_of(modules, &at)?;
        if let Some(import) = file.imports.get(&(within, first.clone())) {
            // A file's import of itself by another way would never end.
            if depth > 16 {
                return None;
            }
            let whole = [import.as_slice(), after].concat();
            return resolve(modules, &at, &whole, depth + 1);
        }
        // An item of this file, a module in it, or, as first name, of another crate.
        return is_ours.then(|| file.name.clone());
    }
    is_ours.then(|| file_of(modules, &at).map(|(file, _)| file.name.clone()))?
}

/// The file that holds a module, and the module inside it.
fn file_of<'m>(modules: &'m Modules, module: &[String]) -> Option<(&'m File, Module)> {
    (0..=module.len()).rev().find_map(|length| {
        let file = modules.get(&module[..length])?;
        Some((file, module[length..].to_vec()))
    })
}

/// Sets of files from each of which every other can be reached.
fn circles(arrows: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<String>> {
    let reach: BTreeMap<&String, BTreeSet<&String>> = arrows
        .keys()
        .map(|file| {
            let mut seen = BTreeSet::new();
            let mut next = vec![file];
            while let Some(file) = next.pop() {
                for target in arrows.get(file).into_iter().flatten() {
                    if seen.insert(target) {
                        next.push(target);
                    }
                }
            }
            (file, seen)
        })
        .collect();
    let found: BTreeSet<Vec<String>> = reach
        .iter()
        .filter(|(file, seen)| seen.contains(*file))
        .map(|(file, seen)| {
            seen.iter()
                .filter(|other| reach.get(*other).is_some_and(|back| back.contains(*file)))
                .map(|&other| other.clone())
                .collect()
        })
        .collect();
    found.into_iter().collect()
}
