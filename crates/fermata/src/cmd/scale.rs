//! `fermata scale`: more or fewer instances.

use super::{Answer, Failure, ask};
use crate::admin::{Count, Request};
use crate::cli::Scale;

/// Runs it.
pub fn run(args: &Scale) -> Result<Answer, Failure> {
    for (service, count) in &args.changes {
        let request = Request::Scale { service: service.clone(), count: *count };
        ask(args.at.state_dir.as_deref(), &request, |_| ())?;
    }
    Ok(Answer::Yes)
}

/// `web=5`, `web=+2`, `web=-3`; the brackets that the original asks for (`[+2]`) may be there.
pub fn change(text: &str) -> Result<(String, Count), String> {
    let (service, count) = text.split_once('=').ok_or("the form is SERVICE=N, as in web=5")?;
    let count = count.trim_start_matches('[').trim_end_matches(']');
    let number = |digits: &str| digits.parse::<u32>().map_err(|_| format!("\"{count}\" is no number of instances"));
    let count = match count.split_at_checked(1) {
        Some(("+", more)) => Count::More(number(more)?),
        Some(("-", fewer)) => Count::Fewer(number(fewer)?),
        _ => Count::Exactly(number(count)?),
    };
    Ok((service.to_owned(), count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_a_number_or_a_difference() {
        assert_eq!(change("web=5"), Ok(("web".into(), Count::Exactly(5))));
        assert_eq!(change("web=+2"), Ok(("web".into(), Count::More(2))));
        assert_eq!(change("web=[-3]"), Ok(("web".into(), Count::Fewer(3))));
        assert_eq!(change("web"), Err("the form is SERVICE=N, as in web=5".into()));
        assert_eq!(change("web=many"), Err("\"many\" is no number of instances".into()));
    }
}
