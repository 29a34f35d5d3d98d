/**
 * The one error of everything under `scripts/debian`: why packages could not be fetched, and what the reader can do
 * about it. Anything else that is thrown there is a defect.
 */

export type FetchFailureReason =
  /** `apt-get`, `apt-config`, `dpkg` or `flock` is not on this machine. */
  | "NoApt"
  /** The apt sources name no Debian archive (Ubuntu, for instance). */
  | "NoDebianArchive"
  /** apt could not read the archive: network, proxy, signature, clock, disk. */
  | "AptFailed"
  /** The archive works, but has no such package in these suites. */
  | "NotPackaged"
  /** A package arrived, but it cannot be unpacked or holds no runnable program where we look for it. */
  | "BadPackage"
  /** Another process holds the lock of the same folder and does not let go. */
  | "Locked"
  /** No program that builds or runs containers works here. */
  | "NoEngine"

/** `message` says what happened, `hint` what to do; both are one or few plain lines, ready to print. */
export class FetchFailure extends Error {
  readonly _tag = "FetchFailure"
  readonly reason: FetchFailureReason
  readonly hint: string

  constructor(reason: FetchFailureReason, message: string, hint: string, options?: ErrorOptions) {
    super(message, options)
    this.name = "FetchFailure"
    this.reason = reason
    this.hint = hint
  }
}
