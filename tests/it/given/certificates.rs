//! Certificates made for one test.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// The texts of two authorities, of which one has signed a certificate for 127.0.0.1 and one for a
/// client; and the files that a client needs.
pub(crate) struct Certificates {
    folder: tempfile::TempDir,
    pub(crate) ca: String,
    pub(crate) server_cert: String,
    pub(crate) server_key: String,
}

impl Certificates {
    pub(crate) fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (issuer, ca) = authority("the right one");
        let (_, other_ca) = authority("another one");
        let (server_cert, server_key) = certificate(&issuer, "127.0.0.1");
        let (cert, key) = certificate(&issuer, "toggl-track");
        let certificates = Self { folder, ca, server_cert, server_key };
        for (name, text) in [
            ("ca.pem", &certificates.ca),
            ("other-ca.pem", &other_ca),
            ("client.pem", &cert),
            ("client.key", &key),
            ("server.pem", &certificates.server_cert),
            ("server.key", &certificates.server_key),
        ] {
            let path = certificates.file(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
        }
        certificates
    }

    /// `ca.pem`, `other-ca.pem`, and `.pem` and `.key` of `client` and `server`.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn authority(name: &str) -> (Issuer<'static, KeyPair>, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let text = params.self_signed(&key).unwrap().pem();
    (Issuer::new(params, key), text)
}

fn certificate(issuer: &Issuer<'_, KeyPair>, name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    // Of the same name as its issuer it would be taken for self-signed.
    params.distinguished_name.push(DnType::CommonName, name);
    (params.signed_by(&key, issuer).unwrap().pem(), key.serialize_pem())
}
