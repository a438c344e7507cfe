//! Texts of a compose file: `$` has a meaning there, and `_env(VAR)` is `${VAR}`.

use std::fmt::Write;

use fermata_spec::Spec;

use crate::render::Gaps;
use crate::render::references::{Piece, pieces};

/// A text with compose's variables. `path` is where it stands in the service.yml.
pub(super) fn with_variables(text: &str, path: &str, spec: &Spec, gaps: &mut Gaps<'_>) -> String {
    resolve(text, path, spec, gaps, Depth(0))
}

/// How many variables of services led here: they may lead in a circle.
#[derive(Debug, Clone, Copy)]
struct Depth(u8);

const DEEPEST: u8 = 2;

fn resolve(text: &str, path: &str, spec: &Spec, gaps: &mut Gaps<'_>, depth: Depth) -> String {
    let mut made = String::new();
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => made.push_str(&text.replace('$', "$$")),
            Piece::Variable { name, default: None } => _ = write!(made, "${{{name}}}"),
            Piece::Variable { name, default: Some(default) } => {
                let default = resolve(default, path, spec, gaps, depth);
                _ = write!(made, "${{{name}:-{default}}}");
            }
            Piece::Elsewhere { written, service, name } => {
                let value = service.and_then(|service| {
                    let service = spec.services.iter().find(|one| &*one.name == service)?;
                    service.env_vars.iter().find(|(known, _)| known == name).map(|(_, value)| value)
                });
                if let Some(value) = value.filter(|_| depth.0 < DEEPEST) {
                    made.push_str(&resolve(value, path, spec, gaps, Depth(depth.0 + 1)));
                } else {
                    gaps.changed(
                        path,
                        format!("{written} becomes a variable of whoever starts compose"),
                        format!("set {name} in the environment, or in a file .env"),
                    );
                    _ = write!(made, "${{{name}}}");
                }
            }
        }
    }
    made
}
