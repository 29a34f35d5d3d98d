/**
 * Which of two copies of a database holds the other one.
 *
 * A lineage is one database from its making on, a life one process that wrote to it. Within a life commits are numbered one
 * after the other and never taken back, and no two processes share a life; so (lineage, life, commits) names one content, and
 * the list of lives, which each copy carries, tells whether one copy came out of the other.
 *
 * Guarantees: "local ahead" and "remote ahead" are said only where the one holds every commit of the other. Where the list
 * does not reach back far enough ({@link maxLives}), the answer is "diverged", which loses nothing: an operator decides.
 */
import type { ChainHead } from "./Audit.ts"

/** Lives that a database keeps, the newest ones. */
export const maxLives = 4096

/** A process's time as the writer: `first` is the number of its first commit. */
export interface Life {
  readonly life: string
  readonly first: number
}

/** The name of one content. `life` is the one that made commit number `commits`. */
export interface State {
  readonly lineage: string
  readonly life: string
  readonly commits: number
}

/** A content with its ancestry. */
export interface Position extends State {
  readonly revision: number
  /** Number of the last migration. */
  readonly schema: number
  /** Oldest first, `first` strictly growing. The last one is {@link State.life}. */
  readonly lives: ReadonlyArray<Life>
  /** The end of its audit chain; null or left out: it has none. */
  readonly chain?: ChainHead | null
}

/** How two copies stand to each other. "other lineage": they are not of the same database at all. */
export type Relation = "equal" | "local ahead" | "remote ahead" | "diverged" | "other lineage"

/** The life that made a commit; null where the list does not reach it. */
export const lifeAt = (lives: ReadonlyArray<Life>, commits: number): string | null => {
  // Mostly asked about the newest.
  for (let index = lives.length - 1; index >= 0; index--) {
    if (lives[index]!.first <= commits) return lives[index]!.life
  }
  return null
}

/** Is `state` this content or an ancestor of it? Needs only the state's own name: a manifest is enough. */
export const holds = (position: Position, state: State): boolean =>
  position.lineage === state.lineage && state.commits <= position.commits
  && lifeAt(position.lives, state.commits) === state.life

/** How a local and a remote copy stand to each other. */
export const relation = (local: Position, remote: Position): Relation => {
  if (local.lineage !== remote.lineage) return "other lineage"
  const localHolds = holds(local, remote)
  if (localHolds && local.commits === remote.commits) return "equal"
  if (localHolds) return "local ahead"
  return holds(remote, local) ? "remote ahead" : "diverged"
}

/** Lives that made commits which `position` holds and `other` does not, oldest first. */
export const livesBeyond = (position: Position, other: Position): ReadonlyArray<string> =>
  position.lives.filter(({ life }, index) => {
    const commits = Math.min(position.commits, (position.lives[index + 1]?.first ?? Infinity) - 1)
    return !holds(other, { lineage: position.lineage, life, commits })
  }).map(({ life }) => life)

/** The lives after a commit of `life` with a number; the list stays as it is within a life. */
export const withLife = (lives: ReadonlyArray<Life>, life: string, commits: number): ReadonlyArray<Life> =>
  lives.at(-1)?.life === life ? lives : [...lives, { life, first: commits }].slice(-maxLives)
