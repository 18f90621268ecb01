use super::{Authority, Error, Validity};
use crate::identity::{Identity, IdentityFiles};
use crate::role::Role;
use std::fs;
use std::os::unix::fs::PermissionsExt;

fn collector() -> Role {
    Role::Collector("north".to_owned())
}

#[test]
fn opens_what_it_made_and_never_overwrites_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let made = Authority::init(directory.path(), "test").expect("an authority");
    let key = fs::read(directory.path().join("ca.key")).expect("a key");
    assert!(matches!(
        Authority::init(directory.path(), "other"),
        Err(Error::Exists { .. })
    ));
    assert_eq!(fs::read(directory.path().join("ca.key")).expect("the key"), key);
    let opened = Authority::open(directory.path()).expect("the same authority");
    assert_eq!(opened.certificate_pem(), made.certificate_pem());
    let identity = opened
        .issue(&collector(), Validity::default())
        .expect("signed")
        .identity();
    assert_eq!(*identity.expect("usable").role(), collector());
}

#[test]
fn refuses_a_key_of_another_authority() {
    let (one, two) = (
        tempfile::tempdir().expect("one"),
        tempfile::tempdir().expect("two"),
    );
    Authority::init(one.path(), "one").expect("an authority");
    Authority::init(two.path(), "two").expect("an authority");
    fs::copy(two.path().join("ca.key"), one.path().join("ca.key")).expect("copied");
    assert!(matches!(Authority::open(one.path()), Err(Error::KeyMismatch)));
}

#[test]
fn keeps_keys_from_other_users() {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::init(directory.path(), "test").expect("an authority");
    let files = IdentityFiles::within(&directory.path().join("."));
    let issued = authority
        .issue(&collector(), Validity::default())
        .expect("signed");
    issued.write(&files).expect("written");
    issued.write(&files).expect("replaced");
    let mode = |path| fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    assert_eq!(mode(directory.path().join("ca.key")), 0o600);
    assert_eq!(mode(files.key.clone()), 0o600);
    assert_eq!(mode(files.certificate.clone()), 0o644);
    assert_eq!(*Identity::load(&files).expect("usable").role(), collector());
    assert!(!format!("{issued:?}").contains("PRIVATE"));
}

#[test]
fn signs_a_request_for_the_role_that_it_decides_on() {
    let authority = Authority::create("test").expect("an authority");
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut wish = rcgen::CertificateParams::default();
    wish.subject_alt_names.push(rcgen::SanType::URI(
        "vmscope://collector/wish".try_into().expect("text"),
    ));
    let mut request = wish.serialize_request(&key).expect("a request").der().to_vec();
    let role = Role::Agent(vmscope_model::HostId(uuid::Uuid::from_u128(7)));
    let signed = authority
        .sign(&request, &role, Validity::default())
        .expect("signed");
    let identity = Identity::from_pem(&signed.ca_pem, &signed.certificate_pem, &key.serialize_pem());
    let identity = identity.expect("usable");
    assert_eq!(
        (identity.role(), identity.fingerprint()),
        (&role, signed.fingerprint)
    );
    assert_eq!(identity.issuer(), Some(signed.root));
    let last = request.len() - 1;
    request[last] ^= 1;
    assert!(matches!(
        authority.sign(&request, &role, Validity::default()),
        Err(Error::Request(_))
    ));
    let odd = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
    let request = rcgen::CertificateParams::default().serialize_request(&odd);
    assert!(matches!(
        authority.sign(request.expect("a request").der(), &role, Validity::default()),
        Err(Error::RequestKey)
    ));
}

#[test]
fn refuses_names_that_could_not_be_read_back() {
    let authority = Authority::create("test").expect("an authority");
    let role = Role::Web("a/b".to_owned());
    assert!(matches!(
        authority.issue(&role, Validity::default()),
        Err(Error::Name(_))
    ));
}
