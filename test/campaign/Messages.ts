/** What the campaign's main process and its workers say to each other. */
import type { Verdict } from "./Campaign.ts"

/** To a worker: run these cases, and say `Free` when they are over. */
export interface Run {
  readonly campaign: string
  readonly seeds: ReadonlyArray<number>
  /** Only the first broken promise matters: it is not repeated, and what comes after it is left out. */
  readonly first: boolean
}

/** From a worker. */
export type Said =
  | { readonly _tag: "Case"; readonly seed: number; readonly verdict: Verdict }
  | { readonly _tag: "Left"; readonly seed: number }
  | { readonly _tag: "Free" }
