/** Answers of the tools on certificates as text for people. What strangers wrote is printed without control characters. */
import type {
  CertificateItem,
  CertificateStatus,
  CertInfoAnswer,
  CertWriteAnswer,
  DeleteCertAnswer,
  RenewAllCertsAnswer
} from "../program/certificates/Shapes.ts"
import { clean, textTable } from "./TextTable.ts"

const colourOf: Readonly<Record<CertificateStatus, string>> = {
  valid: "32",
  expiring: "33",
  expired: "31",
  not_yet_valid: "33",
  issuing: "33",
  missing: "31",
  broken: "31"
}

const painted = (status: CertificateStatus, text: string, colours: boolean): string =>
  colours ? `\u001b[${colourOf[status]}m${text}\u001b[0m` : text

/** `2026-02-08T12:03:50.123Z` → `2026-02-08 12:03`. */
const minutes = (time: string | null): string => time === null ? "-" : time.slice(0, 16).replace("T", " ")

/** Names that a cell shows. */
const shownNames = 2

const namesOf = (names: ReadonlyArray<string>): string =>
  names.length === 0
    ? "-"
    : names.slice(0, shownNames).join(", ") + (names.length > shownNames ? ` +${names.length - shownNames}` : "")

const loadedText = (loaded: boolean | null): string => loaded === null ? "?" : loaded ? "serves it" : "not loaded"

const head = [
  "certificate",
  "names",
  "status",
  "days left",
  "ends (UTC)",
  "from",
  "HAProxy",
  "next (UTC)",
  "last error"
]
/** Columns that are coloured by the status. */
const colouredColumns = [2, 3]

const row = (item: CertificateItem): ReadonlyArray<string> => [
  item.certificate,
  namesOf(item.domains),
  item.status,
  item.days_left === null ? "-" : String(item.days_left),
  minutes(item.not_after),
  item.source,
  loadedText(item.loaded),
  minutes(item.next_attempt),
  item.last_error ?? ""
]

/** The table of a list. */
export const certsText = (items: ReadonlyArray<CertificateItem>, colours: boolean): string =>
  items.length === 0
    ? "No certificate.\n"
    : textTable(
      head,
      items.map(row),
      (text, index, column) => colouredColumns.includes(column) ? painted(items[index]!.status, text, colours) : text
    )

const lines = (rows: ReadonlyArray<readonly [name: string, text: string]>): string =>
  rows.map(([name, text]) => `${name.padEnd(14)}${clean(text)}`.trimEnd()).join("\n")

const days = (count: number | null): string =>
  count === null ? "" : count < 0 ? `, ${-count} days ago` : `, ${count} days left`

/** One certificate for people. */
export const certInfoText = (info: CertInfoAnswer, colours: boolean): string =>
  [
    `${clean(info.summary)}\n`,
    lines([
      ["Certificate", info.certificate],
      ["Names", info.domains.join(", ") || "-"]
    ]),
    `${"Status".padEnd(14)}${painted(info.status, info.status, colours)}`,
    lines([
      ["Begins (UTC)", minutes(info.not_before)],
      ["Ends (UTC)", `${minutes(info.not_after)}${days(info.days_left)}`],
      ["Issuer", info.issuer || "-"],
      ["Serial", info.serial || "-"],
      ["SHA-256", info.fingerprint_sha256 || "-"],
      ["Key", info.key_type || "-"],
      ["Chain", `${info.chain_length} more`],
      ["File", info.file],
      ["From", info.source === "acme" ? "acme: issued and renewed here" : "file: put there by somebody"],
      ["HAProxy", loadedText(info.loaded)],
      ["Next (UTC)", minutes(info.next_attempt)],
      ...(info.last_error === null
        ? []
        : [["Last error", `${info.last_error} (${info.failures} in a row)`] as const]),
      ["Needed by", info.needed_by.join(", ") || "no routed domain"]
    ]),
    ""
  ].join("\n")

const changeOf = (changed: boolean, changeId: string | undefined, revision: number): string =>
  changed ? `  revision ${revision}${changeId === undefined ? "" : `, ${changeId}`}` : "  nothing was changed"

/** What was issued, renewed or loaded. */
export const certWriteText = (answer: CertWriteAnswer): string =>
  [
    clean(answer.summary),
    `  ${clean(answer.certificate)}: ${clean(answer.domains.join(", "))}`,
    `  ends ${minutes(answer.not_after)} UTC${days(answer.days_left)}, issued by ${clean(answer.issuer)}`,
    `  SHA-256 ${clean(answer.fingerprint_sha256)}`,
    ...(answer.proved ? ["  a TLS handshake with HAProxy showed it"] : []),
    changeOf(answer.changed, answer.change_id, answer.revision),
    ""
  ].join("\n")

/** What was deleted. */
export const certDeleteText = (answer: DeleteCertAnswer): string =>
  [
    clean(answer.summary),
    ...(answer.needed_by.length === 0 ? [] : [`  without HTTPS now: ${clean(answer.needed_by.join(", "))}`]),
    changeOf(answer.changed, answer.change_id, answer.revision),
    ""
  ].join("\n")

/** What was renewed and what failed. */
export const renewAllText = (answer: RenewAllCertsAnswer): string =>
  [
    clean(answer.summary),
    ...answer.renewed.map((name) => `  renewed ${clean(name)}`),
    ...answer.failed.map(({ certificate, error }) => `  failed  ${clean(certificate)}: ${clean(error)}`),
    ""
  ].join("\n")
