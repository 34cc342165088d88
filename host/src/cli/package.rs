//! Deployment packages: the built component or files of a function with its assets, in one zip.

use std::fs;
use std::path::{Component, Path};

use anyhow::{Context, bail};

use super::archive::Archive;
use super::build;
use super::project::Project;

/// Name of a component in a package.
const COMPONENT: &str = "bootstrap.wasm";
/// Entries at the top of a directory of source code that are of the project and not of the function.
const OF_PROJECT: [&str; 6] = [
    ".git",
    ".gitignore",
    ".lamina",
    "event.json",
    "events",
    "lamina.toml",
];
/// Directory of compiled files, which are remade and differ between machines.
const BYTECODE: &str = "__pycache__";

/// Packages a built artifact.
pub(super) fn of(project: &Project, artifact: &Path) -> anyhow::Result<Vec<u8>> {
    let shown = || artifact.display().to_string();
    // A built artifact and assets are packaged as they are.
    let is_source = artifact == project.dir;
    let own_files = |path: &Path| is_source && is_of_project(artifact, path);
    let mut archive = Archive::new(&own_files);
    if artifact.is_dir() {
        archive.add_contents(artifact, "")?;
    } else {
        let bytes = fs::read(artifact).with_context(shown)?;
        if bytes.starts_with(b"PK") {
            if !project.settings.assets.is_empty() {
                bail!(
                    "`assets` cannot be added to {}, which is a package already",
                    shown()
                );
            }
            return Ok(bytes);
        }
        if !bytes.starts_with(b"\0asm") {
            bail!("{} is neither a component nor a zip", shown());
        }
        archive.add_bytes(COMPONENT, &bytes)?;
    }
    for asset in &project.settings.assets {
        add_asset(&mut archive, project, asset)?;
    }
    archive.finish()
}

/// Builds and packages a function.
pub(super) fn built(project: &Project) -> anyhow::Result<Vec<u8>> {
    of(project, &build::artifact(project)?)
}

/// True for entries of a source directory that are of the project. Below the top, the same names are the function's.
fn is_of_project(source: &Path, path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    let is_at_top = path.parent() == Some(source);
    let is_named = is_at_top && OF_PROJECT.iter().any(|it| *it == name);
    // `events` may be a package of the function as well.
    name == BYTECODE || is_named && (name != "events" || has_json_only(path))
}

fn has_json_only(dir: &Path) -> bool {
    let is_json = |entry: fs::DirEntry| entry.path().extension().is_some_and(|it| it == "json");
    let entries = fs::read_dir(dir);
    entries.is_ok_and(|mut it| it.all(|entry| entry.is_ok_and(is_json)))
}

fn add_asset(archive: &mut Archive<'_>, project: &Project, asset: &str) -> anyhow::Result<()> {
    let name = asset.trim_end_matches('/').trim_start_matches("./");
    let is_inside = Path::new(name)
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    if name.is_empty() || !is_inside {
        bail!("asset `{asset}`: only files below the function's directory can be assets");
    }
    let path = project.dir.join(name);
    let below = |it: &&Path| *it != project.dir && it.starts_with(&project.dir);
    if let Some(link) = path
        .ancestors()
        .take_while(below)
        .find(|it| it.is_symlink())
    {
        bail!(
            "asset `{asset}`: {} is a link; only files and directories can be packaged",
            link.display()
        );
    }
    let added = archive.add(&path, name);
    added.with_context(|| format!("asset `{asset}`"))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::super::project::Source;
    use super::super::project::manifest::Manifest;
    use super::*;

    fn project(dir: &Path, assets: &[&str]) -> Project {
        Project {
            dir: dir.to_owned(),
            name: "f".to_owned(),
            is_declared: true,
            settings: Manifest {
                assets: assets.iter().map(|it| (*it).to_owned()).collect(),
                ..Manifest::default()
            },
            source: Source::Artifact {
                command: None,
                path: dir.to_owned(),
            },
        }
    }

    fn names(package: Vec<u8>) -> Vec<String> {
        let mut zip = zip::ZipArchive::new(Cursor::new(package)).unwrap();
        let count = zip.len();
        let name = |at| zip.by_index(at).unwrap().name().unwrap().into_owned();
        (0..count).map(name).collect()
    }

    #[test]
    fn assets_are_packaged_beside_the_component() {
        let dir = tempfile::tempdir().unwrap();
        let component = dir.path().join("a.wasm");
        fs::write(&component, "\0asm").unwrap();
        fs::write(dir.path().join("prices.json"), "{}").unwrap();
        fs::create_dir_all(dir.path().join("pages/de")).unwrap();
        fs::write(dir.path().join("pages/de/a.html"), "").unwrap();
        let found = of(
            &project(dir.path(), &["prices.json", "./pages/"]),
            &component,
        );
        let expected = [
            "bootstrap.wasm",
            "prices.json",
            "pages/",
            "pages/de/",
            "pages/de/a.html",
        ];
        assert_eq!(names(found.unwrap()), expected);
        for (asset, expected) in [
            ("../x", "below the function's directory"),
            ("/etc/passwd", "below the function's directory"),
            ("", "below the function's directory"),
            ("none", "asset `none`: "),
        ] {
            let error = of(&project(dir.path(), &[asset]), &component).unwrap_err();
            assert!(format!("{error:#}").contains(expected), "{error:#}");
        }
    }

    #[test]
    fn asset_behind_a_link_is_refused() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(dir.path().join("a.wasm"), "\0asm").unwrap();
        fs::write(other.path().join("secret"), "").unwrap();
        std::os::unix::fs::symlink(other.path(), dir.path().join("link")).unwrap();
        for asset in ["link/secret", "link/", "link"] {
            let refused = of(&project(dir.path(), &[asset]), &dir.path().join("a.wasm"));
            let refused = format!("{:#}", refused.unwrap_err());
            assert!(refused.contains("is a link"), "{refused}");
        }
    }

    #[test]
    fn names_of_project_files_are_packaged_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        };
        for name in [
            "app.py",
            "pkg/events/x.json",
            "pkg/lamina.toml",
            "pkg/__pycache__/x.pyc",
        ] {
            write(name);
        }
        write("events/saved.json");
        let source = |assets: &[&str]| of(&project(dir.path(), assets), dir.path()).unwrap();
        let expected = [
            "app.py",
            "pkg/",
            "pkg/events/",
            "pkg/events/x.json",
            "pkg/lamina.toml",
        ];
        assert_eq!(names(source(&[])), expected);
        write("events/__init__.py");
        assert!(names(source(&[])).contains(&"events/__init__.py".to_owned()));
        // The same directory as the result of a build.
        let built = dir.path().join("built");
        for name in [
            "built/events/x.json",
            "built/event.json",
            "built/.gitignore",
        ] {
            write(name);
        }
        let made = of(&project(dir.path(), &["pkg"]), &built).unwrap();
        let expected = [
            ".gitignore",
            "event.json",
            "events/",
            "events/x.json",
            "pkg/",
        ];
        assert_eq!(names(made)[..5], expected);
    }

    #[test]
    fn directory_is_packaged_without_files_of_the_project() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["app.py", "lamina.toml", "event.json"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let made = of(&project(dir.path(), &[]), dir.path()).unwrap();
        assert_eq!(names(made), ["app.py"]);
        let text = dir.path().join("app.py");
        let error = of(&project(dir.path(), &[]), &text).unwrap_err();
        assert!(error.to_string().contains("neither"), "{error}");
    }
}
