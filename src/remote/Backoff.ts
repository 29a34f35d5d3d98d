/**
 * How long to wait before the next attempt to connect. Failures of the network are tried again soon, then less and
 * less often; a refused key is tried again after a minute at the earliest.
 *
 * OpenSSH 9.8 and later count what goes wrong at the door, by address, loopback too (sshd_config(5), PerSourcePenalties).
 * Defaults of 10.0p2: 1 s for a connection that ends before a key was tried, also for one that did not believe the host's
 * key; 5 s for a refused key; time takes them off again. Above 15 s (`min`) every connection is dropped until all of it is
 * over; connections that are there already stay. Seen there: an attempt that was dropped adds nothing, nor does a link that
 * ends after the login, cut or killed. The pauses here keep one process far below `min` in any trouble: at most 5 s after
 * cut handshakes, and after a refused key. LoginGraceTime is never used up, since an attempt ends long before.
 */
import { type FailureKind, isPassing } from "./Failure.ts"

export const first = 100
export const most = 10_000
/** sshd takes no connection for seconds at least. */
const firstTurnedAway = 1_000
export const afterRefusal = 60_000

/** Milliseconds; `attempts` is how many have failed in a row, at least 1. `random` is from 0 to 1. */
export const wait = (kind: FailureKind, attempts: number, random: number): number => {
  if (!isPassing(kind)) return afterRefusal + Math.round(random * 5_000)
  const full = Math.min(most, (kind === "turned-away" ? firstTurnedAway : first) * 2 ** Math.min(attempts - 1, 20))
  return Math.round(full * (0.5 + random / 2))
}
