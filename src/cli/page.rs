//! Lists that come in pages.

use super::client::{ClientArgs, Request};
use super::exit::{Exit, Failure};
use super::output::{self, Columns, Format};
use super::stdio;

/// Which page of a list.
#[derive(Debug, clap::Args)]
pub struct PageArgs {
    /// At most this many
    #[arg(long, value_name = "N")]
    page_size: Option<u32>,
    /// What follows a page, by its next_page_token
    #[arg(long, value_name = "TOKEN")]
    page_token: Option<String>,
}

impl PageArgs {
    /// Asks for the page and prints it. A table that is not the whole list says so on standard error.
    pub fn show(
        &self,
        client: &ClientArgs,
        mut request: Request,
        table: (&str, Columns),
    ) -> Result<Exit, Failure> {
        if let Some(size) = self.page_size {
            request = request.query("page_size", size.to_string());
        }
        if let Some(token) = &self.page_token {
            request = request.query("page_token", token);
        }
        let answer = output::parse_answer(client.send(request)?)?;
        output::value(client.output, &answer, Some(table))?;
        let next = answer["next_page_token"].as_str().unwrap_or_default();
        if client.output == Format::Table && !next.is_empty() {
            stdio::tell(&format!("there are more: --page-token {next}\n"))?;
        }
        Ok(Exit::Ok)
    }
}
