/**
 * The crt-list file that HAProxy starts from, where one is the list (HAPROXY_CRT_LIST_FILE).
 *
 * Guarantees: the file is there as a whole with a change or as it was, also after a power cut (DurableFile.ts); lines
 * that are not about our certificate stay byte for byte where they are, comments and options included. A file that is
 * not there is an error: HAProxy could not start without it, and one with our line alone would hide that.
 */
import * as Effect from "effect/Effect"
import { readFile } from "node:fs/promises"
import { dirname } from "node:path"
import { StorageFailed } from "../../domain/Errors.ts"
import { holdOld, identify, openFolder, publish, realTarget, stage, storageFailed } from "../DurableFile.ts"

/** Brings back the lines that a change took, or takes those that it put. Other changes since then stay. */
export type TakeBack = Effect.Effect<void, StorageFailed>

/** Does this line name the certificate? The name ends at white space or at `[`. */
const names = (line: string, certificate: string): boolean => /^\s*([^\s[]+)/.exec(line)?.[1] === certificate

/** Lines with their line ends. */
const split = (text: string): ReadonlyArray<string> => text === "" ? [] : text.split(/(?<=\n)/)

const rewrite = async (file: string, change: (lines: ReadonlyArray<string>) => ReadonlyArray<string> | null) => {
  const target = realTarget(file)
  const like = identify(target)
  if (like === null) {
    throw new StorageFailed({
      message: `The crt-list ${file} does not exist.`,
      hint: "Correct HAPROXY_CRT_LIST_FILE: it names the file that `crt-list` in haproxy.cfg loads."
    })
  }
  const lines = change(
    split(
      await readFile(target, "utf8").catch((cause: unknown) => {
        throw storageFailed("read", file, cause)
      })
    )
  )
  if (lines === null) return
  const staged = await stage(target, [Buffer.from(lines.join(""))], like)
  const folder = openFolder(dirname(target))
  const old = holdOld(target)
  try {
    publish(staged)
    await folder.sync()
  } finally {
    old.close()
    folder.close()
  }
}

const attempt = (run: () => Promise<void>): Effect.Effect<void, StorageFailed> =>
  Effect.tryPromise({
    try: run,
    catch: (cause) => {
      if (cause instanceof StorageFailed) return cause
      throw cause
    }
  })

/** Appends a line for each certificate that has none. */
export const append = (
  file: string,
  certificates: ReadonlyArray<string>
): Effect.Effect<TakeBack, StorageFailed> =>
  Effect.suspend(() => {
    const added: Array<string> = []
    return Effect.as(
      attempt(() =>
        rewrite(file, (lines) => {
          const known = new Set(lines.map((line) => /^\s*([^\s[]+)/.exec(line)?.[1]))
          added.push(...certificates.filter((certificate) => !known.has(certificate)))
          if (added.length === 0) return null
          const last = lines.at(-1)
          const end = last === undefined || last.endsWith("\n") ? [] : ["\n"]
          return [...lines, ...end, ...added.map((certificate) => `${certificate}\n`)]
        })
      ),
      Effect.asVoid(Effect.forEach(added, (certificate) => remove(file, certificate)))
    )
  })

/** Removes every line of a certificate. */
export const remove = (file: string, certificate: string): Effect.Effect<TakeBack, StorageFailed> =>
  Effect.suspend(() => {
    const removed: Array<{ readonly at: number; readonly line: string }> = []
    return Effect.as(
      attempt(() =>
        rewrite(file, (lines) => {
          lines.forEach((line, at) => {
            if (names(line, certificate)) removed.push({ at, line })
          })
          return removed.length === 0 ? null : lines.filter((line) => !names(line, certificate))
        })
      ),
      attempt(() =>
        rewrite(file, (lines) => {
          if (removed.length === 0 || lines.some((line) => names(line, certificate))) return null
          const next = [...lines]
          for (const { at, line } of removed) next.splice(at, 0, line.endsWith("\n") ? line : `${line}\n`)
          return next
        })
      )
    )
  })
