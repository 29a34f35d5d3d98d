/**
 * What this HAProxy can do, probed from `show info` and `help`, never guessed from a version string alone
 * (payload limits are the exception: no command tells them).
 */

/** Probed once per connection. */
export interface Capabilities {
  /** As `show info` says it, such as `3.4.7-1`. */
  readonly version: string
  /** Major and minor, such as `[3, 4]`. */
  readonly line: readonly [number, number]
  /** `prompt i`: a kept connection without a prompt (3.2). */
  readonly quietPrompt: boolean
  /** Bytes of one command line; `tune.bufsize` where it can be read, else 16,384, less a margin. */
  readonly maxLine: number
  /** Bytes of one payload: 12 KB, which every line takes however the bytes arrive. */
  readonly maxPayload: number
  /**
   * Bytes of a command with a payload that cannot be sent in parts: 16,000, a buffer of the default size; 120,000 from
   * 3.4, where those between one buffer and two are to be avoided (see `capabilities`).
   */
  readonly maxWhole: number
  /** `add backend` (3.4). */
  readonly dynamicBackends: boolean
  /** Every command that `help` lists, by its fixed words: `show ssl sni`. */
  readonly commands: ReadonlySet<string>
  /** Certificates can be changed: HAProxy was built with a TLS library. */
  readonly certificates: boolean
}
