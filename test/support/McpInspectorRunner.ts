/**
 * The command line of the MCP Inspector, many times in one process: a line of JSON with its arguments in, a line with
 * its number and its failure out. Starting Node for each call would take longer than the call.
 */
import { createInterface } from "node:readline"
import { pathToFileURL } from "node:url"

/** What the Inspector's CLI module exports, and its launcher calls. */
interface InspectorCli {
  readonly runCli: (argv: ReadonlyArray<string>) => Promise<void>
}

const { runCli } = await import(pathToFileURL(process.argv[2]!).href) as InspectorCli

let done = 0
for await (const line of createInterface({ input: process.stdin })) {
  let failure: string | null = null
  try {
    await runCli(["node", "inspector-cli", ...JSON.parse(line) as ReadonlyArray<string>])
  } catch (error) {
    failure = error instanceof Error ? error.message : String(error)
  }
  process.stdout.write(`${JSON.stringify({ done: ++done, failure })}\n`)
}
