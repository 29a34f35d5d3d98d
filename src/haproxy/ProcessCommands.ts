/**
 * What the process says of itself, for people: every field of `show info`, the activity of its threads, its memory pools;
 * and the commands that are about nothing else: `clear counters`, `help`, `echo`.
 */
import * as Result from "effect/Result"
import { plain, refused, silent } from "./Cli.ts"
import type { Command, Verdict } from "./Command.ts"

/** One value by its name. */
export interface Fact {
  readonly name: string
  readonly value: string
}

const longestFact = 200

const facts = (answer: string, head: RegExp): Verdict<ReadonlyArray<Fact>> => {
  if (!head.test(answer)) return refused(answer)
  const found: Array<Fact> = []
  for (const line of answer.split("\n")) {
    const colon = line.indexOf(": ")
    if (colon > 0) {
      found.push({ name: plain(line.slice(0, colon), 80), value: plain(line.slice(colon + 2), longestFact) })
    }
  }
  return Result.succeed(found)
}

/*
 * show info (3.4.7, shortened)
 *
 * Name: HAProxy
 * Version: 3.4.7-1
 * Uptime: 0d 0h00m00s
 * Unstoppable Jobs: 1
 */
/** `show info`: every field as it is; about 90. */
export const info: Command<ReadonlyArray<Fact>> = {
  words: ["show", "info"],
  parse: (answer) => facts(answer, /^Name: /)
}

/*
 * show activity (3.4.7, shortened; 3.0.11 and 3.2.26 alike): the sum, and in brackets each thread
 *
 * thread_id: 1 (1..2)
 * date_now: 1795873702.509032
 * ctxsw: 56 [ 34 22 ]
 * avg_cpu_pct: 0 [ 0 0 ]
 */
/** `show activity`: what the threads do; about 30 counters, each with its threads. */
export const activity: Command<ReadonlyArray<Fact>> = {
  words: ["show", "activity"],
  parse: (answer) => facts(answer, /^thread_id: /)
}

/** A memory pool. */
export interface MemoryPool {
  readonly name: string
  /** Bytes of one object. */
  readonly size: number
  readonly allocated: number
  /** Bytes of all that are allocated. */
  readonly bytes: number
  readonly used: number
  readonly failures: number
}

/*
 * show pools (3.0.11; 3.4.7 says `(16384 bytes/64)`; after `byusage 3` its head has "(limited to the first 3 entries)")
 *
 * Dumping pools usage. Use SIGQUIT to flush them.
 *   - Pool buffer (16384 bytes) : 17 allocated (278528 bytes), 17 used (~5 by thread caches), needed_avg 2, 0 failures, 1 users, @0x7f94a6d20e40 [SHARED]
 * Total: 17 pools, 316480 bytes allocated, 316480 used (~116416 by thread caches).
 */
const poolLine =
  /^ {2}- Pool (\S+) \((\d+) bytes(?:\/\d+)?\) : (\d+) allocated \((\d+) bytes\), (\d+) used .*?(\d+) failures/

const parsePools = (answer: string): Verdict<ReadonlyArray<MemoryPool>> => {
  if (!answer.startsWith("Dumping pools usage")) return refused(answer)
  const pools: Array<MemoryPool> = []
  for (const line of answer.split("\n")) {
    const match = poolLine.exec(line)
    if (match === null) continue
    const [, name, size, allocated, bytes, used, failures] = match
    pools.push({
      name: name!,
      size: Number(size),
      allocated: Number(allocated),
      bytes: Number(bytes),
      used: Number(used),
      failures: Number(failures)
    })
  }
  return pools.length === 0 ? refused(answer) : Result.succeed(pools)
}

/** `show pools byusage`: the memory pools in use, the largest first. */
export const memoryPools: Command<ReadonlyArray<MemoryPool>> = {
  words: ["show", "pools", "byusage"],
  parse: parsePools
}

/** `clear counters [all]`: silent when done. Without `all` only the maxima start anew; totals and rates stay. */
export const clearCounters = (all: boolean): Command<void> =>
  silent(all ? ["clear", "counters", "all"] : ["clear", "counters"])

/** A command that HAProxy knows. */
export interface KnownCommand {
  /** With its parameters: `set map <map> [<key>|#<ref>] <value>`. */
  readonly usage: string
  readonly meaning: string
}

/*
 * help (3.4.7, shortened); the column of the colon moves where a usage is long
 *
 * The following commands are valid at this level:
 *   add acl [@<ver>] <acl> <pattern>        : add an acl entry
 *   acme challenge_ready <certfile> domain <domain> : notify HAProxy that the ACME challenge is ready
 *   enable server  (DEPRECATED)             : enable a disabled server (use 'set server' instead)
 */
const parseHelp = (answer: string): Verdict<ReadonlyArray<KnownCommand>> => {
  if (!answer.startsWith("The following commands are valid at this level:")) return refused(answer)
  const found: Array<KnownCommand> = []
  for (const line of answer.split("\n").slice(1)) {
    const colon = line.indexOf(" : ")
    if (colon > 0) {
      found.push({ usage: plain(line.slice(0, colon), 120), meaning: plain(line.slice(colon + 3), longestFact) })
    }
  }
  return found.length === 0 ? refused(answer) : Result.succeed(found)
}

/** `help`: every command of this socket's level, with its usage; 10 KB. */
export const help: Command<ReadonlyArray<KnownCommand>> = { words: ["help"], parse: parseHelp }

/*
 * echo hello world (3.2.26, 3.4.7); 3.0.11 has no such command
 *
 * hello world
 */
/** `echo WORDS`: says them again, so the way to HAProxy and back works. */
export const echo = (words: ReadonlyArray<string>): Command<string> => ({
  words: ["echo", ...words],
  parse: (answer) => answer.trim() === words.join(" ") ? Result.succeed(answer.trim()) : refused(answer)
})
