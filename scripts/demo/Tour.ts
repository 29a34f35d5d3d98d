/**
 * The story of the demo, step by step. Every step proves what it says from outside: by what a visitor gets through
 * HAProxy, what the origins have counted, and what the tools answer.
 */
import type { WriteAnswer } from "../../src/program/Answer.ts"
import type { AddDomainAnswer, ListDomainsAnswer } from "../../src/program/DomainShapes.ts"
import type { HealthAnswer } from "../../src/program/HealthShapes.ts"
import type { HaproxyBinary } from "../haproxy.ts"
import type { AcmeServer } from "./AcmeServer.ts"
import { type Agent, connectAgent } from "./Agent.ts"
import { type Cast, covered, from, sharing, shop } from "./Cast.ts"
import type { CertificatePrograms } from "./CertificatePrograms.ts"
import { fromNothingToHttps, proveStillSecure, rootOf, secure, startCa } from "./CertificateStep.ts"
import { until } from "./Children.ts"
import { prove } from "./DemoFailure.ts"
import { domainTable } from "./DomainTable.ts"
import type { Origin } from "./Origins.ts"
import { host } from "./Ports.ts"
import { duration } from "./Screen.ts"
import type { Stage } from "./Stage.ts"
import type { Proof, Step } from "./Steps.ts"
import { swapServer } from "./SwapStep.ts"
import { visit } from "./Web.ts"

/** From the start of a HAProxy until everything is as it was. */
const restartLimit = 10_000

/** Lists the tools; a stranger without the token gets nothing. */
const connect = async (stage: Stage): Promise<{ readonly agent: Agent; readonly proof: Proof }> => {
  const stranger = await fetch(stage.mcpUrl, { method: "POST", body: "{}" })
  prove(stranger.status === 401, "a call without the token is answered 401", stranger.status)
  const agent = await connectAgent(stage.mcpUrl, stage.token)
  const tools = await agent.tools()
  prove(tools.includes("haproxy_add_domain"), "haproxy_add_domain is among the tools", tools)
  const { total } = await agent.call<ListDomainsAnswer>("haproxy_list_domains")
  prove(total === 0, "no domain is routed yet", total)
  return {
    agent,
    proof: {
      proved: `An MCP client is connected: ${tools.length} tools; without the token, nothing`,
      details: [`${stage.mcpUrl}, protocol ${agent.protocol}; haproxy_list_domains: no domain yet`]
    }
  }
}

/** A name that nobody routes becomes a site. */
const addDomain = async (stage: Stage, { agent, origins }: Cast): Promise<Proof> => {
  const [a] = origins()
  const before = await visit(stage.ports.http, shop)
  prove(before.origin === "" && before.status >= 400, `${shop} is not routed yet`, before)
  const began = performance.now()
  const input = { domain: shop, ip: host, http_port: a.port }
  const answer = await agent().call<AddDomainAnswer>("haproxy_add_domain", input)
  const took = performance.now() - began
  prove(answer.changed, "the call changed something", answer)
  // At once and without a retry: an acknowledged route is live.
  from(await visit(stage.ports.http, shop), a, shop)
  const again = await agent().call<AddDomainAnswer>("haproxy_add_domain", input)
  prove(!again.changed && again.revision === answer.revision, "the same call again changes nothing", again)
  return {
    proved: `Added ${shop}: it answers from origin A, ${duration(took)} after the agent asked`,
    details: [`before: ${before.status} from HAProxy; now: 200 "${a.text.trim()}"`, `"${answer.summary}"`]
  }
}

/** A second domain on the same pool; it is registrable, so its wildcard comes along. */
const shareDomain = async (stage: Stage, { agent, origins }: Cast): Promise<Proof> => {
  const [, b] = origins()
  const answer = await agent().call<AddDomainAnswer>("haproxy_add_domain", { domain: sharing, share_with: shop })
  prove(answer.shares_with === shop, `${sharing} uses the pool of ${shop}`, answer)
  prove(answer.wildcard === `*.${sharing}`, `*.${sharing} came with it`, answer)
  from(await visit(stage.ports.http, sharing), b, sharing)
  from(await visit(stage.ports.http, covered), b, covered)
  return {
    proved: `Added ${sharing} on the same pool; its wildcard *.${sharing} came with it`,
    details: [`${sharing} and ${covered} answer from origin B`]
  }
}

