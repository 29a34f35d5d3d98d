/**
 * What the database notes of certificates: rows, changes of the log, and the fate of those that nobody knew when their
 * caller had to be answered.
 *
 * Guarantees: a row and the change that brought it are in one commit; a change that was left open is settled by the
 * next comparison of HAProxy with the folder, also after a restart.
 */
import * as Effect from "effect/Effect"
import type { Certificate } from "../../domain/Certificate.ts"
import type { Change, Outcome } from "../../domain/Change.ts"
import { StorageFailed } from "../../domain/Errors.ts"
import type { CommitUncertain, Store } from "../../store/Store.ts"
import { auditOf } from "../AuditTrail.ts"
import { Caller } from "../Caller.ts"
import { migrationTool } from "../TakeOver.ts"

/** A row that comes (or goes: null) with a change. */
export interface Entry {
  readonly changeId: string
  readonly name: string
  readonly row: Certificate | null
  readonly summary: string
}

/** Is it a change of certificates? They have no edits: what they do is in a file. */
export const isCertificateChange = ({ edits, tool }: Pick<Change, "edits" | "tool">): boolean =>
  edits.length === 0 && tool !== migrationTool

/** The summary of a deletion, and the name in it: what a start needs to finish one that was decided. */
export const deletedSummary = (name: string): string => `Deleted the certificate ${name}`
const deletedName = (summary: string): string | null => /^Deleted the certificate (\S+)$/.exec(summary)?.[1] ?? null

/** A deletion that was decided `at` this time, milliseconds since 1970. */
export interface Deletion {
  readonly name: string
  readonly at: number
}

export const make = Effect.fnUntraced(function*(store: Store["Service"]) {
  /** Committed as pending: what became of them, the next comparison tells. By change; null: of an earlier life. */
  const open = new Map<string, string | null>()
  /** Nobody knows whether they are committed; what is written when they are not. */
  const uncertain = new Map<
    string,
    { readonly name: string; readonly work: Effect.Effect<number, StorageFailed | CommitUncertain> }
  >()
  const deletions = new Map<string, Deletion>()
  for (const { at, changeId, edits, summary, tool } of yield* store.pendingChanges) {
    if (!isCertificateChange({ edits, tool })) continue
    const name = deletedName(summary)
    if (name === null) open.set(changeId, null)
    else deletions.set(changeId, { name, at })
  }

  /** One commit with the row and its change; answers its revision. */
  const commit = Effect.fnUntraced(
    function*(entry: Entry, outcome: Outcome): Effect.fn.Return<number, StorageFailed | CommitUncertain> {
      const caller = yield* Caller
      const { actor, tool } = caller
      const audit = auditOf(caller)
      const work = store.commit(Effect.gen(function*() {
        yield* entry.row === null ? store.removeCertificate(entry.name) : store.putCertificate(entry.row)
        const { changeId, summary } = entry
        yield* store.record({ changeId, actor, tool, summary, edits: [], outcome, audit })
        return yield* store.nextRevision
      }))
      const revision = yield* work.pipe(
        Effect.tapErrorTag(
          "CommitUncertain",
          () => Effect.sync(() => void uncertain.set(entry.changeId, { name: entry.name, work }))
        )
      )
      // What came later counts.
      for (const [changeId, { name }] of uncertain) if (name === entry.name) uncertain.delete(changeId)
      if (outcome === "pending") {
        if (entry.row === null) deletions.set(entry.changeId, { name: entry.name, at: Date.now() })
        else open.set(entry.changeId, entry.name)
      }
      return revision
    }
  )

  /** A commit without a change: notes about a certificate that is as it was. */
  const note = (write: Effect.Effect<void, StorageFailed>): Effect.Effect<void, StorageFailed> =>
    store.commit(write).pipe(
      Effect.catchTag(
        "CommitUncertain",
        ({ message }) => Effect.fail(new StorageFailed({ message, hint: "Check the disk that holds the database." }))
      )
    )

  /** HAProxy was compared with the folder: what was left open is settled, and written where it is not yet. */
  const settle = Effect.fnUntraced(
    function*(rows: ReadonlyArray<Certificate>, loaded: ReadonlyMap<string, string>) {
      for (const [changeId, { work }] of uncertain) {
        if ((yield* store.change(changeId)) === null) yield* work
        uncertain.delete(changeId)
      }
      if (open.size === 0) return
      const sha1s = new Map(rows.map(({ facts, name }) => [name, facts.sha1]))
      for (const [changeId, name] of open) {
        if (name !== null && sha1s.has(name) && sha1s.get(name) !== loaded.get(name)) continue
        yield* store.settle(changeId, "applied")
        open.delete(changeId)
      }
      yield* store.flush
    },
    Effect.catch((error) => Effect.logWarning(`What became of a certificate could not be noted: ${error.message}`))
  )

  /** A deletion has come to its end. */
  const deleted = Effect.fnUntraced(
    function*(changeId: string) {
      yield* store.settle(changeId, "applied")
      deletions.delete(changeId)
      yield* store.flush
    },
    Effect.catch((error) => Effect.logDebug(`A deletion's end is noted with the next commit: ${error.message}`))
  )

  return {
    commit,
    note,
    settle,
    deleted,
    /** Deletions that are decided and were not seen to end. */
    deletions: deletions as ReadonlyMap<string, Deletion>,
    /** How many {@link settle} has to do with. */
    open: Effect.sync(() => open.size + uncertain.size)
  }
})

export type Ledger = Effect.Success<ReturnType<typeof make>>
