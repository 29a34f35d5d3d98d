import { describe, expect, it } from "vitest"
import { DemoFailure } from "../../scripts/demo/DemoFailure.ts"
import { readOptions } from "../../scripts/demo/Options.ts"

describe("the demo's command line", () => {
  it("stays up on its usual ports when nothing is said", () => {
    expect(readOptions([])).toEqual({ once: false, portOffset: 0, help: false })
  })

  it("takes its flags", () => {
    expect(readOptions(["--once", "--port-offset", "200"])).toMatchObject({ once: true, portOffset: 200 })
    expect(readOptions(["--port-offset=7"])).toMatchObject({ portOffset: 7 })
    expect(readOptions(["-h"])).toMatchObject({ help: true })
  })

  it("understands flags that npm took for its own, because the -- was forgotten", () => {
    expect(readOptions([], { npm_config_once: "true", npm_config_port_offset: "100" })).toMatchObject({
      once: true,
      portOffset: 100
    })
  })

  it.each([["--port-offset", "x"], ["--port-offset", "-1"], ["--port-offset", "55537"], ["--port-offset"], ["--onec"], [
    "up"
  ]])("refuses %s %s with the usage", (...args) => {
    try {
      readOptions(args.filter((arg) => arg !== undefined))
      expect.fail("it was accepted")
    } catch (cause) {
      expect(cause).toBeInstanceOf(DemoFailure)
      expect((cause as DemoFailure).hint).toContain("npm run demo -- ".slice(0, 12))
    }
  })
})
