//! Configuration datastores (RFC 6241 section 5.1).

use super::capability::{Capabilities, Capability, MissingCapability};

/// A configuration datastore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Datastore {
    Running,
    Candidate,
    Startup,
}

impl Datastore {
    /// The name, on the wire and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Candidate => "candidate",
            Self::Startup => "startup",
        }
    }

    /// The datastore of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Running, Self::Candidate, Self::Startup]
            .into_iter()
            .find(|datastore| datastore.as_str() == name)
    }

    /// The guard before it is named in an operation.
    ///
    /// # Errors
    /// The capability without which it does not exist.
    pub fn require(
        self,
        capabilities: &Capabilities,
        operation: &str,
        parameter: &str,
    ) -> Result<(), MissingCapability> {
        let needed = match self {
            Self::Running => return Ok(()),
            Self::Candidate => Capability::Candidate,
            Self::Startup => Capability::Startup,
        };
        capabilities.require(needed, operation, &format!("{parameter} {}", self.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S5, S7
    #[test]
    fn datastores_need_their_capability() {
        let capabilities = Capabilities::new([Capability::Candidate.uri()]);
        assert_eq!(
            Datastore::Running.require(&capabilities, "get-config", "source"),
            Ok(())
        );
        assert_eq!(
            Datastore::Candidate.require(&capabilities, "get-config", "source"),
            Ok(())
        );
        let missing = Datastore::Startup
            .require(&capabilities, "get-config", "source")
            .expect_err("startup is not offered");
        assert_eq!(
            missing.to_string(),
            "get-config with source startup needs capability urn:ietf:params:netconf:capability:startup:1.0, \
             which the device does not offer"
        );
        assert_eq!(Datastore::from_name("candidate"), Some(Datastore::Candidate));
        assert_eq!(Datastore::from_name("Candidate"), None);
    }
}
