/** How effect/cli speaks: help and version on standard output, what is wrong on standard error alone. */
import type * as CliOutput from "effect/cli/CliOutput"
import * as Effect from "effect/Effect"
import { helpText, wantsColours } from "./HelpText.ts"

/** "Unrecognized flag: --a\n\n  Did you mean this?\n    --b\n    --c" on one line. */
const oneLine = (message: string): string =>
  message.trim().replace(/\n\n\s*Did you mean this\?\n\s*/, "; did you mean ").replaceAll(/\n\s*/g, " or ")

/** Help and version on standard output; errors alone on standard error, with the way to the help. */
export const presenter: CliOutput.Presenter = {
  present: (event) =>
    Effect.sync(() => {
      if (event._tag === "Help") {
        const stream = event.reason === "Requested" ? process.stdout : process.stderr
        stream.write(helpText(event.helpDoc, wantsColours(stream)))
      } else if (event._tag === "Version") process.stdout.write(`${event.name} ${event.version}\n`)
      else {
        const lines = event.errors.map((error) => `haproxy-mcp: ${oneLine(error.message)}\n`)
        process.stderr.write(`${lines.join("")}haproxy-mcp: see \`${event.commandPath.join(" ")} --help\`\n`)
      }
    })
}
