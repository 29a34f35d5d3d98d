/**
 * Tells listeners in this process what changes are about, once their fate is known.
 *
 * Guarantees: a change is told when it is settled (live, or taken back), a change that needs no settling with its commit;
 * never one that was not committed. A listener is called at once and must be quick; without listeners it costs a map entry
 * per change under way. What other processes write is not told: while this one holds the file there is none.
 */
import { type Edit, writesOf } from "../domain/Change.ts"
import type { ChangeDraft } from "./Changes.ts"

/** Edits of one change whose keys are told one by one; of more, all may have changed. */
const mostEdits = 2_000
/** Changes whose fate is awaited; of those beyond it is forgotten what they were about. */
const mostWaiting = 8_192

/** What changed. */
export interface Touched {
  readonly revision: number
  /**
   * `route:example.com` and `pool:7`, as domain/Change.ts names what edits write; `member:7`: a name begins or ends to lead
   * to that pool. Null: any may have changed.
   */
  readonly keys: ReadonlySet<string> | null
}

/** Changes that one transaction recorded, the last one first. */
export interface Recorded {
  readonly draft: ChangeDraft
  readonly earlier: Recorded | null
}

interface Waiting {
  readonly revision: number
  readonly edits: ReadonlyArray<Edit>
}

const keysOf = (edits: ReadonlyArray<Edit>): ReadonlySet<string> => {
  const keys = writesOf(edits)
  for (const edit of edits) {
    if (edit.kind !== "route") continue
    for (const route of [edit.before, edit.after]) if (route !== null) keys.add(`member:${route.pool}`)
  }
  return keys
}

/** See the module's head. */
export class Watchers {
  private readonly listeners = new Set<(touched: Touched) => void>()
  private readonly waiting = new Map<string, Waiting>()

  /** Answers how to stop listening. */
  readonly watch = (listener: (touched: Touched) => void): () => void => {
    this.listeners.add(listener)
    return () => void this.listeners.delete(listener)
  }

  /** These are durable as this revision. */
  committed(recorded: Recorded | null, revision: number): void {
    for (let one = recorded; one !== null; one = one.earlier) {
      const { changeId, edits, outcome } = one.draft
      if (outcome !== "pending") this.tell({ revision, edits })
      else if (this.waiting.size < mostWaiting) this.waiting.set(changeId, { revision, edits })
    }
  }

  /** The fate of a change is known. */
  settled(changeId: string): void {
    const known = this.waiting.get(changeId)
    this.waiting.delete(changeId)
    this.tell(known ?? null)
  }

  private tell(what: Waiting | null): void {
    if (this.listeners.size === 0) return
    const touched: Touched = {
      revision: what?.revision ?? 0,
      keys: what === null || what.edits.length > mostEdits ? null : keysOf(what.edits)
    }
    for (const listener of this.listeners) listener(touched)
  }
}
