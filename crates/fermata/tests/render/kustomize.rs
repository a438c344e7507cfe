//! The Kustomize base: what `kubectl kustomize` builds of it is what stands in its files.

use std::collections::BTreeMap;
use std::fs;

use fermata_spec::Severity;
use serde_json::Value;

use crate::kubernetes::{FOLDER, targets};
use crate::support::golden::{inputs, rendered};
use crate::support::{Folder, program};

/// The objects of a stream of documents, by kind and name.
fn objects(stream: &str) -> BTreeMap<String, Value> {
    let documents = stream.split("---\n").filter(|text| !text.trim().is_empty());
    let object = |document: &str| {
        let (root, said) = fermata_spec::read_tree(document);
        assert!(said.iter().all(|one| one.severity < Severity::Error), "{said:?}\n{document}");
        let object = fermata_spec::tree::json(&root.expect("a document"));
        (format!("{} {}", object["kind"], object["metadata"]["name"]), object)
    };
    documents.map(object).collect()
}

#[test]
fn kustomize_builds_exactly_the_objects_of_the_files() {
    let mut built = 0;
    for target in targets() {
        // The services are the same before every entrance: an Ingress is tried with one file.
        let most = if target.contains("ingress") { 1 } else { usize::MAX };
        let made = inputs(FOLDER).into_iter().map(|(input, yml)| (input, rendered(target, &yml).files));
        for (input, files) in made.filter(|(_, files)| !files.is_empty()).take(most) {
            let folder = Folder::new("");
            let base = folder.path().join("base");
            fs::create_dir(&base).expect("a folder can be made");
            for file in &files {
                fs::write(base.join(file.name), &file.text).expect("a file can be written");
            }
            let answer =
                program("kubectl").arg("kustomize").arg(&base).output().expect("cargo xtask install brings kubectl");
            let said = String::from_utf8_lossy(&answer.stderr);
            assert!(answer.status.success(), "{target} {input}: {said}");
            let shown = files.iter().filter(|file| !file.beside);
            let stream: Vec<String> = shown
                .map(|file| file.text.replace("image: fermata\n", "image: registry.example.com/fermata\n"))
                .collect();
            let expected = objects(&stream.join("---\n"));
            assert_eq!(objects(&String::from_utf8_lossy(&answer.stdout)), expected, "{target} {input}");
            built += 1;
        }
    }
    assert!(built >= 14, "{built}");
}

/// A base is for overlays. They call it one of their `resources` today; the Kustomize of Debian 12 knows only `bases`, and newer
/// ones know both.
#[test]
fn an_overlay_changes_the_base_as_kustomize_means_it() {
    let folder = Folder::new("");
    for name in ["base", "production"] {
        fs::create_dir(folder.path().join(name)).expect("a folder can be made");
    }
    for file in rendered("kubernetes-edge", &inputs(FOLDER)[1].1).files {
        folder.write(&format!("base/{}", file.name), &file.text);
    }
    folder.write(
        "production/kustomization.yaml",
        "bases: [../base]\nnamespace: live\nimages: [{name: registry.example.com/fermata, newName: here.example.com/fermata, newTag: \"7\"}]\n",
    );
    let answer = program("kubectl").args(["kustomize", "production"]).current_dir(folder.path()).output();
    let answer = answer.expect("cargo xtask install brings kubectl");
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    let objects = objects(&String::from_utf8_lossy(&answer.stdout));
    assert!(objects.values().all(|object| object["metadata"]["namespace"] == "live"));
    let edge = &objects["\"Deployment\" \"fermata\""];
    assert_eq!(edge["spec"]["template"]["spec"]["containers"][0]["image"], "here.example.com/fermata:7");
}
