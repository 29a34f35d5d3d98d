/**
 * What a start does with the two copies of the database that it finds: the local file and the newest generation on the remote.
 *
 * Guarantees: every case has its row here, and a row that would drop a content that may be the better one is not "go on" but
 * "read-only", with the reason and what to do. What is replaced is kept by those who replace. Pure: who looks, and who acts, is
 * in program/.
 */
import { holds, livesBeyond, type Position, relation, type State } from "./Lineage.ts"

/** The local file. */
export type LocalCopy =
  | { readonly kind: "none" }
  /** `wasPublished`: it, or what it came out of, was on a remote (store/RemoteNote.ts). */
  | {
    readonly kind: "ours"
    readonly position: Position
    readonly wasPublished: boolean
    /** What is known to be durable on this remote, and the life that got it there in strict mode (store/DurableMark.ts). */
    readonly durable?: { readonly by: string; readonly state: State } | null
  }
  | { readonly kind: "damaged" | "foreign"; readonly why: string }
  | { readonly kind: "newer"; readonly schema: number }

/** The remote side. */
export type RemoteCopy =
  /** It does not answer, or its folder cannot be read. */
  | { readonly kind: "unreachable"; readonly why: string; readonly hint: string }
  /** No generation was ever written there. */
  | { readonly kind: "empty" }
  /** No generation, but a database of ours at the agreed path: the generations were removed, or somebody put a copy there. */
  | { readonly kind: "bare"; readonly position: Position }
  /**
   * The newest generation that verifies. `bad`: newer ones that do not, newest first; `state` where at least the manifest can be
   * read.
   */
  | {
    readonly kind: "verified"
    readonly position: Position
    readonly bad: ReadonlyArray<{ readonly gen: number; readonly state: State | null }>
  }
  /** Generations, and none that verifies. */
  | { readonly kind: "all bad"; readonly newest: State | null }
  /** The newest generation is of a later program. */
  | { readonly kind: "newer"; readonly schema: number }

/** What to do. `notice`: what an operator should be told, null when all is as expected. */
export type StartChoice =
  /** Open the local file. `publish`: the remote does not hold it yet. */
  | { readonly kind: "use local"; readonly publish: boolean; readonly notice: string | null }
  /** Put the remote's content in place; a local file is kept under another name, `aside` for ever: only it holds all of it. */
  | { readonly kind: "take remote"; readonly notice: string | null; readonly aside: boolean }
  /** Make a new database, here and there. */
  | { readonly kind: "start new" }
  /** Write nothing, here, there or in HAProxy. `serve`: the local file can be read from meanwhile. */
  | {
    readonly kind: "read-only"
    readonly code: "REMOTE_UNREACHABLE" | "FENCED" | "CONFIG_INVALID" | "STORAGE_FAILED"
    readonly reason: string
    readonly hint: string
    readonly serve: boolean
    /** Look again after a while: it may heal by itself. */
    readonly retry: boolean
  }

/** Nothing was ever written to it: it came with a start that went no further. */
const isBlank = ({ commits }: Position): boolean => commits === 0

const takeOver =
  "`haproxy-mcp remote take-over --keep remote` goes on from the remote's, `--keep local` from the local one. Nothing is "
  + "deleted by either."

const fenced = (reason: string, hint: string = takeOver): StartChoice => ({
  kind: "read-only",
  code: "FENCED",
  reason,
  hint,
  serve: true,
  retry: false
})

const name = ({ commits, lineage }: State): string => `commit ${commits} of ${lineage.slice(0, 8)}`

/** What the newer generations that do not verify mean for the one that is used; null when there are none. */
const lossOf = (bad: ReadonlyArray<{ readonly gen: number; readonly state: State | null }>, used: Position) => {
  if (bad.length === 0) return null
  const gens = bad.map(({ gen }) => gen).join(", ")
  return bad.every(({ state }) => state !== null && holds(used, state))
    ? `The remote's newest generation (${gens}) does not verify; the local database holds all of it.`
    : `The remote's newest generation (${gens}) does not verify and stays there as it is. An older one is used (${
      name(used)
    }): what was acknowledged after it may be missing.`
}

const withUnreachable = (why: string, hint: string, local: LocalCopy): StartChoice => ({
  kind: "read-only",
  code: "REMOTE_UNREACHABLE",
  reason: `The remote host does not answer, so it is not known which database is the newest: ${why}`,
  hint,
  serve: local.kind === "ours" && !isBlank(local.position),
  retry: true
})

const withEmpty = (local: LocalCopy): StartChoice => {
  switch (local.kind) {
    case "none":
      return { kind: "start new" }
    case "ours":
      return local.wasPublished
        ? fenced(
          "The remote holds no database, though this one was published: the remote lost it, or the path leads elsewhere.",
          "Check HAPROXY_REMOTE_DB_FILE and the remote's disk. If it is right so: `haproxy-mcp remote take-over --keep "
            + "local` publishes the local database as the first generation."
        )
        : {
          kind: "use local",
          publish: true,
          notice: isBlank(local.position)
            ? null
            : "The remote is empty and this database was never published: it becomes the first generation."
        }
    default:
      return unusable(local, "The remote is empty.")
  }
}

