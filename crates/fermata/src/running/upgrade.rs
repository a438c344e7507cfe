//! An upgrade, from the old process: calls another program, hands everything over to it, and stays behind with what cannot
//! move. Until the other one has taken over, everything goes on here as if nothing had been tried.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fermata_wire::{Close, Code};
use tokio::net::UnixDatagram;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, broadcast, mpsc};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::behind::Behind;
use super::stops::Stops;
use super::{Ended, Notice, Running, STOP, system};
use crate::admin::{Asking, Reply};
use crate::app::StartError;
use crate::handover::manifest::{Begin, EndpointRecord, Estate, LineRecord, Listening, Seen, Staying, VERSION};
use crate::handover::{AreToEnd, Call, Child, Guard, HaveEnded, Parent, Successor, Tie, Ward, Word};
use crate::net::Transport;
use crate::run::plan::ServicePlan;
use crate::run::{Event, Handing, Line, Supervisor};
use crate::systemd;
use crate::tunnel::{Change, Entry, TunnelId, Which};
use crate::workers::Workers;

/// How long instances may take to hold still: only one that is just ending takes any time.
const STILL_WITHIN: Duration = Duration::from_secs(5);

/// A program that was called, and what came of it.
pub(super) struct Called {
    asking: Asking,
    linger: Duration,
    successor: Result<Successor, String>,
}

/// This process has been replaced.
pub(super) struct Replaced {
    by: Child,
    tie: Tie,
    /// Tells which tunnels have ended since they were written down as staying.
    endings: broadcast::Receiver<Change>,
    /// To guard it, where nobody else does.
    guard: Option<UnixDatagram>,
    linger: Duration,
}

/// What is left of a running file that another process has.
struct Rest {
    workers: Rc<Workers>,
    supervisor: Supervisor,
    /// Who waits for more output.
    followers: Vec<Asking>,
    reload: mpsc::Receiver<()>,
}

impl Running {
    /// Calls a program. [`Running::hand_over`] is for when it has prepared itself.
    pub(super) async fn upgrade(&mut self, program: PathBuf, linger: Duration, asking: Asking) {
        if !self.calls.is_empty() {
            return asking.refuse("an upgrade is under way; nothing has changed by this one").await;
        }
        // The file as it is now is what the other one will read.
        if self.is_free().is_ok()
            && let Err(reason) = self.reload().await
        {
            return asking.refuse(reason).await;
        }
        if let Err(reason) = self.is_free() {
            return asking.refuse(reason).await;
        }
        let copies: Result<Vec<OwnedFd>, _> =
            self.bound.listeners().map(|(_, _, descriptor)| descriptor.try_clone_to_owned()).collect();
        let copies = match copies {
            Ok(copies) => copies,
            Err(error) => return asking.refuse(format!("the listeners cannot be copied: {error}")).await,
        };
        let begin = self.to_begin_with();
        asking.reply(Reply::Progress { text: format!("starting {}", program.display()) }).await;
        let parent = if self.is_managed() { Parent::Adopter } else { Parent::This };
        let (call, called) = (Call { program, arguments: self.outside.again.clone(), parent }, self.called.clone());
        self.calls.spawn_local(async move {
            let successor = call.make(&begin, &copies).await;
            // Whoever does not listen any more is about to end, and the successor with it.
            let _ = called.send(Called { asking, linger, successor });
        });
    }

    /// Whether nothing is half done.
    fn is_free(&self) -> Result<(), String> {
        match self.rollouts.first() {
            None => Ok(()),
            Some(active) => {
                Err(format!("a change of {} is under way; upgrade again when it is done", active.rollout.service))
            }
        }
    }

    fn to_begin_with(&self) -> Begin {
        let listeners = self
            .bound
            .listeners()
            .map(|(address, transport, _)| Listening { address, udp: transport == Transport::Udp });
        let drawn = self.plans.values().flat_map(ServicePlan::drawn);
        Begin {
            handover: VERSION,
            fermata: env!("CARGO_PKG_VERSION").into(),
            listeners: listeners.collect(),
            drawn: drawn.map(|((service, name), text)| (service, name, text)).collect(),
        }
    }

    /// Hands everything over to a program that has prepared itself; `None` where that was nothing, and everything goes on.
    pub(super) async fn hand_over(
        &mut self,
        called: Called,
        happened: &mut mpsc::UnboundedReceiver<Event>,
        written: &mut mpsc::Receiver<Line>,
    ) -> Option<Replaced> {
        let Called { asking, linger, successor } = called;
        while self.calls.join_next().await.is_some() {}
        let outcome = match successor {
            Ok(successor) => self.move_out(successor, linger, happened, written).await,
            Err(why) => Err(why),
        };
        match outcome {
            Ok((replaced, said)) => {
                self.say(Notice::Done(said.clone())).await;
                asking.done(said).await;
                Some(replaced)
            }
            Err(why) => {
                let reason = format!("not upgraded, and nothing has changed: {why}");
                self.say(Notice::Warning(reason.clone())).await;
                asking.refuse(reason).await;
                None
            }
        }
    }

