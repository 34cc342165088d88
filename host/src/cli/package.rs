//! Deployment packages: the built component or files of a function with its assets, in one zip.

use std::ffi::OsStr;
use std::fs;
use std::path::{Component, Path};

use anyhow::{Context, bail};

use super::archive::Archive;
use super::build;
use super::project::Project;

/// Name of a component in a package.
const COMPONENT: &str = "bootstrap.wasm";
/// Entries of a directory of source code that are of the project and not of the function.
const OF_PROJECT: [&str; 7] = [
    ".git",
    ".gitignore",
    ".lamina",
    "__pycache__",
    "event.json",
    "events",
    "lamina.toml",
];

/// Packages a built artifact.
pub(super) fn of(project: &Project, artifact: &Path) -> anyhow::Result<Vec<u8>> {
    let shown = || artifact.display().to_string();
    let own_files = |path: &Path| path.file_name().is_some_and(is_of_project);
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

fn is_of_project(name: &OsStr) -> bool {
    OF_PROJECT.iter().any(|it| *it == name)
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
