//! The chores there are, as types, and how a command line names them.

/// What `cargo xtask` prints when asked.
pub(crate) const HELP: &str = "\
Usage: cargo xtask CHORE

  test [ARGS…]   install what the tests need, then run every test; ARGS go to the test runner,
                 e.g. `cargo xtask test socket_io` for the tests whose name has that in it
  lint           rustfmt, clippy, rustdoc and cargo-deny, warnings denied
  count          count the instructions of the hot paths; fails where one has changed by more than 5 %
      --bless      keep the counts of now
  ci             lint, test and count: what a change must pass before it lands
  autobahn       the Autobahn cases against an echo service, directly and through the gateway
      --quick      the sections that take seconds (default; also part of `test`)
      --all        every case, half an hour
      --bless      keep what was seen as the expected results
  deb            make the Debian package and try its installation in a fresh Debian
  install        install what the tests need, and nothing else";

/// One thing to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Chore {
    /// Print the help.
    Help,
    /// Install what the tests need.
    Install,
    /// Check the form of the code.
    Lint,
    /// Make the Debian package.
    Deb,
    /// Install, then test.
    Test {
        /// Arguments for the test runner.
        selection: Vec<String>,
    },
    /// Count instructions.
    Count {
        /// What to do with the results.
        results: Results,
    },
    /// Lint, test and count.
    Ci,
    /// Run the Autobahn cases.
    Autobahn {
        /// Which of them.
        cases: Cases,
        /// What to do with the results.
        results: Results,
    },
}

/// Which Autobahn cases to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cases {
    /// Those that take seconds.
    Quick,
    /// All of them.
    All,
}

/// What to do with the results of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Results {
    /// Fail where they differ from the expected ones.
    Compare,
    /// Keep them as the expected ones.
    Bless,
}

impl Chore {
    /// Reads the arguments after `cargo xtask`.
    pub(crate) fn read(mut arguments: impl Iterator<Item = String>) -> Result<Chore, String> {
        let name = arguments.next().unwrap_or_else(|| "help".to_owned());
        let rest: Vec<String> = arguments.collect();
        let chore = match name.as_str() {
            "test" => {
                return Ok(Chore::Test { selection: rest.into_iter().filter(|a| a != "--").collect() });
            }
            "autobahn" => return Chore::read_autobahn(&rest),
            "count" if rest == ["--bless"] => return Ok(Chore::Count { results: Results::Bless }),
            "count" => Chore::Count { results: Results::Compare },
            "help" | "--help" | "-h" => Chore::Help,
            "install" => Chore::Install,
            "lint" => Chore::Lint,
            "deb" => Chore::Deb,
            "ci" => Chore::Ci,
            other => return Err(format!("there is no chore called {other}")),
        };
        match rest.first() {
            None => Ok(chore),
            Some(extra) => Err(format!("{name} takes no argument, not {extra} either")),
        }
    }

    fn read_autobahn(arguments: &[String]) -> Result<Chore, String> {
        let (mut cases, mut results) = (Cases::Quick, Results::Compare);
        for argument in arguments {
            match argument.as_str() {
                "--quick" => cases = Cases::Quick,
                "--all" => cases = Cases::All,
                "--bless" => results = Results::Bless,
                other => return Err(format!("autobahn has no option {other}")),
            }
        }
        Ok(Chore::Autobahn { cases, results })
    }
}

#[cfg(test)]
mod tests {
    use super::{Cases, Chore, Results};

    fn read(line: &str) -> Result<Chore, String> {
        Chore::read(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn nothing_asked_for_is_a_question_for_help() {
        assert_eq!(read(""), Ok(Chore::Help));
    }

    #[test]
    fn arguments_of_test_go_to_the_runner() {
        assert_eq!(read("test -- socket_io"), Ok(Chore::Test { selection: vec!["socket_io".to_owned()] }));
    }

    #[test]
    fn autobahn_is_quick_unless_told_otherwise() {
        assert_eq!(read("autobahn --all --bless"), Ok(Chore::Autobahn { cases: Cases::All, results: Results::Bless }));
        assert_eq!(read("autobahn"), Ok(Chore::Autobahn { cases: Cases::Quick, results: Results::Compare }));
    }

    #[test]
    fn counts_are_kept_when_told_so() {
        assert_eq!(read("count"), Ok(Chore::Count { results: Results::Compare }));
        assert_eq!(read("count --bless"), Ok(Chore::Count { results: Results::Bless }));
    }

    #[test]
    fn an_unknown_word_is_refused_by_name() {
        assert_eq!(read("tset"), Err("there is no chore called tset".to_owned()));
        assert_eq!(read("lint --fix"), Err("lint takes no argument, not --fix either".to_owned()));
    }
}
