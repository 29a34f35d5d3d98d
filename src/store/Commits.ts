/**
 * How one transaction begins and ends, and the counters of what is committed. Synchronous: who may begin one when is decided above
 * (Transactions.ts).
 *
 * - When `COMMIT` fails nothing is assumed: the file is closed, opened again and its commit counter compared. There:
 *   it was committed (and is brought to the disk by a checkpoint first). Not there: it was not. Cannot be opened:
 *   `CommitUncertain`, and every later use tries again before it does anything.
 */
import { chainStart, type NotedCall } from "../domain/Audit.ts"
import type { Outcome } from "../domain/Change.ts"
import { ConfigInvalid, type StorageFailed } from "../domain/Errors.ts"
import { type Life, lifeAt, type Position, withLife } from "../domain/Lineage.ts"
import * as Audit from "./Audit.ts"
import type { Tally } from "./Counts.ts"
import { add, countRows, zero } from "./Counts.ts"
import type { Database } from "./Database.ts"
import { CommitUncertain, storageFailure } from "./Failure.ts"
import * as Lives from "./Lives.ts"
import { schemaVersion } from "./Migrate.ts"
import { Run } from "./Run.ts"
import { type Head, readMeta, takenBack, type Transaction } from "./Transaction.ts"
import { Watchers } from "./Watchers.ts"

/** How transactions are made. */
export interface TransactionOptions {
  /** Hears how many milliseconds a COMMIT took. */
  readonly committed: (ms: number) => void
  /** This process as a writer (Lives.ts). */
  readonly life: string
  /** Records of the audit chain that are kept. */
  readonly keepAudit: number
  /** Keep the changesets of commits, to be shipped. */
  readonly replicate: boolean
}

