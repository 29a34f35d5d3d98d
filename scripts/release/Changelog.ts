/**
 * CHANGELOG.md (keepachangelog.com): what its "Unreleased" says about the next version, and the same text with that version.
 */
import { ReleaseFailure } from "./ReleaseFailure.ts"
import * as SemVer from "./SemVer.ts"

export interface Changelog {
  /** What stands under "Unreleased", by heading; without the empty ones. */
  readonly sections: ReadonlyMap<string, string>
  /** All of "Unreleased", as the notes of the release. */
  readonly notes: string
  /** The last released version; null when there was none. */
  readonly last: SemVer.SemVer | null
}

const unreleased = /^## \[?Unreleased\]?[ \t]*$/m
const released = /^## \[?(\d[^\s\]]*)\]?/gm

/** What a heading means for the version. "Known limits" and the like mean nothing. */
const weights: Readonly<Record<string, SemVer.Weight>> = {
  Breaking: "major",
  Removed: "major",
  Added: "minor",
  Changed: "minor",
  Deprecated: "minor",
  Fixed: "patch",
  Security: "patch"
}

/** Reads a change log. */
export const read = (text: string): Changelog => {
  const head = unreleased.exec(text)
  if (head === null) {
    throw new ReleaseFailure("CHANGELOG.md has no \"## Unreleased\"", "Write what is new under that heading.")
  }
  const rest = text.slice(head.index + head[0].length)
  const end = /^## /m.exec(rest)?.index ?? rest.length
  const notes = rest.slice(0, end).trim()
  const parts = notes.split(/^### (.+)$/m)
  const sections = new Map<string, string>()
  for (let index = 1; index < parts.length; index += 2) {
    const body = parts[index + 1]!.trim()
    if (body !== "") sections.set(parts[index]!.trim(), body)
  }
  const versions = [...text.matchAll(released)].map(([, version]) => SemVer.parse(version!))
  return {
    sections,
    notes,
    last: versions.length === 0 ? null : versions.reduce((a, b) => SemVer.compare(a, b) > 0 ? a : b)
  }
}

/** How much "Unreleased" changes: by the heaviest of its headings. */
export const weightOf = ({ sections }: Changelog): SemVer.Weight => {
  const found = [...sections.keys()].flatMap((heading) => weights[heading] ?? [])
  const heaviest = (["major", "minor", "patch"] as const).find((weight) => found.includes(weight))
  if (heaviest === undefined) {
    throw new ReleaseFailure(
      "\"Unreleased\" in CHANGELOG.md holds no change, so there is nothing to release",
      `Describe it under one of: ${Object.keys(weights).join(", ")}.`
    )
  }
  return heaviest
}

/**
 * The version to release. `wanted`: named by hand, null for the one that follows. `current`: that of package.json, which is the
 * first one when none was released yet.
 */
export const nextVersion = (changelog: Changelog, current: string, wanted: string | null): string => {
  const weight = weightOf(changelog)
  const { last } = changelog
  if (wanted === null) {
    return last === null
      ? SemVer.format(SemVer.parse(current))
      : SemVer.format(SemVer.next(last, weight))
  }
  const version = SemVer.parse(wanted)
  if (last === null) return SemVer.format(version)
  if (SemVer.compare(version, last) <= 0) {
    throw new ReleaseFailure(`${wanted} does not come after ${SemVer.format(last)}`, "Name a later version, or none.")
  }
  const least = SemVer.next(last, weight)
  // A candidate of the version that follows counts as that.
  if (SemVer.compare({ ...version, pre: "" }, least) < 0) {
    throw new ReleaseFailure(
      `${wanted} is too small for what CHANGELOG.md holds (${[...changelog.sections.keys()].join(", ")})`,
      `It must be ${SemVer.format(least)} or later.`
    )
  }
  return SemVer.format(version)
}

/** The text with "Unreleased" turned into a version, and an empty "Unreleased" above it. */
export const withVersion = (text: string, version: string, date: string): string => {
  if (text.includes(`\n## ${version} - `)) {
    throw new ReleaseFailure(`CHANGELOG.md has a version ${version} already`, "Name another version.")
  }
  return text.replace(unreleased, `## Unreleased\n\n## ${version} - ${date}`)
}
