/**
 * Which of what this process published is within which generation, and how far the newest whole copy is behind: what decides when
 * a checkpoint is due, and where it belongs. Of one writer's chain since it last adopted what it found.
 */
import type { FullCopy } from "../domain/Generation.ts"
import type { Manifest } from "./Manifest.ts"
import type { Found } from "./Reading.ts"

/** Commits of this process that are remembered by generation, to place a checkpoint. */
const remembered = 4096

/** What has to be read to come to the newest content: the last whole copy, and the deltas since. */
export interface SinceFull {
  readonly deltas: number
  /** Bytes of the deltas, and of the whole copy. */
  readonly bytes: number
  readonly full: number
}

export class Coverage {
  /** The newest whole copy, by the name of its file; null when it is not known. */
  #full: string | null = null
  #sinceFull: SinceFull = { deltas: 0, bytes: 0, full: 0 }
  #published: Array<{ readonly gen: number; readonly commits: number }> = []

  /** The newest whole copy, by the name of its file. */
  get full(): string | null {
    return this.#full
  }

  get sinceFull(): SinceFull {
    return this.#sinceFull
  }

  /** From here on this process writes, after what it has found. Forgets what it knew. */
  begin(found: Found | null): void {
    this.#full = found?.head.manifest.kind === "full" ? found.head.manifest.data : null
    this.#published = found === null ? [] : [{ gen: found.head.gen, commits: found.head.manifest.commits }]
    const deltas = found?.fetched.deltas ?? []
    this.#sinceFull = {
      deltas: deltas.length,
      bytes: deltas.reduce((sum, delta) => sum + delta.byteLength, 0),
      full: found?.fetched.full.byteLength ?? 0
    }
  }

  /** A generation of this process is there. */
  published({ commits, data, gen, kind, size }: Manifest): void {
    this.#published = [...this.#published, { gen, commits }].slice(-remembered)
    if (kind === "full") {
      this.#full = data
      this.#sinceFull = { deltas: 0, bytes: 0, full: size }
    } else {
      const { bytes, deltas, full } = this.#sinceFull
      this.#sinceFull = { deltas: deltas + 1, bytes: bytes + size, full }
    }
  }

  /** The generation that a content is within, given the lineage that is published; null when it is not known to be in one. */
  generationOf({ commits, lineage }: FullCopy["state"], published: string | undefined): number | null {
    const at = this.#published.findIndex((each) => each.commits >= commits)
    const found = this.#published[at]
    if (found === undefined || lineage !== published) return null
    // The first one that is remembered may have begun before: only its end is known.
    return at === 0 && found.commits !== commits ? null : found.gen
  }

  /** A whole copy of a content is there under this name. */
  checkpointed(data: string, commits: number, size: number): void {
    const newer = this.#published.findLastIndex((each) => each.commits <= commits)
    this.#full = data
    this.#sinceFull = { deltas: this.#published.length - 1 - newer, bytes: 0, full: size }
  }
}
