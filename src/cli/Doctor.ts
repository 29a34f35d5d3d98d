/** `haproxy-mcp doctor`: what the doctor finds as text or JSON, and an exit code for scripts. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import type { Level } from "../doctor/Finding.ts"
import { doctorText } from "./DoctorText.ts"
import { Ended, exitCodes } from "./Exit.ts"
import type { Handlers } from "./Handlers.ts"
import { wantsColours } from "./HelpText.ts"
import { settingFlags, sourcesOf } from "./SettingFlags.ts"

const codeOf: Readonly<Record<Level, number>> = {
  ok: exitCodes.done,
  warning: exitCodes.degraded,
  error: exitCodes.failed
}

export const doctorCommand = <R>(handlers: Pick<Handlers<R>, "doctor">) =>
  Command.make("doctor", {
    json: Flag.Boolean("json").pipe(Flag.withDescription("Print JSON instead of text"), Flag.withDefault(false)),
    settings: settingFlags("serve")
  }, ({ json, settings }) =>
    Effect.flatMap(handlers.doctor(sourcesOf(settings)), (report) => {
      process.stdout.write(
        json ? `${JSON.stringify(report, null, 2)}\n` : doctorText(report, wantsColours(process.stdout))
      )
      const code = codeOf[report.status]
      return code === exitCodes.done ? Effect.void : Effect.fail(new Ended({ code }))
    })).pipe(
      Command.withDescription(
        "Looks at everything between the settings and the traffic (settings, HAProxy, maps, pools, certificates, acme.sh, "
          + "files, database, tokens, the process that serves) and says what is wrong and how to mend it. Changes nothing and prints no "
          + "secret; takes a few seconds. Give it the settings of `serve`, and run it as the same user. Exit codes: 0 "
          + "all is well, 3 warnings, 1 errors."
      ),
      Command.withShortDescription("Say what is wrong and how to mend it"),
      Command.withExamples([
        { command: "haproxy-mcp doctor", description: "Before the first start, and whenever something is strange" },
        {
          command: "haproxy-mcp doctor --json | jq '.findings[] | select(.level != \"ok\")'",
          description: "For scripts"
        }
      ])
    )