/** The commits of an open, migrated database. */
export const make = (db: Database, { committed, keepAudit, life: firstLife, replicate }: TransactionOptions) => {
  /** What became of changes, not written yet. */
  const outcomes = new Map<string, Outcome>()
  /** Calls that were refused, not written yet. */
  const refusals = new Audit.WaitingCalls(Audit.ofRefused)
  /** Calls that were done without a change, not written yet. */
  const done = new Audit.WaitingCalls(Audit.ofDone)
  const watchers = new Watchers()
  const { lineage } = readMeta(db)
  const run = replicate ? new Run(db) : null
  let life = firstLife
  let lives: ReadonlyArray<Life> = []
  let head: Head = { commits: 0, revision: 0, chain: chainStart }
  let nextSeq = 1
  let tally: Tally = zero
  let open: Transaction | null = null
  /** The connection cannot be trusted; `commits` is the counter that an uncertain commit would have left. */
  let broken: { readonly commits: number | null } | null = null

  const load = () => {
    const found = readMeta(db)
    head = found
    nextSeq = Math.max(nextSeq, found.nextSeq)
    tally = countRows(db)
    lives = Lives.all(db)
    run?.begin(head.commits)
  }
  load()

  /** Opens the file again and compares. Throws when it cannot be opened, or what it holds cannot be made durable. */
  const recover = (uncertain: number | null): boolean => {
    db.reopen()
    const meta = readMeta(db)
    if (meta.lineage !== lineage) {
      throw new ConfigInvalid({
        message: `The database ${db.file} was replaced by another one.`,
        hint: "Restart, to begin from what it holds."
      })
    }
    const found = meta.commits === uncertain
    // After a failed fsync the rows may be in the page cache only: copying them to the main file flushes them anew.
    if (found) db.get("PRAGMA wal_checkpoint(TRUNCATE)")
    // The number of a commit that is not there is given again: under another life, it names another content.
    life = Lives.newLife()
    load()
    return found
  }

  const ensureOpen = () => {
    if (broken === null) return
    recover(broken.commits)
    broken = null
  }

  const rollback = () => {
    const wrote = open?.wrote === true
    open = null
    if (broken !== null || !db.isTransaction) return
    try {
      db.run("ROLLBACK")
      if (wrote) run?.rolledBack()
    } catch {
      broken = { commits: null }
    }
  }

  const begin = (at: number): Transaction => {
    ensureOpen()
    db.run("BEGIN IMMEDIATE")
    return open = {
      revision: head.revision + 1,
      at,
      depth: 0,
      wrote: false,
      recorded: false,
      records: null,
      applied: false,
      chain: head.chain,
      tally: zero,
      failure: null
    }
  }

  /** After a failed COMMIT: is it in the file? */
  const decide = (cause: unknown, next: Head): StorageFailed | CommitUncertain | null => {
    open = null
    const failure = storageFailure("commit", cause)
    let found: boolean
    try {
      found = recover(next.commits)
    } catch (again) {
      broken = { commits: next.commits }
      const reason = storageFailure("open the database again", again)
      return new CommitUncertain({
        message: `${failure?.message ?? String(cause)} ${reason?.message ?? String(again)}`
      })
    }
    if (found) return null
    if (failure === null) throw cause
    return failure
  }

  /** Records of what comes along with the commit. */
  const recordRest = (transaction: Transaction, commits: number) => {
    const append = (kind: "outcome" | "refusals" | "calls" | "rows", content: Readonly<Record<string, unknown>>) => {
      transaction.chain = Audit.append(db, transaction.chain, transaction.at, kind, content, keepAudit)
    }
    if (transaction.applied && !transaction.recorded) append("rows", { commits })
    if (outcomes.size > 0) append("outcome", Audit.ofOutcomes(outcomes))
    if (!refusals.isEmpty) append("refusals", refusals.content())
    if (!done.isEmpty) append("calls", done.content())
  }

  /** Commits what is open, or tells why not; the transaction has ended in every case. */
  const finish = (transaction: Transaction): StorageFailed | CommitUncertain | null => {
    const failure = transaction.failure ?? (db.isTransaction ? null : takenBack("commit"))
    if (failure !== null || !transaction.wrote) {
      rollback()
      return failure
    }
    const counted = {
      commits: head.commits + 1,
      revision: transaction.recorded ? transaction.revision : head.revision
    }
    let next: Head
    try {
      recordRest(transaction, counted.commits)
      next = { ...counted, chain: transaction.chain }
      if (outcomes.size > 0) {
        db.run(
          "UPDATE changes SET outcome = each.value FROM json_each(?) AS each WHERE change_id = each.key",
          JSON.stringify(Object.fromEntries(outcomes))
        )
      }
      db.run(
        "UPDATE meta SET commits = ?, revision = ?, next_seq = ?, audit_seq = ?, audit_hash = ? WHERE id = 1",
        next.commits,
        next.revision,
        nextSeq,
        next.chain.seq,
        next.chain.hash
      )
      if (lives.at(-1)?.life !== life) Lives.begin(db, life, next.commits)
    } catch (cause) {
      rollback()
      const typed = storageFailure("commit", cause)
      if (typed === null) throw cause
      return typed
    }
    let failed: StorageFailed | CommitUncertain | null = null
    const began = performance.now()
    try {
      db.run("COMMIT")
      committed(performance.now() - began)
      open = null
      const from = head.commits
      head = next
      lives = withLife(lives, life, next.commits)
      tally = add(tally, transaction.tally)
      run?.committed(from, next.commits)
    } catch (cause) {
      failed = decide(cause, next)
    }
    if (failed === null) {
      outcomes.clear()
      refusals.clear()
      done.clear()
      watchers.committed(transaction.records, next.revision)
    }
    return failed
  }

  return {
    lineage,
    run,
    /** The transaction that is open; null while none is. */
    open: () => open,
    ensureOpen,
    begin,
    rollback,
    finish,
    head: () => head,
    /** A new age: never given twice in this process, nor again after a commit that used it. */
    nextSeq: () => nextSeq++,
    /** An age was written: the next ones are above it. */
    usedSeq: (seq: number) => {
      if (seq >= nextSeq) nextSeq = seq + 1
    },
    /** The committed numbers of rows. */
    tally: () => tally,
    settle: (changeId: string, outcome: Outcome) => {
      outcomes.set(changeId, outcome)
      watchers.settled(changeId)
    },
    watch: watchers.watch,
    /** What was settled and is not in the table yet. */
    settled: outcomes as ReadonlyMap<string, Outcome>,
    /** A call was refused, or done without a change. */
    noted: (call: NotedCall): void => (call.code === "OK" ? done : refusals).add(call),
    /** Does something wait for a commit to come along with? */
    isWaiting: () => outcomes.size > 0 || !refusals.isEmpty || !done.isEmpty,
    /** The last committed content and its ancestry. */
    position: (): Position => ({
      lineage,
      life: lifeAt(lives, head.commits) ?? "",
      commits: head.commits,
      revision: head.revision,
      schema: schemaVersion,
      lives,
      chain: head.chain
    }),
    /** The life that the next commit is of. */
    life: () => life
  }
}
