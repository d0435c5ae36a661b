//! User authentication (RFC 4252, RFC 4256): public key, password, keyboard-interactive, in that order, leaving
//! out what the server does not offer, for which it is asked first; what was enough the last time comes before all that.
//! No secret that the server has judged wrong is sent a second time.

use std::sync::Arc;

use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse, Prompt};
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg};
use russh::{MethodKind, MethodSet};

use super::error::{AuthAttempt, Loss, Phase, TransportError, peer_text};
use super::handler::{Client, Shared};
use super::target::{Secret, SshHost, UserKey};

/// A server may ask in several rounds; more than this is no login.
const MAX_ROUNDS: usize = 8;

/// What came of one method.
enum Outcome {
    Success,
    Refused {
        offered: MethodSet,
        partial: bool,
        why: String,
    },
    /// Nothing was sent.
    Skipped {
        why: String,
    },
    /// The exchange cannot go on, and with it the connection.
    Stuck {
        why: String,
    },
}

/// Logs in, or says what was offered and tried.
///
/// # Errors
/// `Auth`, `Prerequisite` for an unusable private key, `Closed` if the connection ends.
pub(super) async fn authenticate(
    handle: &mut Handle<Client>,
    host: &SshHost,
    shared: &Arc<Shared>,
) -> Result<(), TransportError> {
    let tried = Vec::new();
    Login {
        handle,
        host,
        shared,
        offered: None,
        tried,
        partial: false,
        password_judged: false,
        unanswered: None,
        judged: false,
    }
    .run()
    .await
}

struct Login<'a> {
    handle: &'a mut Handle<Client>,
    host: &'a SshHost,
    shared: &'a Arc<Shared>,
    /// As of the last answer; nothing is known before the first.
    offered: Option<MethodSet>,
    tried: Vec<AuthAttempt>,
    partial: bool,
    /// The password was sent and found wrong.
    password_judged: bool,
    /// The method whose secret is with the server, which has not said yet what it thinks of it.
    unanswered: Option<MethodKind>,
    /// The server has refused a secret.
    judged: bool,
}

