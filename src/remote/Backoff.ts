/**
 * How long to wait before the next attempt to connect. Failures of the network are tried again soon, then less and
 * less often; a refused key is tried again after a minute at the earliest, because OpenSSH 9.8 and later lock an address
 * out that keeps failing (sshd_config(5), PerSourcePenalties).
 */
import type { FailureKind } from "./Failure.ts"

export const first = 100
export const most = 10_000
export const afterRefusal = 60_000

/** Milliseconds; `attempts` is how many have failed in a row, at least 1. `random` is from 0 to 1. */
export const wait = (kind: FailureKind, attempts: number, random: number): number => {
  if (kind !== "network") return afterRefusal + Math.round(random * 5_000)
  const full = Math.min(most, first * 2 ** Math.min(attempts - 1, 20))
  return Math.round(full * (0.5 + random / 2))
}
