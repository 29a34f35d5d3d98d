/**
 * A file of rows as text, bounded: what is too large, no regular text or of another kind is refused at once, with what
 * it looks like, and never read whole first.
 */
import * as Effect from "effect/Effect"
import { isUtf8 } from "node:buffer"
import { open } from "node:fs/promises"
import { InvalidInput } from "../../domain/Errors.ts"

/** Bytes of a file: 200,000 rows of the longest kind that is usual. */
export const largestFile = 64 * 1024 * 1024

/** Refuses the whole file. */
export const refuseFile = (file: string, what: string, hint: string) =>
  new InvalidInput({ message: `${file === "-" ? "Standard input" : file} ${what}`, hint, field: "FILE" })

/** What files of other kinds begin with. */
const kinds: ReadonlyArray<readonly [start: string, what: string, hint: string]> = [
  ["\u001f\u008b", "is compressed (gzip)", "Decompress it: gunzip < FILE | haproxy-mcp import -"],
  ["(\u00b5/\u00fd", "is compressed (zstd)", "Decompress it first."],
  ["PK\u0003\u0004", "is a ZIP archive or a spreadsheet", "Save the sheet as CSV in UTF-8, and import that."],
  ["SQLite format 3", "is a database", "Name a CSV or JSON file; haproxy-mcp export makes one from a database."],
  ["%PDF", "is a PDF", "Name a CSV or JSON file."],
  ["\u00ff\u00fe", "is text in UTF-16", "Save it as UTF-8."],
  ["\u00fe\u00ff", "is text in UTF-16", "Save it as UTF-8."]
]

const refuseKind = (file: string, bytes: Buffer): InvalidInput | null => {
  const start = bytes.toString("latin1", 0, 512)
  const kind = kinds.find(([magic]) => start.startsWith(magic))
  if (kind !== undefined) return refuseFile(file, kind[1], kind[2])
  if (/^(?:\u00ef\u00bb\u00bf)?\s*</.test(start)) {
    return refuseFile(file, "is HTML or XML", "Was an error page saved? Name a CSV or JSON file.")
  }
  return start.includes("\0") ? refuseFile(file, "is no text", "Name a CSV or JSON file.") : null
}

const tooLarge = (file: string) =>
  refuseFile(file, `is larger than ${largestFile / 1024 / 1024} MB`, "Split it: a file may have 200,000 rows.")

const readStream = async (file: string, stream: AsyncIterable<Buffer>): Promise<Buffer> => {
  const chunks: Array<Buffer> = []
  let size = 0
  for await (const chunk of stream) {
    if (size === 0) {
      const other = refuseKind(file, chunk)
      if (other !== null) throw other
    }
    size += chunk.length
    if (size > largestFile) throw tooLarge(file)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

const readNamed = async (file: string): Promise<Buffer> => {
  const handle = await open(file, "r")
  try {
    const stat = await handle.stat()
    if (stat.isDirectory()) throw refuseFile(file, "is a folder", "Name a CSV or JSON file.")
    if (stat.size > largestFile) throw tooLarge(file)
    return await readStream(file, handle.createReadStream({ autoClose: false }))
  } finally {
    await handle.close()
  }
}

/** The text of a file, or of standard input for `-`, without a byte order mark. */
export const readInput = (file: string): Effect.Effect<string, InvalidInput> =>
  Effect.tryPromise({
    try: () => file === "-" ? readStream(file, process.stdin) : readNamed(file),
    catch: (error) => {
      if (error instanceof InvalidInput) return error
      const code = (error as NodeJS.ErrnoException).code
      if (code === undefined) throw error
      return refuseFile(file, `cannot be read (${code})`, "Check the name and the rights on it.")
    }
  }).pipe(Effect.flatMap((bytes) => {
    if (!isUtf8(bytes)) return Effect.fail(refuseFile(file, "is not UTF-8", "Save it as UTF-8."))
    const text = bytes.toString("utf8")
    return Effect.succeed(text.startsWith("\ufeff") ? text.slice(1) : text)
  }))
