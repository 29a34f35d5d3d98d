/** The demo's command line. */
import { parseArgs } from "node:util"
import { DemoFailure } from "./DemoFailure.ts"

export interface Options {
  /** Prove every step, then stop, instead of staying up. */
  readonly once: boolean
  /** Added to every port. */
  readonly portOffset: number
  readonly help: boolean
}

/** 9999, the highest port, plus this is still a port. */
const largestOffset = 65_535 - 9_999

export const usage = `usage: npm run demo [-- [--once] [--port-offset N]]

  --once            prove every step, stop everything and exit: 0 when all was proved, else 1
  --port-offset N   add N to every port (8000 MCP, 8080 HTTP, 8443 HTTPS, 9999 Runtime API) when they are taken
  --help            this text`

const refuse = (message: string) => new DemoFailure(message, usage)

/**
 * Reads the arguments. `npm run demo --once` without the `--` in between gives the flag to npm, which hands it on as
 * `npm_config_once`: what the person meant is clear, so it counts too.
 */
export const readOptions = (
  args: ReadonlyArray<string>,
  env: Readonly<Record<string, string | undefined>> = {}
): Options => {
  const { values } = parse(args)
  const offset = values["port-offset"] ?? env["npm_config_port_offset"] ?? "0"
  if (!/^\d{1,5}$/.test(offset) || Number(offset) > largestOffset) {
    throw refuse(`--port-offset takes a whole number from 0 to ${largestOffset}, not ${offset}`)
  }
  return {
    once: values.once ?? env["npm_config_once"] === "true",
    portOffset: Number(offset),
    help: values.help ?? false
  }
}

const parse = (args: ReadonlyArray<string>) => {
  try {
    return parseArgs({
      args: [...args],
      strict: true,
      options: {
        once: { type: "boolean" },
        "port-offset": { type: "string" },
        help: { type: "boolean", short: "h" }
      }
    })
  } catch (cause) {
    throw refuse((cause as Error).message.split(/[.\n]/)[0] ?? "wrong arguments")
  }
}
