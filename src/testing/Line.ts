/**
 * The lines of HAProxy that the fake imitates, and how they differ where a client can see it.
 *
 * Every trait was recorded from 3.0.11, 3.2.26 and 3.4.7 (Debian's packages) and is compared with the real binary by
 * `test/testing/parity.test.ts`. Traits of early patch releases are not imitated.
 */

/** A line of HAProxy. */
export type Line = "3.0" | "3.2" | "3.4"

/** What differs between the lines. */
export interface Traits {
  /** As `show version` says it. */
  readonly version: string
  readonly releaseDate: string
  /** `prompt i`, and lines (not commands) as the unit that is read; `prompt` alone before 3.2. */
  readonly quietPrompt: boolean
  /** Longest terminator after `<<`; before 3.3 a longer one is not recognised, and its lines run as commands. */
  readonly maxTerminator: number
  /** More words than this are an error; `null`: the rest is ignored. */
  readonly maxWords: number | null
  /** Bytes of a command line and its payload together that are accepted. */
  readonly maxUnit: number
  /** Bytes of a payload, its terminator's line included. */
  readonly maxPayload: number
  /** An empty payload is none, and one without a command is an error. */
  readonly strictPayload: boolean
  /** Bytes of one command without a payload, its newline included. */
  readonly maxLine: number
  readonly tooBig: string
  readonly payloadTooBig: string
  /**
   * From this size a command with its payload is never answered. On 3.4.7 it depends on how the bytes are cut: at
   * 16,384 and 16,385 bytes always, above often (20,000 bytes in pieces of 4,000 or 15,000; 32,722 to 32,769 even at
   * once). The fake takes the worst case.
   */
  readonly stallsFrom: number
  /** `del map` removes one of several entries of a key (3.4) instead of all. */
  readonly deletesOne: boolean
  /** `set map` and `del map` reach the entries of every version of a map (3.0), not only of the current one. */
  readonly editsAllVersions: boolean
  /** Closing a connection loses what it had sent but for two commands (3.0); later lines run all of it. */
  readonly losesCommandsOnClose: boolean
  /** A connection closed within a payload line stays in `show sess` for ever (3.2, 3.4). */
  readonly keepsClosedPayload: boolean
  /** `srv_check_health` of a server without checks that was never in maintenance. */
  readonly uncheckedHealth: number
  /** How certificates differ. */
  readonly certificates: {
    /** `Status: Uncommitted` and `Crt filename:` in `show ssl cert` (3.2, 3.4). */
    readonly statesUncommitted: boolean
    /** `Option:` lines in `show ssl cert` (3.4). */
    readonly optionsInShow: boolean
    /** A commit without a key is begun, fails and ends the transaction (3.4), instead of being refused. */
    readonly commitsWithoutKey: boolean
    /** A certificate of another directory may be added to a directory (3.2, 3.4). */
    readonly anyPathInDirectory: boolean
  }
}

const bufferSize = 16_384

const tooBig = (what: string, setting: string) =>
  `The ${what} is too big for the buffer size. Please change ${setting} in the configuration to use a bigger command.\n`

const payloadTooBig =
  "The payload is too big. Please change 'tune.cli.max-payload-size' in the configuration to use a bigger payload.\n"

/** The traits of each line. */
export const traitsOf: Readonly<Record<Line, Traits>> = {
  "3.0": {
    version: "3.0.11-1+deb13u3",
    releaseDate: "2026/05/20",
    quietPrompt: false,
    maxTerminator: 7,
    maxWords: null,
    maxUnit: bufferSize - 1,
    maxPayload: Number.POSITIVE_INFINITY,
    strictPayload: false,
    maxLine: bufferSize - 1,
    tooBig: tooBig("command", "tune.bufsize"),
    payloadTooBig: tooBig("command", "tune.bufsize"),
    stallsFrom: Number.POSITIVE_INFINITY,
    deletesOne: false,
    editsAllVersions: true,
    losesCommandsOnClose: true,
    keepsClosedPayload: false,
    uncheckedHealth: 2,
    certificates: {
      statesUncommitted: false,
      optionsInShow: false,
      commitsWithoutKey: false,
      anyPathInDirectory: false
    }
  },
  "3.2": {
    version: "3.2.26-1",
    releaseDate: "2026/10/14",
    quietPrompt: true,
    maxTerminator: 7,
    maxWords: 64,
    maxUnit: bufferSize - 1,
    maxPayload: Number.POSITIVE_INFINITY,
    strictPayload: false,
    maxLine: bufferSize,
    tooBig: tooBig("command line", "tune.bufsize"),
    payloadTooBig: tooBig("command line", "tune.bufsize"),
    stallsFrom: Number.POSITIVE_INFINITY,
    deletesOne: false,
    editsAllVersions: false,
    losesCommandsOnClose: false,
    keepsClosedPayload: true,
    uncheckedHealth: 2,
    certificates: {
      statesUncommitted: true,
      optionsInShow: false,
      commitsWithoutKey: false,
      anyPathInDirectory: true
    }
  },
  "3.4": {
    version: "3.4.7-1",
    releaseDate: "2026/10/14",
    quietPrompt: true,
    maxTerminator: 64,
    maxWords: 64,
    maxUnit: Number.POSITIVE_INFINITY,
    maxPayload: 131_071,
    strictPayload: true,
    maxLine: bufferSize,
    tooBig: tooBig("command line", "'tune.bufsize'"),
    payloadTooBig,
    stallsFrom: bufferSize,
    deletesOne: true,
    editsAllVersions: false,
    losesCommandsOnClose: false,
    keepsClosedPayload: true,
    uncheckedHealth: 0,
    certificates: {
      statesUncommitted: true,
      optionsInShow: true,
      commitsWithoutKey: true,
      anyPathInDirectory: true
    }
  }
}
