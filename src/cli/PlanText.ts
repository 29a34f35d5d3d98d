/** The plan of a dry run, for people. */
import type { ChangePlan } from "../program/DryRun.ts"
import { clean, textTable } from "./TextTable.ts"

/** The plan of a dry run's answer. */
export const planText = (found: { readonly summary?: unknown; readonly plan?: unknown }): string => {
  const { command_count, domains, edit_count, edits, files, live_sessions, steps } = found.plan as ChangePlan
  const rows = edits.map(({ after, before, what }) => [what, before ?? "-", after ?? "-"])
  return [
    clean(String(found.summary)),
    ...(rows.length === 0 ? [] : ["", textTable(["what", "before", "after"], rows).trimEnd()]),
    ...(edit_count > rows.length ? [`… and ${edit_count - rows.length} more`] : []),
    ...(rows.length === 0 ? [] : [""]),
    ...steps.map(clean),
    ...(files.length === 0 ? [] : [`Files: ${files.map(clean).join(", ")}`]),
    ...(command_count === 0
      ? []
      : [`${command_count} commands to HAProxy; ${live_sessions ?? "?"} sessions are open on the servers concerned`]),
    ...(domains.length === 0 ? [] : [`Domains: ${domains.map(clean).join(", ")}`]),
    ""
  ].join("\n")
}
