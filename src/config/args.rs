//! The flags of the commands that run a gateway.

use std::path::PathBuf;

use super::settings::{Environment, SettingArgs};

/// `ncgate serve`
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ServeArgs {
    /// A TOML file with settings [env: NCGATE_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub settings: SettingArgs,
}

impl ServeArgs {
    /// The settings file, if any.
    pub(super) fn file(&self, environment: &Environment) -> Option<PathBuf> {
        self.config
            .clone()
            .or_else(|| environment.get("NCGATE_CONFIG").map(PathBuf::from))
    }
}

/// `ncgate demo`
#[derive(Debug, Clone, Default, clap::Args)]
pub struct DemoArgs {
    /// Where REST, gRPC and the documentation are served; 127.0.0.1:8830 unless given [env: NCGATE_LISTEN]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// What is logged: error, warn, info, debug or trace, or directives; warn unless given [env: NCGATE_LOG]
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
}

impl DemoArgs {
    pub(super) fn settings(&self) -> SettingArgs {
        SettingArgs {
            listen: self.listen.clone(),
            log: self.log.clone(),
            ..SettingArgs::default()
        }
    }
}

/// `ncgate settings …`
#[derive(Debug, Clone, clap::Subcommand)]
pub enum SettingsCommand {
    /// Print every setting that `serve` would use
    Show {
        /// Also where each value comes from
        #[arg(long)]
        origin: bool,
        #[command(flatten)]
        serve: ServeArgs,
    },
    /// Check the settings that `serve` would use: exit code 0 or 2
    Check {
        #[command(flatten)]
        serve: ServeArgs,
    },
}

impl SettingsCommand {
    /// The lines to print.
    ///
    /// # Errors
    /// As for `serve`.
    pub fn run(&self, environment: &Environment) -> Result<String, super::ConfigError> {
        let (serve, origin) = match self {
            Self::Show { serve, origin } => (serve, Some(*origin)),
            Self::Check { serve } => (serve, None),
        };
        let file = serve.file(environment);
        let values = super::Values::collect(&serve.settings, environment, file.as_deref())?;
        super::Config::from_values(&values)?;
        let Some(with_origin) = origin else {
            return Ok("the settings are good\n".to_owned());
        };
        let mut lines = String::new();
        for (name, value, origin) in values.shown() {
            let end = if with_origin {
                format!("  # {origin}")
            } else {
                String::new()
            };
            lines.push_str(&format!("{name} = {}{end}\n", toml::Value::String(value)));
        }
        Ok(lines)
    }
}
