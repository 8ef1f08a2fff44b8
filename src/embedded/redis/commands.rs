//! kevy's commands, but for what would end or harm the process that it is embedded in.

use std::net::Ipv4Addr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kevy::{Argv, KevyCommands};
use kevy_rt::{
    ArgvView, BlockHint, BlockKind, Commands, LiveRuntimeConfig, NotifyClass, ResolvedCmd, RespVersion, Route, Store,
    TxnKind,
};

use super::scripts::Scripts;
use crate::telemetry::seldom::Seldom;

/// That a browser was sent here.
static WEB: Seldom = Seldom::new();

/// The answer to SHUTDOWN, with which kevy would end the process at once.
const NO_SHUTDOWN: &[u8] = b"-ERR this Redis is part of a kboard process; end that one instead\r\n";

/// What settings begin with that make kevy refuse writes; it keeps those in its file all the same.
const LIMIT: &[u8] = b"maxmemory";
/// The answer to setting one.
const NO_LIMIT: &[u8] = b"-ERR this Redis has no limit of memory; use a real one for a cache\r\n";
/// The answer to a command that kevy fails at.
const FAILED: &[u8] = b"-ERR this Redis failed at the command; kboard's log says how\r\n";

/// The commands of the embedded Redis.
#[derive(Clone)]
pub struct EmbeddedCommands {
    kevy: KevyCommands,
    scripts: Scripts,
    /// A web request has come since the last tick: any page can have a browser send one here, with commands in its body.
    /// kevy takes its lines for commands and goes on to the next, however wrong they are. What came with it can't be told
    /// from what others sent at this time, so until the tick nothing is carried out, and who asks is hung up on.
    web: Arc<AtomicBool>,
}

impl EmbeddedCommands {
    /// kevy's, with scripts that are kept.
    pub fn new(scripts: Scripts) -> Self {
        Self { kevy: KevyCommands, scripts, web: Arc::default() }
    }

    /// Whether nothing is carried out now, because `args` is the beginning of a web request or may have come with one.
    fn hangs_up<A: ArgvView + ?Sized>(&self, args: &A) -> bool {
        // Redis does it at these words, too.
        if is(args, 0, b"POST") || is(args, 0, b"HOST:") {
            WEB.warn("the embedded Redis hung up", &"a web page or an HTTP client sent a request to its port");
            self.web.store(true, Ordering::Relaxed);
        }
        self.web.load(Ordering::Relaxed)
    }

    /// What is answered here rather than by kevy.
    fn refused<A: ArgvView + ?Sized>(args: &A) -> Option<&'static [u8]> {
        if is(args, 0, b"SHUTDOWN") {
            return Some(NO_SHUTDOWN);
        }
        let limits = |setting: &[u8]| setting.get(..LIMIT.len()).is_some_and(|start| start.eq_ignore_ascii_case(LIMIT));
        (is(args, 0, b"CONFIG") && is(args, 1, b"SET") && args.get(2).is_some_and(limits)).then_some(NO_LIMIT)
    }

    /// Notes what a command does to the scripts, before it is written anywhere that one was called.
    fn note_scripts<A: ArgvView + ?Sized>(&self, args: &A) {
        let script = is(args, 0, b"SCRIPT");
        if is(args, 0, b"EVAL") || is(args, 0, b"EVAL_RO") {
            args.get(1).into_iter().for_each(|source| self.scripts.keep(source));
        } else if script && is(args, 1, b"LOAD") {
            args.get(2).into_iter().for_each(|source| self.scripts.keep(source));
        } else if script && is(args, 1, b"FLUSH") {
            self.scripts.forget();
        }
    }

    /// Has kevy answer into `out`, unless it is answered here.
    fn answer<A: ArgvView + ?Sized>(&self, args: &A, out: &mut Vec<u8>, kevy: impl FnOnce(&mut Vec<u8>)) {
        if self.web.load(Ordering::Relaxed) {
            // Without an answer there is nothing that closing the connection would have to wait for.
            return;
        }
        if let Some(refused) = Self::refused(args) {
            return out.extend_from_slice(refused);
        }
        self.note_scripts(args);
        let before = out.len();
        // kevy would end its thread, and kboard with it. The hook of panics has said what it was.
        if catch_unwind(AssertUnwindSafe(|| kevy(out))).is_err() {
            out.truncate(before);
            out.extend_from_slice(FAILED);
        }
    }

    /// Whether a command calls a script that kevy doesn't know: it writes nothing, and must not be repeated later, when the
    /// script is known.
    fn misses_its_script<A: ArgvView + ?Sized>(&self, args: &A) -> bool {
        is(args, 0, b"EVALSHA") && args.get(1).is_some_and(|hash| !self.scripts.knows(hash))
    }
}

