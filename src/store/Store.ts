/**
 * The desired state: the only place that speaks SQL.
 *
 * Guarantees: what `commit` reports as done is durable (WAL, `synchronous=FULL`, read back at start); what it
 * reports as failed is not in the database; when neither can be known it says so ({@link CommitUncertain}) and
 * refuses further writes until the file has been reopened and compared. One process holds the file.
 * Not here: what HAProxy runs, what the map files hold.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { AuditRecord, AuditReport, NotedCall } from "../domain/Audit.ts"
import type { Certificate } from "../domain/Certificate.ts"
import type { Change, Edit, Outcome, Route } from "../domain/Change.ts"
import type { ConfigInvalid, Conflict, StorageFailed } from "../domain/Errors.ts"
import type * as Generation from "../domain/Generation.ts"
import type { Position } from "../domain/Lineage.ts"
import type { PoolLimits, PoolNumber, Server } from "../domain/Pool.ts"
import type { RouteName } from "../domain/RouteName.ts"
import type { Token } from "../domain/Token.ts"
import * as Tracing from "../Tracing.ts"
import * as Audit from "./Audit.ts"
import { AuditCheck } from "./AuditCheck.ts"
import * as Capture from "./Capture.ts"
import * as Certificates from "./Certificates.ts"
import * as Changes from "./Changes.ts"
import * as Tally from "./Counts.ts"
import { Database } from "./Database.ts"
import * as Edits from "./Edits.ts"
import { attempt, CommitUncertain, startFailure } from "./Failure.ts"
import * as Lives from "./Lives.ts"
import * as Metrics from "./Metrics.ts"
import { migrate } from "./Migrate.ts"
import * as Pools from "./Pools.ts"
import * as Routes from "./Routes.ts"
import * as Servers from "./Servers.ts"
import { type Image, imageOf } from "./Snapshot.ts"
import * as Tokens from "./Tokens.ts"
import * as Transactions from "./Transactions.ts"
import type { Touched } from "./Watchers.ts"

export { CommitUncertain }

/** Numbers for health and metrics. */
export interface Counts {
  readonly domains: number
  readonly wildcards: number
  readonly poolsUsed: number
  readonly poolsDeclared: number
  readonly servers: number
}

/** The desired state of one revision. */
export interface Snapshot {
  readonly revision: number
  /** Order unspecified. */
  readonly routes: ReadonlyArray<Route>
  readonly servers: ReadonlyArray<Server>
  readonly owners: ReadonlyMap<PoolNumber, RouteName>
}

/** How the store is opened. */
export interface StoreOptions {
  /** The database file (HAPROXY_DB_FILE); made with its directory when it is not there. */
  readonly file: string
  /** The pools and slots that HAProxy has. Used ones beyond them stay in the database. */
  readonly pools: PoolLimits
  /** How many of the newest changes the log keeps. Default 10,000. */
  readonly keepChanges?: number
  /** How many of the newest records the audit chain keeps. Default 20,000. */
  readonly keepAudit?: number
  /** Remember what each commit changed until it is acknowledged, so that it can be shipped. Default false: no cost. */
  readonly replicate?: boolean
}

export class Store extends Context.Service<Store, {
  /** Path of the database file. */
  readonly path: string
  /** Random identity of this database, made with it. */
  readonly lineage: string
  /** Revision of the last commit; 0 for a new database. */
  readonly revision: Effect.Effect<number>

