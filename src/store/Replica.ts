/**
 * Copies of the database that came from elsewhere: looked at, put together, and put in place.
 *
 * Guarantees: a copy is accepted only whole (quick_check), ours (application id) and of a schema that this program knows; a
 * delta only where it begins at the commit that is there and ends at the one that it names. Everything is done in memory; a
 * file is touched by {@link install} alone, and the one that was there before stays under another name.
 */
import { DatabaseSync } from "node:sqlite"
import { chained, type ChainHead } from "../domain/Audit.ts"
import type { Fetched, Snapshot } from "../domain/Generation.ts"
import { lifeAt, maxLives, type Position } from "../domain/Lineage.ts"
import { applicationId } from "./Database.ts"
import * as DeltaFrame from "./DeltaFrame.ts"
import * as Lives from "./Lives.ts"
import { schemaVersion } from "./Migrate.ts"
import { digestOf } from "./Snapshot.ts"
import * as Tokens from "./Tokens.ts"

/** What a copy is. "newer": of a program that came after this one, whole or not. */
export type Examined =
  | { readonly kind: "ours"; readonly position: Position }
  | { readonly kind: "newer"; readonly schema: number }
  | { readonly kind: "foreign"; readonly why: string }
  | { readonly kind: "damaged"; readonly why: string }

/** Does a byte string begin as a database of ours does (sqlite.org/fileformat.html)? */
const isOurs = (bytes: Uint8Array): string | null => {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, 100))
  if (head.length < 100 || head.toString("latin1", 0, 16) !== "SQLite format 3\0") return "it is not an SQLite database"
  return head.readInt32BE(68) === applicationId ? null : "it was made by another program"
}

/** A database in memory; the bytes stay as they are. */
const load = (bytes: Uint8Array): DatabaseSync => {
  const single = Uint8Array.from(bytes)
  single[18] = 1
  single[19] = 1
  // Foreign keys are checked when a delta is made; its rows come in the order of their tables.
  const db = new DatabaseSync(":memory:", { enableForeignKeyConstraints: false })
  db.deserialize(single)
  return db
}

const messageOf = (cause: unknown): string => cause instanceof Error ? cause.message : String(cause)

const one = (db: DatabaseSync, sql: string): unknown => Object.values(db.prepare(sql).get() ?? {})[0]

/** The first schema with an audit chain. */
const auditSchema = 5

/** The position of an open database. */
const positionOf = (db: DatabaseSync, schema: number): Position => {
  const meta = db.prepare("SELECT * FROM meta WHERE id = 1").get()
  if (meta === undefined) throw new Error("it has no counters")
  const commits = Number(meta["commits"])
  // Before there was a table of lives: one nameless life.
  const lives = schema < 3
    ? [{ life: "", first: 0 }]
    : db.prepare("SELECT life, first_commit AS first FROM lives ORDER BY id").all().map((row) => ({
      life: String(row["life"]),
      first: Number(row["first"])
    }))
  return {
    lineage: String(meta["lineage"]),
    commits,
    revision: Number(meta["revision"]),
    life: lifeAt(lives, commits) ?? "",
    schema,
    lives,
    chain: schema < auditSchema ? null : { seq: Number(meta["audit_seq"]), hash: String(meta["audit_hash"]) }
  }
}

/** Looks at an open database. Throws what SQLite throws for one that it cannot read. */
export const examineOpen = (db: DatabaseSync): Examined => {
  const schema = Number(one(db, "PRAGMA user_version"))
  if (schema > schemaVersion) return { kind: "newer", schema }
  const damage = String(one(db, "PRAGMA quick_check(1)"))
  if (damage !== "ok") return { kind: "damaged", why: damage }
  return { kind: "ours", position: positionOf(db, schema) }
}

/** Looks at the bytes of a database file that has no log beside it. */
export const examine = (bytes: Uint8Array): Examined => {
  const foreign = isOurs(bytes)
  if (foreign !== null) return { kind: "foreign", why: foreign }
  let db: DatabaseSync | undefined
  try {
    db = load(bytes)
    return examineOpen(db)
  } catch (cause) {
    return { kind: "damaged", why: messageOf(cause) }
  } finally {
    db?.close()
  }
}

/** The tokens of a content, and which of them are revoked. */
export const revocationsIn = (bytes: Uint8Array): Tokens.Revocations => {
  const db = load(bytes)
  try {
    return Tokens.revocations(db)
  } finally {
    db.close()
  }
}

/** Bytes that can be put in place, or why there are none. */
export type Materialised =
  | { readonly kind: "ours"; readonly bytes: Uint8Array; readonly sha256: string; readonly position: Position }
  | Exclude<Examined, { readonly kind: "ours" }>

const damaged = (why: string): Materialised => ({ kind: "damaged", why })

/** Applies what the database does not hold yet; the reason when it does not fit. */
const apply = (db: DatabaseSync, delta: Uint8Array): string | null => {
  const steps = DeltaFrame.decode(delta)
  if (steps === null) return "a delta is not one"
  for (const step of steps) {
    const commits = Number(one(db, "SELECT commits FROM meta"))
    if (step.to <= commits) continue
    if (step.from !== commits) return `a delta begins at commit ${step.from}, and the copy is at ${commits}`
    // Any conflict (a row that is not as the delta expects it) ends it: the default is to abort.
    if (!db.applyChangeset(step.changeset)) return `the delta from commit ${step.from} does not fit the copy`
    const reached = Number(one(db, "SELECT commits FROM meta"))
    if (reached !== step.to) return `the delta to commit ${step.to} led to ${reached}`
  }
  return null
}

