/**
 * The database's durable home on a remote host: a log of generations in `<HAPROXY_REMOTE_DB_FILE>.generations/`, of which
 * each is a whole copy or the commits since the one before (Manifest.ts).
 *
 * Guarantees
 * - A generation counts from the moment when its manifest has its number's name and that name is durable. The data is durable
 *   before. A number is taken by a rename that never replaces, so of many writers one wins: the others are **fenced**.
 * - A number is never free again: one that does not verify keeps its name ({@link Reader}), and {@link prune} takes names
 *   away from the oldest upwards only. So a writer who wakes up after its number was given, used and pruned again can be told:
 *   the manifest that it builds on is gone. That is looked at after each win, in the round trip of the folder's fsync.
 * - Who comes while another one writes takes a number first and reads after ({@link GenerationLog.claim}, Claim.ts).
 * - A lost answer makes an attempt *unsettled*, and nothing is sent before {@link GenerationLog.settle} has read what became of
 *   it. Never a blind retry.
 *
 * A request can outlive its connection: sshd may still run the rename of attempt 1 after we have looked, seen nothing, and made
 * attempt 2 for the same number. Then one of the two wins the number, as always. If it is attempt 1, then attempt 2 finds
 * the number taken by bytes that are its own earlier ones (all attempts at a number are remembered by their hashes): not fenced,
 * but {@link Published} "earlier": attempt 1 is our content of some commits ago, and the next generation goes on from it. If it
 * is attempt 2, the late rename fails like anybody's, and its files are swept. Names of files are never used twice, so a late
 * request can do nothing else. (The one exception is the path of {@link GenerationLog.expose}: a late rename there brings an
 * older whole copy back until the next one. Nothing is ever read from there while there are generations.)
 *
 * Publications, checks and settling wait for one another; whole copies, names and pruning go on beside them, one at a time. Every
 * step ends as the disk's calls do.
 *
 * Round trips of a publication over SFTP: data and manifest side by side (a new file: 3), then rename, fsync of the folder and
 * two looks side by side (2).
 */
import * as Effect from "effect/Effect"
import type { Disk } from "../domain/Disk.ts"
import type { RemoteUnreachable, StorageFailed } from "../domain/Errors.ts"
import type { Capture, Fetched, FullCopy } from "../domain/Generation.ts"
import { expose } from "./Exposed.ts"
import { fileMode, list, type Place, typed } from "./Folder.ts"
import {
  type Checkpoint,
  checkpointDataName,
  checkpointName,
  type Claim,
  encode,
  type Manifest,
  tempName
} from "./Manifest.ts"
import { prune, type Pruned } from "./Pruning.ts"
import { type Head, type Known, Reader } from "./Reading.ts"
import { type Published, type Reading, type Settled, Writer } from "./Writer.ts"

/** A generation in a list. */
export interface Listed {
  readonly gen: number
  /** The manifest; null when it cannot be read, or it has none. */
  readonly manifest: Manifest | null
  /** What took the number, where it holds no content (Claim.ts). */
  readonly claim: Claim | null
}

export interface LogOptions {
  readonly disk: Disk
  /** HAPROXY_REMOTE_DB_FILE, absolute. */
  readonly path: string
}

type Failed = RemoteUnreachable | StorageFailed

/** A checkpoint is due after so many deltas, or when they are a quarter of the whole copy below them. */
const deltasPerCheckpoint = 64

/** Looks at a log that somebody else writes to meanwhile. */
const mostLooks = 5

export class GenerationLog {
  readonly #place: Place
  readonly #writer: Writer
  #tail: Promise<unknown> = Promise.resolve()
  /** What is done beside publications, one at a time, too. */
  #besides: Promise<unknown> = Promise.resolve()
  /** The whole copy that was put at the path last. */
  #exposed: string | null = null

  constructor({ disk, path }: LogOptions) {
    const folder = `${path}.generations`
    this.#place = { disk, path, folder, at: (name) => `${folder}/${name}` }
    this.#writer = new Writer(this.#place)
  }

