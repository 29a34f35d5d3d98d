import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { makeWorld } from "/work/main/test/support/World.ts"
import { importDomains } from "/work/main/src/program/Import.ts"
import { exportDomains } from "/work/main/src/program/Export.ts"
import { Caller } from "/work/main/src/program/Caller.ts"
const n = Number(process.argv[2] ?? 100000), pools = Number(process.argv[3] ?? 40), reg = Number(process.argv[4] ?? 10)
const rows: any[] = []
for (let i = 0; i < n; i++) {
  if (i < pools) rows.push([i + 2, { domain: `pool-${i}.example.net`, servers: `10.0.${i >> 8}.${i & 255}:80` }])
  else rows.push([i + 2, { domain: i % reg === 0 ? `customer-${i}.com` : `www.customer-${i}.com`, pool: "", shares_with: `pool-${i % pools}.example.net`, wildcard: "", servers: "" }])
}
await Effect.runPromise(Effect.scoped(Effect.gen(function*() {
  const world = yield* makeWorld({ pools: Math.max(50, pools), slots: 3, poolsFile: true })
  yield* world.consistent()
  let t = performance.now(), last = ""
  let block = 0, prev = performance.now()
  const timer = setInterval(() => { const now = performance.now(); block = Math.max(block, now - prev - 10); prev = now }, 10)
  const caller = { actor: { via: "t", who: "t", requestId: "-" }, tool: "import_domains", timeout: 120000, progress: (d: number, _: number, m: string) => Effect.sync(() => { const w = m.replace(/\d+/g, ""); if (w !== last) { last = w; console.log(`  ${(performance.now() - t).toFixed(0)} ms ${d.toFixed(0)} ${m}`) } }) }
  for (let k = 0; k < 2; k++) { t = performance.now(); last = ""
  const { problems, ...a } = yield* world.run(importDomains({ rows }).pipe(Effect.provideService(Caller, caller)))
  console.log(performance.now() - t, JSON.stringify(a), problems.slice(0, 3), "longest block", block.toFixed(0), process.memoryUsage().rss >> 20); block = 0 }
  t = performance.now()
  const e = yield* world.run(exportDomains({}))
  console.log("export", performance.now() - t, e.rows.length, JSON.stringify(e.rows[3]))
  clearInterval(timer)
})))