impl Login<'_> {
    async fn run(&mut self) -> Result<(), TransportError> {
        let auth = &self.host.auth;
        let known = auth.known.get();
        if known.is_none() && self.ask().await? {
            return Ok(());
        }
        // If it is not enough any more, the next login asks again.
        auth.known.set(None);
        let mut pending = Vec::new();
        if auth.private_key.is_some() {
            pending.push(MethodKind::PublicKey);
        }
        if auth.password.is_some() {
            pending.push(MethodKind::Password);
        }
        if auth.password.is_some() || !auth.keyboard_interactive.is_empty() {
            pending.push(MethodKind::KeyboardInteractive);
        }
        pending.sort_by_key(|method| known != Some(*method));
        // After a partial success a method that was not offered before may be.
        while let Some(next) = pending.iter().position(|method| self.is_offered(*method)) {
            let method = pending.remove(next);
            match self.attempt(method).await? {
                Outcome::Success => {
                    auth.known.set((!self.partial).then_some(method));
                    return Ok(());
                }
                Outcome::Skipped { why } => self.note(method, why),
                Outcome::Refused {
                    offered,
                    partial,
                    why,
                } => {
                    self.note(method, why);
                    self.partial |= partial;
                    self.judged |= !partial;
                    if !partial {
                        self.judge_password(method, &offered, &mut pending);
                    }
                    self.offered = Some(offered);
                }
                Outcome::Stuck { why } => {
                    self.note(method, why);
                    break;
                }
            }
        }
        for method in pending {
            self.note(method, "not offered".to_owned());
        }
        Err(self.refused())
    }

    /// Asks for the methods that the server offers (RFC 4252 section 5.2): a secret sent with a method that is not
    /// among them counts as a failure on some servers. Whether that was all that it takes to log in.
    async fn ask(&mut self) -> Result<bool, TransportError> {
        let sent = self.handle.authenticate_none(&self.host.username).await;
        match self.outcome(sent, "refused").await? {
            Outcome::Success => Ok(true),
            Outcome::Refused { offered, .. } => {
                self.offered = Some(offered);
                Ok(false)
            }
            // No answer to this question means either.
            Outcome::Skipped { .. } | Outcome::Stuck { .. } => Ok(false),
        }
    }

    fn is_offered(&self, method: MethodKind) -> bool {
        self.offered
            .as_ref()
            .is_none_or(|offered| offered.contains(&method))
    }

    /// A password that the server has judged must not be offered again as a keyboard-interactive answer: it would
    /// count as a second failure. A server that merely does not know the method leaves it out of its list.
    fn judge_password(&mut self, method: MethodKind, offered: &MethodSet, pending: &mut Vec<MethodKind>) {
        // With answers of its own it may have been one of them that was wrong.
        let is_the_answer = self.host.auth.keyboard_interactive.is_empty();
        let other = match method {
            MethodKind::Password => MethodKind::KeyboardInteractive,
            MethodKind::KeyboardInteractive if is_the_answer => MethodKind::Password,
            _ => return,
        };
        let is_judged = offered.contains(&method);
        self.password_judged |= is_judged;
        if is_judged && is_the_answer {
            pending.retain(|method| *method != other);
        }
    }

    async fn attempt(&mut self, method: MethodKind) -> Result<Outcome, TransportError> {
        let auth = &self.host.auth;
        match (method, &auth.private_key, &auth.password) {
            (MethodKind::PublicKey, Some(key), _) => self.public_key(key).await,
            (MethodKind::Password, _, Some(password)) => self.password(password).await,
            (MethodKind::KeyboardInteractive, _, _) => self.keyboard_interactive().await,
            _ => Ok(Outcome::Skipped {
                why: "no credentials for it".to_owned(),
            }),
        }
    }

    async fn password(&mut self, password: &Secret) -> Result<Outcome, TransportError> {
        self.unanswered = Some(MethodKind::Password);
        let sent = self
            .handle
            .authenticate_password(&self.host.username, password.expose())
            .await;
        self.outcome(sent, "refused").await
    }

    async fn public_key(&mut self, user_key: &UserKey) -> Result<Outcome, TransportError> {
        let decoding = user_key.clone();
        // Opening an encrypted key is slow on purpose.
        let decoded = tokio::task::spawn_blocking(move || decoding.decode()).await;
        let unusable = |detail: String| TransportError::Prerequisite {
            field: "auth.private_key",
            detail,
        };
        let key = match decoded {
            Ok(Ok(key)) => key,
            Ok(Err(error)) => return Err(unusable(error.to_string())),
            Err(error) => return Err(unusable(error.to_string())),
        };
        if !key.algorithm().is_rsa() {
            return self.sign(&key, None, "refused").await;
        }
        let hashes = self.rsa_hashes(user_key).await?;
        let mut last = Outcome::Skipped {
            why: "the server takes RSA signatures with SHA-1 only, which needs ssh_profile legacy".to_owned(),
        };
        for hash in hashes {
            let why = match hash {
                Some(hash) => format!("rsa with {hash} refused"),
                None => "rsa with sha1 refused".to_owned(),
            };
            last = self.sign(&key, hash, &why).await?;
            match &last {
                Outcome::Refused {
                    offered,
                    partial: false,
                    ..
                } if offered.contains(&MethodKind::PublicKey) => {}
                Outcome::Success | Outcome::Refused { partial: true, .. } => {
                    user_key.remember_rsa_hash(hash);
                    break;
                }
                Outcome::Refused { .. } | Outcome::Skipped { .. } | Outcome::Stuck { .. } => break,
            }
        }
        Ok(last)
    }

    /// Hashes to try for an RSA key, best first. `None` is SHA-1 (`ssh-rsa`), never outside the legacy profile.
    async fn rsa_hashes(&mut self, key: &UserKey) -> Result<Vec<Option<HashAlg>>, TransportError> {
        let legacy = self.host.profile.is_legacy();
        let all = [Some(HashAlg::Sha512), Some(HashAlg::Sha256), None];
        let all = all.into_iter().filter(|hash| hash.is_some() || legacy);
        if let Some(worked) = key.rsa_hash().filter(|hash| hash.is_some() || legacy) {
            // Asking costs a second with a server that does not tell (no EXT_INFO, RFC 8308).
            let mut list = vec![worked];
            list.extend(all.filter(|hash| *hash != worked));
            return Ok(list);
        }
        match self.handle.best_supported_rsa_hash().await {
            // Old servers with a list of their own announce more than they take, so there the rest is tried too.
            Ok(Some(best)) => Ok(all.filter(|hash| *hash == best || legacy).collect()),
            Ok(None) => Ok(all.collect()),
            Err(_) => Err(self.closed().await),
        }
    }

    async fn sign(
        &mut self,
        key: &Arc<PrivateKey>,
        hash: Option<HashAlg>,
        why: &str,
    ) -> Result<Outcome, TransportError> {
        let key = PrivateKeyWithHashAlg::new(key.clone(), hash);
        self.unanswered = Some(MethodKind::PublicKey);
        let sent = self.handle.authenticate_publickey(&self.host.username, key).await;
        self.outcome(sent, why).await
    }

    async fn outcome(
        &mut self,
        sent: Result<AuthResult, russh::Error>,
        why: &str,
    ) -> Result<Outcome, TransportError> {
        match sent {
            Ok(AuthResult::Success) => Ok(Outcome::Success),
            Ok(AuthResult::Failure {
                remaining_methods,
                partial_success,
            }) => self.refusal(remaining_methods, partial_success, why).await,
            Err(_) => Err(self.closed().await),
        }
    }

    /// The server's no.
    async fn refusal(
        &mut self,
        offered: MethodSet,
        partial: bool,
        why: &str,
    ) -> Result<Outcome, TransportError> {
        if offered.is_empty() {
            // The library says the same when the connection ended and when the server has no method left, and
            // ends the connection in both cases; only the reason tells them apart.
            self.shared.gone.cancelled().await;
            if self.shared.loss() != Loss::NoAuthMethod {
                return Err(self.closed().await);
            }
        }
        self.unanswered = None;
        let why = if partial { "accepted, not sufficient" } else { why };
        Ok(Outcome::Refused {
            offered,
            partial,
            why: why.to_owned(),
        })
    }

    async fn keyboard_interactive(&mut self) -> Result<Outcome, TransportError> {
        let mut answers = Answers::new(self.host, !self.password_judged);
        let none: Option<String> = None;
        let mut answer = self
            .handle
            .authenticate_keyboard_interactive_start(&self.host.username, none)
            .await;
        for _ in 0..MAX_ROUNDS {
            match answer {
                Ok(KeyboardInteractiveAuthResponse::Success) => return Ok(Outcome::Success),
                Ok(KeyboardInteractiveAuthResponse::Failure {
                    remaining_methods,
                    partial_success,
                }) => {
                    return self.refusal(remaining_methods, partial_success, "refused").await;
                }
                Ok(KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. }) => {
                    let responses = match answers.to(&prompts) {
                        Ok(responses) => responses,
                        Err(prompt) => {
                            let why = format!("no answer for the prompt \"{}\"", peer_text(&prompt, 200));
                            return Ok(Outcome::Stuck { why });
                        }
                    };
                    if !responses.is_empty() {
                        self.unanswered = Some(MethodKind::KeyboardInteractive);
                    }
                    answer = self
                        .handle
                        .authenticate_keyboard_interactive_respond(responses)
                        .await;
                }
                Err(_) => return Err(self.closed().await),
            }
        }
        Ok(Outcome::Stuck {
            why: format!("more than {MAX_ROUNDS} rounds of prompts"),
        })
    }

    fn note(&mut self, method: MethodKind, outcome: String) {
        self.tried.push(AuthAttempt {
            method: (&method).into(),
            outcome,
        });
    }

    fn refused(&mut self) -> TransportError {
        let offered = self
            .offered
            .iter()
            .flat_map(|methods| methods.iter())
            .map(String::from)
            .collect();
        TransportError::Auth {
            user: self.host.username.clone(),
            offered,
            tried: std::mem::take(&mut self.tried),
            partial_success: self.partial,
        }
    }

    /// The connection ended. Some devices hang up instead of saying no, and count it all the same: then it is one.
    /// Also if the server had refused something before, that is the more telling fact.
    async fn closed(&mut self) -> TransportError {
        self.shared.gone.cancelled().await;
        let loss = self.shared.loss();
        match self.unanswered {
            Some(method) if loss.is_by_peer() => self.note(method, loss.to_string()),
            Some(_) | None if self.judged => {
                if let Some(last) = self.tried.last_mut() {
                    last.outcome.push_str(&format!("; then {loss}"));
                }
            }
            Some(_) | None => {
                return TransportError::Closed {
                    phase: Phase::Auth,
                    loss,
                };
            }
        }
        self.refused()
    }
}