  /** Runs steps after those that were begun before; going away leaves them to their end. */
  #steps<A>(what: string, run: () => Promise<A>): Effect.Effect<A, Failed> {
    return Effect.tryPromise({
      try: () => {
        const turn = this.#tail.then(run, run)
        this.#tail = turn.catch(() => undefined)
        return turn
      },
      catch: (cause) => typed(what, cause)
    })
  }

  /** The same for what must not keep publications waiting: whole copies, names, pruning. */
  #beside<A>(what: string, run: () => Promise<A>): Effect.Effect<A, Failed> {
    return Effect.tryPromise({
      try: () => {
        const turn = this.#besides.then(run, run)
        this.#besides = turn.catch(() => undefined)
        return turn
      },
      catch: (cause) => typed(what, cause)
    })
  }

  /** The newest generation that is known here; null before the first. */
  get head(): Head | null {
    return this.#writer.head
  }

  /** Must `settle` come first? */
  get isUnsettled(): boolean {
    return this.#writer.isUnsettled
  }

  /** Should a whole copy be brought up soon? True where reading the log takes many deltas, or long ones. */
  get isCheckpointDue(): boolean {
    const { bytes, deltas, full } = this.#writer.coverage.sinceFull
    return deltas >= deltasPerCheckpoint || bytes > full / 4
  }

  /** Has the log grown past the copy at HAPROXY_REMOTE_DB_FILE? Then a checkpoint and `expose` bring it up. */
  get isPathBehind(): boolean {
    const { full, sinceFull } = this.#writer.coverage
    return sinceFull.deltas > 0 || full !== this.#exposed
  }

  async #look(before: Known | null): Promise<Reading> {
    let known = before
    for (let left = mostLooks;; left--) {
      const listing = await list(this.#place)
      const reader = new Reader(this.#place, listing, known)
      const { bad, found } = await reader.newest()
      known = await reader.known()
      // Somebody may have published and pruned meanwhile: then what is missing is not damage.
      if (bad.length > 0 && left > 1 && (await list(this.#place)).highest !== listing.highest) continue
      if (found !== null) await this.#place.disk.syncFolder(this.#place.folder)
      return { found, bad, next: Math.max(listing.highest, listing.kept[0] ?? 0) + 1, known }
    }
  }

  /** Looks for the newest generation. What it finds is durable: it may have been renamed by one who died before the fsync. */
  readonly read: Effect.Effect<Reading, Failed> = Effect.suspend(() =>
    this.#steps("read the log", () => this.#look(null))
  )

  /**
   * Takes the next number, so that whoever writes is fenced, and then reads what came since `reading` and nothing else. To be
   * adopted by who wants to write. Null: each number was taken by others first, and nothing was changed.
   */
  readonly claim = (reading: Reading): Effect.Effect<Reading | null, Failed> =>
    this.#steps("claim the writing", async () => {
      const gen = await this.#writer.claim(reading.next)
      // One that claimed after this one has the number that is the next here: it fences this process as any other.
      return gen === null ? null : { ...await this.#look(reading.known), next: gen + 1 }
    })

  /** From here on this process writes, after what it has read. Forgets what it knew. */
  adopt(reading: Reading): void {
    this.#writer.adopt(reading)
    this.#exposed = null
  }

  /** Has nobody else written since? One round trip. "unsettled": an attempt of ours may be the one that did. */
  readonly check: Effect.Effect<"current" | "unsettled" | "fenced", Failed> = Effect.suspend(() =>
    this.#steps("ask the log", () => this.#writer.check())
  )

  /**
   * Makes the next generation. A delta must begin at the head's commit. Nothing is there when this fails; "unknown" is not a
   * failure. An unsettled attempt is settled first, and its outcome is the answer unless it is not there.
   */
  readonly publish = (capture: Capture): Effect.Effect<Published, Failed> =>
    this.#steps("publish a generation", () => this.#writer.publish(capture))

  /** Finds out what became of an attempt whose answer was lost. */
  readonly settle: Effect.Effect<Settled, Failed> = Effect.suspend(() =>
    this.#steps("read the log", () => this.#writer.settle())
  )

  /**
   * Brings up a whole copy of a content that is published, beside the chain: it makes reading short, and is what `expose` shows.
   * Answers false, and does nothing, when the copy is not of a content that this process published.
   */
  readonly checkpoint = (copy: FullCopy): Effect.Effect<boolean, Failed> =>
    this.#beside("write a checkpoint", async () => {
      const gen = this.#writer.generationOf(copy.state)
      if (gen === null) return false
      const id = this.#writer.nextId()
      const data = checkpointDataName(gen, id)
      const checkpoint: Checkpoint = {
        format: 1,
        kind: "checkpoint",
        gen,
        ...copy.state,
        data,
        size: copy.bytes.byteLength,
        sha256: copy.sha256,
        writer: this.#writer.name,
        host: this.#writer.host,
        at: new Date().toISOString()
      }
      const { disk } = this.#place
      await disk.writeNew(this.#place.at(data), [copy.bytes], { mode: fileMode })
      // By a rename: what is cut off in the middle has no manifest's name.
      const temp = this.#place.at(tempName(gen, id))
      await disk.writeNew(temp, [encode(checkpoint)], { mode: fileMode })
      await disk.renameNew(temp, this.#place.at(checkpointName(gen, id)))
      await disk.syncFolder(this.#place.folder)
      this.#writer.coverage.checkpointed(data, copy.state.commits, copy.bytes.byteLength)
      return true
    })

  /** Brings the newest whole copy to HAPROXY_REMOTE_DB_FILE, by a link: nothing is sent again. */
  readonly expose: Effect.Effect<void, Failed> = Effect.suspend(() =>
    this.#beside("renew HAPROXY_REMOTE_DB_FILE", async () => {
      const { coverage: { full }, fenced } = this.#writer
      if (full === null || full === this.#exposed || fenced !== null) return
      await expose(this.#place, full, this.#writer.nextId())
      this.#exposed = full
    })
  )

  /** The bytes at HAPROXY_REMOTE_DB_FILE, of whatever origin; null when nothing is there. */
  readonly bare = (largest: number): Effect.Effect<Uint8Array | null, Failed> =>
    this.#beside("read HAPROXY_REMOTE_DB_FILE", () => this.#place.disk.readFile(this.#place.path, largest))

  /** One generation's content, verified; null when it is not there or does not verify. */
  readonly fetch = (gen: number): Effect.Effect<Fetched | null, Failed> =>
    this.#beside("read the log", async () => new Reader(this.#place, await list(this.#place)).one(gen))

  /** The newest generations, newest first, those that are kept for their hour included. Data is not looked at. */
  readonly list = (
    limit: number
  ): Effect.Effect<{ readonly generations: ReadonlyArray<Listed>; readonly total: number }, Failed> =>
    this.#beside("list the log", async () => {
      const listing = await list(this.#place)
      const reader = new Reader(this.#place, listing)
      const all = [...new Set([...listing.manifests, ...listing.kept])].sort((a, b) => b - a)
      const generations = await Promise.all(
        all.slice(0, limit).map(async (gen): Promise<Listed> => {
          const manifest = await reader.shown(gen)
          return { gen, manifest, claim: manifest === null ? await reader.claim(gen) : null }
        })
      )
      return { generations, total: all.length }
    })

  /** Takes away what nobody needs any more (Pruning.ts). Some hundreds of files at most; the rest the next time. */
  readonly prune: Effect.Effect<Pruned, Failed> = Effect.suspend(() =>
    this.#beside(
      "prune the log",
      async () =>
        this.#writer.fenced !== null || this.#writer.head === null
          ? { removed: 0 }
          : prune(this.#place, this.#writer.name)
    )
  )
}
