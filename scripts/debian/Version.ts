/**
 * HAProxy's version as the program itself states it, and the order of two versions. Only the numbers count: the
 * suffixes of packagers (`-1+deb13u3`) and of development (`-dev3`) are kept for display and ignored in comparisons.
 */

export interface HaproxyVersion {
  /** `3.0.11-1+deb13u3` */
  readonly full: string
  /** `3.0.11` */
  readonly release: string
  /** `3.0`: the branch that HAProxy maintains. */
  readonly line: string
}

/**
 * Reads the first line of `haproxy -v`, or `undefined` when it is not HAProxy's. Sample:
 * `HAProxy version 3.2.26-1 2026/10/14 - https://haproxy.org/` (before 2.4: `HA-Proxy version …`).
 */
export const parseHaproxyVersion = (output: string): HaproxyVersion | undefined => {
  const match = /^HA-?Proxy version ((\d+\.\d+)(\.\d+)*\S*)/m.exec(output)
  if (match === null) return undefined
  const full = match[1] ?? ""
  return { full, release: /^[\d.]*\d/.exec(full)?.[0] ?? full, line: match[2] ?? "" }
}

/** Negative, zero or positive, like a sort function. `3.10` is newer than `3.9`; `3.2` equals `3.2.0`. */
export const compareVersions = (a: string, b: string): number => {
  const numbers = (version: string) => (/^[\d.]*/.exec(version)?.[0] ?? "").split(".").map(Number)
  const [left, right] = [numbers(a), numbers(b)]
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
