/**
 * Secrets that must be seen nowhere, and every way in which each could have been written down: a key by the lines of its
 * PEM in two formats, and its number raw, in hexadecimal and in base64 wherever that may begin; a text as it is, in
 * base64, and as part of a URL.
 */
import { createPrivateKey } from "node:crypto"
import { lstatSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"

/** Base64 of bytes that begin at any place of a longer text, without what depends on their neighbours. */
const base64Inside = (bytes: Buffer): ReadonlyArray<string> =>
  [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), bytes]).toString("base64").replace(/=+$/, "")
    return text.slice(shift === 0 ? 0 : shift + 1, -2)
  })

const urlSafe = (text: string): string => text.replaceAll("+", "-").replaceAll("/", "_")

const ofNumber = (bytes: Buffer): ReadonlyArray<string> => {
  const hex = bytes.toString("hex")
  const inside = base64Inside(bytes)
  return [
    bytes.toString("latin1"),
    hex,
    hex.toUpperCase(),
    hex.replaceAll(/..(?!$)/g, "$&:"),
    hex.toUpperCase().replaceAll(/..(?!$)/g, "$&:"),
    ...inside,
    ...inside.map(urlSafe)
  ]
}

const ofKey = (pem: string): ReadonlyArray<string> => {
  const key = createPrivateKey(pem)
  const lines = [pem, ...(["sec1", "pkcs8"] as const).map((type) => key.export({ type, format: "pem" }).toString())]
    .flatMap((text) => /-----BEGIN [A-Z ]*PRIVATE KEY-----\n([^-]*)/.exec(text)![1]!.split("\n"))
    .filter((line) => line.length >= 16)
  const { d = "" } = key.export({ format: "jwk" })
  return [...lines, ...ofNumber(Buffer.from(d, "base64url"))]
}

const ofText = (text: string): ReadonlyArray<string> => {
  const inside = base64Inside(Buffer.from(text))
  return [text, encodeURIComponent(text), Buffer.from(text).toString("hex"), ...inside, ...inside.map(urlSafe)]
}

export class Secrets {
  private readonly forms = new Map<string, string>()

  /** An EC key as PEM; text around it does not matter. */
  addKey(label: string, pem: string): void {
    for (const form of ofKey(pem)) this.forms.set(form, label)
  }

  addText(label: string, text: string): void {
    for (const form of ofText(text)) this.forms.set(form, label)
  }

  /** Labels of the secrets that stand somewhere in this. */
  in(content: string | Buffer): ReadonlyArray<string> {
    const text = typeof content === "string" ? content : content.toString("latin1")
    return [...new Set([...this.forms].filter(([form]) => text.includes(form)).map(([, label]) => label))]
  }
}

/** Every regular file below a folder with its content, those below `without` left out. */
export const filesBelow = (
  folder: string,
  without: ReadonlyArray<string> = []
): ReadonlyArray<{ readonly path: string; readonly content: Buffer }> =>
  readdirSync(folder).flatMap((name) => {
    const path = join(folder, name)
    if (without.includes(path)) return []
    const stats = lstatSync(path)
    if (stats.isDirectory()) return filesBelow(path, without)
    return stats.isFile() ? [{ path, content: readFileSync(path) }] : []
  })

/** What all processes of this machine were started with, as long as it looks: arguments and environments. */
export class ProcessList {
  /** Arguments, joined by spaces. */
  readonly commands = new Set<string>()
  /** Environments of processes that are no run of acme.sh. */
  readonly environments = new Set<string>()
  /** Those of acme.sh and all that it starts: they get the credentials. */
  readonly ofAcme = new Set<string>()
  private readonly timer: NodeJS.Timeout
  /** How often each was read: a child shows its parent's words until it runs its own program, and then never others. */
  private seen = new Map<string, number>()

  constructor(every = 10) {
    this.timer = setInterval(() => this.look(), every)
  }

  look(): void {
    const before = this.seen
    this.seen = new Map()
    for (const pid of readdirSync("/proc")) {
      if (!/^\d+$/.test(pid)) continue
      const times = before.get(pid) ?? 0
      this.seen.set(pid, times + 1)
      // The first half second, and one look in a hundred after it.
      if (times > 50 && times % 100 !== 0) continue
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ")
        const environment = readFileSync(`/proc/${pid}/environ`, "latin1")
        this.commands.add(command)
        const isAcme = environment.split("\0").some((line) => line.startsWith("HAPROXY_MCP_ACME_RUN="))
        ;(isAcme ? this.ofAcme : this.environments).add(environment)
      } catch {
        // It has ended, or is another user's.
      }
    }
  }

  stop(): void {
    clearInterval(this.timer)
    this.look()
  }
}
