//! JSON API behind a function URL: a router over method and path. `GET /items/7` returns an item, `POST /items` takes
//! one.

use lamina_sdk::{Error, LambdaEvent, handler};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Relevant part of an event of a function URL, payload version 2.0.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    #[serde(default = "root")]
    raw_path: String,
    request_context: Option<RequestContext>,
    body: Option<String>,
}

#[derive(Deserialize)]
struct RequestContext {
    http: Http,
}

#[derive(Deserialize)]
struct Http {
    method: String,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    status_code: u16,
    headers: Value,
    body: String,
}

#[derive(Deserialize, Serialize)]
struct Item {
    id: String,
    color: Option<String>,
}

#[handler]
fn api(event: LambdaEvent<Request>) -> Result<Response, Error> {
    let request = event.payload;
    let method = request.request_context.map(|it| it.http.method);
    let method = method.as_deref().unwrap_or("GET");
    let path: Vec<&str> = request
        .raw_path
        .split('/')
        .filter(|it| !it.is_empty())
        .collect();
    println!("{method} {}", request.raw_path);
    Ok(match (method, &path[..]) {
        ("GET", []) => reply(200, &json!({"try": ["GET /items/7", "POST /items"]})),
        ("GET", ["items", id]) => reply(200, &item(id)),
        ("POST", ["items"]) => create(request.body.as_deref().unwrap_or_default()),
        (_, [] | ["items", ..]) => reply(405, &json!({"message": "method not allowed"})),
        _ => reply(404, &json!({"message": "not found"})),
    })
}

fn create(body: &str) -> Response {
    match serde_json::from_str::<Item>(body) {
        Ok(item) => reply(201, &item),
        Err(error) => reply(400, &json!({"message": error.to_string()})),
    }
}

fn item(id: &str) -> Item {
    Item {
        id: id.to_owned(),
        color: Some("red".to_owned()),
    }
}

fn reply(status_code: u16, body: &impl Serialize) -> Response {
    Response {
        status_code,
        headers: json!({"content-type": "application/json"}),
        body: serde_json::to_string(body).expect("it has no keys that JSON lacks"),
    }
}

fn root() -> String {
    "/".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(method: &str, path: &str, body: &str) -> u16 {
        let event =
            json!({"rawPath": path, "requestContext": {"http": {"method": method}}, "body": body});
        let request = serde_json::from_value(event).expect("a request");
        let response = api(LambdaEvent::new(request, Default::default()));
        response.expect("an answer").status_code
    }

    #[test]
    fn request_is_routed() {
        assert_eq!(call("GET", "/items/7", ""), 200);
        assert_eq!(call("POST", "/items", "{\"id\": \"8\"}"), 201);
        assert_eq!(call("POST", "/items", "no"), 400);
        assert_eq!(call("DELETE", "/items/7", ""), 405);
        assert_eq!(call("GET", "/other", ""), 404);
    }
}
