/** The table of docs/runtime-tools.md: what each tool is said to send. */
import { readFileSync } from "node:fs"

export interface TableRow {
  readonly tool: string
  /** As the table writes them: `set map PATH KEY VALUE`. */
  readonly commands: ReadonlyArray<string>
  /** The line of HAProxy from which on it works, such as `3.2`. */
  readonly since: string
}

const ticked = (cell: string): ReadonlyArray<string> => [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1]!)

/** Its rows, in order. */
export const tableRows = (): ReadonlyArray<TableRow> =>
  readFileSync(new URL("../../../docs/runtime-tools.md", import.meta.url), "utf8").split("\n").flatMap((line) => {
    const cells = line.split(" | ").map((cell) => cell.replace(/^\|/, "").trim())
    const [tool] = ticked(cells[0] ?? "")
    return cells.length === 5 && tool !== undefined
      ? [{ tool, commands: ticked(cells[2]!), since: cells[3]! }]
      : []
  })

/** Was a command of this form sent? Words in capitals stand for any word. */
export const isSent = (form: string, commands: ReadonlyArray<string>): boolean => {
  const words = form.split(" ").map((word) =>
    word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/[A-Z]{1,}/g, "[^\\s]+")
  )
  const pattern = new RegExp(`^${words.join(" ")}(?: |$)`)
  return commands.some((command) => pattern.test(command))
}
