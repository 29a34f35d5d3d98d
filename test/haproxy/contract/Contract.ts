/**
 * What the programs rely on of HAProxy's Runtime API. Run against the real binaries and against FakeHaproxy: a fake
 * that passes may stand in for the real one.
 */
import { describe } from "@effect/vitest"
import { linkContract } from "./Link.ts"
import { mapContract } from "./Maps.ts"
import { serverContract } from "./Servers.ts"
import type { MakeTarget } from "./Target.ts"
import { wireContract } from "./Wire.ts"

/** Declares the contract's tests for one kind of HAProxy. */
export const runtimeContract = (name: string, make: MakeTarget): void => {
  describe(name, () => {
    wireContract(make)
    mapContract(make)
    serverContract(make)
    linkContract(make)
  })
}