/// Whether the argument at `index` is `word`, in whatever case.
fn is<A: ArgvView + ?Sized>(args: &A, index: usize, word: &[u8]) -> bool {
    args.get(index).is_some_and(|arg| arg.eq_ignore_ascii_case(word))
}

impl Commands for EmbeddedCommands {
    fn dispatch<A: ArgvView + ?Sized>(&self, store: &mut Store, args: &A) -> Vec<u8> {
        let mut out = Vec::new();
        self.dispatch_into(store, args, &mut out);
        out
    }

    fn dispatch_into<A: ArgvView + ?Sized>(&self, store: &mut Store, args: &A, out: &mut Vec<u8>) {
        self.answer(args, out, |out| self.kevy.dispatch_into(store, args, out));
    }

    fn dispatch_resp3<A: ArgvView + ?Sized>(&self, store: &mut Store, args: &A) -> Vec<u8> {
        let mut out = Vec::new();
        self.dispatch_into_resp3(store, args, &mut out);
        out
    }

    fn dispatch_into_resp3<A: ArgvView + ?Sized>(&self, store: &mut Store, args: &A, out: &mut Vec<u8>) {
        self.answer(args, out, |out| self.kevy.dispatch_into_resp3(store, args, out));
    }

    fn resolve<A: ArgvView + ?Sized>(&self, args: &A) -> ResolvedCmd {
        if self.hangs_up(args) {
            let (txn_kind, route, block_hint) = (TxnKind::Other, Route::Local, BlockHint::None);
            return ResolvedCmd { txn_kind, route, is_quit: true, is_write: false, block_hint, wake_idx: None };
        }
        let mut resolved = self.kevy.resolve(args);
        resolved.is_write &= !self.misses_its_script(args);
        resolved
    }

    fn is_write<A: ArgvView + ?Sized>(&self, args: &A) -> bool {
        self.kevy.is_write(args) && !self.misses_its_script(args)
    }

    fn on_shard_tick(&self, store: &mut Store) {
        self.web.store(false, Ordering::Relaxed);
        self.kevy.on_shard_tick(store);
    }

    // From here on, everything is kevy's.

    fn route<A: ArgvView + ?Sized>(&self, args: &A) -> Route {
        self.kevy.route(args)
    }

    fn notify_class<A: ArgvView + ?Sized>(&self, args: &A) -> Option<NotifyClass> {
        self.kevy.notify_class(args)
    }

    fn hello_reply<A: ArgvView + ?Sized>(&self, args: &A, protocol: RespVersion) -> (RespVersion, Vec<u8>) {
        self.kevy.hello_reply(args, protocol)
    }

    fn is_quit<A: ArgvView + ?Sized>(&self, args: &A) -> bool {
        self.kevy.is_quit(args)
    }

    fn txn_kind<A: ArgvView + ?Sized>(&self, args: &A) -> TxnKind {
        self.kevy.txn_kind(args)
    }

    fn wake_idx<A: ArgvView + ?Sized>(&self, args: &A) -> Option<u8> {
        self.kevy.wake_idx(args)
    }

    fn block_hint<A: ArgvView + ?Sized>(&self, args: &A) -> BlockHint {
        self.kevy.block_hint(args)
    }

    fn resolve_block_argv<A: ArgvView + ?Sized>(&self, store: &mut Store, args: &A, kind: BlockKind) -> Argv {
        self.kevy.resolve_block_argv(store, args, kind)
    }

    fn block_serve_argv<A: ArgvView + ?Sized>(&self, args: &A, kind: BlockKind, key: &[u8]) -> Argv {
        self.kevy.block_serve_argv(args, kind, key)
    }

    fn block_ready<A: ArgvView + ?Sized>(&self, store: &mut Store, args: &A, kind: BlockKind) -> bool {
        self.kevy.block_ready(store, args, kind)
    }

    fn on_shard_init(&self, store: &mut Store) {
        self.kevy.on_shard_init(store);
    }

    fn on_shard_start(&self, shard: usize) {
        self.kevy.on_shard_start(shard);
    }

    fn on_persist_stats(&self, in_flight: bool, rewrites: u64) {
        self.kevy.on_persist_stats(in_flight, rewrites);
    }

    fn on_replication_view(&self, offset: u64, replicas: Vec<(Ipv4Addr, u16, u64)>) {
        self.kevy.on_replication_view(offset, replicas);
    }

    fn on_command(&self) {
        self.kevy.on_command();
    }

    fn on_connection(&self) {
        self.kevy.on_connection();
    }

    fn shard_tick_interval_ms(&self) -> u64 {
        self.kevy.shard_tick_interval_ms()
    }

    fn live_runtime_config(&self) -> LiveRuntimeConfig {
        self.kevy.live_runtime_config()
    }
}