/** A local file that cannot be opened, and nothing on the remote that could take its place. */
const unusable = (
  local: Exclude<LocalCopy, { readonly kind: "none" | "ours" }>,
  remote: string
): StartChoice =>
  local.kind === "newer" ? newer("local", local.schema) : {
    kind: "read-only",
    code: local.kind === "foreign" ? "CONFIG_INVALID" : "STORAGE_FAILED",
    reason: `The local database cannot be used: ${local.why}. ${remote}`,
    hint: local.kind === "foreign"
      ? "Name another file in HAPROXY_DB_FILE, or move this one away."
      : "Restore a backup (`haproxy-mcp restore FILE`), or move the file away to begin anew.",
    serve: false,
    retry: false
  }

const newer = (which: "local" | "remote", schema: number): StartChoice => ({
  kind: "read-only",
  code: "CONFIG_INVALID",
  reason: `The ${which} database has schema ${schema}, which is of a later program.`,
  hint: "Run the later program. Nothing was changed.",
  serve: false,
  retry: false
})

/**
 * Is all that only the local database holds of one life in strict mode, and never acknowledged? The remote holds what that life ever
 * saw durable there, so nothing between was lost: another one went on from it.
 */
const neverLeft = ({ durable, position }: Extract<LocalCopy, { readonly kind: "ours" }>, remote: Position): boolean =>
  durable !== null && durable !== undefined && holds(remote, durable.state)
  && livesBeyond(position, remote).every((life) => life === durable.by)

/** `isLog`: the remote's is the newest of a log, not a copy that somebody may have put there. */
const withVerified = (
  remote: Position,
  bad: ReadonlyArray<{ readonly gen: number; readonly state: State | null }>,
  local: LocalCopy,
  isLog = true
): StartChoice => {
  const take = (also: string | null = null, aside = false): StartChoice => {
    const notice = [also, lossOf(bad, remote)].filter((text) => text !== null).join(" ")
    return { kind: "take remote", notice: notice === "" ? null : notice, aside }
  }
  if (local.kind === "none") return take()
  if (local.kind === "damaged") {
    return take(`The local database cannot be used (${local.why}); it is kept, and the remote's takes its place.`)
  }
  if (local.kind !== "ours") return unusable(local, "The remote holds one.")
  if (isBlank(local.position) && local.position.lineage !== remote.lineage) return take()
  const { position } = local
  switch (relation(position, remote)) {
    case "equal":
      // A migration changes what is there without a commit; after a bad generation a good one has to be the newest again.
      return {
        kind: "use local",
        publish: position.schema !== remote.schema || bad.length > 0,
        notice: lossOf(bad, position)
      }
    case "local ahead":
      return { kind: "use local", publish: true, notice: lossOf(bad, position) }
    case "remote ahead":
      return take()
    case "diverged":
      if (isLog && bad.length === 0 && neverLeft(local, remote)) {
        return take(
          "Another control plane went on while this one still had commits on their way. They never reached the remote and were never "
            + `acknowledged, so they are put aside (up to ${
              name(position)
            }), and the remote's newest database goes on here.`,
          true
        )
      }
      return fenced(
        `Two control planes wrote at the same time: the local database (${name(position)}) and the remote's (${
          name(remote)
        }) both hold what the other does not.`
      )
    case "other lineage":
      return fenced(
        `The local database (${name(position)}) and the remote's (${name(remote)}) are not of the same origin.`,
        "Check HAPROXY_REMOTE_DB_FILE and HAPROXY_DB_FILE. " + takeOver
      )
  }
}

const withAllBad = (newest: State | null, local: LocalCopy): StartChoice => {
  if (local.kind === "ours" && newest !== null && holds(local.position, newest)) {
    return {
      kind: "use local",
      publish: true,
      notice: "No generation on the remote verifies; the local database holds all of the newest one and is published."
    }
  }
  if (local.kind === "ours" && !isBlank(local.position)) {
    return fenced(
      "No generation on the remote verifies, and it cannot be seen that the local database holds all of them.",
      "Check the remote's disk. `haproxy-mcp remote take-over --keep local` goes on from the local database."
    )
  }
  if (local.kind === "newer") return newer("local", local.schema)
  return {
    kind: "read-only",
    code: "STORAGE_FAILED",
    reason: "No generation on the remote verifies, and there is no local database to go on from.",
    hint: "Check the remote's disk, then restore a backup (`haproxy-mcp restore FILE`).",
    serve: false,
    retry: false
  }
}

const withBare = (remote: Position, local: LocalCopy): StartChoice => {
  const notice =
    "The remote has no generations, only a copy of the database: it is taken as the newest. What was acknowledged "
    + "after it was made may be missing."
  const choice = withVerified(remote, [], local, false)
  if (choice.kind === "take remote") return { ...choice, notice }
  return choice.kind === "use local" ? { ...choice, publish: true } : choice
}

/** The row of the table. */
export const chooseStart = (remote: RemoteCopy, local: LocalCopy): StartChoice => {
  switch (remote.kind) {
    case "unreachable":
      return withUnreachable(remote.why, remote.hint, local)
    case "empty":
      return withEmpty(local)
    case "bare":
      return withBare(remote.position, local)
    case "verified":
      return withVerified(remote.position, remote.bad, local)
    case "all bad":
      return withAllBad(remote.newest, local)
    case "newer":
      return newer("remote", remote.schema)
  }
}
