/**
 * Every start there is: what the remote host is like × what HAProxy is like × what lies here, on whole control planes with
 * a real sshd and a real HAProxy. What must come of it stands in start/Table.ts, written by hand.
 *
 * Whatever the cell: it never ends the process, a call ends by its deadline, and what is on the remote host is never
 * replaced by something that holds less.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer, type Socket } from "node:net"
import { dirname, join } from "node:path"
import { poolsDefaults } from "../../src/domain/PoolsConfig.ts"
import { overSsh, shape } from "../lab/FarSite.ts"
import { type FarSshd, startFarSshd } from "../lab/FarSshd.ts"
import { makeHost } from "../lab/Host.ts"
import { labsWork } from "../lab/Lab.ts"
import { live } from "../support/Agreement.ts"
import { launch, type Launched } from "../support/Launch.ts"
import { poll } from "../support/Poll.ts"
import { releasePort, takePort } from "../support/Ports.ts"
import { makeSite, type RealHaproxy, realLines, startIn } from "../support/RealHaproxy.ts"
import { settingsOf } from "../support/Settings.ts"
import { type Copies, filesBelow, layLocal, layRemote, makeCopies } from "./start/Copies.ts"
import {
  contents,
  expectedOf,
  haproxies,
  type HaproxyState,
  isAsked,
  locals,
  type LocalState,
  remotes,
  type RemoteState
} from "./start/Table.ts"

const lanes = 4
/** Milliseconds that a write of a cell may take, where it must be refused. */
const refusedWithin = 1_500
const slack = 3_000
const added = "w.example.com"

interface Cell {
  readonly remote: RemoteState
  readonly haproxy: HaproxyState
  readonly local: LocalState
}

const cells: ReadonlyArray<Cell> = remotes.flatMap((remote) =>
  haproxies.flatMap((haproxy) =>
    locals.filter((local) => isAsked(haproxy, local)).map((local) => ({ remote, haproxy, local }))
  )
)

/** What a lane has to itself: a HAProxy, a disk, a folder on the remote host. */
interface Lane {
  readonly haproxy: RealHaproxy
  readonly disk: string
  readonly folder: string
}

/** Ways that do not lead to the remote host. */
interface Wrong {
  readonly closedPort: number
  readonly hungPort: number
  readonly otherKey: string
}

const makeWrong = Effect.fnUntraced(function*(folder: string, sshd: FarSshd) {
  const closedPort = yield* Effect.acquireRelease(
    Effect.promise(takePort),
    (port) => Effect.sync(() => releasePort(port))
  )
  const hungPort = yield* Effect.acquireRelease(
    Effect.promise(() => {
      const open = new Set<Socket>()
      const server = createServer((socket) => {
        open.add(socket)
        socket.on("error", () => {})
      })
      return new Promise<{ readonly port: number; readonly end: () => void }>((resolve) =>
        server.listen(0, "127.0.0.1", () =>
          resolve({
            port: (server.address() as { readonly port: number }).port,
            end: () => {
              server.close()
              for (const socket of open) socket.destroy()
            }
          }))
      )
    }),
    ({ end }) => Effect.sync(end)
  )
  // The key of another host: well formed, and not this one's.
  const otherKey = join(folder, "other-known-hosts")
  const [name, type, key] = readFileSync(sshd.knownHosts, "utf8").trim().split(" ")
  const bytes = Buffer.from(key!, "base64")
  bytes[bytes.length - 1]! ^= 1
  writeFileSync(otherKey, `${name} ${type} ${bytes.toString("base64")}\n`)
  const wrong: Wrong = { closedPort, hungPort: hungPort.port, otherKey }
  return wrong
})

const asSettings = (remote: RemoteState, sshd: FarSshd, wrong: Wrong) =>
  remote === "down"
    ? { ...sshd, port: wrong.closedPort, knownHosts: sshd.knownAs(wrong.closedPort) }
    : remote === "hung"
    ? { ...sshd, port: wrong.hungPort, knownHosts: sshd.knownAs(wrong.hungPort) }
    : remote === "wrong key"
    ? { ...sshd, knownHosts: wrong.otherKey }
    : sshd

const domainsIn = (dump: string) =>
  dump.split("\n").filter((line) => line.startsWith("map ")).map((line) => line.split(" ")[1]!)

const write = (plane: Launched, timeout?: number) => plane.call("haproxy_add_domain", { domain: added }, timeout)

