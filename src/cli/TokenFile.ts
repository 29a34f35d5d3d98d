/**
 * The file with the bearer tokens (MCP_TOKEN_FILE), for the commands that change it. `serve` reads it again when it
 * changes (mcp/Auth.ts).
 *
 * Guarantees: the file is there as it was or as it shall be, never in between, also after a power cut; a new one has
 * mode 0600, an old one keeps owner and group and loses what others may do; lines that are no tokens of ours stay. A
 * symbolic link stays, and what it leads to is replaced.
 */
import { existsSync, readFileSync } from "node:fs"
import { StorageFailed } from "../domain/Errors.ts"
import * as DurableFile from "../haproxy/DurableFile.ts"
import { localDisk } from "../haproxy/files/LocalDisk.ts"
import { parseTokens } from "../mcp/Auth.ts"

/** What is done to the tokens that the file holds. */
export type Others = "keep" | "drop"

/** A new file is for its owner alone; an old one keeps owner and group, and the group may read it if it could. */
const replace = async (path: string, text: string): Promise<void> => {
  const old = await DurableFile.identify(localDisk, path)
  await DurableFile.replace(
    localDisk,
    path,
    [Buffer.from(text)],
    old === null ? { mode: 0o600 } : { like: { ...old, mode: 0o600 | (old.mode & 0o040) } }
  )
}

const read = (path: string): string => {
  try {
    return existsSync(path) ? readFileSync(path, "utf8") : ""
  } catch (cause) {
    throw new StorageFailed({
      message: `${path} cannot be read (${DurableFile.codeOf(cause)})`,
      hint: "Run as the user that owns the token file."
    })
  }
}
const isToken = (line: string): boolean => parseTokens(line).length > 0
/** The line above a token that says when it came. */
const note = /^# added \d{4}-/

/** How many tokens a file holds; 0 when it is not there. Throws {@link StorageFailed}, as all below. */
export const countTokens = (file: string): number => parseTokens(read(file)).length

/** Puts a token in, as the last line. Answers how many the file holds then. */
export const addToken = async (file: string, token: string, others: Others, now: Date): Promise<number> => {
  const path = await DurableFile.realTarget(localDisk, file)
  const lines = read(path).split(/\r?\n/)
  if (lines.at(-1) === "") lines.pop()
  const kept = others === "keep" ? lines : lines.filter((line) => !isToken(line) && !note.test(line))
  const text = [...kept, `# added ${now.toISOString()}`, `MCP_TOKEN=${token}`, ""].join("\n")
  await replace(path, text)
  return parseTokens(text).length
}

/** Takes every token out but the last one. Answers how many went. */
export const dropOlder = async (file: string): Promise<number> => {
  const path = await DurableFile.realTarget(localDisk, file)
  const lines = read(path).split(/\r?\n/)
  const last = lines.findLastIndex(isToken)
  const older = lines.filter(isToken).length - 1
  if (older < 1) return 0
  const kept = lines.filter((line, index) =>
    index === last ||
    (note.test(line) ? lines.findIndex((one, at) => at > index && isToken(one)) === last : !isToken(line))
  )
  await replace(path, kept.join("\n"))
  return older
}
