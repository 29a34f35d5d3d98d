/**
 * A generation's manifest: what the generation is, on what it builds, and which bytes it is made of.
 *
 * ```
 * 0000000042.json                          {"format":1,"gen":42,"parent":41,"parentSha":"…","kind":"delta",…}
 * 0000000042-1f0c9a3e-7.delta              its data (.db: a whole copy), named in it
 * 0000000042-1f0c9a3e-7.tmp                a manifest that has not got its name (yet): its number, or a checkpoint's
 * checkpoint-0000000042-1f0c9a3e-8.json    a whole copy of a content within generation 42
 * checkpoint-0000000042-1f0c9a3e-8.db      its data
 * kept-0000000017.json                     a manifest whose number is below those in the chain: kept for its hour
 * 0000000043.json                          {"format":1,"kind":"claim",…}: a number that was taken to write from (Claim.ts)
 * ```
 *
 * Guarantees: {@link decode} accepts only what {@link encode} could have made. A name is made of digits and lower-case letters
 * only, so that nothing of a manifest can lead out of its folder.
 */
import { createHash } from "node:crypto"
import type { Snapshot } from "../domain/Generation.ts"

/** Bytes that a manifest has at most; ours have some 600. */
export const largestManifest = 16 << 10

/** What a generation is. */
export interface Manifest extends Snapshot {
  readonly format: 1
  readonly gen: number
  /** The generation that this one followed; null for the first. */
  readonly parent: number | null
  /** SHA-256 of the parent's manifest, hex. */
  readonly parentSha: string | null
  readonly kind: "full" | "delta"
  /** The last generation of kind "full", this one included. */
  readonly base: number
  /** Number of the commit that a delta builds on: the parent's. */
  readonly fromCommits: number | null
  /** Name of the data file. */
  readonly data: string
  /** Bytes of the data. */
  readonly size: number
  /** Of the data, hex. */
  readonly sha256: string
  /** The process that published it. */
  readonly writer: string
  /** Its host, for people. */
  readonly host: string
  /** Its clock, ISO 8601, for people: nothing is decided by it. */
  readonly at: string
}

/** A whole copy beside the chain: a content after that of generation `gen`'s parent, up to that of `gen`. */
export interface Checkpoint extends Snapshot {
  readonly format: 1
  readonly kind: "checkpoint"
  readonly gen: number
  readonly data: string
  readonly size: number
  readonly sha256: string
  readonly writer: string
  readonly host: string
  readonly at: string
}

/**
 * What takes a number and holds no content: whoever wrote before is fenced by it, and the content of the generation below goes
 * on. It names neither its number nor a parent, so one file can be tried on number after number.
 */
export interface Claim {
  readonly format: 1
  readonly kind: "claim"
  /** Tells it from every other one. */
  readonly id: string
  readonly writer: string
  readonly host: string
  readonly at: string
}

/** SHA-256, hex. */
export const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")

const digits = (gen: number): string => String(gen).padStart(10, "0")

export const manifestName = (gen: number): string => `${digits(gen)}.json`
export const keptName = (gen: number): string => `kept-${digits(gen)}.json`
export const dataName = (gen: number, attempt: string, kind: "full" | "delta"): string =>
  `${digits(gen)}-${attempt}.${kind === "full" ? "db" : "delta"}`
export const tempName = (gen: number, attempt: string): string => `${digits(gen)}-${attempt}.tmp`
export const checkpointName = (gen: number, attempt: string): string => `checkpoint-${digits(gen)}-${attempt}.json`
export const checkpointDataName = (gen: number, attempt: string): string => `checkpoint-${digits(gen)}-${attempt}.db`

/** What a file of the folder is, by its name. "other": not ours, never touched. */
export type Entry =
  | { readonly kind: "manifest" | "kept"; readonly gen: number }
  | { readonly kind: "data" | "temp" | "checkpoint" | "checkpoint data"; readonly gen: number; readonly full: boolean }
  | { readonly kind: "other" }

const pattern = /^(kept-|checkpoint-|)(\d{10,15})(-[0-9a-f]{8}-\d{1,9})?\.(json|db|delta|tmp)$/

/** Reads a name. */
export const entryOf = (name: string): Entry => {
  const [, prefix, number, attempt, suffix] = pattern.exec(name) ?? []
  const gen = Number(number)
  if (prefix === undefined || gen < 1) return { kind: "other" }
  if (attempt === undefined) {
    return suffix === "json" && prefix !== "checkpoint-"
      ? { kind: prefix === "" ? "manifest" : "kept", gen }
      : { kind: "other" }
  }
  if (prefix === "checkpoint-" && suffix === "json") return { kind: "checkpoint", gen, full: true }
  if (prefix === "checkpoint-" && suffix === "db") return { kind: "checkpoint data", gen, full: true }
  if (prefix !== "" || suffix === "json") return { kind: "other" }
  return { kind: suffix === "tmp" ? "temp" : "data", gen, full: suffix === "db" }
}

/** The bytes of a manifest. */
export const encode = (manifest: Manifest | Checkpoint | Claim): Uint8Array =>
  Buffer.from(`${JSON.stringify(manifest)}\n`)

type Fields = Readonly<Record<string, unknown>>

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
const isHash = (value: unknown): value is string => typeof value === "string" && /^[0-9a-f]{64}$/.test(value)
const isText = (value: unknown): value is string => typeof value === "string" && /^[\x20-\x7e]{0,256}$/.test(value)

const fieldsOf = (bytes: Uint8Array): Fields | null => {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString("utf8"))
    return typeof value === "object" && value !== null ? value as Fields : null
  } catch {
    return null
  }
}

/** What both have. */
const isCommon = (value: Fields, entry: "data" | "checkpoint data"): boolean => {
  const data = typeof value["data"] === "string" ? entryOf(value["data"]) : null
  return value["format"] === 1 && isCount(value["gen"]) && value["gen"] > 0 && data?.kind === entry
    && data.gen === value["gen"] && isCount(value["size"]) && isHash(value["sha256"])
    && ["lineage", "life", "writer", "host", "at"].every((key) => isText(value[key]))
    && ["commits", "revision", "schema"].every((key) => isCount(value[key]))
}

/** The manifest in some bytes; null when it is none, or not that of this number. */
export const decode = (bytes: Uint8Array, gen: number): Manifest | null => {
  const value = fieldsOf(bytes)
  if (value === null || !isCommon(value, "data") || value["gen"] !== gen) return null
  const { base, fromCommits, kind, parent, parentSha } = value
  const hasParent = parent === null
    ? parentSha === null
    : isCount(parent) && parent > 0 && parent < gen && isHash(parentSha)
  const fits = kind === "full"
    ? base === gen && fromCommits === null
    : kind === "delta" && parent !== null && isCount(base) && base < gen && isCount(fromCommits)
      && fromCommits < (value["commits"] as number)
  return hasParent && fits ? value as unknown as Manifest : null
}

/** The checkpoint in some bytes; null when it is none, or not of this number. */
export const decodeCheckpoint = (bytes: Uint8Array, gen: number): Checkpoint | null => {
  const value = fieldsOf(bytes)
  return value !== null && value["kind"] === "checkpoint" && isCommon(value, "checkpoint data") && value["gen"] === gen
    ? value as unknown as Checkpoint
    : null
}

/** The claim in some bytes; null when it is none. */
export const decodeClaim = (bytes: Uint8Array): Claim | null => {
  const value = fieldsOf(bytes)
  return value !== null && value["format"] === 1 && value["kind"] === "claim"
      && ["id", "writer", "host", "at"].every((key) => isText(value[key]))
    ? value as unknown as Claim
    : null
}
