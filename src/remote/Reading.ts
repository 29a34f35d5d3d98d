/**
 * Reads the log: the newest generation whose every byte is what its manifest says.
 *
 * Guarantees: nothing is accepted that was not named by a hash: a delta's manifest names its parent's by hash, down to a whole
 * copy, and each manifest names its data by size and hash. What does not verify is told and left where it is: its number stays
 * taken, so that nobody can win it again. Reads from the newest down, never all of the folder. A file that cannot be read at
 * all (EIO, EACCES) is an error and not a bad generation: the next look may find it good. A claim (Claim.ts) is no content: the
 * generation below it is the newest.
 */
import { DiskError } from "../domain/Disk.ts"
import type { Fetched } from "../domain/Generation.ts"
import type { State } from "../domain/Lineage.ts"
import { inParallel, type Listing, type Place } from "./Folder.ts"
import {
  type Checkpoint,
  type Claim,
  decode,
  decodeCheckpoint,
  decodeClaim,
  keptName,
  largestManifest,
  type Manifest,
  manifestName,
  sha256
} from "./Manifest.ts"

/** Files that are asked for at the same time. */
const atOnce = 16

/** Bytes of a data file at most. */
const largestData = 2 ** 30

/** Generations that are tried before all count as bad. */
const mostTries = 64

/** A manifest with the hash of its bytes, by which the next one names it. */
export interface Head {
  readonly gen: number
  readonly sha: string
  readonly manifest: Manifest
}

/** A generation that does not verify. `state`: where at least its manifest can be read. */
export interface Bad {
  readonly gen: number
  readonly why: string
  readonly state: State | null
}

/** A verified generation and its content. */
export interface Found {
  readonly head: Head
  readonly fetched: Fetched
}

/** Why something does not verify, and which generation that is. `claim`: it is not damaged, and holds no content. */
type Failure = { readonly bad: number; readonly why: string; readonly claim?: Claim }

/** What a look found to be what it should be. Names are never given twice, so it stays so: the next look need not read it again. */
export interface Known {
  readonly manifests: ReadonlyMap<number, Head>
  /** By name; the hash is compared again. */
  readonly data: ReadonlyMap<string, Uint8Array>
}

const isFailure = <A extends object>(result: A | Failure): result is Failure => "bad" in result

export class Reader {
  readonly #place: Place
  readonly #listing: Listing
  readonly #manifests = new Map<number, Promise<Head | Failure>>()
  readonly #data = new Map<string, Promise<Uint8Array | string>>()
  /** Read by the look before. */
  readonly #before: Known["data"]

  constructor(place: Place, listing: Listing, known: Known | null = null) {
    this.#place = place
    this.#listing = listing
    for (const [gen, head] of known?.manifests ?? []) this.#manifests.set(gen, Promise.resolve(head))
    this.#before = known?.data ?? new Map()
  }

  /** For the next look. */
  async known(): Promise<Known> {
    const manifests = new Map<number, Head>()
    for (const [gen, head] of this.#manifests) {
      const found = await head
      if (!isFailure(found)) manifests.set(gen, found)
    }
    const data = new Map<string, Uint8Array>()
    for (const [name, bytes] of this.#data) {
      const found = await bytes
      if (typeof found !== "string") data.set(name, found)
    }
    return { manifests, data }
  }

