import { expect, it } from "vitest"
import { domainTable } from "../../scripts/demo/DomainTable.ts"

it("shows domains as a table, each column as wide as it must be", () => {
  const server = { slot: 1, name: "pool_1_1", addr: "127.0.0.1:4000", weight: 1 }
  expect(domainTable([
    { domain: "shop.example.com", backend: "pool_1", shares_with: null, servers: [{ ...server, state: "drain" }] },
    { domain: "a.example", backend: "pool_12", shares_with: null, servers: [] },
    {
      domain: "*.b.example",
      backend: "pool_1",
      shares_with: "shop.example.com",
      servers: [{ ...server, state: "ready" }, { ...server, slot: 2, name: "pool_1_2", state: "ready" }]
    }
  ])).toEqual([
    "domain            pool     shares with       servers",
    "----------------  -------  ----------------  ------------------------------------------------",
    "shop.example.com  pool_1                     pool_1_1 127.0.0.1:4000 (drain)",
    "a.example         pool_12                    none",
    "*.b.example       pool_1   shop.example.com  pool_1_1 127.0.0.1:4000, pool_1_2 127.0.0.1:4000"
  ])
})
