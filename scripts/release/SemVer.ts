/**
 * Versions (semver.org 2.0.0) and which one comes next. Below 1.0.0 a breaking change raises the second number, as does what is
 * new: the first is raised by hand, once, by naming the version.
 */
import { ReleaseFailure } from "./ReleaseFailure.ts"

export interface SemVer {
  readonly major: number
  readonly minor: number
  readonly patch: number
  /** Without its hyphen; empty for a release proper. */
  readonly pre: string
}

/** How much a release changes. */
export type Weight = "major" | "minor" | "patch"

const number = "(0|[1-9]\\d{0,8})"
const identifier = "(?:0|[1-9]\\d*|\\d*[A-Za-z-][0-9A-Za-z-]*)"
const pattern = new RegExp(`^${number}\\.${number}\\.${number}(?:-(${identifier}(?:\\.${identifier})*))?$`)

/** Reads a version. Build metadata is refused: npm drops it. */
export const parse = (text: string): SemVer => {
  const match = pattern.exec(text)
  if (match === null) {
    throw new ReleaseFailure(`"${text}" is no version`, "Write it as 1.2.3 or 1.2.3-rc.1 (semver.org), without a v.")
  }
  const [, major, minor, patch, pre] = match
  return { major: Number(major), minor: Number(minor), patch: Number(patch), pre: pre ?? "" }
}

export const format = ({ major, minor, patch, pre }: SemVer): string =>
  `${major}.${minor}.${patch}${pre === "" ? "" : `-${pre}`}`

const comparePart = (a: string, b: string): number => {
  const [left, right] = [/^\d+$/.test(a), /^\d+$/.test(b)]
  if (left && right) return Number(a) - Number(b)
  if (left !== right) return left ? -1 : 1
  return a < b ? -1 : a > b ? 1 : 0
}

const comparePre = (a: string, b: string): number => {
  if (a === b) return 0
  if (a === "" || b === "") return a === "" ? 1 : -1
  const [left, right] = [a.split("."), b.split(".")]
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    const [one, other] = [left[index], right[index]]
    if (one === undefined || other === undefined) return one === undefined ? -1 : 1
    const order = comparePart(one, other)
    if (order !== 0) return order
  }
  return 0
}

/** Order of precedence (semver.org, 11). */
export const compare = (a: SemVer, b: SemVer): number =>
  a.major - b.major || a.minor - b.minor || a.patch - b.patch || comparePre(a.pre, b.pre)

/** The version after `last` for a release of this weight. */
export const next = (last: SemVer, weight: Weight): SemVer => {
  const { major, minor, patch, pre } = last
  // 1.2.0-rc.1 leads to 1.2.0.
  if (pre !== "") return { major, minor, patch, pre: "" }
  const raised = weight === "major" && major === 0 ? "minor" : weight
  return raised === "major"
    ? { major: major + 1, minor: 0, patch: 0, pre: "" }
    : raised === "minor"
    ? { major, minor: minor + 1, patch: 0, pre: "" }
    : { major, minor, patch: patch + 1, pre: "" }
}
