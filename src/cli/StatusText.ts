/** The answer of haproxy_health as lines for people. Values of HAProxy are printed without control characters. */
import type { ComponentStatus, HealthAnswer } from "../program/HealthShapes.ts"

const colourOf: Readonly<Record<ComponentStatus, string>> = {
  ok: "32",
  degraded: "33",
  error: "31",
  unknown: "33",
  not_configured: "2"
}

// oxlint-disable-next-line no-control-regex
const clean = (text: string): string => text.replace(/[\u0000-\u001f\u007f-\u009f]/g, "?")

/** `93784` → `1 d 2 h`; the two largest units. */
export const span = (seconds: number): string => {
  const parts = ([["d", 86_400], ["h", 3_600], ["min", 60], ["s", 1]] as const).flatMap(([unit, size], index, all) => {
    const above = index === 0 ? seconds : seconds % all[index - 1]![1]
    const count = Math.floor(above / size)
    return count > 0 ? [`${count} ${unit}`] : []
  })
  return parts.slice(0, 2).join(" ") || "0 s"
}

const counted = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`

type Component = HealthAnswer["components"]["certificates"]

/** `12, 11 loaded, the first ends in 30 d`. */
const certificatesText = (of: Component, now: number): string => {
  const { expiring, failing, loaded, next_expiry: ends, reason, total } = of
  const left = ends === null ? null : Math.floor((Date.parse(ends) - now) / 1000)
  return [
    String(total),
    ...(loaded === null ? [] : [`${loaded} loaded`]),
    ...(expiring > 0 ? [`${expiring} expiring`] : []),
    ...(failing > 0 ? [`${failing} failing`] : []),
    ...(left === null ? [] : [left < 0 ? `the first ended ${span(-left)} ago` : `the first ends in ${span(left)}`])
  ].join(", ") + (reason === undefined ? "" : `: ${reason}`)
}

type Line = readonly [name: string, status: ComponentStatus, text: string]

/** `writer, strict, generation 42, 3 commits behind`. */
const remoteText = ({ generation, lag, mode, reason, role }: HealthAnswer["components"]["remote"]): string =>
  [
    role,
    mode,
    ...(generation === null ? [] : [`generation ${generation}`]),
    ...(lag === 0 ? [] : [`${counted(lag, "commit")} behind`])
  ].join(", ") + (reason === undefined ? "" : `: ${reason}`)

const linesOf = ({ components }: HealthAnswer, now: number): ReadonlyArray<Line> => {
  const { certificates, config_files, desired_state: desired, haproxy, mcp, reconciler, remote } = components
  const because = (part: { readonly reason?: string }) => part.reason === undefined ? "" : `: ${part.reason}`
  const compared = reconciler.last_run_at === null
    ? "never compared"
    : `compared ${span(Math.max(0, Math.floor((now - Date.parse(reconciler.last_run_at)) / 1000)))} ago with `
      + `${counted(reconciler.last_drift, "difference")}, `
      + counted(reconciler.foreign_entries, "foreign entry", "foreign entries")
  return [
    [
      "HAProxy",
      haproxy.status,
      haproxy.version === null
        ? haproxy.reason ?? "down"
        : `${haproxy.version}, up ${span(haproxy.uptime_sec ?? 0)}${because(haproxy)}`
    ],
    ["In sync", reconciler.status, `${reconciler.in_sync ? "yes" : "no"}, ${compared}${because(reconciler)}`],
    ["Revision", desired.status, String(desired.revision)],
    ["Domains", desired.status, `${desired.domains}, and ${counted(desired.wildcards, "wildcard")}`],
    ["Pools", desired.status, `${desired.pools_used} of ${desired.pools_declared} used`],
    ["Servers", desired.status, String(desired.servers)],
    ...(certificates.status === "not_configured"
      ? []
      : [["Certs", certificates.status, certificatesText(certificates, now)] satisfies Line]),
    ...(remote.status === "not_configured"
      ? []
      : [["Remote", remote.status, remoteText(remote)] satisfies Line]),
    ["Queue", "ok", `${counted(reconciler.queued_writes, "write")} waiting`],
    ...Object.values(config_files.files).map((file): Line => ["File", file.status, `${file.path}${because(file)}`]),
    [
      "Process",
      mcp.status,
      mcp.status === "error" ? "nobody serves" : `haproxy-mcp ${mcp.version}, up ${span(mcp.uptime_sec)}`
    ]
  ]
}

/** The whole table; `now` in milliseconds since 1970. */
export const statusText = (health: HealthAnswer, now: number, colours: boolean): string => {
  const paint = (status: ComponentStatus, text: string) =>
    colours ? `\u001b[${colourOf[status]}m${text}\u001b[0m` : text
  const lines = linesOf(health, now).map(([name, status, text]) =>
    `${name.padEnd(10)}${paint(status, status.padEnd(16))}${clean(text)}`.trimEnd()
  )
  return `${clean(health.summary)}\n\n${lines.join("\n")}\n`
}

const wordOf: Readonly<Record<HealthAnswer["status"], string>> = {
  healthy: "OK",
  degraded: "WARNING",
  unhealthy: "CRITICAL"
}

/** One line for monitoring, with numbers to draw behind the bar (monitoring-plugins.org, "Performance data"). */
export const pluginLine = ({ components, status, summary }: HealthAnswer): string => {
  const { certificates, desired_state: desired, reconciler } = components
  const numbers = [
    `domains=${desired.domains}`,
    `pools=${desired.pools_used};;;0;${desired.pools_declared}`,
    `servers=${desired.servers}`,
    `drift=${reconciler.last_drift}`,
    `queue=${reconciler.queued_writes}`,
    `certificates=${certificates.total}`,
    `certificates_failing=${certificates.failing}`
  ]
  return `HAPROXY-MCP ${wordOf[status]} - ${clean(summary).replaceAll("|", "/")} | ${numbers.join(" ")}\n`
}
