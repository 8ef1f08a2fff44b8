//! kevy's commands, but for what would end or harm the process that it is embedded in.

use std::net::Ipv4Addr;

use kevy::{Argv, KevyCommands};
use kevy_rt::{
    ArgvView, BlockHint, BlockKind, Commands, LiveRuntimeConfig, NotifyClass, ResolvedCmd, RespVersion, Route, Store,
    TxnKind,
};

use super::scripts::Scripts;

/// The answer to SHUTDOWN, with which kevy would end the process at once.
const NO_SHUTDOWN: &[u8] = b"-ERR this Redis is part of a kboard process; end that one instead\r\n";

/// The commands of the embedded Redis.
#[derive(Clone)]
pub struct EmbeddedCommands {
    kevy: KevyCommands,
    scripts: Scripts,
}

impl EmbeddedCommands {
    /// kevy's, with scripts that are kept.
    pub fn new(scripts: Scripts) -> Self {
        Self { kevy: KevyCommands, scripts }
    }

    /// What is answered here rather than by kevy.
    fn refused<A: ArgvView + ?Sized>(args: &A) -> Option<&'static [u8]> {
        args.first().is_some_and(|verb| verb.eq_ignore_ascii_case(b"SHUTDOWN")).then_some(NO_SHUTDOWN)
    }

    /// Keeps the script that a command brings, before it is written anywhere that it was called.
    fn keep_script<A: ArgvView + ?Sized>(&self, args: &A) {
        let is = |index: usize, word: &[u8]| args.get(index).is_some_and(|arg| arg.eq_ignore_ascii_case(word));
        let source = if is(0, b"EVAL") {
            args.get(1)
        } else if is(0, b"SCRIPT") && is(1, b"LOAD") {
            args.get(2)
        } else {
            None
        };
        if let Some(source) = source {
            self.scripts.keep(source);
        }
    }
}

impl Commands for EmbeddedCommands {
    fn dispatch<A: ArgvView + ?Sized>(&self, store: &mut Store, args: &A) -> Vec<u8> {
        if let Some(refused) = Self::refused(args) {
            return refused.to_vec();
        }
        self.keep_script(args);
        self.kevy.dispatch(store, args)
    }

    fn dispatch_into<A: ArgvView + ?Sized>(&self, store: &mut Store, args: &A, out: &mut Vec<u8>) {
        if let Some(refused) = Self::refused(args) {
            return out.extend_from_slice(refused);
        }
        self.keep_script(args);
        self.kevy.dispatch_into(store, args, out);
    }

    fn dispatch_resp3<A: ArgvView + ?Sized>(&self, store: &mut Store, args: &A) -> Vec<u8> {
        if let Some(refused) = Self::refused(args) {
            return refused.to_vec();
        }
        self.keep_script(args);
        self.kevy.dispatch_resp3(store, args)
    }

    fn dispatch_into_resp3<A: ArgvView + ?Sized>(&self, store: &mut Store, args: &A, out: &mut Vec<u8>) {
        if let Some(refused) = Self::refused(args) {
            return out.extend_from_slice(refused);
        }
        self.keep_script(args);
        self.kevy.dispatch_into_resp3(store, args, out);
    }

    // From here on, everything is kevy's.

    fn route<A: ArgvView + ?Sized>(&self, args: &A) -> Route {
        self.kevy.route(args)
    }

    fn resolve<A: ArgvView + ?Sized>(&self, args: &A) -> ResolvedCmd {
        self.kevy.resolve(args)
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

    fn is_write<A: ArgvView + ?Sized>(&self, args: &A) -> bool {
        self.kevy.is_write(args)
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

    fn on_shard_tick(&self, store: &mut Store) {
        self.kevy.on_shard_tick(store);
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
