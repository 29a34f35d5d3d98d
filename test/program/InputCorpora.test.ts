/**
 * Texts that nobody here wrote (public corpora, when they lie beside the checkout) and generated ones of the same kind,
 * into every text parameter of every tool, on a real HAProxy: never a command that was not planned, never a change on a
 * refusal, never INTERNAL.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { X509Certificate } from "node:crypto"
import { existsSync, readFileSync } from "node:fs"
import { readdir, readFile, writeFile } from "node:fs/promises"
import { join, resolve } from "node:path"
import { defaultTools } from "../../src/mcp/Catalogue.ts"
import type { ToolResult } from "../../src/mcp/ToolResult.ts"
import { Store } from "../../src/store/Store.ts"
import { injections, prototypeNames } from "../support/BadInput.ts"
import { makeCertificate } from "../support/Certificates.ts"
import { writesIn } from "../support/Recorder.ts"
import { errorOf, makeWatchedWorld, quiet, type WatchedWorld } from "../support/WatchedWorld.ts"
import { Dice } from "./Verbs.model.ts"

const corpora = resolve(import.meta.dirname, "../../../shared/corpora")

const read = (file: string) => readFileSync(resolve(corpora, file), "utf8")

/** Naughty strings, the parts of URL test cases, and the names of the public suffix list's checks. */
const fromCorpora = (): ReadonlyArray<string> => {
  if (!existsSync(corpora)) return []
  const urls = (JSON.parse(read("urltestdata.json")) as ReadonlyArray<unknown>).flatMap((entry) =>
    typeof entry === "object" && entry !== null
      ? ["input", "host", "hostname", "pathname"].map((part) => (entry as Record<string, unknown>)[part])
      : []
  )
  const suffixes = [...read("test_psl.txt").matchAll(/^checkPublicSuffix\('([^']+)'/gm)].map((match) => match[1]!)
  const naughty = JSON.parse(read("blns.json")) as ReadonlyArray<string>
  return [...new Set([...naughty, ...urls.filter((part) => typeof part === "string"), ...suffixes])]
}

const pieces = [
  ..."ab19.-_*:/@#%&=+~^|[](){}<>,;'\"\\`$ ",
  "com",
  "example",
  "xn--",
  "xn--mnchen-3ya",
  ".it.com",
  "*.",
  "..",
  "<<",
  "\r\n",
  "\n",
  "\u0000",
  "\u001b[31m",
  "\u007f",
  "\u0085",
  "\u00ad",
  "\u200b",
  "\u200d",
  "\u202e",
  "\u2028",
  "\u3002",
  "\uff0e",
  "\uff61",
  "ä",
  "ß",
  "ı",
  "K",
  "ﬀ",
  "а",
  "１",
  "☃",
  "😀",
  "\ud800",
  "\ufffd",
  "127.0.0.1",
  "169.254.169.254",
  "0x7f.1",
  "0177.1",
  "::ffff:",
  "::1",
  "fe80::1%",
  "pool_1",
  "pool_1_1",
  "ready",
  "__proto__",
  "show info",
  "clear map #0",
  "${PATH}",
  "%s%n",
  "{\"ip\":\"10.0.0.1\"}",
  "null",
  "NaN",
  "1e9",
  "chg_",
  "x".repeat(64)
]

const generated = (dice: Dice, count: number): ReadonlyArray<string> => {
  const out = new Set<string>([...injections, ...prototypeNames])
  while (out.size < count) {
    const text = Array.from({ length: 1 + dice.next(6) }, () => dice.pick(pieces)).join("")
    switch (dice.next(4)) {
      case 0:
        out.add(text)
        break
      case 1:
        out.add(`${text}.com`)
        break
      case 2:
        out.add(`shop.example.com${text}`)
        break
      default: {
        const valid = dice.pick(["shop.example.com", "*.example.org", "10.0.0.9", "2001:db8::9", "pool_1_1"])
        const at = dice.next(valid.length + 1)
        out.add(valid.slice(0, at) + dice.pick(pieces) + valid.slice(at))
      }
    }
  }
  return [...out]
}

type Args = Readonly<Record<string, unknown>>

/** A text parameter, and the call that carries a text in it. */
interface Place {
  readonly tool: string
  readonly parameter: string
  readonly args: (text: string) => Args
}

const owner = "owner-of-all.example"

/** What stands beside the text, so that only the text decides. */
const beside: Readonly<Record<string, Args>> = {
  haproxy_add_server: { domain: owner, ip: "10.0.0.77" },
  haproxy_add_servers: { domain: owner, servers: [{ ip: "10.0.0.78" }] },
  haproxy_remove_server: { domain: owner, slot: 3 },
  haproxy_set_server_state: { slot: 1, state: "ready" },
  haproxy_set_server_weight: { slot: 1, weight: 1 },
  haproxy_set_domain_state: { state: "ready" },
  haproxy_wait_drain: { slot: 3, timeout: 1 },
  haproxy_explain: { host: owner }
}

/** Taken from the catalogue: every parameter of type text, also those of list entries, and lists as JSON text. */
const places: ReadonlyArray<Place> = defaultTools.flatMap(({ inputSchema, name: tool }) =>
  Object.entries(inputSchema.properties).flatMap(([parameter, schema]): ReadonlyArray<Place> => {
    const base = beside[tool] ?? {}
    if (schema["type"] === "array") {
      const items = schema["items"] as { readonly properties: Record<string, { readonly type: string }> }
      return [
        { tool, parameter, args: (text) => ({ ...base, [parameter]: text }) },
        ...Object.keys(items.properties).filter((inner) => items.properties[inner]?.type === "string").map((inner) => ({
          tool,
          parameter: `${parameter}[].${inner}`,
          args: (text: string) => ({ ...base, [parameter]: [{ ip: "10.0.0.79" }, { [inner]: text }] })
        }))
      ]
    }
    if (schema["type"] !== "string") return []
    return [{
      tool,
      parameter,
      args: (text) => {
        const { slot, ...rest } = base
        if (parameter === "server" || parameter === "backend") {
          return { ...rest, [parameter]: text, ...(parameter === "backend" ? { server: "pool_1_1" } : {}) }
        }
        if (parameter === "share_with") return { domain: "new.example", share_with: text }
        if (parameter === "ip" && tool === "haproxy_add_domain") return { domain: "new.example", ip: text }
        if (parameter === "state") {
          return { ...rest, domain: owner, ...(slot === undefined ? {} : { slot }), state: text }
        }
        return { ...base, [parameter]: text }
      }
    }]
  })
)

/** Places that every text goes to; the others take turns. */
const always = new Set(["haproxy_add_domain.domain", "haproxy_add_server.ip", "haproxy_set_server_state.server"])

/** What a refusal of a bad text may be. */
const refusals = new Set(["INVALID_INPUT", "NOT_FOUND", "CONFLICT", "FORBIDDEN"])

/** A good name for a certificate, and there is no acme.sh to get it with. */
const withoutAcme = (tool: string, code: string) => tool === "haproxy_issue_cert" && code === "CONFIG_INVALID"

/** Certificates in the folder at the start: names that mutations of valid ones may hit. */
const certificates = ["shop.example.com", "10.0.0.9"]
const files = Object.fromEntries(
  certificates.map((name, index) => [`${name}.pem`, makeCertificate([`site${index}.example.org`]).text])
)

/** Is this a command on a certificate, or a line of one, that an answer about this certificate explains? */
const aboutCertificate = (command: string, folder: string, answer: Args): boolean => {
  const path = `${folder}/${String(answer["certificate"])}.pem`
  return [
    `new ssl cert ${path}`,
    `set ssl cert ${path} <<`,
    `commit ssl cert ${path}`,
    `del ssl cert ${path}`,
    `add ssl crt-list ${folder} <<`,
    `del ssl crt-list ${folder} ${path}`,
    path
  ].some((good) => command === good || command.startsWith(`${good} `) || command.startsWith(`${good}%`))
    || /^(?:[A-Za-z0-9+/=]{1,64}|-----(?:BEGIN|END) (?:CERTIFICATE|PRIVATE KEY)-----)$/.test(command)
}

const key = /^\.?[a-z0-9-]+(?:\.[a-z0-9-]+)+$/

/** Is this command one that the answer explains? */
const planned = (command: string, answer: Args, folder: string): boolean => {
  if (answer["certificate"] !== undefined) return aboutCertificate(command, folder, answer)
  const words = command.split(" ")
  if (words[0] === "add" || words[0] === "del") {
    const names = [answer["domain"], answer["wildcard"]].filter((name) => typeof name === "string")
    const keys = names.map((name) => name.startsWith("*.") ? name.slice(1) : name)
    return words[1] === "map" && /\/(?:domains|wildcards)\.map$/.test(words[2] ?? "") && key.test(words[3] ?? "")
      && keys.includes(words[3]!)
      && (words[0] === "del" ? words.length === 4 : words.length === 5 && words[4] === answer["backend"])
  }
  return /^set server (pool_\d+)\/\1_\d+ (?:addr [0-9a-f.:]+ port \d+|state (?:ready|drain|maint)|weight \d+)$/.test(
    command
  )
}

const undo = (world: WatchedWorld, place: Place, answer: Args) =>
  Effect.gen(function*() {
    switch (place.tool) {
      case "haproxy_add_domain":
        return yield* world.good("haproxy_remove_domain", { domain: answer["domain"] })
      case "haproxy_add_server":
        return yield* world.good("haproxy_remove_server", { domain: answer["domain"], slot: answer["slot"] })
      case "haproxy_add_servers": {
        const { servers } = answer as { readonly servers: ReadonlyArray<{ readonly slot: number }> }
        for (const { slot } of servers.filter((server) => server.slot > 2)) {
          yield* world.good("haproxy_remove_server", { domain: answer["domain"], slot })
        }
        return
      }
      case "haproxy_set_server_state":
      case "haproxy_set_domain_state":
        return yield* world.good("haproxy_set_domain_state", { domain: owner, state: "ready" })
      case "haproxy_load_cert":
        return
      case "haproxy_delete_cert": {
        const name = String(answer["certificate"])
        const file = join(world.haproxy.site.certDir, `${name}.pem`)
        yield* Effect.promise(() => writeFile(file, files[`${name}.pem`]!, { mode: 0o600 }))
        return yield* world.good("haproxy_load_cert", { domain: name })
      }
      default:
        throw new Error(`${place.tool} changed something: ${JSON.stringify(answer)}`)
    }
  })

/** A form that a hint offers must be one that is taken. */
const adviceOf = (result: ToolResult): string | undefined =>
  /(?:ASCII form: |Write it as )(\S+?)\.?$/.exec(result.isError ? errorOf(result).hint : "")?.[1]

const revision = (world: WatchedWorld) => world.run(Effect.flatMap(Store, (store) => store.revision))

interface Tally {
  calls: number
  refused: number
  changed: number
  advised: number
}

/** One text in one place; answers what is wrong, or null. */
const tryOne = Effect.fnUntraced(function*(world: WatchedWorld, place: Place, text: string, tally: Tally) {
  const sent = world.sent.length
  const before = yield* revision(world)
  const result = yield* world.call(place.tool, place.args(text))
  const writes = writesIn(world.sent.slice(sent))
  tally.calls++
  if (result.isError) {
    const { code, field } = errorOf(result)
    tally.refused++
    if (withoutAcme(place.tool, code)) return null
    if (!refusals.has(code)) return `answers ${code}: ${result.text}`
    if (field === undefined) return "names no field"
    if (writes.length > 0) return `was refused, yet HAProxy was sent ${writes.join("; ")}`
    if ((yield* revision(world)) !== before) return "was refused, yet there is a new revision"
    const advice = adviceOf(result)
    if (advice !== undefined) {
      tally.advised++
      const again = yield* world.call(place.tool, place.args(advice))
      if (again.isError && errorOf(again).code === "INVALID_INPUT") return `advises ${advice}, which is refused too`
      if (!again.isError && again.structuredContent["changed"] === true) {
        yield* undo(world, place, again.structuredContent)
      }
    }
    return null
  }
  const answer = result.structuredContent
  if (answer["changed"] !== true) {
    return writes.length > 0 || (yield* revision(world)) !== before ? "says that nothing changed, yet it did" : null
  }
  tally.changed++
  const strange = writes.find((command) => !planned(command, answer, world.haproxy.site.certDir))
  if (strange !== undefined) return `sent a command that nobody planned: ${strange}`
  if (writes.length === 0) return "changed without a command"
  yield* undo(world, place, answer)
  return null
})

/** Files of the world and of what is around it, and what is in those of certificates. */
const lyingIn = ({ haproxy: { site } }: WatchedWorld) =>
  Effect.promise(async () => {
    const names = (await readdir(site.dir, { recursive: true })).filter((name) => !name.startsWith("haproxy_mcp.db"))
    const held = await Promise.all(
      (await readdir(site.certDir)).map((name) => readFile(join(site.certDir, name), "latin1"))
    )
    return { names: names.sort(), certificates: held.map((text) => new X509Certificate(text).fingerprint256).sort() }
  })

const campaign = Effect.fnUntraced(function*(name: string, texts: ReadonlyArray<string>) {
  const world = yield* makeWatchedWorld({ slots: 5, domains: ["foreign.net web"], tls: true, certificates: files })
  yield* world.good("haproxy_add_domain", { domain: owner, ip: "10.0.0.1" })
  yield* world.good("haproxy_add_server", { domain: owner, ip: "10.0.0.2" })
  for (const name of certificates) yield* world.good("haproxy_load_cert", { domain: name })
  const before = yield* world.consistent
  const lying = yield* lyingIn(world)
  const tally: Tally = { calls: 0, refused: 0, changed: 0, advised: 0 }
  const wrong: Array<string> = []
  const began = performance.now()
  const others = places.filter((place) => !always.has(`${place.tool}.${place.parameter}`))
  const first = places.filter((place) => always.has(`${place.tool}.${place.parameter}`))
  assert.strictEqual(first.length, always.size)
  let turn = 0
  for (const text of texts) {
    const here = [...first, ...Array.from({ length: 6 }, () => others[turn++ % others.length]!)]
    for (const place of here) {
      const problem = yield* tryOne(world, place, text, tally)
      if (problem !== null) wrong.push(`${place.tool}.${place.parameter} ${JSON.stringify(text)}: ${problem}`)
    }
  }
  const seconds = ((performance.now() - began) / 1000).toFixed(1)
  console.log(
    `input: ${name}: ${texts.length} texts, ${tally.calls} calls in ${seconds} s: ${tally.refused} refused, `
      + `${tally.changed} changed something, ${tally.advised} advised another form`
  )
  assert.deepStrictEqual(wrong.slice(0, 20), [])
  assert.strictEqual(yield* world.consistent, before, "what was undone is not as before")
  assert.deepStrictEqual(yield* lyingIn(world), lying, "files came or went")
  assert.isAbove(tally.refused, texts.length)
  assert.isAbove(tally.changed, 0)
})

describe("texts from elsewhere", () => {
  it("go into every text parameter of the catalogue", () => {
    assert.isAbove(places.length, 25)
    for (const { parameter, tool } of places) {
      assert.isDefined(defaultTools.find((one) => one.name === tool)?.inputSchema.properties[parameter.split("[]")[0]!])
    }
  })

  it.live(
    "generated ones do nothing that was not planned",
    () => quiet(campaign("generated (seed 20261)", generated(new Dice(20_261), 700))),
    60_000
  )

  const texts = fromCorpora()
  if (texts.length === 0) console.log(`input: no corpora beside the checkout (${corpora}); generated texts only`)
  it.live.skipIf(texts.length === 0)(
    "public corpora do nothing that was not planned",
    () => quiet(campaign("corpora", texts)),
    60_000
  )
})
