/**
 * The blocks of a PEM text (RFC 7468) and how one is written. Text around blocks counts for nothing, as for OpenSSL:
 * `openssl pkcs12` and `openssl x509 -text` leave some there. Lines may end in any way and have any length.
 */

/** One block: its label and its content. */
export interface PemBlock {
  /** `CERTIFICATE`, `EC PRIVATE KEY`. */
  readonly label: string
  readonly der: Buffer
  /** It has a header that says so (RFC 1421, 4.6.1.1: `Proc-Type: 4,ENCRYPTED`), or its label does. */
  readonly encrypted: boolean
}

const mark = /^[ \t\uFEFF]*-----(BEGIN|END) ([A-Z0-9.# ]+)-----[ \t]*$/
const header = /^[A-Za-z][A-Za-z0-9-]*:/

/** The content of the lines between two marks; null when it is no base64. */
const decode = (lines: ReadonlyArray<string>): { readonly der: Buffer; readonly encrypted: boolean } | null => {
  // Headers, and the lines that go on with one, end with a blank line.
  const blank = lines.findIndex((line) => line.trim() === "")
  const hasHeaders = header.test(lines[0] ?? "")
  if (hasHeaders && blank < 0) return null
  const headers = hasHeaders ? lines.slice(0, blank) : []
  const body = lines.slice(headers.length).map((line) => line.trim()).join("")
  if (body === "" || !/^[A-Za-z0-9+/]+={0,2}$/.test(body) || body.length % 4 !== 0) return null
  return {
    der: Buffer.from(body, "base64"),
    encrypted: headers.some((line) => /^Proc-Type:.*ENCRYPTED/.test(line))
  }
}

/** The blocks in order; null when one is cut off or holds anything but base64. */
export const pemBlocks = (text: string): ReadonlyArray<PemBlock> | null => {
  const blocks: Array<PemBlock> = []
  let open: { readonly label: string; readonly lines: Array<string> } | null = null
  for (const line of text.split(/\r\n|\r|\n/)) {
    const [, kind, label] = mark.exec(line) ?? []
    if (kind === undefined || label === undefined) open?.lines.push(line)
    else if (kind === "BEGIN") {
      if (open !== null) return null
      open = { label, lines: [] }
    } else if (open !== null) {
      const content = open.label === label ? decode(open.lines) : null
      if (content === null) return null
      blocks.push({ label, der: content.der, encrypted: content.encrypted || label.startsWith("ENCRYPTED ") })
      open = null
    }
  }
  return open === null ? blocks : null
}

/** Lines of a block: 64 characters each, as RFC 7468 (2) wants it. */
export const pemLines = (label: string, der: Uint8Array): ReadonlyArray<string> => [
  `-----BEGIN ${label}-----`,
  ...(Buffer.from(der.buffer, der.byteOffset, der.byteLength).toString("base64").match(/.{1,64}/g) ?? []),
  `-----END ${label}-----`
]
