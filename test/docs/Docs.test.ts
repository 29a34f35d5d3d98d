/** The pages agree with what is there: links lead somewhere, commands exist, deployed variables are settings. */
import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs"
import { dirname, join, relative } from "node:path"
import { rows } from "../../src/config/Table.ts"

const root = join(import.meta.dirname, "..", "..")

const below = (folder: string, pattern: RegExp): ReadonlyArray<string> =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && pattern.test(entry.name))
      .map((entry) => join(entry.parentPath, entry.name))
    : []

const pages = [
  ...readdirSync(root).filter((name) => name.endsWith(".md")).map((name) => join(root, name)),
  ...below(join(root, "docs"), /\.md$/),
  ...below(join(root, "deploy"), /\.md$/)
]

/** The anchor that GitHub makes of a heading. */
const anchorOf = (heading: string): string =>
  heading.toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-")

const withoutCode = (text: string): string => text.replaceAll(/```[\s\S]*?```/g, "").replaceAll(/`[^`\n]*`/g, "")

const anchorsOf = (file: string): ReadonlySet<string> =>
  new Set([...readFileSync(file, "utf8").matchAll(/^#{1,6} (.+)$/gm)].map((match) => anchorOf(match[1]!)))

describe("a page", () => {
  it.each(pages.map((page) => relative(root, page)))("%s links to what is there", (name) => {
    const page = join(root, name)
    for (const [, target] of withoutCode(readFileSync(page, "utf8")).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^(?:https?:|mailto:)/.test(target!)) continue
      const [path, anchor] = target!.split("#")
      const file = path === "" ? page : join(dirname(page), path!)
      assert.isTrue(existsSync(file), `${name}: ${target}`)
      if (anchor !== undefined && statSync(file).isFile()) {
        assert.isTrue(anchorsOf(file).has(anchor), `${name}: ${target} has no such heading`)
      }
    }
  })

  /** Words after the program's name; the golden help files are the list of commands. */
  const commands = new Set(
    readdirSync(join(root, "test", "golden")).flatMap((name) => /^help-(.+)\.txt$/.exec(name)?.[1] ?? [])
  )

  it.each(pages.map((page) => relative(root, page)))("%s names only commands that exist", (name) => {
    const text = readFileSync(join(root, name), "utf8")
    const code = [...text.matchAll(/```[\s\S]*?```|`[^`\n]*`/g)].map((match) => match[0]).join("\n")
    for (
      const [, first, second] of code.matchAll(
        /(?<!(?:-u|-g|-aG|group|install|exec) )\bhaproxy-mcp ([a-z]+)\b(?: ([a-z]+)\b)?/g
      )
    ) {
      assert.isTrue(commands.has(first!), `${name}: haproxy-mcp ${first}`)
      if (first === "token" && second !== undefined) {
        assert.isTrue(commands.has(`token-${second}`), `${name}: ${second}`)
      }
    }
  })
})

describe("deploy", () => {
  const files = below(join(root, "deploy"), /\.(?:service|timer|env|container|yaml)$/)
  /** Variables that others read. */
  const others = new Set(["XDG_CACHE_HOME"])
  const settings = new Map(rows.map((row) => [row.name, row]))

  const variablesIn = (text: string): ReadonlyArray<readonly [string, string | undefined]> =>
    [
      ...text.matchAll(/^(?:Environment=)?([A-Z][A-Z0-9_]+)=(.*)$/gm),
      ...text.matchAll(/- \{ name: ([A-Z][A-Z0-9_]+), value: "?([^"}]*?)"? \}/g),
      ...text.matchAll(/- name: ([A-Z][A-Z0-9_]+)()$/gm)
    ].map((match) => [match[1]!, match[2] === "" ? undefined : match[2]] as const)

  it("has the three ways", () => {
    const kinds = files.map((file) => relative(root, file))
    for (const folder of ["systemd", "quadlet", "kubernetes"]) {
      assert.isTrue(kinds.some((file) => file.startsWith(join("deploy", folder))), folder)
    }
  })

  it.each(files.map((file) => relative(root, file)))(
    "%s sets only settings, to values that keep their rule",
    (name) => {
      for (const [variable, value] of variablesIn(readFileSync(join(root, name), "utf8"))) {
        if (others.has(variable)) continue
        const row = settings.get(variable)
        assert.isDefined(row, `${name}: ${variable}`)
        if (value !== undefined) assert.strictEqual(row!.read(value)._tag, "Success", `${name}: ${variable}=${value}`)
      }
    }
  )

  it.each(files.map((file) => relative(root, file)).filter((name) => /\.(?:env|container|yaml)$/.test(name)))(
    "%s says where HAProxy and the database are",
    (name) => {
      const set = new Set(variablesIn(readFileSync(join(root, name), "utf8")).map(([variable]) => variable))
      if (set.size === 0) return
      for (const needed of ["HAPROXY_RUNTIME_SOCKET", "HAPROXY_MAP_FILE", "HAPROXY_POOLS_FILE", "HAPROXY_DB_FILE"]) {
        assert.isTrue(set.has(needed), `${name}: ${needed}`)
      }
    }
  )

  const analyzer = ["/usr/bin/systemd-analyze", "/bin/systemd-analyze"].find((path) => existsSync(path))

  // The timer is verified together with its service.
  it.skipIf(analyzer === undefined).each([
    "haproxy-mcp.service",
    "haproxy-mcp-backup.service",
    "haproxy-mcp-backup.timer"
  ])(
    "%s is a unit that systemd takes",
    (unit) => {
      execFileSync(analyzer!, ["verify", join(root, "deploy/systemd", unit)], { stdio: "pipe" })
    }
  )

  it("the backup's unit is confined like the service's, and has no network", () => {
    const linesOf = (unit: string) => readFileSync(join(root, "deploy/systemd", unit), "utf8").split("\n")
    const own = linesOf("haproxy-mcp-backup.service")
    const confinement =
      /^(?:Protect|Restrict(?!AddressFamilies|[A-Z]*ExitStatus|Sec)|Private|NoNew|Capability|Ambient|Lock|System)/
    for (const line of linesOf("haproxy-mcp.service").filter((line) => confinement.test(line))) {
      assert.include(own, line)
    }
    assert.includeMembers(own, ["PrivateNetwork=true", "RestrictAddressFamilies=AF_UNIX"])
  })
})
