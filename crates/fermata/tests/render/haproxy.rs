//! `fermata render haproxy`: what a real `HAProxy` says to it.

use std::fs;

use crate::support::golden::{inputs, rendered};
use crate::support::{Folder, program};

#[test]
fn haproxy_itself_takes_every_output_without_a_warning() {
    let mut taken = 0;
    for (input, yml) in inputs("render/haproxy") {
        let Some(output) = rendered("haproxy", &yml).files.pop().map(|file| file.text) else { continue };
        let folder = Folder::new("");
        let made = rcgen::generate_simple_self_signed(["chat.example.com".to_owned()]).expect("a certificate");
        fs::create_dir(folder.path().join("certs")).expect("a folder can be made");
        folder.write("certs/chat.pem", &format!("{}{}", made.cert.pem(), made.signing_key.serialize_pem()));
        let certificates = format!("{}/certs/", folder.path().display());
        let file = folder.write("haproxy.cfg", &output.replace("/etc/haproxy/certs/", &certificates));
        let answer =
            program("haproxy").arg("-c").arg("-f").arg(&file).output().expect("haproxy is there: cargo xtask install");
        let said = String::from_utf8_lossy(&answer.stderr);
        assert!(answer.status.success(), "{input}\n{said}\n{output}");
        assert!(!said.contains("[WARNING]"), "{input}\n{said}\n{output}");
        taken += 1;
    }
    assert!(taken >= 3, "only {taken} cases have an output");
}