/** The content of a generation: the copy with its deltas, examined again as a whole. It must be what the log says it is. */
export const materialise = ({ deltas, full, state }: Fetched): Materialised => {
  const foreign = isOurs(full)
  if (foreign !== null) return { kind: "foreign", why: foreign }
  if (state.schema > schemaVersion) return { kind: "newer", schema: state.schema }
  let db: DatabaseSync | undefined
  try {
    db = load(full)
    for (const delta of deltas) {
      const why = apply(db, delta)
      if (why !== null) return damaged(why)
    }
    const found = examineOpen(db)
    if (found.kind !== "ours") return found
    const { position } = found
    const differs = (["lineage", "life", "commits", "revision"] as const).find((key) => position[key] !== state[key])
    if (differs !== undefined) {
      return damaged(`its ${differs} is ${position[differs]}, and its manifest says ${state[differs]}`)
    }
    const bytes = db.serialize()
    return { kind: "ours", bytes, sha256: digestOf(bytes), position }
  } catch (cause) {
    return damaged(messageOf(cause))
  } finally {
    db?.close()
  }
}

/** The record of a {@link supersede} or a {@link noteRestored}, and the counters of the chain. */
const noteReplaced = (db: DatabaseSync, content: Position, end: ChainHead, onto: Position | null): void => {
  const place = (position: Position) => ({
    commits: position.commits,
    revision: position.revision,
    chain: position.chain ?? null
  })
  const at = Date.now()
  const seq = end.seq + 1
  const payload = JSON.stringify({ replaced: onto === null ? null : place(onto), by: place(content) })
  const hash = chained(end.hash, { seq, at, kind: "replaced", payload })
  db.prepare("INSERT INTO audit (seq, at, kind, payload, hash) VALUES (?, ?, 'replaced', ?, ?)").run(
    seq,
    at,
    payload,
    hash
  )
  db.prepare("UPDATE meta SET audit_seq = ?, audit_hash = ? WHERE id = 1").run(seq, hash)
}

/** The position of a file whose pages were looked at before: they are not read once more. */
const knownPosition = (db: DatabaseSync): Position => positionOf(db, Number(one(db, "PRAGMA user_version")))

/** The same of a file that nobody has open; null where it cannot be told. */
const positionIn = (file: string): Position | null => {
  const db = new DatabaseSync(file, { readOnly: true })
  try {
    return knownPosition(db)
  } catch {
    return null
  } finally {
    db.close()
  }
}

/**
 * Notes in the chain of a database file that it is put in the place of another one: where that one's chain ended, null
 * where it is lost or cannot be read. Both were examined, and nobody has them open. A file from before there was a chain
 * gets no record.
 */
export const noteRestored = (restored: string, gone: string | null): void => {
  const onto = gone === null ? null : positionIn(gone)
  const db = new DatabaseSync(restored)
  try {
    const content = knownPosition(db)
    const end = content.chain ?? null
    if (end === null) return
    db.exec("BEGIN IMMEDIATE")
    noteReplaced(db, content, end, onto)
    db.exec("COMMIT")
  } finally {
    db.close()
  }
}

/**
 * An operator's choice as a commit of its own: the content of one copy, put on top of another one (of `onto`'s lineage, with
 * its ancestry and one new life). Whoever holds `onto` or an ancestor of it then sees a copy that is ahead, not one that
 * contradicts; the contents between are in the log, and their commits are not counted again. `onto` null: there is nothing to
 * stand on, and the content only gets a new life. `ended`: tokens of the content that goes, which may not come back.
 *
 * The content keeps its own audit chain, which goes on with a record of this: it names the end of the chain that was replaced.
 */
export const supersede = (
  content: Uint8Array,
  onto: Position | null,
  ended: Tokens.Revocations | null = null
): Materialised => {
  const foreign = isOurs(content)
  if (foreign !== null) return { kind: "foreign", why: foreign }
  let db: DatabaseSync | undefined
  try {
    db = load(content)
    const found = examineOpen(db)
    if (found.kind !== "ours") return found
    if (found.position.schema < 3) return damaged("it is older than the table of lives: open it once")
    const base = onto ?? found.position
    const commits = Math.max(base.commits, found.position.commits) + 1
    const revision = Math.max(base.revision, found.position.revision) + 1
    db.exec("BEGIN; DELETE FROM lives")
    const insert = db.prepare("INSERT INTO lives (life, first_commit) VALUES (?, ?)")
    for (const { first, life } of base.lives.slice(1 - maxLives)) insert.run(life, first)
    // Between the base's last commit and this one there is none of anybody's.
    insert.run(Lives.newLife(), base.commits + 1)
    const end = found.position.chain ?? null
    if (end !== null) noteReplaced(db, found.position, end, onto)
    db.prepare("UPDATE meta SET lineage = ?, commits = ?, revision = ? WHERE id = 1").run(
      base.lineage,
      commits,
      revision
    )
    if (ended !== null) Tokens.keepRevocations(ended, db, Date.now())
    db.exec("COMMIT")
    const bytes = db.serialize()
    return { kind: "ours", bytes, sha256: digestOf(bytes), position: positionOf(db, found.position.schema) }
  } catch (cause) {
    return damaged(messageOf(cause))
  } finally {
    db?.close()
  }
}

/** The name of a content without its ancestry. */
export const snapshotOf = ({ commits, life, lineage, revision, schema }: Position): Snapshot => ({
  lineage,
  life,
  commits,
  revision,
  schema
})
