fn main() {
    for file in std::env::args().skip(1) {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.rsplit('/').next().unwrap();
        let outcome = fermata_spec::read(&text);
        println!("=== {name}: {}", if outcome.spec.is_some() { "ok" } else { "refused" });
        let source = fermata_spec::SourceText::new(name, &text);
        for d in &outcome.diagnostics {
            print!("{}", source.render(d, false));
        }
        if std::env::var("V").is_ok() {
            println!("{:#?}", outcome.spec);
        }
    }
}
