/** The heart of the demo: a server is replaced while visitors come, and none of them notices. */
import type { AddServerAnswer, ServersAnswer, WaitDrainAnswer } from "../../src/program/ServerShapes.ts"
import { type Cast, from, shop } from "./Cast.ts"
import { until } from "./Children.ts"
import { prove } from "./DemoFailure.ts"
import { type Load, startLoad } from "./Load.ts"
import { lastLine, longPath } from "./Origins.ts"
import { host } from "./Ports.ts"
import { duration } from "./Screen.ts"
import type { Stage } from "./Stage.ts"
import type { Proof } from "./Steps.ts"
import { visit } from "./Web.ts"

/** Keep-alive connections of the load, and answers waited for in each of its phases. */
const visitors = 8
const answersPerPhase = 500
/** How long the drain has to wait for a visitor (ms). */
const drainWait = 500

/** Replaces origin A by B while visitors come, and one of them is in the middle of a long page of A. */
export const swapServer = async (stage: Stage, cast: Cast, note: (text: string) => void): Promise<Proof> => {
  const load = startLoad({ port: stage.ports.http, site: shop, visitors })
  try {
    return await swapUnder(load, stage, cast, note)
  } finally {
    for (const origin of cast.origins()) origin.endLongPages()
    await load.stop()
  }
}

const swapUnder = async (
  load: Load,
  stage: Stage,
  { agent, origins }: Cast,
  note: (text: string) => void
): Promise<Proof> => {
  const [a, b] = origins()
  const { call } = agent()
  note(`${visitors} visitors at once, all served by origin A`)
  await load.more(answersPerPhase, "A")
  prove(load.tally().byOrigin["B"] === undefined, "only origin A serves before the swap", load.tally())
  const longPage = visit(stage.ports.http, shop, { path: longPath })
  longPage.catch(() => {})
  await until("origin A has begun a long page", async () => a.longPages() === 1 || undefined, { limit: 5_000 })

  note("adding origin B beside A")
  const added = await call<AddServerAnswer>("haproxy_add_server", { domain: shop, ip: host, http_port: b.port })
  await Promise.all([load.more(answersPerPhase / 5, "A"), load.more(answersPerPhase / 5, "B")])
  const leaving = added.servers.find(({ addr }) => addr === `${host}:${a.port}`)
  prove(leaving !== undefined, "origin A is among the servers", added.servers)

  note("draining origin A")
  const target = { domain: shop, slot: leaving.slot }
  await call<ServersAnswer>("haproxy_set_server_state", { ...target, state: "drain" })
  const waiting = call<WaitDrainAnswer>("haproxy_wait_drain", { ...target, timeout: 20 })
  waiting.catch(() => {})
  await new Promise((resolve) => setTimeout(resolve, drainWait))
  const answeredEarly = await Promise.race([waiting, undefined])
  prove(answeredEarly === undefined, "the drain waits for the long page", answeredEarly)
  a.endLongPages()
  const drained = await waiting
  prove(drained.drained, "origin A has no session left", drained)
  const page = await longPage
  prove(page.body.endsWith(lastLine("A")), "the long page that A had begun came whole", page)

  note("removing origin A")
  const askedOfA = a.requests()
  await call<ServersAnswer>("haproxy_remove_server", target)
  await load.more(answersPerPhase, "B")
  const tally = await load.stop()
  prove(tally.failed === 0, "no request failed", tally)
  prove(tally.connections === visitors, `${visitors} connections were enough, so none was cut`, tally)
  prove(a.requests() === askedOfA, "origin A is not asked any more", { drained: askedOfA, now: a.requests() })
  from(await visit(stage.ports.http, shop), b, shop)
  return {
    proved: `Swapped A for B under load: ${tally.requests.toLocaleString("en")} requests, 0 failed`,
    details: [
      `${visitors} keep-alive connections, none cut; A answered ${tally.byOrigin["A"]}, B ${tally.byOrigin["B"]}; `
      + `slowest ${duration(tally.slowestMs)}`,
      `add B, drain A (waited ${duration(drained.waited_ms)} for a long page, which came whole), remove A; no reload`
    ]
  }
}
