/**
 * 10,000 certificates: what HAProxy and the control plane need of memory and of time at their start. Resident set of
 * the process (proc(5), VmRSS). Stated, without a target; HAProxy with none stands beside it.
 */
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { bundle } from "../Bundle.ts"
import { makeCertificateWorld } from "../CertificateWorld.ts"
import { type Bench, type Measurement, type Row } from "../Row.ts"
import { ratioOf } from "../Samples.ts"
import { startServe } from "../Serve.ts"

const field = (pid: number, name: string): number =>
  Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1] ?? NaN) /
  1024

const measure = Effect.fnUntraced(function*(bench: Bench, certificates: number) {
  const world = yield* makeCertificateWorld(bench, { certificates })
  const program = yield* Effect.promise(() => bundle(bench))
  const began = performance.now()
  const served = yield* startServe(bench, world, "certificates-memory", program, { HAPROXY_CERT_DIR: world.folder })
  const ready = performance.now() - began
  // The list says "loaded" of every one as soon as HAProxy has been compared with the folder.
  const compared = yield* Effect.promise(async () => {
    const client = await served.connect()
    for (const end = Date.now() + 120_000; Date.now() < end;) {
      // While the folder is read for the first time, a call may be too short for it.
      const body = await served.call(client, "haproxy_list_certs", { limit: 1 }).catch(String)
      if (certificates === 0 || body.includes("\"loaded\":true")) break
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    client.close()
    return performance.now() - began
  })
  const worker = yield* world.haproxy.workerPid
  return {
    haproxyStart: world.startTook,
    haproxy: field(worker, "VmRSS"),
    ready,
    compared,
    plane: field(served.pid, "VmRSS"),
    planeMost: field(served.pid, "VmHWM")
  }
})

export const certificatesMemory: Row = {
  name: "certificates-memory",
  title: "Memory and start with 10k certificates, beside none",
  run: Effect.fnUntraced(function*(bench: Bench) {
    const certificates = bench.quick ? 1_000 : 10_000
    bench.say("memory of certificates: preparing")
    const none = yield* Effect.scoped(measure(bench, 0))
    const many = yield* Effect.scoped(measure(bench, certificates))
    const stated = (
      name: string,
      of: keyof typeof many,
      unit: "MB" | "ms",
      details: Readonly<Record<string, number>> = {}
    ): Measurement => ({
      name: `${name}, ${certificates / 1000}k certificates`,
      subject: { what: name, value: many[of], unit },
      against: { what: "none", value: none[of], unit },
      ratio: ratioOf([many[of] / none[of]]),
      details
    })
    return [
      stated("HAProxy's worker", "haproxy", "MB", {
        "KB for each": (many.haproxy - none.haproxy) * 1024 / certificates
      }),
      stated("HAProxy's start", "haproxyStart", "ms"),
      stated("control plane", "plane", "MB", { "MB at most so far": many.planeMost }),
      stated("control plane ready", "ready", "ms", { "ms until all were compared": many.compared })
    ]
  })
}
