/**
 * The one that writes the chain: takes numbers, and finds out who has them. The reasoning is at the head of GenerationLog.ts,
 * which calls one step of this at a time.
 */
import { randomBytes } from "node:crypto"
import { hostname } from "node:os"
import { dirname } from "node:path"
import { RemoteUnreachable, type StorageFailed } from "../domain/Errors.ts"
import type { Capture, FullCopy } from "../domain/Generation.ts"
import { takeNumber } from "./Claim.ts"
import { Coverage } from "./Coverage.ts"
import { keepForeign } from "./Exposed.ts"
import { fileMode, folderMode, list, type Place, typed } from "./Folder.ts"
import { dataName, encode, type Manifest, manifestName, sha256, tempName } from "./Manifest.ts"
import type { Bad, Found, Head, Known } from "./Reading.ts"

/** What a look at the log found. */
export interface Reading {
  /** The newest generation that verifies, with its content; null when there is none. */
  readonly found: Found | null
  /** Newer ones that do not verify, newest first. */
  readonly bad: ReadonlyArray<Bad>
  /** The number that the next generation takes: above all that were ever seen. */
  readonly next: number
  /** For the look after a claim. */
  readonly known: Known
}

/** How a publication ended. A failure of the effect instead means: it is not there, and will not be. */
export type Published =
  /** Durable, and the newest. */
  | { readonly kind: "published"; readonly head: Head }
  /** An attempt before this one turned out to have won: go on from its content ({@link Head}), with a new capture. */
  | { readonly kind: "earlier"; readonly head: Head }
  /** Somebody else has written. Everything from now on answers this, until {@link Writer.adopt}. */
  | { readonly kind: "fenced"; readonly why: string }
  /** Not known: `settle`, before anything else. */
  | { readonly kind: "unknown"; readonly why: RemoteUnreachable | StorageFailed }

/** What settling found. "none": nothing is there (yet); publish anew. */
export type Settled = Published | { readonly kind: "none" }

export class Writer {
  readonly #place: Place
  /** This process. */
  readonly name = randomBytes(4).toString("hex")
  readonly host = hostname().replaceAll(/[^\x20-\x7e]/g, "?").slice(0, 256)
  #attemptNumber = 0
  #head: Head | null = null
  #next = 1
  #fenced: string | null = null
  /** All attempts of ours at the number {@link Writer.#next}. */
  #attempts: Array<Head> = []
  /** All claims of ours, by their hashes: one whose answer was lost may get its name late, and is no other writer. */
  readonly #claims = new Set<string>()
  #isUnsettled = false
  #isNew = true
  /** What of it is in whole copies. */
  readonly coverage = new Coverage()

  constructor(place: Place) {
    this.#place = place
  }

  /** The newest generation that is known here; null before the first. */
  get head(): Head | null {
    return this.#head
  }

  get isUnsettled(): boolean {
    return this.#isUnsettled
  }

  /** Why this process may not write any more; null while it may. */
  get fenced(): string | null {
    return this.#fenced
  }

  /** A part of names that is used once. */
  nextId(): string {
    return `${this.name}-${++this.#attemptNumber}`
  }

  /** From here on this process writes, after what it has read. Forgets what it knew. */
  adopt({ found, next }: Reading): void {
    this.#head = found?.head ?? null
    this.#next = next
    this.#fenced = null
    this.#attempts = []
    this.#isUnsettled = false
    this.#isNew = next === 1
    this.coverage.begin(found)
  }