/** Bad input gets a typed refusal, and nothing has happened. */
const refuse = async (stage: Stage, { agent, origins }: Cast): Promise<Proof> => {
  const [, b] = origins()
  const revision = async () => (await agent().call<HealthAnswer>("haproxy_health")).components.desired_state.revision
  const before = await revision()
  // What inet_aton would read as 127.0.0.1, and HAProxy would accept.
  const bad = await agent().refused("haproxy_add_server", { domain: shop, ip: "0x7f.1" })
  prove(bad.code === "INVALID_INPUT" && bad.field === "ip", "the refusal is INVALID_INPUT on ip", bad)
  const unknown = await agent().refused("haproxy_list_servers", { domain: "shpo.example.com" })
  prove(unknown.code === "NOT_FOUND", "an invented name is NOT_FOUND", unknown)
  prove(unknown.valid_values?.includes(shop) === true, `${shop} is suggested instead`, unknown)
  const after = await revision()
  prove(after === before, "the revision is as it was", { before, after })
  from(await visit(stage.ports.http, shop), b, shop)
  return {
    proved: "Bad calls are refused with a typed error, and nothing changed",
    details: [
      `ip "0x7f.1": ${bad.code}, field ${bad.field}: ${bad.message}`,
      `  hint: ${bad.hint}`,
      `domain "shpo.example.com": ${unknown.code}, valid_values ${JSON.stringify(unknown.valid_values)}`
    ]
  }
}

/** HAProxy crashes and comes back with everything. */
const restart = async (
  stage: Stage,
  binary: HaproxyBinary,
  acme: AcmeServer | null,
  { agent, origins }: Cast,
  note: (text: string) => void
): Promise<Proof> => {
  const [, b] = origins()
  note("kill -9 HAProxy")
  await stage.crashHaproxy()
  const down = await visit(stage.ports.http, shop).then(() => "an answer", (cause: NodeJS.ErrnoException) => cause.code)
  prove(down === "ECONNREFUSED", "nobody answers while HAProxy is down", down)
  note("starting HAProxy again")
  const began = performance.now()
  await stage.startHaproxy(binary)
  // Its first answer has to be the right one: the files that it starts from are current.
  from(await visit(stage.ports.http, shop), b, shop)
  const served = performance.now() - began
  await proveStillSecure(stage, acme)
  for (const site of [sharing, covered, secure]) from(await visit(stage.ports.http, site), b, site)
  const inSync = async () => {
    const health = await agent().call<HealthAnswer>("haproxy_health")
    return health.components.haproxy.status === "ok" && health.components.reconciler.in_sync ? health : undefined
  }
  const health = await until("the control plane has compared the new HAProxy", inSync, { limit: restartLimit })
  const compared = performance.now() - began
  return {
    proved: `Killed HAProxy (kill -9) and started it: every route and certificate is back after ${duration(served)}`,
    details: [
      `its first answer came from origin B; compared with the database after ${duration(compared)}: `
      + `${health.components.reconciler.last_drift} differences`
    ]
  }
}

/** The list says what there is, and the restarted HAProxy takes changes. */
const listDomains = async ({ agent, origins }: Cast): Promise<Proof> => {
  const [, b] = origins()
  const list = await agent().call<ListDomainsAnswer>("haproxy_list_domains", { include_wildcards: true })
  const names = list.domains.map(({ domain }) => domain).sort()
  const expected = [`*.${sharing}`, sharing, `*.${secure}`, secure, shop].sort()
  prove(String(names) === String(expected), "all names are listed", names)
  const addresses = new Set(list.domains.flatMap(({ servers }) => servers.map(({ addr }) => addr)))
  prove(String([...addresses]) === `${host}:${b.port}`, "origin B is their only server", [...addresses])
  const slot = list.domains.find(({ domain }) => domain === shop)?.servers[0]?.slot
  const weight = await agent().call<WriteAnswer>("haproxy_set_server_weight", { domain: shop, slot, weight: 10 })
  prove(weight.changed, "the restarted HAProxy takes changes", weight)
  return { proved: `${names.length} names are routed`, details: ["", ...domainTable(list.domains), ""] }
}

