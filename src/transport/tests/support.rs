//! What the tests share: dialers into a [`Plan`], targets, and keys made for these tests alone.

use std::io;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpListener;

use super::server::Plan;
use crate::transport::{
    BoxFuture, Connected, Credentials, Dialed, Dialer, HostKey, HostKeyPolicy, NetconfReader, SshHost,
    SshProfile, SshTarget, Timeouts, TransportError, connect,
};

pub const RSA_KEY: &str = "\
-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAABFwAAAAdzc2gtcn
NhAAAAAwEAAQAAAQEAtTxjkN7oDXz8ToEm84GiMQT+Q50fhVrJ6Xruy3/dGKbO987Xi0rH
YVtHsyDa/bl9dVXzVgTm5EEEukkcKQClILM3HMNV9SrJ72ydWnSYISqSMSk0l0iIX46eN5
iQps2H4KE4cpzV0nvvYucIv5S6iBU9Ro3MKwhBU4oFJme6iWTK9pf80UIVuVUdn0MhLTOr
ZMwLNJjRGl/DdQGSLN72Ernmrd3lALIegT4D1J//Zp1TCHb/CGMHzgDPATTU9RpElUO8c/
6vQjbVwrHK2226vLHJUCCTzpmmId6WwVwSBOeHeCWgjsoNTgqvEw7NzEluUty4g40u4BTM
J+Xk+WT9eQAAA8BpWGIzaVhiMwAAAAdzc2gtcnNhAAABAQC1PGOQ3ugNfPxOgSbzgaIxBP
5DnR+FWsnpeu7Lf90Yps73zteLSsdhW0ezINr9uX11VfNWBObkQQS6SRwpAKUgszccw1X1
KsnvbJ1adJghKpIxKTSXSIhfjp43mJCmzYfgoThynNXSe+9i5wi/lLqIFT1GjcwrCEFTig
UmZ7qJZMr2l/zRQhW5VR2fQyEtM6tkzAs0mNEaX8N1AZIs3vYSueat3eUAsh6BPgPUn/9m
nVMIdv8IYwfOAM8BNNT1GkSVQ7xz/q9CNtXCscrbbbq8sclQIJPOmaYh3pbBXBIE54d4Ja
COyg1OCq8TDs3MSW5S3LiDjS7gFMwn5eT5ZP15AAAAAwEAAQAAAQAF1tHAZ6YjVR0N7HRU
UR9oI+iLRiMvWTr7JkZOUSrO8gTmEAh6yOh+lwHK4CqeFR1ZK/FAmrzTqtKbq+JX4djwIk
YKy7JXyU6jQ6UYNnx2SRhXtCOpIiGeroojcWtrrGCN2LPoYWw0MWEHlzj9by3JV6HXRZdH
5aaxKde7oojsh0BRgccHFXw3Pmhwa3mzgNn5HF4H1ui+Z4zSWuFWcu6lG83E3n2nSeYeX6
9w+ItCOT8TCHBKt/o9rbjUou5dtmYYWt6ojf9712SaOvkAY2JxMF+7IQP1FX9Gcv/RfY4V
d6FHfCYJy/WrNiO0fr8eRjHDtgm1OJD8L6V7Z+2yDnUBAAAAgFXCNgJFY04Qx1svJsCVLb
WiOzzJpl5DxXiM8dK/ATxwiV+y29JIegaGWd+nFh4ZVdIxFH3+GYfIMF/wY/7t6VfIygiQ
m8Uv8m7Cxc3ypnAeMAO/3Fr/5ZIKLihj2UCLX/F066AeDW9es2OQCgMvo5nU5UPJNuj6lG
Rus8ytboWEAAAAgQD1TK4yNejGgpoS1eDyA8CN0Un8yN2szwXFGmjZVXkoSDVr1iMFlNm6
RIMRD0i05m6/0PnjgxCur216fKdZ2PcuJ46uH0eubFfOC6TnSdsPjxqG1MDpIWPhw1Spcb
rduSy9RH2r79hohvhBDGG3v4IyHSpZmZq3CqKITNR5F1EwOQAAAIEAvSRLU1KaUZxgRW1u
x1JcsFfBcrj3/pxtD8NyBdmbn5fn2f7rfNGPWu3jCnRamOk8itE4ciDXSyhmh9HfYPcQ3T
uUE6y3e8sI/Hw9S+nKGKZO8wIaXfrPRmgVYdMhd9MCK7ng4BPCfDOqmN5PDNVFzlD/+YZv
kEs3QtGfQsjHt0EAAAAEdGVzdAECAwQFBgc=
-----END OPENSSH PRIVATE KEY-----
";

