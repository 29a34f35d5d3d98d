/**
 * Adds domains from a program of your own: `node add-domains.ts 10.0.0.5 shop.example.com blog.example.com`.
 *
 * The settings are haproxy-mcp's environment variables. No `haproxy-mcp serve` may run on the same database.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { addDomain, controlPlane, observability, Settings, toBody } from "haproxy-mcp"

const [ip = "", ...domains] = process.argv.slice(2)

/** One domain: a success is durable, live in HAProxy and read back; a refusal changed nothing and says why. */
const add = (domain: string) =>
  addDomain({ domain, ip }).pipe(
    Effect.matchEffect({
      onSuccess: ({ backend, changed }) => Console.log(`${domain}: ${backend}${changed ? "" : ", as it was"}`),
      onFailure: (error) => Console.error(`${domain}: ${toBody(error).code}: ${error.message}. ${error.hint}`)
    })
  )

// Writes that wait together share one commit, one exchange with HAProxy and one write of the map files.
const program = Effect.forEach(domains, add, { concurrency: 64, discard: true })

const settings = observability.pipe(Layer.provideMerge(Settings.layer({ env: process.env })))

NodeRuntime.runMain(program.pipe(Effect.provide(controlPlane), Effect.provide(settings)))
