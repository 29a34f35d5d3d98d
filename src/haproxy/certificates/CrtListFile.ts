/**
 * The crt-list file that HAProxy starts from, where one is the list (HAPROXY_CRT_LIST_FILE).
 *
 * Guarantees: the file is there as a whole with a change or as it was, also after a power cut (DurableFile.ts); lines
 * that are not about our certificate stay byte for byte where they are, comments and options included. A file that is
 * not there is an error: HAProxy could not start without it, and one with our line alone would hide that.
 */
import * as Effect from "effect/Effect"
import type { Disk } from "../../domain/Disk.ts"
import { type FileFailure, StorageFailed } from "../../domain/Errors.ts"
import { fileFailed, identify, realTarget, replace } from "../DurableFile.ts"

/** Brings back the lines that a change took, or takes those that it put. Other changes since then stay. */
export type TakeBack = Effect.Effect<void, FileFailure>

/** Does this line name the certificate? The name ends at white space or at `[`. */
const names = (line: string, certificate: string): boolean => /^\s*([^\s[]+)/.exec(line)?.[1] === certificate

/** Lines with their line ends. */
const split = (text: string): ReadonlyArray<string> => text === "" ? [] : text.split(/(?<=\n)/)

const rewrite = async (
  disk: Disk,
  file: string,
  change: (lines: ReadonlyArray<string>) => ReadonlyArray<string> | null
) => {
  const target = await realTarget(disk, file)
  const like = await identify(disk, target)
  const content = like === null ? null : await disk.readFile(target).catch((cause: unknown) => {
    throw fileFailed("read", file, cause)
  })
  if (like === null || content === null) {
    throw new StorageFailed({
      message: `The crt-list ${file} does not exist.`,
      hint: "Correct HAPROXY_CRT_LIST_FILE: it names the file that `crt-list` in haproxy.cfg loads."
    })
  }
  const lines = change(split(content.toString("utf8")))
  if (lines !== null) await replace(disk, target, [Buffer.from(lines.join(""))], { like })
}

const attempt = (run: () => Promise<void>): Effect.Effect<void, FileFailure> =>
  Effect.tryPromise({ try: run, catch: (cause) => fileFailed("use", "the crt-list", cause) })

/** Appends a line for each certificate that has none. */
export const append = (
  disk: Disk,
  file: string,
  certificates: ReadonlyArray<string>
): Effect.Effect<TakeBack, FileFailure> =>
  Effect.suspend(() => {
    const added: Array<string> = []
    return Effect.as(
      attempt(() =>
        rewrite(disk, file, (lines) => {
          const known = new Set(lines.map((line) => /^\s*([^\s[]+)/.exec(line)?.[1]))
          added.push(...certificates.filter((certificate) => !known.has(certificate)))
          if (added.length === 0) return null
          const last = lines.at(-1)
          const end = last === undefined || last.endsWith("\n") ? [] : ["\n"]
          return [...lines, ...end, ...added.map((certificate) => `${certificate}\n`)]
        })
      ),
      Effect.asVoid(Effect.forEach(added, (certificate) => remove(disk, file, certificate)))
    )
  })

/** Removes every line of a certificate. */
export const remove = (disk: Disk, file: string, certificate: string): Effect.Effect<TakeBack, FileFailure> =>
  Effect.suspend(() => {
    const removed: Array<{ readonly at: number; readonly line: string }> = []
    return Effect.as(
      attempt(() =>
        rewrite(disk, file, (lines) => {
          lines.forEach((line, at) => {
            if (names(line, certificate)) removed.push({ at, line })
          })
          return removed.length === 0 ? null : lines.filter((line) => !names(line, certificate))
        })
      ),
      attempt(() =>
        rewrite(disk, file, (lines) => {
          if (removed.length === 0 || lines.some((line) => names(line, certificate))) return null
          const next = [...lines]
          for (const { at, line } of removed) next.splice(at, 0, line.endsWith("\n") ? line : `${line}\n`)
          return next
        })
      )
    )
  })
