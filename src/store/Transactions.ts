/**
 * One transaction at a time on one database, and the truth about how it ended.
 *
 * - A commit is `BEGIN IMMEDIATE`, the caller's work, the queued outcomes and refusals, the counters, `COMMIT`; each of
 *   them with its record in the audit chain (Audit.ts). Work that wrote nothing costs no disk flush.
 * - A reader outside the transaction waits while one is open, and so never sees rows that may be taken back.
 * - How it ended is known, or said to be uncertain (Commits.ts).
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Semaphore from "effect/Semaphore"
import type { Outcome } from "../domain/Change.ts"
import { StorageFailed } from "../domain/Errors.ts"
import * as Tracing from "../Tracing.ts"
import * as Commits from "./Commits.ts"
import type { Database } from "./Database.ts"
import { attempt, type CommitUncertain } from "./Failure.ts"
import { CurrentTransaction, takenBack, type Transaction } from "./Transaction.ts"

/** Makes the transactions of an open, migrated database. */
export const make = (db: Database, options: Commits.TransactionOptions) => {
  const permit = Semaphore.makeUnsafe(1)
  const commits = Commits.make(db, options)
  const { begin, ensureOpen, finish, rollback } = commits

  const flushing = (transaction: Transaction) => Tracing.span("COMMIT")(Effect.sync(() => finish(transaction)))

  const inside = (fiber: Fiber.Fiber<unknown, unknown>): Transaction | null => {
    const transaction = fiber.getRef(CurrentTransaction)
    return transaction !== null && transaction === commits.open() ? transaction : null
  }

  const outside = (operation: string) => Effect.die(new Error(`Store.${operation} is for use inside Store.commit`))

  /** Runs a query: at once inside the transaction or when none is open, else after it. */
  const read = <A>(operation: string, query: (db: Database) => A): Effect.Effect<A, StorageFailed> => {
    const run = attempt(operation, () => {
      ensureOpen()
      return query(db)
    })
    return Effect.withFiber((fiber) => commits.open() === null || inside(fiber) !== null ? run : permit.withPermit(run))
  }

  /** Runs statements that write. A failure half-way dooms the savepoint it happens in. */
  const write = (
    name: string,
    operation: string,
    statements: (db: Database, transaction: Transaction) => void
  ): Effect.Effect<void, StorageFailed> =>
    Effect.withFiber((fiber) => {
      const transaction = inside(fiber)
      if (transaction === null) return outside(name)
      return attempt(operation, () => {
        if (transaction.failure !== null) throw transaction.failure
        if (!db.isTransaction) throw takenBack(operation)
        transaction.wrote = true
        statements(db, transaction)
      }).pipe(
        Effect.tapCause((cause) =>
          Effect.sync(() => {
            const failure = Cause.findErrorOption(cause)
            transaction.failure = failure._tag === "Some" ? failure.value : takenBack(operation)
          })
        )
      )
    })

  const commit = <A, E, R>(body: Effect.Effect<A, E, R>): Effect.Effect<A, E | StorageFailed | CommitUncertain, R> =>
    Effect.withFiber((fiber) => {
      if (inside(fiber) !== null) return Effect.die(new Error("Store.commit inside Store.commit: use savepoint"))
      const at = fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
      return permit.withPermit(
        Effect.uninterruptibleMask((restore) =>
          Effect.flatMap(attempt("begin a transaction", () => begin(at)), (transaction) =>
            Effect.flatMap(
              Effect.exit(Effect.provideService(restore(body), CurrentTransaction, transaction)),
              (exit): Effect.Effect<A, E | StorageFailed | CommitUncertain> => {
                if (Exit.isFailure(exit)) {
                  rollback()
                  return exit
                }
                return Effect.flatMap(
                  flushing(transaction),
                  (failure): Effect.Effect<A, E | StorageFailed | CommitUncertain> =>
                    failure === null ? exit : Effect.fail(failure)
                )
              }
            ))
        )
      )
    })

  const savepoint = <A, E, R>(body: Effect.Effect<A, E, R>): Effect.Effect<A, E | StorageFailed, R> =>
    Effect.withFiber((fiber) => {
      const transaction = inside(fiber)
      if (transaction === null) return outside("savepoint")
      const before = { ...transaction }
      const name = `s${before.depth}`
      const end = (keep: boolean) => {
        if (transaction.depth !== before.depth + 1) throw new Error("savepoints must not overlap")
        if (!db.isTransaction) throw takenBack("end the savepoint")
        if (!keep) {
          db.run(`ROLLBACK TO ${name}`)
          Object.assign(transaction, before)
        }
        db.run(`RELEASE ${name}`)
        transaction.depth = before.depth
      }
      return Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(
          attempt("begin a savepoint", () => {
            if (transaction.failure !== null) throw transaction.failure
            if (!db.isTransaction) throw takenBack("begin a savepoint")
            db.run(`SAVEPOINT ${name}`)
            transaction.depth += 1
          }),
          () =>
            Effect.flatMap(Effect.exit(restore(body)), (exit): Effect.Effect<A, E | StorageFailed> => {
              const failure = transaction.failure
              return Effect.flatMap(
                attempt("end a savepoint", () => end(Exit.isSuccess(exit) && failure === null)).pipe(
                  // What cannot be taken back alone is taken back whole.
                  Effect.tapError((doom) => Effect.sync(() => transaction.failure = doom))
                ),
                (): Effect.Effect<A, E | StorageFailed> =>
                  Exit.isSuccess(exit) && failure !== null ? Effect.fail(failure) : exit
              )
            })
        )
      )
    })

  /** An empty commit that counts as a write: it takes the outcomes and the refusals along. */
  const flush = commit(write("flush", "write the outcomes", () => {})).pipe(
    Effect.catchTag(
      "CommitUncertain",
      (error) =>
        Effect.fail(new StorageFailed({ message: error.message, hint: "Check the disk that holds the database." }))
    )
  )

  return {
    lineage: commits.lineage,
    run: commits.run,
    read,
    write,
    commit,
    savepoint,
    revisionNow: () => commits.head().revision,
    revision: Effect.sync(() => commits.head().revision),
    nextRevision: Effect.withFiber((fiber) => {
      const transaction = inside(fiber)
      return transaction === null ? outside("nextRevision") : Effect.succeed(transaction.revision)
    }),
    nextSeq: Effect.sync(commits.nextSeq),
    usedSeq: commits.usedSeq,
    tally: commits.tally,
    settle: (changeId: string, outcome: Outcome) => Effect.sync(() => commits.settle(changeId, outcome)),
    watch: commits.watch,
    settled: commits.settled,
    noted: commits.noted,
    position: commits.position,
    life: commits.life,
    flush: Effect.suspend(() => commits.isWaiting() ? flush : Effect.void)
  }
}