/// Encrypted with the passphrase `open sesame`.
pub const ENCRYPTED_KEY: &str = "\
-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABCck46aEW
gOt+CX5PinRN5MAAAAAQAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIOD0axbG99SfQ5AZ
lrto+UaeB+DNyrI5bcvZWYQECDDGAAAAkBY7N6aksN498Vi6HnLWaLT5IeLkeZfZySULkF
nwmqJhLpKflbMVHqHedgUkjA60Ysy8I6TrTlREAGbU67huJsEAIwFvWjuaiqAPy9eHoi2z
p63sblWZPoBtVKJi448ufTDODxUVlNMhrOrprRKLz4wiyxLaOCc88ztr8Xn3aOsORcRuGT
3/ygiQDaWYeFT0Gw==
-----END OPENSSH PRIVATE KEY-----
";

/// A host that is called `mx1`, with the host key of the default plan pinned.
pub fn host(auth: Credentials) -> SshHost {
    SshHost {
        address: "mx1".to_owned(),
        port: 830,
        username: "u".to_owned(),
        auth,
        host_key: pinned(&Plan::default()),
        profile: SshProfile::Modern,
    }
}

pub fn pinned(plan: &Plan) -> HostKeyPolicy {
    HostKeyPolicy::Pinned(vec![HostKey::parse(&plan.host_key_line()).unwrap()])
}

/// Logs in with the right password; patient enough for a machine under load.
pub fn target() -> SshTarget {
    let mut target = SshTarget::new(host(Credentials::password("pw")));
    target.timeouts = Timeouts::total(Duration::from_secs(60));
    target
}

/// Every dial reaches a fresh connection of the plan, in memory.
pub struct InMemory(pub Plan);

impl Dialer for InMemory {
    fn dial<'a>(
        &'a self,
        _host: &'a str,
        _port: u16,
        _limit: Duration,
    ) -> BoxFuture<'a, Result<Dialed, TransportError>> {
        let (ours, theirs) = tokio::io::duplex(256 * 1024);
        tokio::spawn(self.0.clone().serve(Box::new(theirs)));
        let (resolve, tcp) = (Duration::ZERO, Duration::ZERO);
        Box::pin(async move {
            Ok(Dialed {
                stream: Box::new(ours),
                address: None,
                resolve,
                tcp,
            })
        })
    }
}

/// Hands out one prepared stream.
pub struct Once(pub Mutex<Option<tokio::io::DuplexStream>>);

impl Dialer for Once {
    fn dial<'a>(
        &'a self,
        _host: &'a str,
        _port: u16,
        _limit: Duration,
    ) -> BoxFuture<'a, Result<Dialed, TransportError>> {
        let stream = self.0.lock().unwrap().take();
        Box::pin(async move {
            let stream = stream.ok_or_else(|| TransportError::Resolve {
                host: "mx1".to_owned(),
                source: io::Error::other("dialled twice"),
            })?;
            let (resolve, tcp) = (Duration::ZERO, Duration::ZERO);
            Ok(Dialed {
                stream: Box::new(stream),
                address: None,
                resolve,
                tcp,
            })
        })
    }
}

/// A dialer with our end of a pair, and the other end.
pub fn pair() -> (Once, tokio::io::DuplexStream) {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    (Once(Mutex::new(Some(ours))), theirs)
}

/// Serves the plan on a loopback port until the test ends.
pub async fn listen(plan: Plan) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            tokio::spawn(plan.clone().serve(Box::new(stream)));
        }
    });
    port
}

pub async fn connect_to(plan: &Plan, target: &SshTarget) -> Result<Connected, TransportError> {
    connect(target, &InMemory(plan.clone())).await
}

/// The error of a connect that must fail.
pub async fn failure(plan: &Plan, target: &SshTarget) -> TransportError {
    connect_to(plan, target)
        .await
        .err()
        .expect("the connect must fail")
}

/// Reads until this many bytes are there.
pub async fn read_bytes(reader: &mut NetconfReader, count: usize) -> Bytes {
    let mut all = Vec::new();
    while all.len() < count {
        all.extend_from_slice(&reader.next().await.unwrap().expect("data before the end"));
    }
    all.into()
}

/// Waits, without sleeping, until the server has seen this.
pub async fn until(plan: &Plan, event: &str) {
    let seen = async {
        while !plan.log.all().iter().any(|e| e == event) {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(10), seen).await;
    assert!(waited.is_ok(), "{event} not in {:?}", plan.log.all());
}
