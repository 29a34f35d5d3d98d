/**
 * The copies that the table of starts is about, made by real control planes one after the other: a database that grew by a
 * domain per life, its generations on the remote host, and what other lives on this machine alone made of older copies.
 */
import * as Effect from "effect/Effect"
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import * as DurableMark from "../../../src/store/DurableMark.ts"
import { overSsh, shape } from "../../lab/FarSite.ts"
import type { FarSshd } from "../../lab/FarSshd.ts"
import { generationsFolder } from "../../lab/NewestCopy.ts"
import { launch } from "../../support/Launch.ts"
import type { Site } from "../../support/RealHaproxy.ts"
import { type Env, settingsOf } from "../../support/Settings.ts"
import type { HaproxyState, LocalState, RemoteState } from "./Table.ts"

const database = "haproxy_mcp.db"

/** Folders, each a state of one of the places. */
export interface Copies {
  readonly locals: Readonly<Record<Exclude<LocalState, "none" | "corrupt">, string>>
  /** The remote folder with all generations, and the same before the newest content came. */
  readonly remote: string
  readonly older: string
  /** Files that HAProxy starts from. */
  readonly haproxies: Readonly<Record<Exclude<HaproxyState, "down">, string>>
}

/** What a control plane commits that was overtaken: a write that is refused and taken back, and nothing of it leaves. */
const addInVain = (env: Env, domain: string, remote: string) =>
  Effect.scoped(Effect.gen(function*() {
    const plane = yield* launch(env)
    yield* plane.ready("a life that is overtaken")
    const folder = generationsFolder(remote)
    const next = readdirSync(folder).filter((name) => /^\d+\.json$/.test(name)).sort().at(-1)!
    writeFileSync(join(folder, String(Number(next.slice(0, -5)) + 1).padStart(10, "0") + ".json"), "of another", {
      mode: 0o600
    })
    const { code, data } = yield* plane.call("haproxy_add_domain", { domain, ip: "10.0.0.1" })
    if (code !== "FENCED") return yield* Effect.die(new Error(`${domain}: ${code} ${JSON.stringify(data)}`))
  }))

const addOne = (env: Env, domain: string) =>
  Effect.scoped(Effect.gen(function*() {
    const plane = yield* launch(env)
    yield* plane.ready("a life for the table of starts")
    const { code, data } = yield* plane.call("haproxy_add_domain", { domain, ip: "10.0.0.1" })
    if (code !== "OK") return yield* Effect.die(new Error(`${domain}: ${JSON.stringify(data)}`))
  }))

/** Makes them in a folder. The HAProxy of the site runs, and is left as it comes. */
export const makeCopies = Effect.fnUntraced(function*(folder: string, site: Site, sshd: FarSshd) {
  const at = (name: string) => join(folder, name)
  const disk = at("disk")
  const remote = at("there")
  for (const made of [disk, remote]) mkdirSync(made, { recursive: true })
  const keep = (from: string, name: string) => {
    cpSync(from, at(name), { recursive: true })
    return at(name)
  }
  const alone = (on: string): Env => settingsOf(site, { ...shape, env: { HAPROXY_DB_FILE: join(on, database) } })
  const strict: Env = { ...alone(disk), ...overSsh(sshd, join(remote, database)) }
  const conf = dirname(site.domainsMap)
  yield* addOne(strict, "a.example.com")
  const behind = keep(disk, "behind")
  const first = keep(remote, "first")
  const old = keep(conf, "haproxy-old")
  yield* addOne(strict, "b.example.com")
  const older = keep(remote, "older")
  yield* addOne(strict, "c.example.com")
  const equal = keep(disk, "equal")
  const whole = keep(remote, "whole")
  const up = keep(conf, "haproxy-up")
  const ahead = keep(equal, "ahead")
  yield* addOne(alone(ahead), "d.example.com")
  const diverged = keep(behind, "diverged")
  yield* addOne(alone(diverged), "z.example.com")
  const unsent = keep(behind, "unsent")
  // On the remote as it was then; what this life makes there is gone with it.
  rmSync(remote, { recursive: true })
  cpSync(first, remote, { recursive: true })
  yield* addInVain(
    { ...alone(unsent), ...overSsh(sshd, join(remote, database)) },
    "y.example.com",
    join(remote, database)
  )
  const copies: Copies = {
    locals: { equal, ahead, behind, diverged, unsent },
    remote: whole,
    older,
    haproxies: { up, old }
  }
  return copies
})

/** All files below a folder, by path, as text. */
export const filesBelow = (folder: string): ReadonlyMap<string, string> =>
  new Map(
    readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => statSync(join(folder, name)).isFile())
      .map((name) => [name, readFileSync(join(folder, name), "latin1")])
  )

/** Data of generations; their manifests are JSON. */
const isData = (name: string) => !name.endsWith(".json")

/** Makes some bytes in the middle of a file other ones; the name and the size stay. */
const damage = (path: string, size = 64) => {
  const bytes = readFileSync(path)
  const middle = bytes.length >> 1
  for (let at = middle; at < Math.min(bytes.length, middle + size); at++) bytes[at] = bytes[at]! ^ 0x55
  // As a new file: the old one may have a second name, in another copy.
  rmSync(path)
  writeFileSync(path, bytes, { mode: 0o600 })
}

/** Lays out the local database of a cell, whose remote folder is `there`. */
export const layLocal = (copies: Copies, state: LocalState, disk: string, there: string): void => {
  rmSync(disk, { recursive: true, force: true })
  mkdirSync(disk, { recursive: true })
  if (state === "none") return
  cpSync(copies.locals[state === "corrupt" ? "equal" : state], disk, { recursive: true })
  // Each lane has a remote folder of its own, where the copies were made in another one.
  const file = join(disk, database)
  const mark = DurableMark.read(file)
  if (mark !== null) {
    DurableMark.write(file, { ...mark, remote: mark.remote.replace(/:\/.*$/, `:${join(there, database)}`) })
  }
  if (state === "corrupt") damage(join(disk, database), 8_192)
}

/** Lays out the remote folder of a cell. */
export const layRemote = (copies: Copies, state: RemoteState, folder: string): void => {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  if (state === "empty") return
  cpSync(copies.remote, folder, { recursive: true })
  if (state !== "newest corrupt" && state !== "all corrupt") return
  const older = filesBelow(copies.older)
  for (const name of filesBelow(folder).keys()) {
    if (isData(name) && (state === "all corrupt" || !older.has(name))) damage(join(folder, name))
  }
}