    async fn move_out(
        &mut self,
        successor: Successor,
        linger: Duration,
        happened: &mut mpsc::UnboundedReceiver<Event>,
        written: &mut mpsc::Receiver<Line>,
    ) -> Result<(Replaced, String), String> {
        if let Err(reason) = self.is_free() {
            successor.dismiss().await;
            return Err(reason);
        }
        let handings = match self.hold_still(happened, written).await {
            Ok(handings) => handings,
            Err(why) => {
                successor.dismiss().await;
                return Err(format!("{why}; upgrade again when that is over"));
            }
        };
        let sockets = self.guard_to_be().and_then(|guard| Ok((guard, Tie::pair()?)));
        let (guard, (tie, far_tie)) = match sockets {
            Ok(sockets) => sockets,
            Err(error) => {
                self.supervisor.go_on();
                successor.dismiss().await;
                return Err(error.to_string());
            }
        };
        // Who comes now waits in the kernel for the one who accepts next.
        self.workers.accept(Vec::new());
        let endings = self.shared.ledger.follow();
        let frozen = self.workers.freeze().await;
        self.behind.retain(|older| !older.is_over());
        let mut behind: Vec<Vec<Staying>> = self.behind.iter().map(Behind::hold_still).collect();
        // Those that move are out already.
        behind.push(self.workers.list(&Which::all()).await.iter().map(staying_of).collect());
        let staying = behind.last().map_or(0, Vec::len);
        let tunnels: Vec<_> = frozen.iter().flatten().collect();
        let mut descriptors = vec![self.lock.descriptor(), self.control.copy.as_fd()];
        descriptors.extend(self.ward.as_deref().map(Ward::descriptor));
        descriptors.extend(guard.as_ref().map(|(_, there)| there.as_fd()));
        descriptors.extend(self.behind.iter().map(|older| older.tie().descriptor()));
        descriptors.push(far_tie.as_fd());
        descriptors.extend(handings.iter().flat_map(|one| one.descriptors.iter().map(OwnedFd::as_fd)));
        let estate = self.estate(&handings, self.ward.is_some() || guard.is_some(), behind);
        let (fermata, pid) = (successor.fermata().to_owned(), successor.pid());
        match successor.move_in(estate, &descriptors, &tunnels).await {
            Ok(by) => {
                let moved = tunnels.len();
                let (own, most) = (std::process::id(), linger.as_secs());
                let stay = match staying {
                    0 => String::new(),
                    _ => format!(", {staying} that cannot move stay in process {own} until they end, at most {most} s"),
                };
                let said = format!("upgraded to fermata {fermata} (process {pid}): {moved} tunnels went along{stay}");
                Ok((Replaced { by, tie, endings, guard: guard.map(|(here, _)| here), linger }, said))
            }
            Err(why) => {
                self.behind.iter_mut().for_each(Behind::go_on);
                self.workers.thaw(frozen).await;
                self.workers.accept(self.bound.doors(&self.tls));
                self.supervisor.go_on();
                Err(why)
            }
        }
    }

    /// Has all instances hold still, and knows all that had happened.
    async fn hold_still(
        &mut self,
        happened: &mut mpsc::UnboundedReceiver<Event>,
        written: &mut mpsc::Receiver<Line>,
    ) -> Result<Vec<Handing>, String> {
        let mut lines = Vec::new();
        let handings = {
            let mut holding = std::pin::pin!(self.supervisor.hold_still(STILL_WITHIN));
            loop {
                tokio::select! {
                    biased;
                    // One that has something to say holds still when it has said it.
                    Some(line) = written.recv() => lines.push(line),
                    handings = &mut holding => break handings,
                }
            }
        };
        while let Ok(line) = written.try_recv() {
            lines.push(line);
        }
        for line in lines {
            self.hear(line).await;
        }
        while let Ok(event) = happened.try_recv() {
            self.follow(event).await;
        }
        handings
    }

    /// Whether this is the process that a service manager takes for the main one.
    fn is_managed(&self) -> bool {
        systemd::listens() && self.ward.is_none()
    }

    /// The two ends of what a guard and its ward speak through, where this process is the one that somebody waits for.
    fn guard_to_be(&self) -> std::io::Result<Option<(UnixDatagram, OwnedFd)>> {
        if self.ward.is_some() || systemd::listens() {
            return Ok(None);
        }
        Guard::sockets().map(Some)
    }

