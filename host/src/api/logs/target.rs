//! Targets of CloudWatch Logs operations, as requests name them and as policies match them.

use super::Fault;
use super::constraint::Constraints;
use super::queries::Queries;
use crate::names::Home;

/// Decision on an action and a resource.
pub(super) type Judge<'a> = dyn FnMut(&str, &str) -> Result<(), Fault> + 'a;

/// Resource that an operation acts on.
pub(super) trait Target: Send + 'static {
    /// Authorizes an action on the target.
    fn permit(
        &mut self,
        action: &str,
        home: &Home,
        queries: &Queries,
        judge: &mut Judge<'_>,
    ) -> Result<(), Fault>;
}

/// All log groups of the account.
#[derive(Debug)]
pub(super) struct AllGroups;

/// One log group, by name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Group(String);

/// Log groups of a query.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Groups(pub(super) Vec<Group>);

/// One stream of a log group.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) group: Group,
    pub(super) name: String,
}

// AWS authorizes every operation by a stream ARN, with empty parts where the operation has no
// target: "not authorized to perform: logs:DescribeLogGroups on resource:
// arn:aws:logs:…:log-group::log-stream:".
pub(super) fn stream_arn(home: &Home, group: &str, stream: &str) -> String {
    format!("{}:log-stream:{stream}", group_arn(home, group))
}

/// ARN of a log group, as in DescribeLogGroups.
pub(super) fn group_arn(home: &Home, group: &str) -> String {
    let Home { region, account } = home;
    format!("arn:aws:logs:{region}:{account}:log-group:{group}")
}

impl Target for AllGroups {
    fn permit(
        &mut self,
        action: &str,
        home: &Home,
        _: &Queries,
        judge: &mut Judge<'_>,
    ) -> Result<(), Fault> {
        judge(action, &stream_arn(home, "", ""))
    }
}

impl Target for Group {
    fn permit(
        &mut self,
        action: &str,
        home: &Home,
        _: &Queries,
        judge: &mut Judge<'_>,
    ) -> Result<(), Fault> {
        judge(action, &stream_arn(home, &self.0, ""))
    }
}

impl Target for Groups {
    fn permit(
        &mut self,
        action: &str,
        home: &Home,
        _: &Queries,
        judge: &mut Judge<'_>,
    ) -> Result<(), Fault> {
        let mut arns = self.0.iter().map(|group| stream_arn(home, &group.0, ""));
        arns.try_for_each(|arn| judge(action, &arn))
    }
}

impl Target for Stream {
    fn permit(
        &mut self,
        action: &str,
        home: &Home,
        _: &Queries,
        judge: &mut Judge<'_>,
    ) -> Result<(), Fault> {
        judge(action, &stream_arn(home, &self.group.0, &self.name))
    }
}

impl Group {
    /// Group of operations that accept a name or an identifier, which is a name or an ARN.
    pub(super) fn parse(
        name: Option<String>,
        identifier: Option<String>,
        home: &Home,
    ) -> Result<Self, Fault> {
        match (name, identifier) {
            (Some(_), Some(_)) => Err(Fault::invalid(
                "logGroupName and logGroupIdentifier are alternatives: one of them is expected.",
            )),
            (None, None) => Err(Fault::invalid(
                "logGroupName or logGroupIdentifier is required.",
            )),
            (Some(name), None) => Self::named("logGroupName", name),
            (None, Some(identifier)) => Self::identified(identifier, home),
        }
    }

    /// Group named by a member.
    pub(super) fn named(member: &'static str, name: String) -> Result<Self, Fault> {
        let mut constraints = Constraints::default();
        constraints.group_name(member, &name);
        constraints.met().map(|()| Self(name))
    }

    /// Group identified by name or ARN.
    pub(super) fn identified(identifier: String, home: &Home) -> Result<Self, Fault> {
        if !identifier.starts_with("arn:") {
            return Self::named("logGroupIdentifier", identifier);
        }
        // Groups of other regions and accounts, linked ones included, do not exist here.
        let own = group_arn(home, "");
        let name = identifier.strip_prefix(&own).ok_or_else(Fault::no_group)?;
        Self::named("logGroupIdentifier", name.to_owned())
    }

    /// Group of operations that accept a name only.
    pub(super) fn required(name: Option<String>) -> Result<Self, Fault> {
        let Some(name) = name else {
            let mut constraints = Constraints::default();
            constraints.null("logGroupName");
            return Err(constraints.fault());
        };
        Self::named("logGroupName", name)
    }

    pub(super) fn name(&self) -> &str {
        &self.0
    }
}

impl Stream {
    pub(super) fn parse(group: Group, name: Option<String>) -> Result<Self, Fault> {
        let mut constraints = Constraints::default();
        constraints.stream_name("logStreamName", name.as_deref());
        constraints.met()?;
        let name = name.unwrap_or_default();
        Ok(Self { group, name })
    }
}
