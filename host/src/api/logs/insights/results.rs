//! GetQueryResults, StopQuery and DescribeQueries. Results are log events: to read them, or the text of the query, a
//! caller needs permission to start the query on each of its log groups. AWS checks the operation only, for all groups.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{LANGUAGE, StartQuery};
use crate::api::logs::Fault;
use crate::api::logs::constraint::Constraints;
use crate::api::logs::operation::{Backend, Document, Operation};
use crate::api::logs::queries::{Outcome, Queries, Query};
use crate::api::logs::target::{Group, Judge, Target, stream_arn};
use crate::names::Home;

/// AWS's maximum of DescribeQueries.
const QUERIES_MAX: i64 = 1_000;

/// A query, by its id.
#[derive(Debug)]
pub(in crate::api::logs) struct Named {
    id: String,
    /// Found by authorization.
    query: Option<Arc<Query>>,
}

/// Queries that a caller may see.
#[derive(Debug)]
pub(in crate::api::logs) struct Visible {
    group: Option<Group>,
    /// The newest first, found by authorization.
    queries: Vec<Arc<Query>>,
}

/// Authorizes StartQuery on each log group of a query.
fn permit_start(query: &Query, home: &Home, judge: &mut Judge<'_>) -> Result<(), Fault> {
    let action = format!("logs:{}", StartQuery::NAME);
    let mut arns = query.groups.iter().map(|it| stream_arn(home, it, ""));
    arns.try_for_each(|arn| judge(&action, &arn))
}

impl Target for Named {
    fn permit(
        &mut self,
        action: &str,
        home: &Home,
        queries: &Queries,
        judge: &mut Judge<'_>,
    ) -> Result<(), Fault> {
        let Some(query) = queries.find(&self.id) else {
            return judge(action, &stream_arn(home, "", ""));
        };
        for group in &query.groups {
            judge(action, &stream_arn(home, group, ""))?;
        }
        permit_start(&query, home, judge)?;
        self.query = Some(query);
        Ok(())
    }
}

impl Target for Visible {
    fn permit(
        &mut self,
        action: &str,
        home: &Home,
        queries: &Queries,
        judge: &mut Judge<'_>,
    ) -> Result<(), Fault> {
        let group = self.group.as_ref().map_or("", Group::name);
        judge(action, &stream_arn(home, group, ""))?;
        let all = queries.newest_first().into_iter();
        let visible = all.filter(|it| permit_start(it, home, judge).is_ok());
        self.queries = visible.collect();
        Ok(())
    }
}

impl Named {
    fn of(request: QueryRequest) -> Self {
        Self {
            id: request.query_id.unwrap_or_default(),
            query: None,
        }
    }

    fn query(&self) -> Result<&Query, Fault> {
        let message = "The specified query does not exist.";
        let found = self.query.as_deref();
        found.ok_or_else(|| Fault::new("ResourceNotFoundException", message))
    }
}

#[derive(Debug)]
pub(in crate::api::logs) struct GetQueryResults;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::api::logs) struct QueryRequest {
    query_id: Option<String>,
}

impl Operation for GetQueryResults {
    const NAME: &'static str = "GetQueryResults";
    type Request = QueryRequest;
    type Target = Named;
    type Answer = Document;

    fn parse(request: QueryRequest, _home: &Home) -> Result<(Named, Self), Fault> {
        Ok((Named::of(request), Self))
    }

    fn answer(self, target: &Named, _: &Backend) -> Result<Document, Fault> {
        let query = target.query()?;
        let status = query.status();
        let none = Outcome::without_results(status);
        let outcome = query.outcome().unwrap_or(&none);
        let statistics = json!({
            "recordsMatched": outcome.matched as f64,
            "recordsScanned": outcome.scanned as f64,
            "bytesScanned": outcome.bytes_scanned as f64,
        });
        // The results are megabytes of text already: a tree of them would take many times as much.
        Ok(Document(format!(
            "{{\"queryLanguage\":\"{LANGUAGE}\",\"results\":{},\"statistics\":{statistics},\"status\":\"{}\"}}",
            outcome.results,
            outcome.status.name(),
        )))
    }
}

#[derive(Debug)]
pub(in crate::api::logs) struct StopQuery;

impl Operation for StopQuery {
    const NAME: &'static str = "StopQuery";
    type Request = QueryRequest;
    type Target = Named;
    type Answer = Value;

    fn parse(request: QueryRequest, _home: &Home) -> Result<(Named, Self), Fault> {
        Ok((Named::of(request), Self))
    }

    fn answer(self, target: &Named, backend: &Backend) -> Result<Value, Fault> {
        let query = target.query()?;
        match backend.queries.stop(query) {
            true => Ok(json!({"success": true})),
            false => {
                let status = query.status().name();
                let text = format!("This query has already ended with status: {status}");
                Err(Fault::invalid(text))
            }
        }
    }
}

#[derive(Debug)]
pub(in crate::api::logs) struct DescribeQueries {
    status: Option<String>,
    language: Option<String>,
    limit: usize,
    /// Id of the last query of the previous page.
    after: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::api::logs) struct DescribeRequest {
    log_group_name: Option<String>,
    status: Option<String>,
    query_language: Option<String>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

impl Operation for DescribeQueries {
    const NAME: &'static str = "DescribeQueries";
    type Request = DescribeRequest;
    type Target = Visible;
    type Answer = Value;

    fn parse(request: DescribeRequest, _home: &Home) -> Result<(Visible, Self), Fault> {
        let mut constraints = Constraints::default();
        constraints.range("maxResults", request.max_results, 1, QUERIES_MAX);
        constraints.met()?;
        let group = request.log_group_name;
        let group = group
            .map(|it| Group::named("logGroupName", it))
            .transpose()?;
        let limit = request.max_results.unwrap_or(QUERIES_MAX);
        let operation = Self {
            status: request.status,
            language: request.query_language,
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            after: request.next_token,
        };
        let queries = Vec::new();
        Ok((Visible { group, queries }, operation))
    }

    fn answer(self, target: &Visible, _: &Backend) -> Result<Value, Fault> {
        let is_wanted = |it: &&Arc<Query>| {
            let group = target.group.as_ref().map(Group::name);
            let is_of_group = group.is_none_or(|group| it.groups.iter().any(|it| it == group));
            let status = it.status().name();
            is_of_group
                && self.status.as_deref().is_none_or(|it| it == status)
                && self.language.as_deref().is_none_or(|it| it == LANGUAGE)
        };
        let skipped = match &self.after {
            None => 0,
            Some(after) => {
                let at = target.queries.iter().position(|it| it.id == *after);
                at.ok_or_else(|| Fault::invalid("The specified nextToken is invalid."))? + 1
            }
        };
        let mut all = target.queries.iter().skip(skipped).filter(is_wanted);
        let page: Vec<_> = all.by_ref().take(self.limit).collect();
        let queries: Vec<_> = page.iter().map(|it| shown(it)).collect();
        let mut answer = json!({"queries": queries});
        if let (Some(_), Some(last)) = (all.next(), page.last()) {
            answer["nextToken"] = last.id.as_str().into();
        }
        Ok(answer)
    }
}

fn shown(query: &Query) -> Value {
    json!({
        "queryId": query.id,
        "queryString": query.text,
        "status": query.status().name(),
        "createTime": query.started.millis(),
        "logGroupName": query.groups.first(),
        "queryLanguage": LANGUAGE,
    })
}