  readonly route: (name: RouteName) => Effect.Effect<Route | null, StorageFailed>
  readonly routes: (query: Routes.RouteQuery) => Effect.Effect<ReadonlyArray<Route>, StorageFailed>
  /** The same with the owner of each pool, and the servers of all of them by pool and slot: one page, of one moment. */
  readonly page: (query: Routes.RouteQuery) => Effect.Effect<Routes.RoutePage, StorageFailed>
  /** Names nearest to one that does not exist (same prefix or suffix), at most `limit`, for error hints. */
  readonly nearestRoutes: (name: string, limit: number) => Effect.Effect<ReadonlyArray<RouteName>, StorageFailed>
  /** The routes of a pool, oldest first. */
  readonly routesOf: (pool: PoolNumber, limit: number) => Effect.Effect<ReadonlyArray<Route>, StorageFailed>
  readonly countRoutesOf: (pool: PoolNumber) => Effect.Effect<number, StorageFailed>
  /** All routes; order unspecified. For the reconciler and the files: 100,000 rows in well under a second. */
  readonly allRoutes: Effect.Effect<ReadonlyArray<Route>, StorageFailed>
  /** The age that the next new route gets; unique within the database. */
  readonly nextSeq: Effect.Effect<number, StorageFailed>

  /** Owner of a pool, null when it is free. */
  readonly owner: (pool: PoolNumber) => Effect.Effect<RouteName | null, StorageFailed>
  readonly owners: (
    pools: ReadonlyArray<PoolNumber>
  ) => Effect.Effect<ReadonlyMap<PoolNumber, RouteName>, StorageFailed>
  /** Free declared pools with a number above `after`, lowest first. O(log n). */
  readonly freePools: (after: number, limit: number) => Effect.Effect<ReadonlyArray<PoolNumber>, StorageFailed>
  /** The servers of a pool by slot. */
  readonly servers: (pool: PoolNumber) => Effect.Effect<ReadonlyArray<Server>, StorageFailed>
  readonly serversOf: (pools: ReadonlyArray<PoolNumber>) => Effect.Effect<ReadonlyArray<Server>, StorageFailed>
  readonly allServers: Effect.Effect<ReadonlyArray<Server>, StorageFailed>
  /** How many names are among these (`*.example.com`: all below). Looks at every name. */
  readonly countsWithin: (
    names: ReadonlyArray<string>
  ) => Effect.Effect<Pick<Counts, "domains" | "wildcards">, StorageFailed>
  readonly counts: Effect.Effect<Counts, StorageFailed>
  /** Everything at one moment. */
  readonly snapshot: Effect.Effect<Snapshot, StorageFailed>
  /** The database as one file, with all that is committed and settled (Snapshot.ts says what it costs). */
  readonly image: Effect.Effect<Image, StorageFailed>

  /** All certificates, by name. */
  readonly certificates: Effect.Effect<ReadonlyArray<Certificate>, StorageFailed>
  readonly certificate: (name: string) => Effect.Effect<Certificate | null, StorageFailed>
  /** Routes that names of a certificate stand for (an exact name, one label below a wildcard), at most `limit`. */
  readonly routesUnder: (
    names: ReadonlyArray<string>,
    limit: number
  ) => Effect.Effect<ReadonlyArray<string>, StorageFailed>

  readonly change: (changeId: string) => Effect.Effect<Change | null, StorageFailed>
  readonly changes: (query: Changes.ChangeQuery) => Effect.Effect<Changes.ChangePage, StorageFailed>
  /** Revisions that the log has changes of and whose number begins so, newest first. */
  readonly revisions: (prefix: string, limit: number) => Effect.Effect<ReadonlyArray<number>, StorageFailed>
  /** Changes whose fate was not recorded before the last stop. */
  readonly pendingChanges: Effect.Effect<ReadonlyArray<Change>, StorageFailed>

