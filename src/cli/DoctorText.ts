/** The findings of the doctor as lines for people: by area, the way to mend below what is wrong. */
import type { Area, Finding, Level, Report } from "../doctor/Finding.ts"

const colourOf: Readonly<Record<Level, string>> = { ok: "32", warning: "33", error: "31" }

const areas: ReadonlyArray<Area> = [
  "settings",
  "control plane",
  "HAProxy",
  "routing",
  "certificates",
  "database",
  "files",
  "access",
  "machine"
]

// oxlint-disable-next-line no-control-regex
const clean = (text: string): string => text.replace(/[\u0000-\u001f\u007f-\u009f]/g, "?")

/** The whole text. */
export const doctorText = (report: Report, colours: boolean): string => {
  const paint = (code: string, text: string) => colours ? `\u001b[${code}m${text}\u001b[0m` : text
  const line = ({ found, level, mend, name }: Finding) =>
    `  ${paint(colourOf[level], level.padEnd(8))} ${`${name}:`.padEnd(17)} ${clean(found)}\n`
    + (mend === null ? "" : `${" ".repeat(11)}${paint("1", "mend:")}${" ".repeat(13)}${clean(mend)}\n`)
  const sections = areas.flatMap((area) => {
    const findings = report.findings.filter((finding) => finding.area === area)
    return findings.length === 0
      ? []
      : [`${paint("1", area[0]!.toUpperCase() + area.slice(1))}\n${findings.map(line).join("")}`]
  })
  return `${clean(report.summary)}\n\n${sections.join("\n")}`
}
