/**
 * The newest copy of a database on the remote host, read from its generations by their format alone (src/remote/Manifest.ts
 * describes it): every manifest from the last whole copy on must be whole and follow the one before, and every file must be
 * what its manifest says. Nothing is repaired, and nothing older is taken instead.
 */
import { createHash } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { materialise } from "../../src/store/Replica.ts"

interface Manifest {
  readonly gen: number
  readonly kind: "full" | "delta" | "checkpoint" | "claim"
  readonly parent?: number | null
  readonly parentSha?: string | null
  readonly data: string
  readonly size: number
  readonly sha256: string
  readonly lineage: string
  readonly life: string
  readonly commits: number
  readonly revision: number
  readonly schema: number
}

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")

/** Where the generations of a database lie. */
export const generationsFolder = (file: string): string => `${file}.generations`

const numbered = /^(checkpoint-)?(\d{10,})(-[0-9a-f]{8}-\d+)?\.json$/

/** All manifests by file name, as they are; one that is pruned meanwhile is left out. */
export const manifestsIn = (folder: string): ReadonlyMap<string, Buffer> => {
  const found = new Map<string, Buffer>()
  for (const name of readdirSync(folder).filter((each) => numbered.test(each)).sort()) {
    try {
      found.set(name, readFileSync(join(folder, name)))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error
    }
  }
  return found
}

/** Throws unless each generation that is there follows the one before it. */
export const chainIsWhole = (manifests: ReadonlyMap<string, Buffer>): void => {
  let before: { readonly gen: number; readonly sha: string } | null = null
  for (const [name, bytes] of manifests) {
    if (name.startsWith("checkpoint-")) continue
    const manifest = JSON.parse(bytes.toString("utf8")) as Manifest
    // It took its number and holds nothing: what comes after it follows what came before it.
    if (manifest.kind === "claim") continue
    if (before !== null && manifest.parent === before.gen && manifest.parentSha !== before.sha) {
      throw new Error(`generation ${manifest.gen} follows another ${before.gen} than the one that is there`)
    }
    before = { gen: manifest.gen, sha: sha256(bytes) }
  }
}

/** The bytes of the newest content. */
const read = (file: string): Uint8Array => {
  const folder = generationsFolder(file)
  const files = manifestsIn(folder)
  chainIsWhole(files)
  const all = [...files.values()].map((bytes) => JSON.parse(bytes.toString("utf8")) as Manifest)
    .filter(({ kind }) => kind !== "claim")
  const chain = all.filter(({ kind }) => kind !== "checkpoint")
  const newest = chain.at(-1)
  if (newest === undefined) throw new Error("there is no generation")
  // Of equal numbers the whole generation counts.
  const from = all.filter(({ kind }) => kind !== "delta").sort((a, b) => a.gen - b.gen || (a.kind === "full" ? 1 : -1))
    .at(-1)
  if (from === undefined) throw new Error("there is no whole copy")
  const deltas = chain.filter(({ gen, kind }) =>
    kind === "delta" && (from.kind === "full" ? gen > from.gen : gen >= from.gen)
  )
  const dataOf = ({ data, gen, sha256: expected, size }: Manifest) => {
    const bytes = readFileSync(join(folder, data))
    if (bytes.length !== size || sha256(bytes) !== expected) throw new Error(`generation ${gen} is torn: ${data}`)
    return bytes
  }
  const made = materialise({ state: newest, full: dataOf(from), deltas: deltas.map(dataOf) })
  if (made.kind !== "ours") throw new Error(`generation ${newest.gen} cannot be put together: ${JSON.stringify(made)}`)
  return made.bytes
}

/** The same, while somebody may be publishing: a look that was overtaken is repeated. */
export const newestBytes = (file: string): Uint8Array => {
  for (let look = 1;; look++) {
    try {
      return read(file)
    } catch (error) {
      if (look === 5 || (error as NodeJS.ErrnoException).code !== "ENOENT") throw error
    }
  }
}