const runCell = Effect.fnUntraced(function*(cell: Cell, lane: Lane, copies: Copies, sshd: FarSshd, wrong: Wrong) {
  const { haproxy, local, remote } = cell
  const expected = expectedOf(remote, haproxy, local)
  const note = `remote ${remote}, HAProxy ${haproxy}, local ${local}`
  const { site } = lane.haproxy
  layLocal(copies, local, lane.disk, lane.folder)
  layRemote(copies, remote, lane.folder)
  yield* lane.haproxy.kill
  const conf = dirname(site.domainsMap)
  rmSync(conf, { recursive: true })
  cpSync(copies.haproxies[haproxy === "old" ? "old" : "up"], conf, { recursive: true })
  if (haproxy !== "down") yield* lane.haproxy.start
  const runtime = haproxy === "down" ? Effect.succeed("") : live(site)
  const damaged = local === "corrupt" ? readFileSync(join(lane.disk, "haproxy_mcp.db"), "latin1") : ""
  const before = { runtime: yield* runtime, files: filesBelow(conf), remote: filesBelow(lane.folder) }
  yield* Effect.scoped(Effect.gen(function*() {
    const plane = yield* launch(settingsOf(site, {
      ...shape,
      env: {
        HAPROXY_DB_FILE: join(lane.disk, "haproxy_mcp.db"),
        ...overSsh(asSettings(remote, sshd, wrong), join(lane.folder, "haproxy_mcp.db"))
      }
    }))
    if ("refuses" in expected) {
      // While the host is being connected it is not known yet that another answer will come.
      yield* Effect.promise(() =>
        poll(`it refuses with ${expected.refuses}: ${note}`, async () => {
          const began = performance.now()
          const { code, data } = await Effect.runPromise(write(plane, refusedWithin))
          assert.isBelow(performance.now() - began, refusedWithin + slack, note)
          if (code === expected.refuses) return true
          assert.strictEqual(code, "REMOTE_UNREACHABLE", `${note}: ${JSON.stringify(data)}`)
          return undefined
        })
      )
      assert.isNotNull(yield* plane.notReady, note)
      return
    }
    const domains = contents[expected.writes]
    if (haproxy === "down") {
      yield* Effect.promise(() =>
        poll(`it becomes the one that writes: ${note}`, async () => {
          const { data } = await Effect.runPromise(plane.call("haproxy_list_domains", {}))
          const found = data["domains"] as ReadonlyArray<{ readonly domain: string }> | undefined
          return found !== undefined && found.map(({ domain }) => domain).sort().join() === domains.join() || undefined
        })
      )
      yield* Effect.promise(() =>
        poll(`it waits for HAProxy: ${note}`, async () => {
          const { code } = await Effect.runPromise(write(plane, 1_000))
          // Until its first generation is there.
          if (code === "REMOTE_UNREACHABLE") return undefined
          assert.strictEqual(code, "HAPROXY_UNREACHABLE", note)
          return true
        })
      )
      assert.isNotNull(yield* plane.notReady, note)
      return
    }
    yield* plane.ready(note)
    assert.deepStrictEqual(domainsIn(yield* runtime), [...domains], note)
    const { code, data } = yield* write(plane)
    assert.strictEqual(code, "OK", `${note}: ${JSON.stringify(data)}`)
    assert.deepStrictEqual(domainsIn(yield* runtime), [...domains, added], note)
  }))
  const after = filesBelow(lane.folder)
  if ("refuses" in expected) {
    assert.strictEqual(yield* runtime, before.runtime, `HAProxy was touched: ${note}`)
    assert.deepStrictEqual(filesBelow(conf), before.files, `HAProxy's files were touched: ${note}`)
    // Where nothing was, there may be a first generation without content.
    if (remote !== "empty") assert.deepStrictEqual(after, before.remote, `the remote was touched: ${note}`)
  } else {
    // Generations are added; none is removed or replaced.
    for (const [name, content] of before.remote) {
      if (name.includes("/")) assert.strictEqual(after.get(name), content, `${name} was replaced: ${note}`)
    }
  }
  if (local === "corrupt") {
    const middle = damaged.length >> 1
    const bytes = damaged.slice(middle, middle + 64)
    const kept = [...filesBelow(lane.disk).values()].some((content) => content.includes(bytes))
    assert.isTrue(kept, `the damaged file is kept: ${note}: ${[...filesBelow(lane.disk).keys()].join()}`)
  }
})

describe.runIf(labsWork())("every start", () => {
  it.live(`${cells.length} of them come to what the table says`, () =>
    Effect.gen(function*() {
      const sections = [`defaults ${poolsDefaults} from base`, ""]
      const first = yield* makeSite({ ...shape, sections })
      const host = yield* makeHost("far", first.dir, { network: false })
      const sshd = yield* startFarSshd({ host })
      const wrong = yield* makeWrong(first.dir, sshd)
      const maker = yield* startIn(first, realLines.at(-1), true)
      const copies = yield* makeCopies(join(first.dir, "copies"), maker.site, sshd)
      const made = yield* Effect.forEach(Array.from({ length: lanes }), (_, index) =>
        Effect.gen(function*() {
          const site = yield* makeSite({ ...shape, sections })
          const lane: Lane = {
            haproxy: yield* startIn(site, realLines[index % realLines.length], true),
            disk: join(site.dir, "disk"),
            folder: join(site.dir, "there")
          }
          mkdirSync(lane.folder)
          return lane
        }))
      const free = [...made]
      const failures: Array<string> = []
      yield* Effect.forEach(cells, (cell) =>
        Effect.suspend(() => {
          const lane = free.pop()!
          return runCell(cell, lane, copies, sshd, wrong).pipe(
            Effect.catchDefect((defect) => Effect.sync(() => failures.push(String(defect)))),
            Effect.ensuring(Effect.sync(() => free.push(lane)))
          )
        }), { concurrency: lanes, discard: true })
      assert.deepStrictEqual(failures, [])
    }).pipe(Effect.scoped), 240_000)
})
