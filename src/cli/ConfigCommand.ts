/** `haproxy-mcp config`: its flags; ConfigFiles.ts does the work. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { decodeSettings } from "../Config.ts"
import { printConfig } from "./ConfigFiles.ts"
import { settingFlags, sourcesOf } from "./SettingFlags.ts"

export const configCommand = Command.make(
  "config",
  {
    output: Flag.String("output").pipe(
      Flag.withAlias("o"),
      Flag.withMetavar("FILE"),
      Flag.withDescription("Write haproxy.cfg to this file instead of standard output; never over an existing one"),
      Flag.optional
    ),
    pools: Flag.String("pools").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("Write the first pools.cfg to this file; never over an existing one"),
      Flag.optional
    ),
    settings: settingFlags("config")
  },
  ({ output, pools, settings }) =>
    Effect.flatMap(
      decodeSettings(sourcesOf(settings)),
      (decoded) => printConfig(decoded, { output: Option.getOrNull(output), pools: Option.getOrNull(pools) })
    )
).pipe(
  Command.withDescription(
    "Prints a complete, commented haproxy.cfg for the current settings. Nothing is read from HAProxy or the database."
  ),
  Command.withShortDescription("Print a haproxy.cfg for the current settings"),
  Command.withExamples([
    { command: "haproxy-mcp config > haproxy.cfg", description: "Look at it first" },
    {
      command: "haproxy-mcp config --output haproxy.cfg --pools pools.cfg && haproxy -f haproxy.cfg -f pools.cfg",
      description: "Both files that HAProxy starts from"
    }
  ])
)
