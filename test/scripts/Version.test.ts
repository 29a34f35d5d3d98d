import { describe, expect, it } from "vitest"
import { compareVersions, parseHaproxyVersion } from "../../scripts/debian/Version.ts"

describe("haproxy -v", () => {
  it.each([
    ["HAProxy version 3.0.11-1+deb13u3 2026/05/20 - https://haproxy.org/", "3.0.11-1+deb13u3", "3.0.11", "3.0"],
    ["HAProxy version 3.4.7 2026/10/14 - https://haproxy.org/\nStatus: long-term supported", "3.4.7", "3.4.7", "3.4"],
    ["HAProxy version 3.3-dev6-9432e7-36 2025/08/13 - https://haproxy.org/", "3.3-dev6-9432e7-36", "3.3", "3.3"],
    ["HA-Proxy version 2.2.9-2+deb11u6 2023/08/17 - https://haproxy.org/", "2.2.9-2+deb11u6", "2.2.9", "2.2"]
  ])("%s", (output, full, release, line) => {
    expect(parseHaproxyVersion(output)).toEqual({ full, release, line })
  })

  it("is not taken from another program", () => {
    expect(parseHaproxyVersion("nginx version: nginx/1.22.1")).toBeUndefined()
    expect(parseHaproxyVersion("")).toBeUndefined()
  })
})

describe("the order of versions", () => {
  it.each([
    ["3.2", "3.0", 1],
    ["3.10", "3.9", 1],
    ["2.9.15", "3.0", -1],
    ["3.2", "3.2.0", 0],
    ["3.0.11-1+deb13u3", "3.0.11", 0],
    ["3.2.26-1", "3.2.9-1", 1]
  ])("%s and %s", (a, b, sign) => {
    expect(Math.sign(compareVersions(a, b))).toBe(sign)
    expect(Math.sign(compareVersions(b, a))).toBe(sign === 0 ? 0 : -sign)
  })
})