  /**
   * Runs `body` in one transaction (`BEGIN IMMEDIATE`) and commits it durably, with the outcomes queued by
   * `settle`. Bumps the revision by one if `body` recorded a change. A failure of `body` rolls all back.
   * One caller at a time: others wait.
   */
  readonly commit: <A, E, R>(body: Effect.Effect<A, E, R>) => Effect.Effect<A, E | StorageFailed | CommitUncertain, R>
  /** Inside `commit`: runs `body` in a savepoint; its failure undoes only what it wrote. */
  readonly savepoint: <A, E, R>(body: Effect.Effect<A, E, R>) => Effect.Effect<A, E | StorageFailed, R>
  /** Inside `commit`: the revision that this commit will have. */
  readonly nextRevision: Effect.Effect<number>
  /** Inside `commit`: writes rows. Each edit's `before` must be what is there, else it is a defect. */
  readonly apply: (edits: ReadonlyArray<Edit>) => Effect.Effect<void, StorageFailed>
  /** Inside `commit`: adds a certificate's row, or replaces the one of its name. */
  readonly putCertificate: (certificate: Certificate) => Effect.Effect<void, StorageFailed>
  /** Inside `commit`: removes a certificate's row, if there is one. */
  readonly removeCertificate: (name: string) => Effect.Effect<void, StorageFailed>
  /** All bearer tokens, oldest first. */
  readonly tokens: Effect.Effect<ReadonlyArray<Token>, StorageFailed>
  /** Inside `commit`: adds a token. */
  readonly putToken: (token: Token) => Effect.Effect<void, StorageFailed>
  /** Inside `commit`: revokes a token for good. */
  readonly revokeToken: (id: string, at: number) => Effect.Effect<void, StorageFailed>
  /** Inside `commit`: notes when tokens were used last. */
  readonly touchTokens: (used: ReadonlyMap<string, number>) => Effect.Effect<void, StorageFailed>
  /** Inside `commit`: adds a row to the change log under the commit's revision. */
  readonly record: (change: Changes.ChangeDraft) => Effect.Effect<void, StorageFailed>
  /** Notes what became of a change; written with the next commit, or by `flush`. Costs no commit of its own. */
  readonly settle: (changeId: string, outcome: Outcome) => Effect.Effect<void>
  /** Tells what settled changes are about (Watchers.ts), until the function that it answers is called. */
  readonly watch: (listener: (touched: Touched) => void) => () => void
  /**
   * Notes a call that was refused, or that was done and is no change; it is in the audit chain with the next commit, after
   * half a minute (one that was done: a second), or when the layer closes. Only so many a minute.
   */
  readonly noted: (call: NotedCall) => Effect.Effect<void>
  readonly auditRecords: (query: Audit.AuditQuery) => Effect.Effect<ReadonlyArray<AuditRecord>, StorageFailed>
  /** Recomputes the audit chain and compares the change log with it, with turns for others in between. */
  readonly verifyAudit: Effect.Effect<AuditReport, StorageFailed>
  /** The last committed content and its ancestry. */
  readonly position: Effect.Effect<Position>
  /** The life that this process's next commit is of. */
  readonly life: () => string
  /**
   * What leads from content `after` to the last one (null: from nothing): the commits between, or a whole copy where that is
   * better or nothing else does (Capture.ts); null when there is nothing after. Not inside `commit`; waits for an open one.
   */
  readonly capture: (after: Generation.Snapshot | null) => Effect.Effect<Generation.Capture | null, StorageFailed>
  /** A whole copy of the last committed content, checked. Large ones are checked in another thread. Not inside `commit`. */
  readonly fullCopy: Effect.Effect<Generation.FullCopy, StorageFailed>
  /** Everything up to this commit is durable elsewhere: it need not be remembered any more. */
  readonly acknowledge: (commits: number) => Effect.Effect<void>

  /** Writes queued outcomes now. Also runs when the layer closes. */
  readonly flush: Effect.Effect<void, StorageFailed>
}>()("haproxy-mcp/store/Store") {
  /**
   * The store in a file, for as long as the layer lives. Fails with {@link Conflict} when another process holds the
   * file (the message names it), with {@link ConfigInvalid} when the file is not ours or cannot be used, with
   * {@link StorageFailed} when the disk does not do its part.
   */
  static readonly layer = (options: StoreOptions): Layer.Layer<Store, ConfigInvalid | Conflict | StorageFailed> =>
    Layer.effect(Store, open(options))
}