    fn estate(&self, handings: &[Handing], guarded: bool, behind: Vec<Vec<Staying>>) -> Estate {
        let ledger = &self.shared.ledger;
        let endings = ledger.endings().into_iter().map(|((cause, code), count)| (cause.to_owned(), code.0, count));
        let endpoints = self.pools.all().into_iter().map(|(service, port, endpoint)| EndpointRecord {
            service: service.to_string(),
            port,
            instance: endpoint.instance.to_string(),
            target: endpoint.target.clone(),
            age: endpoint.age(),
        });
        let seen = self.instances.iter().map(|(name, seen)| Seen {
            name: name.clone(),
            service: seen.service.to_string(),
            state: seen.state.to_owned(),
            address: seen.address.clone(),
            up: seen.since.map(|since| since.elapsed()),
            restarts: seen.restarts,
        });
        let lines = self.tail.lines.iter().map(|(when, line)| LineRecord {
            age: when.elapsed(),
            service: line.instance.service.to_string(),
            number: line.instance.number,
            stream: line.stream,
            text: line.text.clone(),
        });
        let (awaited, told_ready) = self.waiting.standing();
        Estate {
            pid: std::process::id(),
            age: self.since.elapsed(),
            guarded,
            behind,
            instances: handings.iter().map(|one| one.record.clone()).collect(),
            seen: seen.collect(),
            lines: lines.collect(),
            endpoints: endpoints.collect(),
            awaited,
            told_ready,
            last_tunnel: ledger.last().0,
            endings: endings.collect(),
            past: ledger.past(),
        }
    }

    /// Closes all that another process has now, and gives the rest.
    fn let_go(self) -> Rest {
        let Running { workers, supervisor, outside, datagrams, tail, passing_on, .. } = self;
        datagrams.values().chain(&passing_on).for_each(AbortHandle::abort);
        let followers = tail.followers.into_iter().map(|(_, asking)| asking).collect();
        Rest { workers, supervisor, followers, reload: outside.reload }
    }

    /// What is left of a process that has been replaced: tunnels that could not move, and, if it was the first, somebody
    /// who waits for its end.
    pub(super) async fn stay_behind(self, replaced: Replaced, stops: &mut Stops) -> Result<Ended, StartError> {
        let Replaced { by, tie, mut endings, guard, linger } = replaced;
        if self.is_managed() {
            systemd::tell(systemd::State::MainPid(by.pid()));
        }
        if let Some(ward) = &self.ward {
            ward.succeeded_by(by.pid()).await;
        }
        self.control.file.set_ours(false);
        let mut guard = Guard::begin(guard, by).map_err(system)?;
        let Rest { workers, supervisor, followers, mut reload } = self.let_go();
        for asking in followers {
            asking.done("another program has taken over; ask again").await;
        }
        supervisor.leave().await;
        stops.forget_the_guard();
        let hurry = Notify::new();
        let left = Rc::downgrade(&workers);
        let mut staying = std::pin::pin!(end_of(workers, linger, &hurry));
        let (mut stayed, mut alone, mut quiet, mut code) = (false, false, false, None);
        loop {
            tokio::select! {
                word = tie.hear::<AreToEnd>(), if !alone => match (word, left.upgrade()) {
                    (Some(word), Some(workers)) => {
                        let (which, close, over) = in_words_of_ours(word);
                        workers.drain(&which, &close, over).await;
                    }
                    (Some(_), None) => {}
                    (None, _) => {
                        alone = true;
                        hurry.notify_one();
                    }
                },
                change = endings.recv(), if !alone && !quiet => match change {
                    Ok(Change::Ended(one)) => tie.say(&HaveEnded(vec![one.id.0])).await,
                    // Those that were missed count on until this process ends.
                    Ok(Change::Opened(_)) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => quiet = true,
                },
                () = &mut staying, if !stayed => stayed = true,
                told = guard.ended(), if code.is_none() => code = Some(told),
                () = stops.next() => {
                    guard.pass_on(Word::Stop).await;
                    hurry.notify_one();
                }
                Some(()) = reload.recv() => guard.pass_on(Word::Reload).await,
            }
            match code {
                // The first ends as the last one did.
                Some(code) if stayed && guard.is_first() => return Ok(Ended::As(code)),
                _ if stayed && !guard.is_first() => return Ok(Ended::As(Some(0))),
                _ => {}
            }
        }
    }
}

fn staying_of(entry: &Entry) -> Staying {
    Staying {
        id: entry.id.0,
        client: entry.client,
        service: entry.service.to_string(),
        instance: entry.instance.to_string(),
    }
}

fn in_words_of_ours(word: AreToEnd) -> (Which, Arc<Close>, Duration) {
    let AreToEnd { ids, to, client, code, reason, over } = word;
    let which = Which { ids: ids.into_iter().map(TunnelId).collect(), to: to.map(Arc::from), client, at: None };
    (which, Arc::new(Close { code: Code(code), reason: reason.into() }), over)
}

/// Returns when all that stays has ended: by itself, or told so (Close 1001), after a time or when there is a hurry.
async fn end_of(workers: Rc<Workers>, linger: Duration, hurry: &Notify) {
    let told = async {
        tokio::select! {
            () = hurry.notified() => {}
            () = sleep(linger) => {}
        }
    };
    tokio::select! {
        () = workers.stay_behind() => {}
        () = told => {
            let close = Arc::new(Close::new(Code::GOING_AWAY, "the gateway is stopping"));
            // What is left after that is cut.
            let _ = timeout(STOP, workers.leave(close)).await;
        }
    }
    // What is left is small.
    if let Ok(workers) = Rc::try_unwrap(workers)
        && let Err(error) = workers.end()
    {
        tracing::warn!(%error, "a thread has failed");
    }
}