const health = async ({ agent }: Cast): Promise<Proof> => {
  const answer = await agent().call<HealthAnswer>("haproxy_health")
  prove(answer.status === "healthy", "haproxy_health says healthy", answer)
  return { proved: "haproxy_health: healthy", details: [`"${answer.summary}"`] }
}

/** The whole tour on an empty stage; the first two steps find the programs. */
export const tour = (
  stage: Stage,
  findBinary: (note: (text: string) => void) => Promise<HaproxyBinary>,
  findPrograms: (note: (text: string) => void) => Promise<CertificatePrograms>
) => {
  const made: {
    binary?: HaproxyBinary
    programs?: CertificatePrograms
    acme?: AcmeServer | null
    origins?: readonly [Origin, Origin]
    agent?: Agent
  } = {}
  const known = <A>(value: A | undefined): A => {
    if (value === undefined) throw new Error("a step before this one should have made it")
    return value
  }
  const cast: Cast = { agent: () => known(made.agent), origins: () => known(made.origins) }
  const steps: ReadonlyArray<Step> = [
    {
      doing: "Looking for HAProxy",
      run: async (note) => {
        made.binary = await findBinary(note)
        return { proved: `HAProxy ${made.binary.version} is at hand`, details: [made.binary.path] }
      }
    },
    {
      doing: "Looking for a CA",
      run: async (note) => {
        made.programs = await findPrograms(note)
        const { acme, proof } = await startCa(stage, made.programs, note)
        made.acme = acme
        return proof
      }
    },
    {
      doing: "Starting two origin servers",
      run: async () => {
        const [a, b] = made.origins = await stage.startOrigins()
        return { proved: `Two origin servers: A on ${host}:${a.port}, B on ${host}:${b.port}` }
      }
    },
    {
      doing: "Starting HAProxy with the configuration that haproxy-mcp config prints",
      run: async (note) => {
        await stage.writeConfig()
        note("starting HAProxy")
        await stage.startHaproxy(known(made.binary))
        return {
          proved: `HAProxy runs with what \`haproxy-mcp config\` printed, on ${host}:${stage.ports.http}`,
          details: [`${stage.folder.haproxyConfig}; HTTPS on port ${stage.ports.https}, TCP and UDP`]
        }
      }
    },
    {
      doing: "Starting the control plane",
      run: async () => {
        const { pid } = await stage.startControlPlane()
        return {
          proved: `The control plane is ready: \`haproxy-mcp serve\` on ${host}:${stage.ports.mcp} (pid ${pid})`
        }
      }
    },
    {
      doing: "Connecting as an MCP client",
      run: async () => {
        const { agent, proof } = await connect(stage)
        made.agent = agent
        return proof
      }
    },
    { doing: `Adding ${shop}`, run: () => addDomain(stage, cast) },
    { doing: "Swapping its server under load", run: (note) => swapServer(stage, cast, note) },
    { doing: `Adding ${sharing} on the same pool`, run: () => shareDomain(stage, cast) },
    {
      doing: `Adding ${secure} with a certificate`,
      run: (note) =>
        fromNothingToHttps({
          stage,
          binary: known(made.binary),
          programs: known(made.programs),
          acme: known(made.acme),
          agent: known(made.agent),
          origin: known(made.origins)[1]
        }, note)
    },
    { doing: "Making mistakes", run: () => refuse(stage, cast) },
    { doing: "Killing HAProxy", run: (note) => restart(stage, known(made.binary), known(made.acme), cast, note) },
    { doing: "Listing the domains", run: () => listDomains(cast) },
    { doing: "Asking how everything is", run: () => health(cast) }
  ]
  return {
    steps,
    /** Port of origin A, which serves nothing after the tour. */
    spare: () => known(made.origins)[0].port,
    /** PEM file with what a visitor of {@link secure} trusts. */
    root: () => rootOf(stage, known(made.acme)),
    close: async () => made.agent?.close()
  }
}
