/** What every program answers: a sentence, the data, and for writes which change it was. */

/** `summary` comes first so that it is the first thing a model reads. */
export interface Answer {
  /** One sentence: what is so now. */
  readonly summary: string
}

/** The answer of a write. It exists only when the change is durable, live and read back. */
export interface WriteAnswer extends Answer {
  /** False: the desired state was there already; nothing was written and there is no `change_id`. */
  readonly changed: boolean
  readonly change_id?: string
  /** The revision that holds the state. */
  readonly revision: number
  readonly warnings: ReadonlyArray<string>
}