  /** A file of at most so many bytes; the reason when it is not one. */
  async #read(name: string, largest: number): Promise<Uint8Array | string> {
    try {
      return await this.#place.disk.readFile(this.#place.at(name), largest) ?? `${name} is not there`
    } catch (cause) {
      if (cause instanceof DiskError && ["EFBIG", "EISDIR", "EINVAL"].includes(cause.code)) {
        return `${name} is no file of the log (${cause.code})`
      }
      throw cause
    }
  }

  /** The manifest of a generation, under its own name or under the one of those that are kept. */
  manifest(gen: number, name: string = manifestName(gen)): Promise<Head | Failure> {
    const load = async (): Promise<Head | Failure> => {
      const bytes = await this.#read(name, largestManifest)
      if (typeof bytes === "string") return { bad: gen, why: bytes }
      const manifest = decode(bytes, gen)
      if (manifest !== null) return { gen, sha: sha256(bytes), manifest }
      const claim = decodeClaim(bytes)
      return claim === null
        ? { bad: gen, why: `${name} is not a manifest` }
        : { bad: gen, why: `${name} is a claim`, claim }
    }
    const known = this.#manifests.get(gen) ?? load()
    this.#manifests.set(gen, known)
    return known
  }

  /** The bytes that a manifest names; the reason when they are others. */
  #bytes({ data, sha256: hash, size }: Manifest | Checkpoint): Promise<Uint8Array | string> {
    const load = async () => {
      if (size > largestData) return `${data} would have ${size} bytes`
      const bytes = this.#before.get(data) ?? await this.#read(data, size)
      if (typeof bytes === "string") return bytes
      if (bytes.byteLength !== size) return `${data} has ${bytes.byteLength} of ${size} bytes`
      return sha256(bytes) === hash ? bytes : `${data} holds other bytes`
    }
    const known = this.#data.get(data) ?? load()
    this.#data.set(data, known)
    return known
  }

  /** A whole copy of a content within a generation, with its bytes; null without one that verifies. */
  async #checkpoint(gen: number, of: Manifest | null): Promise<{ checkpoint: Checkpoint; bytes: Uint8Array } | null> {
    for (const { name } of this.#listing.checkpoints.filter((each) => each.gen === gen)) {
      const text = await this.#read(name, largestManifest)
      const checkpoint = typeof text === "string" ? null : decodeCheckpoint(text, gen)
      if (checkpoint === null) continue
      const fits = of === null || (of.lineage === checkpoint.lineage && of.schema === checkpoint.schema
        && checkpoint.commits <= of.commits && checkpoint.commits > (of.fromCommits ?? -1))
      const bytes = fits ? await this.#bytes(checkpoint) : ""
      if (typeof bytes !== "string") return { checkpoint, bytes }
    }
    return null
  }

  /** Asks for the manifests down to the next whole copy at once, as each names the one before it by hash only. */
  async #prefetch(gen: number): Promise<void> {
    const { checkpoints, data, manifests } = this.#listing
    const isBase = (each: number) =>
      data.get(each)?.some((name) => name.endsWith(".db")) === true || checkpoints.some((found) => found.gen === each)
    const above = manifests.filter((each) => each <= gen)
    const base = above.findIndex(isBase)
    await inParallel(above.slice(0, base < 0 ? atOnce : base + 1), atOnce, (each) => this.manifest(each))
  }

  /** The content of a generation. */
  async content(gen: number): Promise<Found | Failure> {
    await this.#prefetch(gen)
    const head = await this.manifest(gen)
    if (isFailure(head)) return head
    const chain: Array<Head> = []
    let full: Uint8Array | null = null
    for (let at = head; full === null;) {
      const { manifest } = at
      if (manifest.kind === "full") {
        const bytes = await this.#bytes(manifest)
        if (typeof bytes === "string") return { bad: at.gen, why: bytes }
        full = bytes
        break
      }
      const found = await this.#checkpoint(at.gen, manifest)
      if (found === null || found.checkpoint.commits < manifest.commits) chain.unshift(at)
      if (found !== null) {
        full = found.bytes
        break
      }
      const parent: Head | Failure = await this.manifest(manifest.parent!)
      if (isFailure(parent)) return { bad: at.gen, why: `what it builds on cannot be read: ${parent.why}` }
      if (parent.sha !== manifest.parentSha) {
        return { bad: at.gen, why: `it builds on another generation ${parent.gen}` }
      }
      if (parent.manifest.commits !== manifest.fromCommits || parent.manifest.lineage !== manifest.lineage) {
        return { bad: at.gen, why: `it does not begin where generation ${parent.gen} ends` }
      }
      at = parent
    }
    const deltas: Array<Uint8Array> = []
    const read = await inParallel(chain, atOnce, ({ manifest }) => this.#bytes(manifest))
    for (const [index, bytes] of read.entries()) {
      if (typeof bytes === "string") return { bad: chain[index]!.gen, why: bytes }
      deltas.push(bytes)
    }
    return { head, fetched: { state: snapshotOf(head.manifest), full, deltas } }
  }

  /** One generation's content, also when only its whole copy is still kept; null when nothing of it verifies. */
  async one(gen: number): Promise<Fetched | null> {
    if (this.#listing.manifests.includes(gen)) {
      const found = await this.content(gen)
      if (!isFailure(found)) return found.fetched
    }
    if (this.#listing.kept.includes(gen)) {
      this.#manifests.delete(gen)
      const kept = await this.manifest(gen, keptName(gen))
      const bytes = isFailure(kept) ? "" : await this.#bytes(kept.manifest)
      if (!isFailure(kept) && typeof bytes !== "string") {
        return { state: snapshotOf(kept.manifest), full: bytes, deltas: [] }
      }
    }
    const found = await this.#checkpoint(gen, null)
    return found === null ? null : { state: snapshotOf(found.checkpoint), full: found.bytes, deltas: [] }
  }

  /** A manifest for a list; null when it cannot be read, or there is none: {@link Reader.claim}. */
  async shown(gen: number): Promise<Manifest | null> {
    const head = await this.manifest(gen, this.#listing.manifests.includes(gen) ? manifestName(gen) : keptName(gen))
    return isFailure(head) ? null : head.manifest
  }

  /** What took the number; null where it is no claim. */
  async claim(gen: number): Promise<Claim | null> {
    const head = await this.manifest(gen)
    return isFailure(head) ? head.claim ?? null : null
  }

  /** The newest generation that verifies, and the newer ones that do not, newest first. */
  async newest(): Promise<{ readonly found: Found | null; readonly bad: ReadonlyArray<Bad> }> {
    const bad: Array<Bad> = []
    let below = Infinity
    for (const gen of this.#listing.manifests) {
      const own = gen >= below ? null : await this.content(gen)
      if (own !== null && !isFailure(own)) return { found: own, bad }
      if (own?.bad === gen && own.claim !== undefined) continue
      if (own !== null) {
        // All that build on a bad one, without a whole copy between, are as bad.
        below = own.bad
        if (bad.length >= mostTries) break
      }
      const head = await this.manifest(gen)
      if (isFailure(head) && head.claim !== undefined) continue
      bad.push({
        gen,
        why: own === null ? `it builds on generation ${below}, which does not verify` : own.why,
        state: isFailure(head) ? null : snapshotOf(head.manifest)
      })
    }
    return { found: null, bad }
  }
}

/** The content that a manifest leads to. */
export const snapshotOf = ({ commits, life, lineage, revision, schema }: Manifest | Checkpoint) => ({
  lineage,
  life,
  commits,
  revision,
  schema
})
