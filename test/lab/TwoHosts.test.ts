/**
 * The whole way on two hosts: a control plane in a pod without a disk of its own, HAProxy and sshd on the edge, one cable
 * between them. The pod reaches nothing of the edge but over SSH.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdtempSync, rmSync } from "node:fs"
import { request } from "node:http"
import { join } from "node:path"
import { PlainMcp } from "../support/PlainMcp.ts"
import { becomes } from "../support/Poll.ts"
import { program } from "../support/Program.ts"
import { newestLine } from "../support/RealHaproxy.ts"
import { startServer } from "../support/ServerProcess.ts"
import { makeFarSite } from "./FarSite.ts"
import { labsWork, makeLab } from "./Lab.ts"

/** Milliseconds that a call may take here. */
const callTime = 2_000
const origin = { port: 8_081, text: "the origin" }

const server = `
require("node:http").createServer((asked, answer) => answer.end("${origin.text}")).listen(${origin.port}, "127.0.0.1", () =>
  console.log("listening")
)`

/** What HAProxy answers a visitor of a domain. */
const visit = (port: number, domain: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const asked = request({ host: "127.0.0.1", port, headers: { host: domain }, agent: false }, (answer) => {
      let body = ""
      answer.setEncoding("utf8").on("data", (part: string) => body += part)
      answer.once("end", () => resolve(body))
    })
    asked.once("error", reject)
    asked.end()
  })

describe.runIf(labsWork())("a pod and the host of HAProxy", () => {
  it.live("adds a domain, loses the pod with its disk, and goes through a partition", () =>
    Effect.gen(function*() {
      const lab = yield* makeLab
      const far = yield* makeFarSite({
        binary: newestLine,
        host: lab.edge,
        address: lab.address.edge
      })
      const serving = lab.edge.start(process.execPath, ["-e", server], { limit: 120_000 })
      yield* Effect.addFinalizer(() => Effect.sync(() => serving.signal("SIGKILL")))
      yield* Effect.promise(() => serving.until("listening"))
      const { site } = far.haproxy
      lab.pod.hide(site.dir)
      const web = yield* Effect.promise(() => lab.edge.reach(site.httpPort))
      const visited = (domain: string) => Effect.promise(() => visit(web, domain))
      const startPod = Effect.gen(function*() {
        const disk = mkdtempSync(join(lab.folder, "disk-"))
        const server = yield* startServer({
          env: { ...far.env(disk), MCP_CALL_TIMEOUT: `${callTime}ms` },
          command: lab.pod.inside(process.execPath, program, "serve")
        })
        const port = yield* Effect.promise(() => lab.pod.reach(Number(new URL(server.url).port)))
        const url = `http://127.0.0.1:${port}`
        const ready = async () => {
          const answer = await fetch(`${url}/readyz`)
          return { status: answer.status, text: await answer.text() }
        }
        yield* Effect.promise(() => becomes("the pod is ready", async () => (await ready()).status === 200))
        return { server, disk, ready, client: new PlainMcp(url) }
      })
      const add = (client: PlainMcp, domain: string) =>
        Effect.promise(() => client.call("haproxy_add_domain", { domain, ip: "127.0.0.1", http_port: origin.port }))

      const first = yield* startPod
      assert.strictEqual((yield* add(first.client, "one.example.com")).code, "OK")
      assert.strictEqual(yield* visited("one.example.com"), origin.text)
      const before = yield* far.agree("after the first addition")

      yield* Effect.promise(() => first.server.kill())
      first.client.close()
      rmSync(first.disk, { recursive: true })
      const second = yield* startPod
      assert.strictEqual(yield* far.agree("in the second pod"), before)
      assert.strictEqual((yield* add(second.client, "two.example.com")).code, "OK")
      assert.strictEqual(yield* visited("two.example.com"), origin.text)

      for (
        const [cut, mend] of [[lab.cable.pull, lab.cable.plug], [lab.cable.muteEdge, lab.cable.unmuteEdge]] as const
      ) {
        const known = yield* far.agree("before the cut")
        cut()
        const began = performance.now()
        const refused = yield* add(second.client, "three.example.com")
        assert.isBelow(performance.now() - began, callTime + 1_000, "a call ends by its deadline")
        assert.strictEqual(refused.code, "REMOTE_UNREACHABLE")
        yield* Effect.promise(() =>
          becomes("it says that it is not ready, and why", async () => (await second.ready()).status === 503)
        )
        // HAProxy serves on.
        assert.strictEqual(yield* visited("two.example.com"), origin.text)
        mend()
        yield* Effect.promise(() => becomes("it heals by itself", async () => (await second.ready()).status === 200))
        assert.strictEqual(yield* far.agree("after the cut"), known)
      }
      assert.strictEqual((yield* add(second.client, "three.example.com")).code, "OK")
      assert.strictEqual(yield* visited("three.example.com"), origin.text)
      yield* far.agree("at the end")
      second.client.close()
    }).pipe(Effect.scoped), 120_000)
})
