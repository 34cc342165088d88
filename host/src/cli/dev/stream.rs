//! Logs of the functions under development in one stream. With several functions, each line begins with the name of its
//! function, in a colour of its own.

use crate::cli::client::Client;
use crate::cli::deploy::Deployed;
use crate::cli::logs::{Follower, message, printable};
use crate::cli::output;

/// Foreground colours of terminals, apart from red, which is for errors.
const COLOURS: [u8; 5] = [36, 33, 35, 32, 34];
/// Lines of the platform that say nothing about a call.
const PLATFORM: [&str; 3] = ["INIT_START ", "START RequestId: ", "END RequestId: "];

/// Followed logs.
#[derive(Default)]
pub(super) struct LogStream {
    followed: Vec<Followed>,
}

struct Followed {
    name: String,
    /// Begins each line; empty for the only function.
    label: String,
    group: String,
    follower: Follower,
}

impl LogStream {
    /// Follows the log of a function from its end, unless it is followed already.
    pub(super) async fn follow(
        &mut self,
        client: &Client,
        deployed: &Deployed,
        names: &[String],
    ) -> anyhow::Result<()> {
        let is_known = |it: &Followed| it.name == deployed.name && it.group == deployed.log_group;
        if self.followed.iter().any(is_known) {
            return Ok(());
        }
        let mut follower = Follower::default();
        follower.next(client, &deployed.log_group).await?;
        self.followed.retain(|it| it.name != deployed.name);
        self.followed.push(Followed {
            name: deployed.name.clone(),
            label: label(&deployed.name, names),
            group: deployed.log_group.clone(),
            follower,
        });
        Ok(())
    }

    /// Prints the new lines of all functions.
    pub(super) async fn print(&mut self, client: &Client) -> anyhow::Result<()> {
        for followed in &mut self.followed {
            for event in followed.follower.next(client, &followed.group).await? {
                show(&followed.label, &message(&event));
            }
        }
        Ok(())
    }

    /// Prints the lines of a log.
    pub(super) fn print_lines(&self, name: &str, log: &str) {
        let label = self.label_of(name);
        log.lines().for_each(|line| show(label, &printable(line)));
    }

    /// Prints a response.
    pub(super) fn print_line(&self, name: &str, text: &str) {
        output::line(&format!("{}{text}", self.label_of(name)));
    }

    fn label_of(&self, name: &str) -> &str {
        let followed = self.followed.iter().find(|it| it.name == name);
        followed.map_or("", |it| &it.label)
    }
}

fn show(label: &str, line: &str) {
    if !PLATFORM.iter().any(|it| line.starts_with(it)) {
        output::line(&format!("{label}{}", line.trim_end()));
    }
}

fn label(name: &str, names: &[String]) -> String {
    if names.len() < 2 {
        return String::new();
    }
    let width = names.iter().map(|it| it.chars().count()).max();
    let label = format!("{name:width$} |", width = width.unwrap_or_default());
    let at = names.iter().position(|it| it == name).unwrap_or_default();
    match output::colour_on_stdout() {
        true => format!("\x1b[{}m{label}\x1b[0m ", COLOURS[at % COLOURS.len()]),
        false => format!("{label} "),
    }
}
