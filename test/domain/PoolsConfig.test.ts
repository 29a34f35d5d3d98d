import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Port, ServerIp } from "../../src/domain/Address.ts"
import type { Edit } from "../../src/domain/Change.ts"
import type { PoolNumber, Server, SlotNumber, Weight } from "../../src/domain/Pool.ts"
import * as PoolsConfig from "../../src/domain/PoolsConfig.ts"

const limits = { pools: 2, slots: 2 }
const text = (config: PoolsConfig.PoolsConfig) => Buffer.concat([...PoolsConfig.bytes(config)]).toString()
const body = (config: PoolsConfig.PoolsConfig) => text(config).replace(/^#.*\n/gm, "")

const server = (pool: number, slot: number, more: Partial<Server> = {}): Server => ({
  pool: pool as PoolNumber,
  slot: slot as SlotNumber,
  ip: "10.0.0.5" as ServerIp,
  port: 80 as Port,
  weight: 1 as Weight,
  state: "ready",
  ...more
})
const edit = (pool: number, slot: number, after: Server | null): Edit => ({
  kind: "server",
  pool: pool as PoolNumber,
  slot: slot as SlotNumber,
  before: null,
  after
})

describe("pools.cfg", () => {
  it("declares every pool with its servers, and placeholders in empty slots", () => {
    const config = PoolsConfig.make(limits, [
      server(1, 2, { ip: "2001:db8::5" as ServerIp, port: 8443 as Port, weight: 9 as Weight }),
      server(2, 1, { state: "drain", weight: 3 as Weight }),
      server(2, 2, { state: "maint" })
    ])
    assert.strictEqual(
      body(config),
      `
backend pool_1 from haproxy_mcp_pools
  server pool_1_1 192.0.2.1:1 disabled
  server pool_1_2 [2001:db8::5]:8443 weight 9

backend pool_2 from haproxy_mcp_pools
  server pool_2_1 10.0.0.5:80 weight 0 # drain; weight 3 when ready
  server pool_2_2 10.0.0.5:80 weight 1 disabled
`
    )
  })

  it("leaves out what is beyond the declared pools and slots", () => {
    const empty = PoolsConfig.make(limits, [])
    assert.strictEqual(text(PoolsConfig.make(limits, [server(3, 1), server(1, 3)])), text(empty))
    assert.strictEqual(PoolsConfig.edit(empty, [edit(3, 1, server(3, 1)), edit(1, 3, server(1, 3))]), empty)
  })

  it("one edit renders one section", () => {
    const config = PoolsConfig.make({ pools: 500, slots: 10 }, [])
    const before = new Set(PoolsConfig.bytes(config))
    const after = PoolsConfig.bytes(PoolsConfig.edit(config, [edit(300, 4, server(300, 4))]))
    assert.strictEqual(after.filter((piece) => !before.has(piece)).length, 1)
  })

  it.effect.prop(
    "depends on the servers alone, whatever the history",
    [Arbitrary.schema(Schema.Array(Schema.Struct({
      pool: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 3 })),
      slot: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 3 })),
      weight: Schema.NullOr(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 256 }))),
      state: Schema.Literals(["ready", "drain", "maint"])
    })))],
    ([steps]) =>
      Effect.sync(() => {
        const model = new Map<string, Server>()
        let config = PoolsConfig.make(limits, [])
        for (const { pool, slot, weight, state } of steps) {
          const after = weight === null ? null : server(pool, slot, { weight: weight as Weight, state })
          config = PoolsConfig.edit(config, [edit(pool, slot, after)])
          if (after === null) model.delete(`${pool}_${slot}`)
          else model.set(`${pool}_${slot}`, after)
        }
        assert.strictEqual(text(config), text(PoolsConfig.make(limits, model.values())))
      })
  )
})