/// The answers of one keyboard-interactive exchange; each is given at most once, since a prompt that comes again
/// says that the answer was wrong.
struct Answers<'a> {
    /// Lower-case part of a prompt, and its answer.
    named: Vec<(String, &'a Secret)>,
    password: Option<&'a Secret>,
}

impl<'a> Answers<'a> {
    fn new(host: &'a SshHost, with_password: bool) -> Self {
        let named = &host.auth.keyboard_interactive;
        Self {
            named: named
                .iter()
                .map(|a| (a.prompt.trim().to_lowercase(), &a.answer))
                .collect(),
            password: host.auth.password.as_ref().filter(|_| with_password),
        }
    }

    /// One answer for each prompt, or the prompt that has none.
    fn to(&mut self, prompts: &[Prompt]) -> Result<Vec<String>, String> {
        let single = prompts.len() == 1;
        prompts
            .iter()
            .map(|prompt| {
                let text = prompt.prompt.to_lowercase();
                // The most specific name wins: an empty one belongs to every prompt.
                let best = (0..self.named.len())
                    .filter(|i| text.contains(&self.named[*i].0))
                    .max_by_key(|i| self.named[*i].0.len());
                match best {
                    Some(i) => Ok(self.named.remove(i).1.expose().to_owned()),
                    None if single => self
                        .password
                        .take()
                        .map(|password| password.expose().to_owned())
                        .ok_or_else(|| prompt.prompt.clone()),
                    None => Err(prompt.prompt.clone()),
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::tests::support::host;
    use crate::transport::{Credentials, PromptAnswer};

    fn prompts(texts: &[&str]) -> Vec<Prompt> {
        texts
            .iter()
            .map(|text| Prompt {
                prompt: (*text).to_owned(),
                echo: false,
            })
            .collect()
    }

    /// S1
    #[test]
    fn answers_belong_to_prompts_and_are_given_once() {
        let answer = |prompt: &str, answer: &str| PromptAnswer {
            prompt: prompt.to_owned(),
            answer: Secret::new(answer),
        };
        let auth = Credentials {
            keyboard_interactive: vec![answer("", "any"), answer("PIN", "1234")],
            password: Some(Secret::new("pw")),
            ..Credentials::default()
        };
        let host = host(auth);
        let mut answers = Answers::new(&host, true);
        let given = answers.to(&prompts(&["Enter pin: ", "Colour?"]));
        assert_eq!(given, Ok(vec!["1234".to_owned(), "any".to_owned()]));
        assert_eq!(answers.to(&prompts(&[])), Ok(vec![]));
        assert_eq!(answers.to(&prompts(&["Password:"])), Ok(vec!["pw".to_owned()]));
        assert_eq!(answers.to(&prompts(&["Password:"])), Err("Password:".to_owned()));
    }

    /// S1
    #[test]
    fn password_answers_only_a_single_prompt() {
        let host = host(Credentials::password("pw"));
        let given = Answers::new(&host, true).to(&prompts(&["Password:", "Token:"]));
        assert_eq!(given, Err("Password:".to_owned()));
    }
}
