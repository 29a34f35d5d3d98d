/**
 * Is a copy of a database whole? `PRAGMA quick_check` on it in memory, and its SHA-256.
 *
 * Guarantees: what is large is looked at in another thread, so that nobody waits for it ({@link atOnce}). The bytes stay as
 * they are. A thread that dies is a failed check, never a passed one.
 */
import { DatabaseSync } from "node:sqlite"
import { Worker } from "node:worker_threads"
import { digestOf } from "./Snapshot.ts"

/** Bytes whose check takes a few milliseconds at most. */
export const atOnce = 1 << 20

/** What the check says: the hash (hex), or what is wrong. */
export type Checked = { readonly sha256: string } | { readonly damage: string }

const checkHere = (bytes: Uint8Array): Checked => {
  const db = new DatabaseSync(":memory:")
  try {
    db.deserialize(bytes)
    const found = db.prepare("PRAGMA quick_check(1)").all().map((row) => String(row["quick_check"])).join(" ")
    return found === "ok" ? { sha256: digestOf(bytes) } : { damage: found }
  } catch (cause) {
    return { damage: cause instanceof Error ? cause.message : String(cause) }
  } finally {
    db.close()
  }
}

/** The same as {@link checkHere}, as the text of a script: the program is one bundle, which has no second file to start. */
const script = `
const { createHash } = require("node:crypto")
const { DatabaseSync } = require("node:sqlite")
const { parentPort, workerData } = require("node:worker_threads")
const db = new DatabaseSync(":memory:")
let answer
try {
  const bytes = new Uint8Array(workerData)
  db.deserialize(bytes)
  const found = db.prepare("PRAGMA quick_check(1)").all().map((row) => String(row.quick_check)).join(" ")
  answer = found === "ok" ? { sha256: createHash("sha256").update(bytes).digest("hex") } : { damage: found }
} catch (cause) {
  answer = { damage: String(cause?.message ?? cause) }
}
parentPort.postMessage(answer)
`

/** Checks a copy. `bytes` must not be changed meanwhile. */
export const check = (bytes: Uint8Array): Promise<Checked> => {
  if (bytes.byteLength <= atOnce) return Promise.resolve(checkHere(bytes))
  return new Promise((resolve) => {
    const shared = new SharedArrayBuffer(bytes.byteLength)
    new Uint8Array(shared).set(bytes)
    const worker = new Worker(script, { eval: true, workerData: shared })
    worker.once("message", (answer: Checked) => resolve(answer))
    worker.once("error", (cause) => resolve({ damage: `it could not be checked: ${String(cause)}` }))
    worker.once("exit", () => resolve({ damage: "it could not be checked: the thread ended" }))
  })
}
