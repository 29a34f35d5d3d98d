/**
 * Which certificates there are: in the folder, in HAProxy, in the database; each read by code that shares nothing with
 * src/ but the store. Half a file, a file whose key is another's, an open transaction, an entry that stands twice:
 * each is a broken promise.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createPrivateKey, X509Certificate } from "node:crypto"
import { copyFileSync, existsSync, readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { Store } from "../../../src/store/Store.ts"
import { memoryFolder } from "../../support/MemoryFolder.ts"
import { ask, type Site } from "../../support/RealHaproxy.ts"
import { temporaryFolder } from "../../support/TemporaryFolder.ts"
import { fingerprints } from "./Prober.ts"

/** Name → SHA-1. */
export type Holdings = ReadonlyMap<string, string>

/** One line for each, for a comparison as text. */
export const textOf = (holdings: Holdings): string =>
  [...holdings].map(([name, sha1]) => `${name} ${sha1}`).sort().join("\n")

/** Checks one file to its last byte; answers the SHA-1. */
const fileOf = (path: string, note: string): string => {
  const text = readFileSync(path, "utf8")
  assert.match(
    text,
    /^(?:-----BEGIN CERTIFICATE-----\n(?:[\w+/=]+\n)+-----END CERTIFICATE-----\n)+-----BEGIN (?:EC |RSA )?PRIVATE KEY-----\n(?:[\w+/=]+\n)+-----END (?:EC |RSA )?PRIVATE KEY-----\n$/,
    `${path} is not whole ${note}`
  )
  const certificate = new X509Certificate(text)
  assert.isTrue(certificate.checkPrivateKey(createPrivateKey(text)), `${path} has the key of another ${note}`)
  assert.strictEqual(statSync(path).mode & 0o777, 0o600, `${path} can be read by others ${note}`)
  return fingerprints(certificate).sha1
}

/** The folder: every file that HAProxy would load is whole. `tidy`: nothing else is there either. */
export const inFolder = (folder: string, note: string, tidy: boolean): Holdings => {
  const names = readdirSync(folder)
  const hidden = names.filter((name) => name.startsWith("."))
  if (tidy) assert.deepStrictEqual(hidden, [], `something is left in the folder ${note}`)
  const held = new Map<string, string>()
  for (const name of names.filter((one) => !one.startsWith("."))) {
    assert.match(name, /\.pem$/, `HAProxy would load ${name} ${note}`)
    held.set(name.slice(0, -4), fileOf(join(folder, name), note))
  }
  return held
}

/** HAProxy's memory: what is in the list of our folder, each once and in use; no transaction. */
export const inHaproxy = async ({ certDir, runtimeSocket }: Site, note: string): Promise<Holdings> => {
  const all = await ask(runtimeSocket, "show ssl cert")
  assert.notInclude(all, "# transaction", `a transaction is open ${note}`)
  const known = all.split("\n").filter((line) => line.startsWith(`${certDir}/`))
  const list = await ask(runtimeSocket, `show ssl crt-list ${certDir}`)
  const entries = list.split("\n").filter((line) => line.startsWith(`${certDir}/`)).map((line) =>
    line.split(/[ :]/)[0]!
  )
  assert.deepStrictEqual(entries.toSorted(), known.toSorted(), `HAProxy's list is not what it holds ${note}`)
  const held = new Map<string, string>()
  for (const path of known) {
    const shown = await ask(runtimeSocket, `show ssl cert ${path}`)
    assert.include(shown, "Status: Used", `${path} ${note}`)
    const sha1 = /^SHA1 FingerPrint: (\w+)$/m.exec(shown)?.[1]
    held.set(path.slice(certDir.length + 1, -4), sha1 ?? "empty")
  }
  return held
}

/** The rows of a database, of a copy of it: the file itself belongs to the process that serves. */
export const inDatabase = (file: string, pools: { readonly pools: number; readonly slots: number }) =>
  Effect.scoped(Effect.gen(function*() {
    const folder = yield* temporaryFolder("copy", memoryFolder)
    const copy = join(folder, "copy.db")
    for (const end of ["", "-wal"]) if (existsSync(file + end)) copyFileSync(file + end, copy + end)
    const rows = yield* Effect.flatMap(Store, (store) => store.certificates).pipe(
      Effect.provide(Store.layer({ file: copy, pools })),
      Effect.orDie
    )
    return {
      active: new Map(rows.filter(({ state }) => state === "active").map(({ facts, name }) => [name, facts.sha1])),
      issuing: rows.filter(({ state }) => state === "issuing").map(({ name }) => name)
    }
  }))
