/**
 * Bearer tokens: the stored ones, and those of a setting and of a file that is read again when it changes.
 *
 * Of the setting and the file only hashes are kept and compared, each comparison in constant time and none left out, so that neither a token
 * nor its nearness can be read from memory or time. A file that is removed or emptied revokes its tokens; one that
 * cannot be read keeps the last ones. Nothing here can open the gate.
 */
import * as Redacted from "effect/Redacted"
import { hash, timingSafeEqual } from "node:crypto"
import { readFileSync, type Stats, statSync } from "node:fs"
import { ConfigInvalid } from "../domain/Errors.ts"
import { withAllRights } from "../domain/Principal.ts"
import { noTokens, type TokenLookup } from "../program/TokenIndex.ts"
import type { Tokens } from "./Gate.ts"

/** Where tokens come from. */
export interface TokenOptions {
  /** MCP_TOKEN. */
  readonly token: Redacted.Redacted<string> | null
  /** MCP_TOKEN_FILE. */
  readonly file: string | null
  /** The file need not be there (the default place). */
  readonly fileOptional: boolean
  /** Those of the database. */
  readonly stored?: TokenLookup
}

/** Tokens with how many there are of the setting and the file. */
export interface TokenStore extends Tokens {
  readonly count: () => number
}

/** How long a look at the file counts, in milliseconds: a new token is good, an old one bad, after this. */
const lookEvery = 500
/** Nobody needs more; a larger file is not a token file. */
const largestFile = 64 * 1024

/** The hash in hexadecimal: as text it costs half of what a buffer of its own does. */
const hexDigest = (token: string): string => hash("sha256", token, "hex")

const digest = (token: string): Buffer => Buffer.from(hexDigest(token), "latin1")

/** Where the hash of the token that came is laid for the comparison. */
const given = Buffer.alloc(64)

/** The tokens of a file: `MCP_TOKEN=…` (dotenv-like, quotes and `export` allowed) or bare, one per line. */
export const parseTokens = (text: string): ReadonlyArray<string> =>
  text.replace(/^\ufeff/, "").split(/\r?\n/).flatMap((line) => {
    const trimmed = line.trim()
    if (trimmed === "" || trimmed.startsWith("#")) return []
    const [, name = "", assigned = ""] = /^(?:export\s+)?([A-Z_][A-Z0-9_]*)\s*=\s*(.*)$/.exec(trimmed) ?? []
    const ours = /^MCP_TOKEN(?:_\w+)?$/.test(name)
    // Another setting; but what is only padded with "=" is base64, a bare token.
    if (name !== "" && !ours && !/^=*$/.test(assigned)) return []
    const value = (ours ? assigned : trimmed).replace(/^(["'])(.*)\1$/, "$2")
    return /^[\u0021-\u007e]+$/.test(value) ? [value] : []
  })

interface Loaded {
  readonly stamp: string
  readonly hashes: ReadonlyArray<Buffer>
}

const stampOf = (stats: Stats): string => `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeMs}:${stats.ctimeMs}`

const errorCode = (error: unknown): string => String((error as NodeJS.ErrnoException).code ?? "UNKNOWN")

const load = (file: string): Loaded => {
  const stats = statSync(file)
  if (stats.size > largestFile) throw Object.assign(new Error("too large"), { code: "EFBIG" })
  return { stamp: stampOf(stats), hashes: parseTokens(readFileSync(file, "utf8")).map(digest) }
}

const nothing: Loaded = { stamp: "", hashes: [] }

/** Reads the tokens, or says why a file that was named gives none. */
export const makeTokens = (options: TokenOptions): TokenStore | ConfigInvalid => {
  const { file, stored = noTokens } = options
  const fixed = options.token === null ? [] : [digest(Redacted.value(options.token))]
  const fileInvalid = (message: string) =>
    new ConfigInvalid({
      message: `MCP_TOKEN_FILE ${file} ${message}`,
      field: "MCP_TOKEN_FILE",
      hint: "Write the token into it, bare or as MCP_TOKEN=…, in visible ASCII characters."
    })

  let loaded = nothing
  if (file !== null) {
    try {
      loaded = load(file)
      if (loaded.hashes.length === 0) return fileInvalid("holds no token")
    } catch (error) {
      if (!options.fileOptional || errorCode(error) !== "ENOENT") {
        return fileInvalid(`cannot be read (${errorCode(error)})`)
      }
    }
  }
  let lookedAt = performance.now()
  /** Tokens were there at the start: taking the last one away opens nothing. */
  const named = fixed.length + loaded.hashes.length > 0

  const refresh = () => {
    if (file === null || performance.now() - lookedAt < lookEvery) return
    lookedAt = performance.now()
    try {
      if (stampOf(statSync(file)) !== loaded.stamp) loaded = load(file)
    } catch (error) {
      if (errorCode(error) === "ENOENT") loaded = nothing
    }
  }

  return {
    count: () => fixed.length + loaded.hashes.length,
    any: () => fixed.length + loaded.hashes.length > 0 || named ? true : stored.any(),
    find: (token) => {
      const kept = stored.find(token)
      // One that the database does not know may still be in the setting or the file; one that it ended is ended.
      if (kept !== null && kept !== "unknown" && kept !== "unready") return kept
      refresh()
      given.write(hexDigest(token), "latin1")
      let found = -1
      const known = [...fixed, ...loaded.hashes]
      for (let index = 0; index < known.length; index++) if (timingSafeEqual(known[index]!, given)) found = index
      if (found < 0) return kept === "unready" ? kept : "wrong"
      const hash = known[found]!
      return {
        principal: withAllRights("token", `token-${found + 1}`),
        isGood: () => {
          refresh()
          return fixed.includes(hash) || loaded.hashes.some((one) => one.equals(hash))
        }
      }
    }
  }
}