  /** Takes the first number from `next` on that is free, for a claim; null: others took each before. */
  claim(next: number): Promise<number | null> {
    const id = this.nextId()
    const bytes = encode({
      format: 1,
      kind: "claim",
      id,
      writer: this.name,
      host: this.host,
      at: new Date().toISOString()
    })
    this.#claims.add(sha256(bytes))
    return takeNumber(this.#place, { bytes, id, next })
  }

  /** Has nobody else written since? One round trip. "unsettled": an attempt of ours may be the one that did. */
  async check(): Promise<"current" | "unsettled" | "fenced"> {
    if (this.#fenced !== null) return "fenced"
    if (this.#isUnsettled) return "unsettled"
    const { disk } = this.#place
    const [next, own] = await Promise.all([
      disk.stat(this.#place.at(manifestName(this.#next))),
      this.#head === null ? null : disk.stat(this.#place.at(manifestName(this.#head.gen)))
    ])
    if (next !== null) {
      if (this.#attempts.length > 0 || this.#claims.size > 0) {
        // A late rename of ours, maybe: settling tells.
        this.#isUnsettled = true
        return "unsettled"
      }
      return this.#fence(`generation ${this.#next} was written by another process`).kind
    }
    if (this.#head !== null && own === null) {
      return this.#fence(
        `generation ${this.#head.gen} is gone: others have written long since, or the folder was emptied`
      ).kind
    }
    return "current"
  }

  /** An unsettled attempt is settled first, and its outcome is the answer unless it is not there. */
  async publish(capture: Capture): Promise<Published> {
    if (this.#fenced !== null) return { kind: "fenced", why: this.#fenced }
    if (this.#isUnsettled) {
      const before = await this.#settle()
      if (before.kind !== "none") return before.kind === "published" ? { kind: "earlier", head: before.head } : before
    }
    return this.#attempt(capture)
  }

  /** Finds out what became of an attempt whose answer was lost. */
  async settle(): Promise<Settled> {
    return this.#fenced === null ? this.#settle() : { kind: "fenced", why: this.#fenced }
  }

  /** The generation that a content of this process is within; null when it is not published, or not by this process. */
  generationOf(state: FullCopy["state"]): number | null {
    return this.coverage.generationOf(state, this.#head?.manifest.lineage)
  }

  #fence(why: string): { readonly kind: "fenced"; readonly why: string } {
    this.#fenced = why
    return { kind: "fenced", why }
  }

  #manifestOf(capture: Capture, attempt: string): Manifest {
    const { kind, sha256: hash, state } = capture
    const head = this.#head
    if (kind === "delta" && (head?.manifest.commits !== capture.from || head.manifest.lineage !== state.lineage)) {
      throw new Error("a delta must begin where the newest generation ends")
    }
    return {
      format: 1,
      gen: this.#next,
      parent: head?.gen ?? null,
      parentSha: head?.sha ?? null,
      kind,
      base: kind === "full" ? this.#next : head!.manifest.base,
      fromCommits: kind === "full" ? null : capture.from,
      ...state,
      data: dataName(this.#next, attempt, kind),
      size: capture.bytes.byteLength,
      sha256: hash,
      writer: this.name,
      host: this.host,
      at: new Date().toISOString()
    }
  }

  async #attempt(capture: Capture): Promise<Published> {
    const { disk } = this.#place
    if (this.#isNew) {
      await disk.makeFolder(this.#place.folder, folderMode)
      await disk.syncFolder(dirname(this.#place.folder))
      await keepForeign(this.#place)
      this.#isNew = false
    }
    const id = this.nextId()
    const manifest = this.#manifestOf(capture, id)
    const bytes = encode(manifest)
    const attempt: Head = { gen: manifest.gen, sha: sha256(bytes), manifest }
    const temp = this.#place.at(tempName(manifest.gen, id))
    const written = await Promise.allSettled([
      disk.writeNew(this.#place.at(manifest.data), [capture.bytes], { mode: fileMode }),
      disk.writeNew(temp, [bytes], { mode: fileMode })
    ])
    const refused = written.find((each) => each.status === "rejected")
    if (refused !== undefined) {
      // Without a rename nothing of it counts. What stays is swept.
      this.#discard(temp, this.#place.at(manifest.data))
      throw refused.reason
    }
    this.#attempts.push(attempt)
    // Sent without waiting: the steps reach the host in this order.
    const renamed = disk.renameNew(temp, this.#place.at(manifestName(manifest.gen)))
    const confirmed = this.#confirm(attempt)
    const [won, kept] = await Promise.allSettled([renamed, confirmed])
    if (won.status === "fulfilled" && kept.status === "fulfilled") return this.#won(attempt, kept.value)
    // The number is taken, the answer was lost, or the disk failed in between: only reading tells.
    this.#isUnsettled = true
    const cause: unknown = won.status === "rejected" ? won.reason : kept.status === "rejected" ? kept.reason : null
    if (cause instanceof RemoteUnreachable) return { kind: "unknown", why: cause }
    const settled = await this.#settle()
    if (settled.kind === "none") throw cause
    return settled
  }

  /**
   * Makes the names durable, and looks whether the win counts: the data is there (nobody swept it), and so is what it builds on
   * (the number was not one that was given, used and pruned long ago).
   */
  async #confirm({ manifest }: Head): Promise<string | null> {
    const { disk } = this.#place
    const [sync, data, parent] = await Promise.allSettled([
      disk.syncFolder(this.#place.folder),
      disk.stat(this.#place.at(manifest.data)),
      manifest.parent === null ? null : disk.stat(this.#place.at(manifestName(manifest.parent)))
    ])
    for (const each of [sync, data, parent]) if (each.status === "rejected") throw each.reason
    if (data.status === "fulfilled" && data.value === null) return "its data was removed by another process"
    if (manifest.parent !== null) {
      return parent.status === "fulfilled" && parent.value === null
        ? "what it builds on was pruned by another process"
        : null
    }
    const others = (await list(this.#place)).highest
    return others > manifest.gen ? `others have written up to generation ${others}` : null
  }

  #won(head: Head, objection: string | null): Published {
    this.#isUnsettled = false
    if (objection !== null) return this.#fence(objection)
    const last = this.#attempts.at(-1) === head
    this.#attempts = []
    this.#head = head
    this.#next = head.gen + 1
    this.coverage.published(head.manifest)
    return { kind: last ? "published" : "earlier", head }
  }

  async #settle(): Promise<Settled> {
    let bytes: Uint8Array | null
    try {
      bytes = await this.#place.disk.readFile(this.#place.at(manifestName(this.#next)), 1 << 20)
    } catch (cause) {
      return { kind: "unknown", why: typed("read the log", cause) }
    }
    if (bytes === null) {
      // Its late rename may still come: it stays among the attempts. What is left of it is swept when the number is given.
      this.#isUnsettled = false
      return { kind: "none" }
    }
    const sha = sha256(bytes)
    if (this.#claims.has(sha)) {
      // It took this number from our own attempts, and nothing else.
      this.#attempts = []
      this.#next += 1
      return this.#settle()
    }
    const ours = this.#attempts.find((head) => head.sha === sha)
    if (ours === undefined) return this.#fence(`generation ${this.#next} was written by another process`)
    try {
      return this.#won(ours, await this.#confirm(ours))
    } catch (cause) {
      return { kind: "unknown", why: typed("make the names durable", cause) }
    }
  }

  /** Takes away what an attempt left; what cannot be taken away is swept later. */
  #discard(...paths: ReadonlyArray<string>): void {
    for (const path of paths) this.#place.disk.unlink(path).catch(() => undefined)
  }
}
