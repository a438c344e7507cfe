use fermata_wire::{MAX_CARRY, Relay, Then};

use super::{Command, KEY, Outcome, Story, THERE, back, close};

/// Lets the relay tell the story. `cuts` are the sizes of the reads, over and over; a command cuts too. Empty
/// reads must not matter.
pub(crate) fn run(story: &Story, cuts: &[usize]) -> Outcome {
    tell(story, cuts, |relay| relay)
}

/// The same with a relay that is saved and loaded before every read and every command.
pub(crate) fn run_moving(story: &Story, cuts: &[usize]) -> Outcome {
    tell(story, cuts, |relay| {
        let saved = relay.save();
        let loaded = Relay::load(&saved).expect("what was saved");
        assert_eq!(loaded.save(), saved, "nothing is lost, and nothing is added");
        loaded
    })
}

fn tell(story: &Story, cuts: &[usize], between: impl Fn(Relay) -> Relay) -> Outcome {
    let mut relay = Relay::new();
    let mut outcome = Outcome::default();
    let mut script = story.script.iter().peekable();
    let all = [usize::MAX];
    let cuts = if cuts.iter().any(|size| *size > 0) { cuts } else { &all };
    let mut sizes = cuts.iter().copied().cycle();
    let mut buffer = Vec::new();
    let mut at = 0;
    loop {
        while let Some((_, command)) = script.next_if(|(position, _)| *position <= at) {
            relay = between(relay);
            ask(*command, &mut relay, story, &mut outcome, at);
            receive(&[], &mut buffer, &mut relay, story, &mut outcome);
        }
        if at == story.bytes.len() {
            break;
        }
        let next_command = script.peek().map_or(usize::MAX, |(position, _)| *position);
        let end = at.saturating_add(sizes.next().expect("a cycle")).min(next_command).min(story.bytes.len());
        relay = between(relay);
        receive(&story.bytes[at..end], &mut buffer, &mut relay, story, &mut outcome);
        at = end;
    }
    outcome.closed_by = relay.closed(story.from);
    outcome.said_all = relay.said_all(story.from);
    outcome.owes_pong = relay.owes_pong(story.from);
    outcome.code = relay.code(story.from).0;
    outcome.bytes = relay.bytes(story.from);
    outcome.messages = relay.messages(story.from);
    outcome
}

fn ask(command: Command, relay: &mut Relay, story: &Story, outcome: &mut Outcome, at: usize) {
    let there = story.from.other();
    let said = match command {
        Command::Close(code) => relay.close(there, &close(code), KEY),
        Command::Hurry => relay.hurry(there),
        Command::CloseNow(code) => relay.close_now(there, &close(code), KEY),
        Command::PingThere => relay.ping(there, THERE, KEY),
        Command::PingBack => {
            if relay.ping(story.from, back(outcome.pinged.len()), KEY).is_some() {
                outcome.pinged.push(at);
            }
            None
        }
    };
    outcome.said.extend(said.map(|frame| (outcome.forwarded.len(), frame)));
}

fn receive(bytes: &[u8], buffer: &mut Vec<u8>, relay: &mut Relay, story: &Story, outcome: &mut Outcome) {
    // Whatever lies in the free bytes before the chunk must not matter.
    buffer.clear();
    buffer.resize(MAX_CARRY, 0xee);
    buffer.extend_from_slice(bytes);
    let end = buffer.len();
    let passed = relay.pass(story.from, story.rules, buffer, MAX_CARRY..end);
    outcome.forwarded.extend_from_slice(&buffer[passed.forward]);
    outcome.pong |= passed.pong;
    match passed.then {
        Then::More => {}
        Then::Closed(code) => assert_eq!(outcome.closed.replace(code.0), None, "closed twice"),
        Then::Say(frame) => outcome.said.push((outcome.forwarded.len(), frame)),
        Then::Broken(violation) => assert_eq!(outcome.violation.replace(violation), None, "broken twice"),
    }
}