/** Milliseconds that refused calls wait for a commit that takes them along. */
const refusalsAfter = 30_000
/** The same for calls that were done: they are to be seen soon. */
const doneAfter = 1_000

const open = Effect.fnUntraced(function*(options: StoreOptions) {
  const db = yield* Effect.acquireRelease(
    Effect.suspend(() => {
      try {
        return Effect.succeed(Database.open(options.file))
      } catch (cause) {
        return startFailure(cause)
      }
    }),
    (opened) => Effect.sync(() => opened.close())
  )
  yield* migrate(db)
  const life = Lives.newLife()
  const overhang = yield* attempt("declare the pools", () => Pools.declare(db, options.pools, life))
  if (overhang.pools + overhang.servers > 0) {
    yield* Effect.logWarning(
      `The settings declare ${options.pools.pools} pools of ${options.pools.slots} slots; in use beyond them: `
        + `${overhang.pools} pools, ${overhang.servers} servers. They are kept.`
    )
  }
  const committed = yield* Metrics.commits
  const keepAudit = options.keepAudit ?? 20_000
  const transactions = yield* attempt(
    "read the database",
    () => Transactions.make(db, { committed, keepAudit, life, replicate: options.replicate === true })
  )
  const { read, settled, write } = transactions
  yield* Effect.addFinalizer(() =>
    Effect.catchCause(
      transactions.flush,
      (cause) => Effect.logWarning("The outcomes of the last changes could not be written", cause)
    )
  )
  const scope = yield* Effect.scope
  /** One clock for each kind of calls that wait, however many commits take some of them along meanwhile. */
  const timed = new Set<number>()
  const flushAfter = (ms: number) =>
    Effect.suspend(() => {
      if (timed.has(ms)) return Effect.void
      timed.add(ms)
      return Effect.asVoid(Effect.forkIn(
        Effect.gen(function*() {
          yield* Effect.sleep(ms)
          timed.delete(ms)
          yield* Effect.ignore(transactions.flush)
        }),
        scope
      ))
    })
  const around = { declared: options.pools.pools, usedSeq: transactions.usedSeq }
  const keep = options.keepChanges ?? 10_000
  const counts = (): Counts => ({ ...transactions.tally(), poolsDeclared: options.pools.pools })
  yield* Metrics.sizes(transactions.revisionNow, counts)

  return Store.of({
    path: options.file,
    lineage: transactions.lineage,
    revision: transactions.revision,
    route: (name) => read("read a route", (db) => Routes.find(db, name)),
    routes: (query) => read("list routes", (db) => Routes.list(db, query)),
    page: (query) =>
      read("list routes", (db) => {
        const routes = Routes.listOwned(db, query)
        return { routes, servers: Servers.ofPools(db, [...new Set(routes.map(({ route }) => route.pool))]) }
      }),
    nearestRoutes: (name, limit) => read("look for like names", (db) => Routes.nearest(db, name, limit)),
    routesOf: (pool, limit) => read("read the routes of a pool", (db) => Routes.ofPool(db, pool, limit)),
    countRoutesOf: (pool) => read("count the routes of a pool", (db) => Routes.countOfPool(db, pool)),
    allRoutes: read("read all routes", Routes.all),
    nextSeq: transactions.nextSeq,
    owner: (pool) => read("read the owner of a pool", (db) => Pools.owner(db, pool)),
    owners: (pools) => read("read the owners of pools", (db) => Pools.owners(db, pools)),
    freePools: (after, limit) => read("look for free pools", (db) => Pools.free(db, after, limit)),
    servers: (pool) => read("read the servers of a pool", (db) => Servers.ofPool(db, pool)),
    serversOf: (pools) => read("read the servers of pools", (db) => Servers.ofPools(db, pools)),
    allServers: read("read all servers", Servers.all),
    countsWithin: (names) => read("count names", (db) => Routes.countWithin(db, names)),
    counts: Effect.sync(counts),
    // One piece of work without a pause: no commit comes between.
    snapshot: read("read everything", (db) => ({
      revision: transactions.revisionNow(),
      routes: Routes.all(db),
      servers: Servers.all(db),
      owners: Pools.allOwners(db)
    })),
    image: Effect.andThen(
      // Where they cannot be written a start finds them out again, and a full disk is no reason to have no copy.
      Effect.ignore(transactions.flush),
      read("copy the database", (db) => ({ revision: transactions.revisionNow(), bytes: imageOf(db) }))
    ),
    certificates: read("list certificates", Certificates.all),
    certificate: (name) => read("read a certificate", (db) => Certificates.find(db, name)),
    routesUnder: (names, limit) =>
      read("look for routes of a certificate", (db) => Certificates.routesUnder(db, names, limit)),
    change: (changeId) => read("read a change", (db) => Changes.find(db, changeId, settled)),
    changes: (query) => read("list changes", (db) => Changes.list(db, query, settled)),
    revisions: (prefix, limit) => read("list revisions", (db) => Changes.revisions(db, prefix, limit)),
    pendingChanges: read("read the pending changes", (db) => Changes.pending(db, settled)),
    commit: (body) => Tracing.span("Store.commit")(transactions.commit(body)),
    savepoint: transactions.savepoint,
    nextRevision: transactions.nextRevision,
    apply: (edits) =>
      write("apply", "write the rows", (db, transaction) => {
        Edits.write(db, edits, around)
        if (edits.length > 0) transaction.applied = true
        transaction.tally = Tally.add(transaction.tally, Tally.ofEdits(edits))
      }),
    putCertificate: (certificate) =>
      write("putCertificate", "write a certificate's row", (db) => Certificates.put(db, certificate)),
    removeCertificate: (name) =>
      write("removeCertificate", "remove a certificate's row", (db) => Certificates.remove(db, name)),
    tokens: read("list tokens", Tokens.all),
    putToken: (token) => write("putToken", "write a token's row", (db) => Tokens.insert(db, token)),
    revokeToken: (id, at) => write("revokeToken", "revoke a token", (db) => Tokens.revoke(db, id, at)),
    touchTokens: (used) => write("touchTokens", "note the use of tokens", (db) => Tokens.touch(db, used)),
    record: (draft) =>
      write("record", "write the change log", (db, transaction) => {
        const { at, revision } = transaction
        const { edits, id, through } = Changes.insert(db, draft, revision, at, keep)
        const content = Audit.ofChange(draft, id, revision, edits)
        transaction.chain = Audit.append(db, transaction.chain, at, "change", content, keepAudit)
        if (through !== null) {
          transaction.chain = Audit.append(db, transaction.chain, at, "pruned", { through }, keepAudit)
        }
        transaction.recorded = true
        transaction.records = { draft, earlier: transaction.records }
      }),
    settle: transactions.settle,
    watch: transactions.watch,
    noted: (call) =>
      Effect.suspend(() => {
        transactions.noted(call)
        return flushAfter(call.code === "OK" ? doneAfter : refusalsAfter)
      }),
    auditRecords: ({ after, from, limit }) => read("read the audit chain", (db) => Audit.list(db, after, from, limit)),
    verifyAudit: Effect.gen(function*() {
      const check = new AuditCheck()
      while (!(yield* read("read the audit chain", (db) => check.step(db, settled)))) yield* Effect.yieldNow
      return check.report()
    }),
    position: Effect.sync(transactions.position),
    life: transactions.life,
    capture: (after) =>
      Effect.flatMap(
        read("copy the database", (db) => Capture.since(db, transactions.run, transactions.position(), after)),
        Capture.ready
      ),
    fullCopy: Effect.flatMap(
      read("copy the database", (db) => Capture.copy(db, transactions.position())),
      Capture.checked
    ),
    acknowledge: (commits) => Effect.sync(() => transactions.run?.forget(commits)),
    flush: transactions.flush
  })
})
