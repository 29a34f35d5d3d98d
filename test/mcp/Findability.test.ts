/** Is the right tool found by what people ask for? A plain keyword search must have it among its first three. */
import { assert, describe, it } from "@effect/vitest"
import { toolsets } from "../../src/domain/Toolset.ts"
import { offer } from "../../src/mcp/Catalogue.ts"
import { requests } from "./findability/requests.ts"
import { searchOver } from "./findability/Search.ts"

const { catalogue } = offer(new Set(toolsets))
const search = searchOver(catalogue)

describe("the catalogue, searched by words", () => {
  it("has the right tool among the first three for every request", () => {
    assert.isAtLeast(requests.length, 150)
    const missed = requests.flatMap(([request, tool]) => {
      const first = search(request).slice(0, 3)
      return first.includes(tool) ? [] : [`${request}: ${tool} is not among ${first.join(", ")}`]
    })
    const best = requests.filter(([request, tool]) => search(request)[0] === tool).length
    console.log(`findability: ${best} of ${requests.length} requests find their tool first`)
    assert.deepStrictEqual(missed, [])
  })

  it("is asked for every tool at least once", () => {
    const asked = new Set(requests.map(([, tool]) => tool))
    assert.deepStrictEqual(catalogue.map(({ name }) => name).filter((name) => !asked.has(name)), [])
  })
})
