//! How two configurations differ, and whether saying so to a running `HAProxy` is enough. Pure.

/// What takes one configuration to another.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// They are the same.
    Nothing,
    /// Commands for the socket.
    Commands(Vec<String>),
    /// Only a reload.
    Reload,
}

/// The change from one text to another. Weights can be set while `HAProxy` runs; everything else that the file can say changes
/// what only a reload reads.
pub(super) fn between(old: &str, new: &str) -> Change {
    if old == new {
        return Change::Nothing;
    }
    if old.lines().count() != new.lines().count() {
        return Change::Reload;
    }
    let (mut section, mut commands) = ("", Vec::new());
    for (old, new) in old.lines().zip(new.lines()) {
        if let Some(name) = ["backend ", "listen "].iter().find_map(|word| new.strip_prefix(word)) {
            section = name;
        }
        if old == new {
            continue;
        }
        match (weighed(old), weighed(new)) {
            (Some((before, _)), Some((after, weight))) if before == after => {
                commands.push(format!("set server {section}/{} weight {weight}", after[0]));
            }
            _ => return Change::Reload,
        }
    }
    Change::Commands(commands)
}

/// The words of a `server` line, its name first, without its weight; and that.
fn weighed(line: &str) -> Option<(Vec<&str>, &str)> {
    let mut words: Vec<&str> = line.strip_prefix("  server ")?.split(' ').collect();
    let at = words.iter().position(|word| *word == "weight")?;
    let weight = *words.get(at + 1)?;
    words.drain(at..at + 2);
    Some((words, weight))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "frontend web\n  bind :80\nbackend web\n  server a 10.0.0.1:80 weight 1 check\n  server b 10.0.0.2:80 weight 1 check\n";

    #[test]
    fn weights_need_no_reload_and_everything_else_does() {
        let change = |from: &str, to: &str| between(OLD, &OLD.replace(from, to));
        assert_eq!(change("x", "y"), Change::Nothing);
        let commands = vec!["set server web/b weight 5".to_owned()];
        assert_eq!(change("2:80 weight 1", "2:80 weight 5"), Change::Commands(commands));
        assert_eq!(change("10.0.0.2:80 weight 1", "10.0.0.3:80 weight 5"), Change::Reload);
        assert_eq!(change("bind :80", "bind :81"), Change::Reload);
        assert_eq!(change("  server b 10.0.0.2:80 weight 1 check\n", ""), Change::Reload);
    }
}
