//! Keys that were made for these tests alone and open nothing.

use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{PrivateKey, PublicKey, decode_secret_key};

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

/// Encrypted with the passphrase [`PASSPHRASE`], in one round: sixteen, as usual, take seconds without optimisation.
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
pub const PASSPHRASE: &str = "open sesame";

/// An ed25519 key as OpenSSH writes it.
pub fn ed25519() -> String {
    let key = PrivateKey::from(Ed25519Keypair::from_seed(&[7; 32]));
    key.to_openssh(LineEnding::LF)
        .expect("it can be written")
        .to_string()
}

/// What a device must know to let the key in.
pub fn public(key: &str, passphrase: Option<&str>) -> PublicKey {
    decode_secret_key(key, passphrase)
        .expect("a private key")
        .public_key()
        .clone()
}
