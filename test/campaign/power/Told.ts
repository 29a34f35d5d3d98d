/** What the writing process says of itself, between its system calls. */
export type Told =
  | { readonly _tag: "Begin"; readonly step: string }
  | {
    readonly _tag: "State"
    readonly step: string
    readonly ending: string
    /** See Dump.ts: all that is desired, and the part of it that HAProxy is told. */
    readonly desired: string
    readonly database: string
    /** By name the SHA-256 of each file that HAProxy starts from. */
    readonly files: Readonly<Record<string, string | null>>
  }

/** Begins a line of {@link Told}. */
export const toldMark = "told: "
