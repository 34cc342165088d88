//! Names and packages that the operations of a history draw from.

use std::io::{Cursor, Write as _};
use std::sync::Arc;

use bytes::Bytes;

use crate::invoke::Target;
use crate::library::{Delivery, Origin, Requester};
use crate::names::{AliasName, FunctionName, Qualifier};

/// Packages of one run.
pub(super) const PACKAGES: usize = 3;

/// Names and packages; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Subjects(Arc<Drawn>);

#[derive(Debug)]
struct Drawn {
    functions: Vec<FunctionName>,
    alias: AliasName,
    packages: Vec<Bytes>,
}

/// A qualifier.
#[derive(Clone, Copy, Debug)]
pub(super) enum Qualified {
    Latest,
    Version(u64),
    Alias,
}

impl Subjects {
    pub(super) fn new() -> Self {
        let name = |text: &str| FunctionName::parse(text).expect("it is a name");
        Self(Arc::new(Drawn {
            functions: vec![name("f"), name("g"), name("h")],
            alias: AliasName::parse("live").expect("it is a name"),
            packages: (0..PACKAGES).map(package).collect(),
        }))
    }

    pub(super) fn functions(&self) -> &[FunctionName] {
        &self.0.functions
    }

    pub(super) fn name(&self, function: usize) -> &FunctionName {
        &self.0.functions[function]
    }

    pub(super) fn the_alias(&self) -> &AliasName {
        &self.0.alias
    }

    pub(super) fn alias(&self, of_alias: bool) -> Option<AliasName> {
        of_alias.then(|| self.0.alias.clone())
    }

    pub(super) fn package(&self, package: usize) -> Delivery {
        let origin = Origin::Upload(self.0.packages[package].clone());
        Delivery::new(origin, self.requester())
    }

    pub(super) fn requester(&self) -> Requester {
        Requester::new("caller", "function")
    }

    pub(super) fn qualifier(&self, of: Qualified) -> Qualifier {
        match of {
            Qualified::Latest => Qualifier::Latest,
            Qualified::Version(number) => Qualifier::Version(number),
            Qualified::Alias => Qualifier::Alias(self.0.alias.clone()),
        }
    }

    pub(super) fn target(&self, function: usize, of: Qualified) -> Target {
        Target {
            name: self.name(function).clone(),
            qualifier: Some(self.qualifier(of)),
        }
    }
}

/// A package that differs from those of other numbers.
pub fn package(number: usize) -> Bytes {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    zip.start_file("index.mjs", options)
        .expect("it is in memory");
    write!(zip, "// {number}").expect("it is in memory");
    zip.finish().expect("it is in memory").into_inner().into()
}
